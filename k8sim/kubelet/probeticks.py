"""The arithmetic of a probe: the next tick at which it does something that anybody could notice.

A probe worker ticks for ever, and almost always nothing comes of it. This module steps over such ticks without
visiting them. It knows no clock: a worker's state, what it sees of its container, and how the container answers go in;
the first tick that matters comes out, and the state as it is just before that tick.

Source: pkg/kubelet/prober/worker.go (run, doProbe); node.md 2.2, 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k8sim.api.core import Probe
from k8sim.machines.answers import FOR_EVER, Answers, ProbeKind
from k8sim.sim.units import SECOND

Effect = Literal["none", "end", "new-container", "not-running", "attempt"]


@dataclass(frozen=True, slots=True)
class View:
    """What a worker sees in the pod's cached status.

    Parameters
    ----------
    container_id
        "" while the container has none.
    running_since
        Its start, cut to whole seconds; None while it does not run.
    started
        The Started flag.
    may_restart
        An ended container will be started again.
    over
        The pod's phase is terminal.
    """

    container_id: str = ""
    running_since: int | None = None
    started: bool = False
    may_restart: bool = True
    over: bool = False


@dataclass(slots=True)
class Ticks:
    """A worker's own state.

    Parameters
    ----------
    next_ns
        Its next tick.
    container_id
        The container it knows.
    last, run
        Outcome of the last attempt, and how many in a row had it.
    stored
        The result in force: True, False, or None (unknown).
    """

    kind: ProbeKind
    period_ns: int
    next_ns: int
    success_threshold: int = 1
    failure_threshold: int = 3
    initial_delay_s: int = 0
    container_id: str = ""
    on_hold: bool = False
    last: bool | None = None
    run: int = 0
    stored: bool | None = None

    @classmethod
    def of(cls, kind: ProbeKind, probe: Probe, first_ns: int) -> Ticks:
        """Return the state of a new worker."""
        return cls(
            kind=kind,
            period_ns=probe.period_seconds * SECOND,
            next_ns=first_ns,
            success_threshold=probe.success_threshold,
            failure_threshold=probe.failure_threshold,
            initial_delay_s=probe.initial_delay_seconds,
        )

    @property
    def initial(self) -> bool | None:
        """The result of a new container before any attempt: readiness fails, liveness passes, startup is unknown."""
        return {"readiness": False, "liveness": True, "startup": None}[self.kind]

    def threshold(self, outcome: bool) -> int:
        """Return how many equal outcomes in a row make a result."""
        return self.success_threshold if outcome else self.failure_threshold

    def note(self, outcome: bool) -> bool:
        """Count an outcome; tell whether its threshold is reached."""
        if self.last == outcome:
            self.run += 1
        else:
            self.last, self.run = outcome, 1
        return self.run >= self.threshold(outcome)


def effect_of_tick(ticks: Ticks, view: View, at_ns: int) -> Effect:
    """Return what a tick comes to before the container is asked (the checks of doProbe, in order)."""
    if view.over:
        return "end"
    if not view.container_id:
        return "none"
    if view.container_id != ticks.container_id:
        return "new-container"
    if ticks.on_hold:
        return "none"
    if view.running_since is None:
        return "not-running" if ticks.stored is not False or not view.may_restart else "none"
    if (at_ns - view.running_since) // SECOND < ticks.initial_delay_s:
        return "none"
    if view.started == (ticks.kind == "startup"):
        return "none"
    return "attempt"


def next_event(ticks: Ticks, view: View, answers: Answers | None, until_ns: int = FOR_EVER) -> int | None:
    """Step over all ticks before ``until_ns`` that change nothing but the counters.

    Parameters
    ----------
    answers
        How the container answers; None: it cannot be asked (an exec in a container that has ended), which counts
        for nothing.

    Returns
    -------
    t
        The first tick that has an effect, or None if there is none before ``until_ns``. ``ticks`` is left as it is
        just before that tick (or before the first tick not before ``until_ns``).
    """
    if view.running_since is not None and ticks.initial_delay_s and view.container_id == ticks.container_id:
        _skip_before(ticks, view.running_since + ticks.initial_delay_s * SECOND, until_ns)
    effect = effect_of_tick(ticks, view, ticks.next_ns)
    if effect != "attempt":
        if effect != "none" and ticks.next_ns < until_ns:
            return ticks.next_ns
        _skip_before(ticks, until_ns, until_ns)
        return None
    if answers is None:
        _skip_before(ticks, until_ns, until_ns)
        return None
    while ticks.next_ns < until_ns:
        t = ticks.next_ns
        outcome = answers.passes(ticks.kind, t)
        change = min(answers.next_change(ticks.kind, t), until_ns)
        event = _event_in_segment(ticks, outcome, t)
        if event is not None and event < change:
            _count(ticks, outcome, (event - t) // ticks.period_ns)
            ticks.next_ns = event
            return event
        if change >= FOR_EVER:
            return None
        n = -((t - change) // ticks.period_ns)  # ticks in [t, change)
        _count(ticks, outcome, n)
        ticks.next_ns = t + n * ticks.period_ns
    return None


def _event_in_segment(ticks: Ticks, outcome: bool, t: int) -> int | None:
    """Return the first tick from t on that matters if all outcomes are the same."""
    if not outcome and ticks.last is not False:
        return t  # the first failure is told as an event
    decisive = ticks.kind == "startup" or ticks.stored != outcome
    if not decisive:
        return None
    run = ticks.run if ticks.last == outcome else 0
    need = max(ticks.threshold(outcome) - run, 1)
    return t + (need - 1) * ticks.period_ns


def _count(ticks: Ticks, outcome: bool, n: int) -> None:
    """Count n equal outcomes."""
    if n > 0:
        ticks.run = ticks.run + n if ticks.last == outcome else n
        ticks.last = outcome


def _skip_before(ticks: Ticks, when_ns: int, until_ns: int) -> None:
    """Let the ticks before a moment pass without a trace."""
    when = min(when_ns, until_ns)
    if when < FOR_EVER and ticks.next_ns < when:
        ticks.next_ns += -((ticks.next_ns - when) // ticks.period_ns) * ticks.period_ns
