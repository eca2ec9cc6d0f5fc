"""Which engine runs an experiment, and why.

======================  =============================================================================================
``simpy``               the whole cluster, event by event: covers everything
``lockstep``            campaigns (`k8sim.lockstep`): thousands of replicates at once, of the scenarios in its subset
``reference``           the same campaigns one replicate at a time on SimPy; equal to lockstep, bit by bit, and slow
``auto``                lockstep for scenarios in its subset that last `LONG` or more; else simpy
======================  =============================================================================================

A campaign is a coarser model than the whole cluster (`k8sim.lockstep.campaign` says what differs), and worth it where
runs are long: an outage of minutes is the same in both within seconds, and a year is thousands of times faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from k8sim.lockstep.subset import Translation, campaign_of
from k8sim.runner.campaigns import campaign_figures
from k8sim.runner.names import CAMPAIGNS
from k8sim.scenario.model import Scenario
from k8sim.sim.units import DAY, format_duration

Engine = Literal["simpy", "lockstep", "reference"]
Wish = Literal["auto", "simpy", "lockstep", "reference"]
WISHES: Final[tuple[str, ...]] = get_args(Wish)
LONG: Final = 30 * DAY
_ONLY_CAMPAIGNS: Final = frozenset(figure.name for figure in CAMPAIGNS)


class OutsideSubset(Exception):
    """A scenario that the engine asked for cannot run; ``reasons`` says why, in full."""

    def __init__(self, engine: str, reasons: Sequence[str]) -> None:
        super().__init__(f"outside what the {engine} engine can run: {'; '.join(reasons)}")
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class Choice:
    """An engine, and why it was chosen; ``simplified`` is what the campaign has in a coarser form."""

    engine: Engine
    why: str
    translations: tuple[Translation, ...] = ()
    simplified: tuple[str, ...] = ()


def choose_engine(scenarios: Sequence[Scenario], wish: str, metrics: Sequence[str] = ()) -> Choice:
    """Choose one engine for all variants of an experiment.

    Parameters
    ----------
    metrics
        What stopping rules ask for, beside the objectives.

    Raises
    ------
    OutsideSubset
        A campaign was asked for, and a scenario is none.
    ValueError
        There is no such engine.
    """
    if wish not in WISHES:
        raise ValueError(f"there is no engine {wish!r}; there are: {', '.join(WISHES)}")
    if wish == "simpy":
        return Choice("simpy", "as asked for")
    translations = tuple(campaign_of(scenario) for scenario in scenarios)
    pairs = list(zip(scenarios, translations, strict=True))
    outside = list(dict.fromkeys(reason for pair in pairs for reason in reasons(*pair, metrics)))
    simplified = tuple(dict.fromkeys(note for t in translations for note in t.simplified))
    if wish in ("lockstep", "reference"):
        if outside:
            raise OutsideSubset(wish, outside)
        engine: Engine = "lockstep" if wish == "lockstep" else "reference"
        return Choice(engine, "as asked for", translations, simplified)
    if outside:
        return Choice("simpy", f"outside the subset of lockstep: {'; '.join(outside)}")
    longest = max(scenario.duration_ns for scenario in scenarios)
    counted = any(_last(metric) in _ONLY_CAMPAIGNS for metric in _wanted(scenarios, metrics))
    if longest < LONG and not counted:
        return Choice("simpy", f"runs of less than {format_duration(LONG)} are simulated in full")
    why = "an objective only it can measure" if longest < LONG else f"{format_duration(longest)}, and in its subset"
    return Choice("lockstep", why, translations, simplified)


def reasons(scenario: Scenario, translation: Translation, metrics: Sequence[str]) -> list[str]:
    """Return all that keeps a scenario from being run as a campaign, what is asked about it included."""
    if translation.campaign is None:
        return list(translation.outside)
    there = campaign_figures(scenario, translation)
    return [f"{metric} is not counted" for metric in _wanted([scenario], metrics) if metric not in there]


def _wanted(scenarios: Sequence[Scenario], metrics: Sequence[str]) -> list[str]:
    return [*metrics, *(objective.metric for scenario in scenarios for objective in scenario.objectives)]


def _last(metric: str) -> str:
    return metric.rpartition(".")[2]
