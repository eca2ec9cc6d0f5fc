"""``k8sim calibrate``: the delays of one's own cluster, from its events and pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from k8sim.cli.failures import UsageProblem

EPILOG = """
[bold]Examples[/bold]

kubectl get events,pods -A -o json > events.json
k8sim calibrate events.json

[dim]Paste what it prints under the spec of a scenario. Events are kept for an hour: take them after a rollout.[/dim]
"""
_HOW = "kubectl get events,pods -A -o json > events.json"


def calibrate(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="EVENTS.json...", help="What kubectl get events,pods -A -o json printed.", show_default=False
        ),
    ],
) -> None:
    """Take delays [bold]from your own cluster[/bold] and print them as a scenario has them.

    Volumes: how long they take to make, attach and grow. Containers: how long they take to start. Images: how long they
    take to pull, and how long their software takes from its start until it is ready (pods with one container).
    """
    from k8sim.report.calibration import LEAST, delays, measured, scenario_block

    found = delays([item for file in files for item in _items(file)])
    laws = measured(found)
    if not laws:
        seen = ", ".join(f"{name}: {len(values)}" for (_, name), values in found.items()) or "none"
        raise UsageProblem(
            f"{files[0]}: fewer than {LEAST} delays of each kind (found {seen})",
            "events are kept for an hour: take them soon after pods with volumes were made",
        )
    typer.echo(scenario_block(laws), nl=False)


def _items(file: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads(file.read_text("utf-8"))
        return [item for item in document["items"] if isinstance(item, dict)]
    except OSError as problem:
        raise UsageProblem(f"{file}: {problem.strerror}", _HOW) from None
    except (ValueError, KeyError, TypeError):
        raise UsageProblem(f"{file} is no list of events or pods as kubectl prints it", _HOW) from None
