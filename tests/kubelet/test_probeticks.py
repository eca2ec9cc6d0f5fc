"""Virtual polling is polling: stepping over ticks gives what visiting every tick gives."""

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import Probe
from k8sim.kubelet.probeticks import Ticks, View, effect_of_tick, next_event
from k8sim.machines.answers import NEVER, Answers
from k8sim.sim.units import SECOND

moments = st.one_of(st.integers(0, 40 * SECOND), st.just(NEVER))
windows = st.tuples(st.integers(0, 30 * SECOND), st.integers(0, 30 * SECOND)).map(lambda w: (min(w), max(w)))
answers = st.builds(Answers, started_from=moments, ready_from=moments, hang_from=moments, unready=windows, hang=windows)
kinds = st.sampled_from(["startup", "readiness", "liveness"])
probes = st.builds(
    Probe,
    period_seconds=st.integers(1, 4),
    success_threshold=st.integers(1, 3),
    failure_threshold=st.integers(1, 4),
    initial_delay_seconds=st.integers(0, 5),
)


@st.composite
def workers(draw: st.DrawFn) -> tuple[Ticks, View, Answers]:
    ticks = Ticks.of(draw(kinds), draw(probes), draw(st.integers(0, 3 * SECOND)))
    ticks.container_id = "c1"
    ticks.stored = draw(st.sampled_from([None, True, False]))
    ticks.last = draw(st.sampled_from([None, True, False]))
    ticks.run = draw(st.integers(1, 6)) if ticks.last is not None else 0
    if ticks.last is not None and ticks.run >= ticks.threshold(ticks.last):
        ticks.stored = ticks.last  # what a real worker would have stored
    view = View(container_id="c1", running_since=0, started=ticks.kind != "startup")
    return ticks, view, draw(answers)


def by_visiting(ticks: Ticks, view: View, answers: Answers, until: int) -> tuple[int | None, Ticks]:
    """Visit every tick; stop at the first that anybody could notice."""
    ticks = replace(ticks)
    while ticks.next_ns < until:
        effect = effect_of_tick(ticks, view, ticks.next_ns)
        if effect == "attempt":
            outcome = answers.passes(ticks.kind, ticks.next_ns)
            after = replace(ticks)
            reached = after.note(outcome)
            told = not outcome and ticks.last is not False
            decides = reached and (ticks.kind == "startup" or ticks.stored != outcome)
            if told or decides:
                return ticks.next_ns, ticks
            ticks.last, ticks.run = after.last, after.run
        elif effect != "none":
            return ticks.next_ns, ticks
        ticks.next_ns += ticks.period_ns
    return None, ticks


@given(workers(), st.integers(1, 60 * SECOND))
def test_stepping_over_ticks_is_visiting_them(worker: tuple[Ticks, View, Answers], until: int):
    ticks, view, answering = worker
    event, visited = by_visiting(ticks, view, answering, until)
    course = next_event(ticks, view, answering, until)
    assert course.event_ns == event
    assert course.next_ns == visited.next_ns
    assert course.last == visited.last
    # Beyond its threshold a run's length decides nothing.
    if visited.last is not None and visited.run < ticks.threshold(visited.last):
        assert course.run == visited.run


@given(workers(), st.integers(1, 40 * SECOND))
def test_a_plan_does_not_depend_on_when_it_is_made(worker: tuple[Ticks, View, Answers], pause: int):
    """Going to a moment first, and planning from there, finds the same event."""
    ticks, view, answering = worker
    direct = next_event(ticks, view, answering, 100 * SECOND)
    part = next_event(ticks, view, answering, pause)
    if part.event_ns is not None:
        assert part == direct
    else:
        later = replace(ticks, next_ns=part.next_ns, last=part.last, run=part.run)
        assert next_event(later, view, answering, 100 * SECOND).event_ns == direct.event_ns


def test_checks_come_in_the_order_of_the_source():
    ticks = Ticks.of("readiness", Probe(period_seconds=1, initial_delay_seconds=3), 0)
    assert effect_of_tick(ticks, View(over=True), 0) == "end"
    assert effect_of_tick(ticks, View(), 0) == "none"
    assert effect_of_tick(ticks, View(container_id="c1"), 0) == "new-container"
    ticks.container_id = "c1"
    assert effect_of_tick(ticks, View(container_id="c1"), 0) == "not-running"
    running = View(container_id="c1", running_since=0)
    assert effect_of_tick(ticks, running, 2 * SECOND) == "none"
    assert effect_of_tick(ticks, running, 3 * SECOND) == "none"  # not started
    started = msgspec.structs.replace(running, started=True)
    assert effect_of_tick(ticks, started, 3 * SECOND) == "attempt"
    ticks.on_hold = True
    assert effect_of_tick(ticks, started, 3 * SECOND) == "none"
