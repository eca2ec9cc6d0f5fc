"""``k8sim rare``: how likely it is that all copies of some data are lost, however unlikely that is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from k8sim.cli.options import Seed

if TYPE_CHECKING:
    from k8sim.lockstep.copiesof import GroupTranslation
    from k8sim.runner.rare import Gate
    from k8sim.runner.statistics import Estimate
    from k8sim.scenario import Scenario

EPILOG = """
[bold]Examples[/bold]

k8sim rare scenarios/rare-data-loss.yaml

[dim]# mean time to data loss; twice as exact[/dim]
k8sim rare scenarios/rare-data-loss.yaml --mttdl --within 0.05
"""
ADVICE: Final = "lower --bias, raise --replicates, or make spec.duration shorter"


def rare(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A scenario file.", show_default=False)],
    seed: Seed = None,
    replicates: Annotated[int, typer.Option(metavar="N", min=1000, help="At most so many replicates.")] = 1_000_000,
    within: Annotated[
        float, typer.Option(metavar="SHARE", min=0.001, max=1, help="Stop at this relative error (95 %).")
    ] = 0.1,
    bias: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0.001, max=0.5,
            help="While copies are missing, all failures together get this share of the rate of a copy.",
        ),
    ] = 0.3,
    mttdl: Annotated[bool, typer.Option("--mttdl", help="Also the mean time to data loss.")] = False,
) -> None:  # fmt: skip
    """Estimate the [bold]probability of losing all copies[/bold] of an application's data in the scenario's duration.

    Failures are made more frequent, and each replicate counts with its exact likelihood ratio. There is an estimate
    only if it can be trusted: the mean likelihood ratio is 1, and enough replicates carry weight. An objective
    P(OWNER.data_losses > 0) of the scenario is judged by it: exit code 1 if it fails.
    """
    from k8sim.cli.failures import UsageProblem
    from k8sim.cli.files import only_scenario
    from k8sim.lockstep.copiesof import copy_group_of
    from k8sim.runner.names import check_objectives
    from k8sim.runner.rare import Untrustworthy, loss_probability
    from k8sim.runner.rare import mttdl as mean_time
    from k8sim.scenario.loader import load_variants
    from k8sim.sim.units import SECOND, format_duration

    path = only_scenario(file)
    variants = load_variants(path)
    if len(variants) > 1:
        raise UsageProblem(f"{path}: a sweep of {len(variants)} variants", "this estimates one: leave out the sweep")
    scenario = variants[0].scenario
    check_objectives(scenario)
    found = copy_group_of(scenario)
    if found.group is None:
        reasons = "\n  ".join(("outside are:", *found.outside))
        raise UsageProblem(f"{scenario.name}: no group of copies whose loss could be estimated", reasons)
    number = scenario.seed if seed is None else seed
    _say_what(scenario, found)
    try:
        estimate, gate = loss_probability(
            found.group, scenario.duration_ns / SECOND, seed=number, replicates=replicates, bias=bias,
            relative_error=within,
        )  # fmt: skip
        _say_estimate(f"P(all copies lost within {format_duration(scenario.duration_ns)})", estimate)
        _say_gate(gate)
        if mttdl:
            _say_estimate("mean time to data loss in years", _years(mean_time(found.group, seed=number, bias=bias)))
    except Untrustworthy as refusal:
        raise UsageProblem(str(refusal), ADVICE) from None
    _judge(scenario, found, estimate)


def _say_what(scenario: Scenario, found: GroupTranslation) -> None:
    group, application = found.group, found.application
    assert group is not None
    assert application is not None
    typer.secho(scenario.name, bold=True, nl=False)
    typer.echo(f"  {group.copies} copies of {application.name}, any one of which is enough")
    for note in found.simplified:
        typer.secho(f"  simplified: {note}", dim=True)


def _say_estimate(what: str, estimate: Estimate) -> None:
    error = estimate.half_width / estimate.value
    typer.echo(f"{what} = {estimate.value:.4g}  ({estimate.low:.4g} to {estimate.high:.4g}, 95 %; within {error:.0%})")


def _years(estimate: Estimate) -> Estimate:
    from k8sim.sim.units import DAY, SECOND

    year = 365 * DAY / SECOND
    return replace(estimate, value=estimate.value / year, low=estimate.low / year, high=estimate.high / year)


def _say_gate(gate: Gate) -> None:
    typer.echo(f"  {gate.n} replicates, {gate.losses} with a loss, worth {gate.effective_losses:.0f} of equal weight")
    typer.echo(f"  mean likelihood ratio {gate.mean_ratio:.4f} ± {gate.ratio_error:.4f} (1 if it can be trusted)")
    typer.echo(f"  effective sample size {gate.effective_share:.1%} of the replicates")


def _judge(scenario: Scenario, found: GroupTranslation, estimate: Estimate) -> None:
    """Judge the objectives about the loss of the application's data; say of the others that they are not."""
    from k8sim.cli.failures import FAILED
    from k8sim.runner.names import label_of
    from k8sim.runner.objectives import judge

    application = found.application
    assert application is not None
    label = label_of(application.workload, application.namespace, scenario.namespace)
    verdicts = []
    for objective in scenario.objectives:
        mine = objective.metric == f"{label}.data_losses" and objective.statistic == ("P", ">", 0.0)
        verdicts.append(judge(objective, estimate) if mine else "not judged by this estimate")
        typer.echo(f"{objective.text}: {verdicts[-1]}")
    if "fail" in verdicts:
        raise typer.Exit(FAILED)
