"""The arithmetic of a probe: the next tick at which it does something that anybody could notice.

A probe worker ticks for ever, and almost always nothing comes of it. This module steps over such ticks without
visiting them; not over an attempt that takes time, unless it only confirms a success and is over before the next tick.
It knows no clock: a worker's state, what it sees of its container, and how the container answers go in; the first tick
that matters comes out, and the state as it is just before that tick.

Source: pkg/kubelet/prober/worker.go (run, doProbe); node.md 2.2, 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from k8sim.api.core import Probe
from k8sim.machines.answers import FOR_EVER, Answers, ProbeKind
from k8sim.sim.units import SECOND

Effect = Literal["none", "end", "new-container", "not-running", "attempt"]


class View(msgspec.Struct, frozen=True, gc=False):
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
    timeout_ns: int = SECOND
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
            timeout_ns=probe.timeout_seconds * SECOND,
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


class Course(msgspec.Struct, frozen=True, gc=False):
    """How a worker goes on: its first tick with an effect (None: none), and its counters just before it."""

    event_ns: int | None
    next_ns: int
    last: bool | None
    run: int


def next_event(ticks: Ticks, view: View, answers: Answers | None, until_ns: int = FOR_EVER) -> Course:
    """Step over all ticks before ``until_ns`` that change nothing but the counters.

    Parameters
    ----------
    answers
        How the container answers; None: it cannot be asked (an exec in a container that has ended), which counts
        for nothing.

    Returns
    -------
    Course
        Ends at the first tick that has an effect, else at the first tick not before ``until_ns``.
    """
    t, last, run, period = ticks.next_ns, ticks.last, ticks.run, ticks.period_ns
    if view.running_since is not None and ticks.initial_delay_s and view.container_id == ticks.container_id:
        t = _first_from(t, min(view.running_since + ticks.initial_delay_s * SECOND, until_ns), period)
    effect = effect_of_tick(ticks, view, t)
    if effect != "attempt":
        if effect != "none" and t < until_ns:
            return Course(t, t, last, run)
        return Course(None, _first_from(t, until_ns, period), last, run)
    if answers is None:
        return Course(None, _first_from(t, until_ns, period), last, run)
    while t < until_ns:
        outcome, takes = answers.attempt(ticks.kind, t, ticks.timeout_ns)
        change = min(answers.next_change(ticks.kind, t), until_ns)
        confirms = outcome and ticks.stored is True and takes < period
        steps = 0 if takes and not confirms else _steps_to_event(ticks, outcome, last, run)
        if steps is not None and t + steps * period < change:
            if steps:
                run = run + steps if last == outcome else steps
                last = outcome
            t += steps * period
            return Course(t, t, last, run)
        if change >= FOR_EVER:
            return Course(None, t, last, run)
        n = -((t - change) // period)  # ticks in [t, change)
        run = run + n if last == outcome else n
        last = outcome
        t += n * period
    return Course(None, t, last, run)


def _steps_to_event(ticks: Ticks, outcome: bool, last: bool | None, run: int) -> int | None:
    """Return how many equal outcomes pass before one that matters, or None if none does."""
    if not outcome and last is not False:
        return 0  # the first failure is told as an event
    if ticks.kind != "startup" and ticks.stored == outcome:
        return None
    return max(ticks.threshold(outcome) - (run if last == outcome else 0), 1) - 1


def _first_from(t: int, when_ns: int, period_ns: int) -> int:
    """Return the first tick not before a moment; ``FOR_EVER`` is no moment."""
    if when_ns >= FOR_EVER or t >= when_ns:
        return t
    return t - ((t - when_ns) // period_ns) * period_ns
