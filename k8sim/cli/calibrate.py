"""``k8sim calibrate``: the latencies of one's own cluster, from its events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from k8sim.cli.failures import UsageProblem

EPILOG = """
[bold]Examples[/bold]

kubectl get events -A -o json > events.json
k8sim calibrate events.json

[dim]Paste what it prints under the spec of a scenario.[/dim]
"""


def calibrate(
    file: Annotated[
        Path,
        typer.Argument(metavar="EVENTS.json", help="What kubectl get events -A -o json printed.", show_default=False),
    ],
) -> None:
    """Take latencies of volumes [bold]from your own cluster[/bold] and print them as a scenario has them."""
    from k8sim.report.calibration import LEAST, delays, latencies_block, measured

    try:
        document = json.loads(file.read_text("utf-8"))
        items = [item for item in document["items"] if isinstance(item, dict)]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UsageProblem(
            f"{file} is no list of events: {problem}", "kubectl get events -A -o json > events.json"
        ) from None
    found = delays(items)
    laws = measured(found)
    if not laws:
        seen = ", ".join(f"{name}: {len(values)}" for name, values in found.items()) or "none"
        raise UsageProblem(
            f"{file}: fewer than {LEAST} delays of each kind (found {seen})",
            "events are kept for an hour: take them soon after pods with volumes were made",
        )
    typer.echo(latencies_block(laws), nl=False)
