"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from k8sim.cli.failures import UsageProblem

if TYPE_CHECKING:
    from k8sim.scenario import Scenario

MAX_SEED: Final = 2**63 - 1


def _seed(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= MAX_SEED:
        raise typer.BadParameter(f"{value} is not between 0 and {MAX_SEED}")
    return value


Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        callback=_seed,
        show_default=False,
        help="Address of all chance [dim](default: the file's seed)[/dim].",
    ),
]
Replicate = Annotated[
    int, typer.Option(metavar="N", min=0, show_default=False, help="Which repetition under that seed.")
]
At = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="As of when: 90s, 1m30s [dim](default: the end)[/dim].", show_default=False),
]


def moment_of(at: str | None, scenario: Scenario) -> int:
    """Return the moment of a run that somebody asks about.

    Raises
    ------
    UsageProblem
        It is no time, or after the end of the scenario.
    """
    from k8sim.sim.units import format_duration, parse_duration

    if at is None:
        return scenario.duration_ns
    try:
        moment_ns = parse_duration(at)
    except ValueError as problem:
        raise UsageProblem(f"--at: {problem}") from None
    if moment_ns > scenario.duration_ns:
        end = format_duration(scenario.duration_ns)
        raise UsageProblem(f"--at {at} is after the end of the scenario", f"spec.duration is {end}")
    return moment_ns
