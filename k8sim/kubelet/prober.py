"""Probe workers without ticks: each waits only for the next tick that matters (`probeticks`).

A worker belongs to (pod, container, kind) and outlives the container's instances. It sees the pod through the status
manager's cache, asks the container in the runtime, and stores results by container ID; a change of a result reaches
the kubelet's sync loop.

Source: pkg/kubelet/prober/{prober_manager,worker}.go, results/results_manager.go; node.md 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from k8sim.api.core import Container, ContainerStatus, Pod, PodStatus, Probe
from k8sim.api.pods import is_pod_ready, is_sidecar
from k8sim.api.struct import replace
from k8sim.kubelet.containerstatus import status_of
from k8sim.kubelet.phase import TERMINAL
from k8sim.kubelet.probeticks import Ticks, View, effect_of_tick, next_event
from k8sim.kubelet.restart import container_should_restart, should_all_containers_restart
from k8sim.machines.answers import NEVER, Answers, ProbeKind
from k8sim.machines.machine import Machine
from k8sim.sim.clock import rank
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import SECOND

GRACE_AROUND_RESTART: Final = 10 * SECOND
"""Containers that started longer than this before the kubelet keep the readiness they had (prober_manager.go)."""

_REFUSES: Final = Answers(started_from=NEVER, ready_from=NEVER, hang_from=0)
"""Nobody listens: what network probes of an ended container meet."""

_NO_VIEW: Final = View()
Result = bool | None
Statuses = tuple[ContainerStatus, ...]
OnResult = Callable[[str, ProbeKind, str, Result], None]
"""(pod UID, kind, container ID, result): a result has changed."""
OnUnhealthy = Callable[[str, Container, ProbeKind], None]


@dataclass(slots=True, eq=False)
class Worker:
    """One probe of one container of one pod.

    Parameters
    ----------
    asking
        The number of the attempt that waits for its answer, 0 for none. Meanwhile the worker does nothing else; one
        trigger (``triggered``) and one tick are kept.
    """

    pod: Pod
    container: Container
    probe: Probe
    ticks: Ticks
    begins_ns: int
    view: View = _NO_VIEW
    answers: Answers | None = None
    due: int | None = None
    alive: bool = True
    asking: int = 0
    triggered: bool = False


class ProbeManager:
    """All probe workers of a kubelet.

    Parameters
    ----------
    started_ns
        When the kubelet's process made it.
    on_result, on_unhealthy
        Called when a result changes, and for the first failed attempt in a row.
    """

    def __init__(
        self, sim: Simulation, machine: Machine, started_ns: int, on_result: OnResult, on_unhealthy: OnUnhealthy
    ) -> None:
        self._sim = sim
        self._clock = sim.clock
        self._machine = machine
        self._started_ns = started_ns
        self._on_result = on_result
        self._on_unhealthy = on_unhealthy
        self._rank = rank("kubelet", f"{machine.name}/prober")
        self._workers: dict[str, dict[tuple[str, ProbeKind], Worker]] = {}
        self._attempts = 0
        self.results: dict[ProbeKind, dict[str, Result]] = {"startup": {}, "readiness": {}, "liveness": {}}

    # ---- life of workers ----------------------------------------------------------------------------------------

    def add_pod(self, pod: Pod, status: PodStatus) -> None:
        """Start the pod's workers, if it has none (AddPod)."""
        if pod.metadata.uid in self._workers:
            return
        workers: dict[tuple[str, ProbeKind], Worker] = {}
        # Containers of an earlier kubelet: a new pod has none before its first sync.
        existing = {s.name for s in (*status.init_container_statuses, *status.container_statuses) if s.container_id}
        containers = pod.spec.containers
        if pod.spec.init_containers:
            containers = (*containers, *[c for c in pod.spec.init_containers if is_sidecar(c.restart_policy)])
        for container in containers:
            kinds: tuple[tuple[ProbeKind, Probe | None], ...] = (
                ("startup", container.startup_probe),
                ("readiness", container.readiness_probe),
                ("liveness", container.liveness_probe),
            )
            for kind, probe in kinds:
                if probe is not None:
                    delay = self._start_delay(pod, container, kind, probe)
                    begins = self._clock.now + delay
                    # An attempt at once that finds no container comes to nothing; the ticks count from it.
                    in_vain = not delay and container.name not in existing
                    first = begins + (probe.period_seconds * SECOND if in_vain else 0)
                    workers[container.name, kind] = Worker(pod, container, probe, Ticks.of(kind, probe, first), begins)
        if not workers:
            return
        self._workers[pod.uid] = workers
        self.status_changed(pod.uid, status)
        for worker in list(workers.values()):
            self._plan(worker)

    def _start_delay(self, pod: Pod, container: Container, kind: ProbeKind, probe: Probe) -> int:
        """A kubelet younger than the period spreads the probes' starts, lest all come at once after its restart."""
        period = probe.period_seconds * SECOND
        if period <= self._clock.now - self._started_ns:
            return 0
        return int(self._sim.streams.uniform(f"{pod.uid}/{container.name}", f"{kind} probe start") * period)

    def stop_liveness_and_startup(self, pod: Pod) -> None:
        """Stop those workers of regular containers: the pod terminates; sidecars are still watched."""
        workers = self._workers.get(pod.metadata.uid)
        if not workers:
            return
        regular = {c.name for c in pod.spec.containers}
        for (name, kind), worker in list(workers.items()):
            if name in regular and kind != "readiness":
                self._stop(worker)

    def remove_pod(self, uid: str) -> None:
        """Stop all workers of a pod."""
        if uid in self._workers:
            for worker in list(self._workers.pop(uid).values()):
                self._stop(worker)

    def _stop(self, worker: Worker) -> None:
        worker.alive = False
        worker.asking = 0
        self.results[worker.ticks.kind].pop(worker.ticks.container_id, None)
        workers = self._workers.get(worker.pod.uid)
        if workers is not None:
            workers.pop((worker.container.name, worker.ticks.kind), None)

    def stop(self) -> None:
        """The kubelet's process ends."""
        for uid in list(self._workers):
            self.remove_pod(uid)

    # ---- what workers see ---------------------------------------------------------------------------------------

    def status_changed(self, uid: str, status: PodStatus) -> None:
        """Note that the pod's cached status has changed: some workers' next tick that matters is another one."""
        workers = self._workers.get(uid)
        if not workers:
            return
        for worker in list(workers.values()):
            view = _view(worker, status)
            if view != worker.view:
                self._settle(worker)
                worker.view = view
                self._plan(worker)

    def answers_changed(self, uid: str) -> None:
        """Note that the pod's containers answer differently from now on."""
        for worker in list(self._workers.get(uid, {}).values()):
            self._settle(worker)
            passed_over = self._awaits_confirmation(worker)
            worker.answers = self._answers(worker)
            if not self._can_answer(worker):
                # The connection breaks; an exec that is lost with its container counts for nothing.
                outcome = None if worker.answers is None else False
                if worker.asking:
                    self._answered(worker, worker.asking, outcome)
                elif passed_over and outcome is False:
                    self._conclude(worker, outcome)
            self._plan(worker)

    def update_pod_status(
        self, pod: Pod, regular: Statuses, inits: Statuses, previous: PodStatus
    ) -> tuple[Statuses, Statuses]:
        """Fill in started and ready of regular and init containers (UpdatePodStatus)."""
        old = previous.container_statuses
        filled = []
        for i, container in enumerate(pod.spec.containers):  # most have one: a comprehension costs more than it does
            filled.append(self._status(pod, container, regular[i], old))
        if inits:
            old = previous.init_container_statuses
            inits = tuple(
                [
                    self._status(pod, c, s, old) if is_sidecar(c.restart_policy) else self._init_status(s)
                    for c, s in zip(pod.spec.init_containers, inits, strict=True)
                ]
            )
        return tuple(filled), inits

    def _init_status(self, status: ContainerStatus) -> ContainerStatus:
        ended = status.state.terminated
        started = status.state.running is not None
        return replace(status, started=started, ready=ended is not None and ended.exit_code == 0)

    def _status(self, pod: Pod, container: Container, status: ContainerStatus, previous: Statuses) -> ContainerStatus:
        started = status.state.running is not None and self._is_started(pod, container, status, previous)
        ready = started and (container.readiness_probe is None or self._is_ready(pod, status))
        if started is status.started and ready is status.ready:
            return status
        return replace(status, started=started, ready=ready)

    def _is_started(self, pod: Pod, container: Container, status: ContainerStatus, previous: Statuses) -> bool:
        results = self.results["startup"]
        if status.container_id in results:
            return results[status.container_id] is True
        if container.startup_probe is None:
            return True
        old = status_of(previous, status.name)
        if old is not None and old.started:
            return True  # nothing is known yet of this instance: the last status of the name counts
        return not self._watches(pod)

    def _is_ready(self, pod: Pod, status: ContainerStatus) -> bool:
        results = self.results["readiness"]
        if results.get(status.container_id) is True:
            return True
        if self._before_this_kubelet(status):
            return status.container_id not in results and is_pod_ready(pod)  # setReadyStateOnKubeletRestart
        return not self._watches(pod)

    def _watches(self, pod: Pod) -> bool:
        """Tell whether the pod has workers; a kubelet's first status of a pod comes before them.

        There a running container with probes looks like one without any: started, and ready unless it is old enough
        to be known as one of an earlier kubelet (isContainerStarted, UpdatePodStatus).
        """
        return pod.metadata.uid in self._workers

    def _before_this_kubelet(self, status: ContainerStatus) -> bool:
        running = status.state.running
        since = running.started_at if running is not None else None
        return since is not None and since < self._started_ns - GRACE_AROUND_RESTART

    # ---- attempts -----------------------------------------------------------------------------------------------

    def run_unready(self, uid: str, status: PodStatus) -> None:
        """Let containers that have started and are not ready be asked at once (the trigger of UpdatePodStatus)."""
        if uid in self._workers:
            for shown in _all_statuses(status):
                if shown.started and not shown.ready:
                    self.run_now(uid, shown.name, "readiness")

    def run_now(self, uid: str, container: str, kind: ProbeKind) -> None:
        """Run a worker at once, if there is one; its ticks count from here (the manual trigger)."""
        worker = self._workers.get(uid, {}).get((container, kind))
        if worker is None or worker.begins_ns > self._clock.now:
            return
        if worker.asking:
            worker.triggered = True
        else:
            self._settle(worker)
            self._attempt(worker)

    def _tick(self, worker: Worker, due: int) -> None:
        if worker.alive and worker.due == due:
            self._settle(worker)
            self._attempt(worker)

    def _attempt(self, worker: Worker, next_ns: int | None = None) -> None:
        """Do what a tick does (doProbe), and wait for the next one that matters; ``next_ns``: the tick after this."""
        worker.ticks.next_ns = next_ns or self._clock.now + worker.ticks.period_ns
        worker.due = None
        worker.triggered = False
        self._probe(worker)
        if worker.alive:
            self._plan(worker)

    def _probe(self, worker: Worker) -> None:
        ticks, view, now = worker.ticks, worker.view, self._clock.now
        effect = effect_of_tick(ticks, view, now)
        if effect == "end":
            self._stop(worker)
            return
        if effect == "new-container":
            self._meet(worker)
            effect = effect_of_tick(ticks, view, now)
        if effect == "not-running":
            self._store(worker, False)
            if not view.may_restart:
                self._stop(worker)
            return
        if effect != "attempt" or worker.answers is None:
            return
        outcome, takes = worker.answers.attempt(ticks.kind, now, ticks.timeout_ns)
        if takes:
            self._attempts += 1
            worker.asking = self._attempts
            self._clock.call_after(takes, self._answered, worker, worker.asking, outcome, rank=self._rank)
        else:
            self._conclude(worker, outcome)

    def _answered(self, worker: Worker, attempt: int, outcome: bool | None) -> None:
        """End an attempt that took time, and go on with what came meanwhile.

        The trigger and the tick that are kept are both ready then; which one Go's select takes does not matter, for the
        trigger restarts the ticker.
        """
        if worker.asking != attempt:
            return
        if outcome is not None:
            self._conclude(worker, outcome)
        worker.asking = 0
        if not worker.alive:
            return
        ticks, now = worker.ticks, self._clock.now
        missed = ticks.next_ns <= now
        if worker.triggered or missed:
            after = self._clock.next_on_grid(ticks.next_ns, ticks.period_ns, now + 1)
            self._attempt(worker, now + ticks.period_ns if worker.triggered else after)
        else:
            self._plan(worker)

    def _conclude(self, worker: Worker, outcome: bool) -> None:
        """Count an outcome, and store what it makes the result."""
        ticks = worker.ticks
        if not outcome and ticks.last is not False:
            self._on_unhealthy(worker.pod.uid, worker.container, ticks.kind)
        if ticks.note(outcome):
            # Set before storing: a sync may follow at once.
            if ticks.kind == "startup" or (ticks.kind == "liveness" and not outcome):
                ticks.on_hold = True
                ticks.run = 0
            self._store(worker, outcome)

    def _meet(self, worker: Worker) -> None:
        """Turn to a new container: forget the old one's result, begin with the initial one."""
        ticks = worker.ticks
        if ticks.container_id:
            self.results[ticks.kind].pop(ticks.container_id, None)
        ticks.container_id = worker.view.container_id
        ticks.on_hold = False
        ticks.stored = None
        worker.answers = self._answers(worker)
        since = worker.view.running_since
        if since is None or since >= self._started_ns - GRACE_AROUND_RESTART:
            self._store(worker, ticks.initial)
        elif ticks.kind == "startup" and worker.view.started and is_sidecar(worker.container.restart_policy):
            self._store(worker, True)  # containers after it wait for this result (kubernetes pull request 137146)

    def _store(self, worker: Worker, result: Result) -> None:
        ticks = worker.ticks
        ticks.stored = result
        results = self.results[ticks.kind]
        if ticks.container_id not in results or results[ticks.container_id] != result:
            results[ticks.container_id] = result
            self._note(worker, result)
            self._on_result(worker.pod.metadata.uid, ticks.kind, ticks.container_id, result)

    def _note(self, worker: Worker, result: Result) -> None:
        """Leave a row of a verdict; the initial ones, before anything was asked, say nothing."""
        meta, ticks = worker.pod.metadata, worker.ticks
        if ticks.last is None:
            return
        detail = {"container": worker.container.name, "probe": ticks.kind, "passes": result, "uid": meta.uid}
        cause = self._machine.last_row(meta.uid)
        self._sim.trace.append(self._clock.now, "Container", meta.name, "Probe", detail, cause, meta.namespace)

    # ---- arithmetic ---------------------------------------------------------------------------------------------

    def _settle(self, worker: Worker) -> None:
        """Bring the worker's counters up to now."""
        ticks = worker.ticks
        if ticks.next_ns < self._clock.now and not worker.asking:
            course = next_event(ticks, worker.view, worker.answers, self._clock.now)
            ticks.next_ns, ticks.last, ticks.run = course.next_ns, course.last, course.run

    def _plan(self, worker: Worker) -> None:
        """Wait for the next tick that matters, unless an answer is awaited."""
        if worker.asking:
            return
        due = next_event(worker.ticks, worker.view, worker.answers).event_ns
        if due != worker.due:
            worker.due = due
            if due is not None:
                self._clock.call_at(due, self._tick, worker, due, rank=self._rank)

    def runtime_changed(self) -> None:
        """Note that the runtime does not answer any more, or does again: an exec needs it."""
        for uid in list(self._workers):
            self.answers_changed(uid)

    def _answers(self, worker: Worker) -> Answers | None:
        if worker.probe.exec is not None and not self._machine.runtime_up:
            return None
        container = self._machine.find_container(worker.pod.uid, worker.ticks.container_id)
        if container is not None and container.running:
            return container.answers
        return None if worker.probe.exec is not None else _REFUSES

    def _awaits_confirmation(self, worker: Worker) -> bool:
        """Tell whether an attempt is under way that was stepped over because it would only have confirmed a success."""
        ticks, answers = worker.ticks, worker.answers
        began = ticks.next_ns - ticks.period_ns
        if worker.asking or ticks.stored is not True or answers is None:
            return False
        if effect_of_tick(ticks, worker.view, began) != "attempt":
            return False
        return began + answers.attempt(ticks.kind, began, ticks.timeout_ns)[1] > self._clock.now

    def _can_answer(self, worker: Worker) -> bool:
        return worker.answers is not None and worker.answers is not _REFUSES


def _all_statuses(status: PodStatus) -> Statuses:
    inits = status.init_container_statuses
    return status.container_statuses + inits if inits else status.container_statuses


def _view(worker: Worker, shown: PodStatus) -> View:
    over = shown.phase in TERMINAL
    status = status_of(_all_statuses(shown), worker.container.name)
    if status is None:
        return View(over=over)
    running, ended = status.state.running, status.state.terminated
    return View(
        container_id=status.container_id,
        running_since=None if running is None else running.started_at,
        started=bool(status.started),
        may_restart=ended is None
        or container_should_restart(worker.container, worker.pod.spec, ended.exit_code)
        or should_all_containers_restart(worker.pod, None, shown),
        over=over,
    )
