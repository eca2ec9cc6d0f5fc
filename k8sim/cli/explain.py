"""``k8sim explain``: why something was away, what led to it, and why nothing happens now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from k8sim.cli.failures import UsageProblem
from k8sim.cli.options import At, Replicate, Seed, moment_of

MOST_NAMED: Final = 12

EPILOG = """
[bold]Examples[/bold]

[dim]# everything that was away, and why[/dim]
k8sim explain scenarios/web-canary.yaml

[dim]# one pod; all pods of a workload; a node; a claim[/dim]
k8sim explain scenarios/web-canary.yaml web-2
k8sim explain scenarios/web-canary.yaml sts/web
k8sim explain scenarios/web-canary.yaml node/node-0

[dim]# why is it not moving at 1m40s?[/dim]
k8sim explain scenarios/web-canary.yaml web-2 --at 100s
"""


def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A scenario file.", show_default=False)],
    what: Annotated[
        str,
        typer.Argument(
            metavar="[OBJECT]", show_default=False, help="NAME or KIND/NAME: pod, workload, node, claim ..."
        ),
    ] = "",
    at: At = None,
    seed: Seed = None,
    replicate: Replicate = 0,
) -> None:
    """Say [bold]why[/bold]: each time something was away, phase by phase, and why nothing happens now."""
    from k8sim.cli.simulate import simulate
    from k8sim.cli.terminal import console
    from k8sim.report.explain import NoSuchObject
    from k8sim.report.explain import explain as explanation
    from k8sim.scenario import load

    scenario = load(file)
    scenario = replace(scenario, duration_ns=moment_of(at, scenario))  # the same run, as far as it then was
    result = simulate(scenario, seed, replicate)
    try:
        view = explanation(result, what)
    except NoSuchObject as unknown:
        some = ", ".join(unknown.known[:MOST_NAMED])
        more = " ..." if len(unknown.known) > MOST_NAMED else ""
        raise UsageProblem(f"no object {what} in this run", f"there are {some}{more}" if some else None) from None
    console().print(view)
