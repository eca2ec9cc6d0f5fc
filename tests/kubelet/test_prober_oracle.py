"""The computed probe is the ticking one: the same verdicts at the same times, over random lives of a container.

The oracle below visits every tick, as a probe worker of the kubelet does (pkg/kubelet/prober/worker.go run, doProbe):
one attempt at once, then a ticker that keeps one missed tick, a trigger that restarts it, attempts that take time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from k8sim.api.core import Container, ContainerState, ContainerStatus, ExecAction, Pod, PodSpec, PodStatus, Probe
from k8sim.api.core import ContainerStateRunning as Running
from k8sim.api.core import ContainerStateTerminated as Terminated
from k8sim.api.core import ContainerStateWaiting as Waiting
from k8sim.api.struct import Time
from k8sim.api.struct import replace as replace_field
from k8sim.kubelet.prober import ProbeManager
from k8sim.machines.answers import FOR_EVER, NEVER, Answers, ProbeKind
from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import NO_CAUSE, Trace
from k8sim.sim.units import MILLISECOND, SECOND
from tests.kubelet.bench import meta

END = 40 * SECOND
INITIAL = {"readiness": False, "liveness": True, "startup": None}


@dataclass(frozen=True)
class View:
    """What the cached status says of the container."""

    id: str = ""
    since: int | None = None
    started: bool = False
    code: int | None = None

    def status(self) -> PodStatus:
        state = ContainerState(waiting=Waiting())
        if self.code is not None:
            state = ContainerState(terminated=Terminated(exit_code=self.code))
        elif self.since is not None:
            state = ContainerState(running=Running(started_at=Time(self.since)))
        shown = ContainerStatus(name="app", state=state, container_id=self.id, started=self.started)
        return PodStatus(phase="Running", container_statuses=(shown,))


@dataclass(frozen=True)
class Step:
    """One thing that happens at a time: a new view, other answers, the process' end, the pod's end.

    "trigger" is the computation of a status: it triggers a readiness probe, and only while there is no success.
    """

    at: int
    what: str
    view: View = View()
    answers: Answers | None = None


@dataclass
class Oracle:
    """A probe worker that visits every tick."""

    kind: ProbeKind
    probe: Probe
    restarts: bool
    log: list[tuple[int, Any]] = field(default_factory=list)
    view: View = View()
    answers: Answers | None = None
    alive: bool = False
    known: str = ""
    on_hold: bool = False
    last: bool | None = None
    run: int = 0
    results: dict[str, bool | None] = field(default_factory=dict)
    next_tick: int = 0
    kept_tick: bool = False
    kept_trigger: bool = False
    answer_at: int | None = None
    outcome: bool | None = None

    @property
    def period(self) -> int:
        return self.probe.period_seconds * SECOND

    def live(self, steps: list[Step], begins: int) -> list[tuple[int, Any]]:
        """Return what the worker says: stored results, and first failures in a row ("unhealthy")."""
        self.alive, self.next_tick = True, begins + self.period
        self.look(begins)
        waiting = list(steps)
        while self.alive:
            now = min(self.next_tick, self.answer_at or END + 1, waiting[0].at if waiting else END + 1)
            if now > END:
                break
            if waiting and now == waiting[0].at:
                self.take(waiting.pop(0))
            elif now == self.next_tick:  # a tick at the instant of an answer finds the other one still kept
                self.next_tick += self.period
                self.kept_tick = True
                self.go_on(now)
            else:
                self.answer_at = None
                self.end_attempt(now, self.outcome)
                self.go_on(now)
        return self.log

    def take(self, step: Step) -> None:
        if step.what == "view":
            self.view = step.view
        elif step.what == "answers":
            self.answers = step.answers
        elif step.what == "ends":
            self.answers = None
            if self.answer_at is not None:  # the connection breaks; a lost exec counts for nothing
                self.answer_at = None
                self.end_attempt(step.at, None if self.probe.exec is not None else False)
                self.go_on(step.at)
        elif step.what == "trigger":
            if self.kind == "readiness" and self.results.get(self.view.id) is not True:
                self.kept_trigger = True
                self.go_on(step.at)
        else:
            self.alive = False

    def go_on(self, now: int) -> None:
        """Look again for each tick and trigger that is there, unless an answer is awaited (the select of run)."""
        while self.alive and self.answer_at is None and (self.kept_trigger or self.kept_tick):
            if self.kept_trigger:
                self.next_tick = now + self.period
            self.kept_trigger = self.kept_tick = False
            self.look(now)

    def look(self, now: int) -> None:
        """Do what one tick does (doProbe)."""
        view = self.view
        if not view.id:
            return
        if view.id != self.known:
            self.results.pop(self.known, None)
            self.known, self.on_hold = view.id, False
            self.store(now, INITIAL[self.kind])
        if self.on_hold:
            return
        if view.since is None:
            self.store(now, False)
            if view.code is not None and not (self.restarts or view.code != 0):
                self.alive = False
            return
        if (now - view.since) // SECOND < self.probe.initial_delay_seconds:
            return
        if view.started == (self.kind == "startup"):
            return
        self.ask(now)

    def ask(self, now: int) -> None:
        if self.answers is None:
            if self.probe.exec is None:
                self.end_attempt(now, False)
            return
        self.outcome, takes = asked(self.answers, self.kind, now, self.probe.timeout_seconds * SECOND)
        if takes:
            self.answer_at = now + takes
        else:
            self.end_attempt(now, self.outcome)

    def end_attempt(self, now: int, outcome: bool | None) -> None:
        if outcome is None:
            return
        if not outcome and self.last is not False:
            self.log.append((now, "unhealthy"))
        self.run = self.run + 1 if self.last == outcome else 1
        self.last = outcome
        if self.run < (self.probe.success_threshold if outcome else self.probe.failure_threshold):
            return
        self.store(now, outcome)
        if self.kind == "startup" or (self.kind == "liveness" and not outcome):
            self.on_hold, self.run = True, 0

    def store(self, now: int, result: bool | None) -> None:
        if self.known not in self.results or self.results[self.known] != result:
            self.results[self.known] = result
            self.log.append((now, (self.known, result)))


def asked(answers: Answers, kind: ProbeKind, now: int, timeout: int) -> tuple[bool, int]:
    """Return the outcome and duration of one attempt, from the moments alone."""
    slow = answers.slow[0] <= now < answers.slow[1]
    takes = max(answers.takes_ns, answers.slow_takes_ns) if slow else answers.takes_ns
    if takes >= timeout:
        return False, timeout
    if kind == "startup":
        return now >= answers.started_from, takes
    hangs = now >= answers.hang_from or answers.hang[0] <= now < answers.hang[1]
    if kind == "liveness":
        return not hangs and now >= answers.alive_from, takes
    unready = answers.unready[0] <= now < answers.unready[1]
    return not hangs and not unready and now >= answers.ready_from, takes


class World:
    """The prober of a kubelet, with a machine that has one container of our making."""

    name = "node"
    runtime_up = True

    def __init__(self, kind: ProbeKind, probe: Probe, restarts: bool) -> None:
        streams = Streams(1)
        self.clock = Clock()
        sim = Simulation(self.clock, streams, Latencies(streams), Trace(), {})
        self.log: list[tuple[int, Any]] = []
        self.answers: Answers | None = None
        self.shown = ""
        self.manager = ProbeManager(
            sim,
            self,  # type: ignore[arg-type]
            -1000 * SECOND,
            lambda uid, kind, id_, result: self.log.append((self.clock.now, (id_, result))),
            lambda uid, container, kind: self.log.append((self.clock.now, "unhealthy")),
        )
        container = Container(name="app", image="app:v1")
        match kind:
            case "startup":
                container = replace_field(container, startup_probe=probe)
            case "readiness":
                container = replace_field(container, readiness_probe=probe)
            case "liveness":
                container = replace_field(container, liveness_probe=probe)
        policy = "Always" if restarts else "OnFailure"
        self.pod = Pod(metadata=meta(), spec=PodSpec(containers=(container,), restart_policy=policy))
        self.kind = kind

    # What the prober asks of the machine and its container.

    @property
    def running(self) -> bool:
        return self.answers is not None

    def find_container(self, uid: str, container_id: str) -> World:
        return self

    def last_row(self, uid: str) -> int:
        return NO_CAUSE

    def take(self, step: Step) -> None:
        uid = self.pod.uid
        if step.what == "view":
            self.shown = step.view.id
            self.manager.status_changed(uid, step.view.status())
        elif step.what in ("answers", "ends"):
            self.answers = step.answers
            self.manager.answers_changed(uid)
        elif step.what == "trigger":
            if self.kind == "readiness" and self.manager.results["readiness"].get(self.shown) is not True:
                self.manager.run_now(uid, "app", "readiness")
        else:
            self.manager.remove_pod(uid)

    def live(self, steps: list[Step], begins: int) -> list[tuple[int, Any]]:
        for step in steps:
            self.clock.call_at(step.at, self.take, step, rank=-1)
        self.clock.call_at(begins, self.manager.add_pod, self.pod, PodStatus())
        self.clock.run(END)
        return self.log


def moments(most: int) -> st.SearchStrategy[int]:
    """Times that no tick and no answer falls on: ties are not what this is about."""
    return st.integers(1, most // (100 * MILLISECOND)).map(lambda n: n * 100 * MILLISECOND + 12_345_679)


@st.composite
def some_answers(draw: st.DrawFn) -> Answers:
    def window() -> tuple[int, int]:
        if draw(st.booleans()):
            return 0, 0
        begin = draw(moments(END // 2))
        return begin, begin + draw(st.sampled_from([0, 1, 3, 9, 30])) * SECOND + 777

    quick = st.sampled_from([0, 0, 300 * MILLISECOND, 1300 * MILLISECOND, 2100 * MILLISECOND, 4700 * MILLISECOND])
    never = st.sampled_from([0, 0, 5 * SECOND + 1, 20 * SECOND + 1, NEVER])
    return Answers(
        started_from=draw(never),
        ready_from=draw(never),
        alive_from=draw(st.sampled_from([0, 0, 8 * SECOND + 1])),
        hang_from=draw(st.sampled_from([NEVER, NEVER, 30 * SECOND + 1])),
        unready=window(),
        hang=window(),
        takes_ns=draw(quick),
        slow=window(),
        slow_takes_ns=draw(st.sampled_from([0, 2300 * MILLISECOND, FOR_EVER])),
    )


@st.composite
def lives(draw: st.DrawFn) -> list[Step]:
    """Containers that start, become started, end and come back; triggers and changes of answers in between."""
    steps: list[Step] = []
    number = 0
    for at in sorted(draw(st.lists(moments(END), min_size=2, max_size=16, unique=True))):
        view = next((s.view for s in reversed(steps) if s.what == "view"), View())
        what = draw(st.sampled_from(["start", "started", "trigger", "trigger", "answers", "exit", "seen", "remove"]))
        if what == "start" or number == 0:
            number += 1
            steps.append(Step(at, "answers", answers=draw(some_answers())))
            new = View(f"c{number}", since=at // SECOND * SECOND, started=draw(st.booleans()))
            steps.append(Step(at, "view", view=new))
        elif what == "started" and view.since is not None:
            steps.append(Step(at, "view", view=replace(view, started=True)))
        elif what == "exit":
            steps.append(Step(at, "ends"))
        elif what == "seen":
            code = draw(st.sampled_from([0, 1, None]))
            steps.append(Step(at, "view", view=replace(view, since=None, started=False, code=code)))
        elif what == "remove":
            if draw(st.integers(0, 3)) == 0:
                steps.append(Step(at, "remove"))
        elif what in ("trigger", "answers"):
            steps.append(Step(at, what, answers=draw(some_answers()) if what == "answers" else None))
    return steps


probes = st.builds(
    Probe,
    exec=st.sampled_from([None, ExecAction(command=("check",))]),
    period_seconds=st.sampled_from([1, 1, 2, 4]),
    timeout_seconds=st.sampled_from([1, 2, 5]),
    success_threshold=st.integers(1, 3),
    failure_threshold=st.integers(1, 4),
    initial_delay_seconds=st.sampled_from([0, 0, 1, 5]),
)


def begun(answers: Answers, *later: Step) -> list[Step]:
    """A container that is started, and answers so, from second 1 on."""
    at = SECOND + 500 * MILLISECOND
    view = View("c1", since=SECOND, started=True)
    return [Step(at, "answers", answers=answers), Step(at, "view", view=view), *later]


SLOW = Answers(takes_ns=4700 * MILLISECOND)
# Chance rarely brings these about: answers that change while one is awaited; a process that ends while an attempt is
# under way that was stepped over.
CHANGED = begun(SLOW, *(Step(n * SECOND + 1, "answers", answers=SLOW) for n in (4, 9, 17)))
ENDED = begun(Answers(takes_ns=2100 * MILLISECOND), Step(21 * SECOND, "ends"))


@settings(max_examples=250)
@example("readiness", Probe(period_seconds=1, timeout_seconds=5, success_threshold=3), CHANGED, True, 0)
@example("liveness", Probe(period_seconds=4, timeout_seconds=5), ENDED, True, 0)
@given(st.sampled_from(["startup", "readiness", "liveness"]), probes, lives(), st.booleans(), st.integers(0, 999))
def test_the_computed_probe_is_the_ticking_one(
    kind: ProbeKind, probe: Probe, steps: list[Step], restarts: bool, begins_ms: int
) -> None:
    begins = begins_ms * MILLISECOND // 10
    expected = Oracle(kind, probe, restarts).live(steps, begins)
    assert World(kind, probe, restarts).live(steps, begins) == expected
