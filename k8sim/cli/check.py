"""``k8sim run --check`` and ``k8sim guarantees``: what Kubernetes promises, and whether runs kept it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from k8sim.scenario import Scenario

EPILOG = """
[bold]Examples[/bold]

k8sim guarantees

[dim]# what is checked of one, its source, and when Kubernetes itself does not keep it[/dim]
k8sim guarantees unique-identity

[dim]# were they kept?[/dim]
k8sim run scenarios/web-rolling-update.yaml --check
"""
NOT_KEPT: Final = 1


def guarantees(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="All about these; by default a list.", show_default=False),
    ] = None,
) -> None:
    """List [bold]what Kubernetes promises[/bold], as far as k8sim checks it.

    Of those that are named: what is checked, what is not, the source, and when Kubernetes itself does not keep it; of
    all of them: docs/guarantees.md.
    """
    from k8sim.cli.failures import UsageProblem
    from k8sim.cli.terminal import console
    from k8sim.guarantees import GUARANTEES
    from k8sim.report.guarantees import guarantee_view, guarantees_list

    for name in names or ():
        if name not in GUARANTEES:
            raise UsageProblem(f"there is no guarantee {name!r}", "k8sim guarantees lists them")
    if not names:
        console().print(guarantees_list())
    for name in names or ():
        console().print(guarantee_view(GUARANTEES[name]))


def check_runs(scenario: Scenario, seed: int | None, replicates: int | None) -> bool:
    """Run a scenario, print its summary and what came of the guarantees; return whether all were kept."""
    from k8sim.cli.simulate import replay_command, simulate
    from k8sim.cli.terminal import console
    from k8sim.guarantees import check
    from k8sim.report.guarantees import guarantees_view
    from k8sim.report.summary import summary

    kept = True
    for replicate in range(replicates or scenario.replicates):
        result = simulate(scenario, seed, replicate)
        audit = check(result)
        if replicate == 0:
            console().print(summary(result))
            typer.echo()
        if replicate == 0 or audit.violations:
            console().print(guarantees_view(audit))
        if audit.violations:
            kept = False
            typer.echo(f"\nto see it again: {replay_command(scenario, seed, replicate)}")
    return kept
