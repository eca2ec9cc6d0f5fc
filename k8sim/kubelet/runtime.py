"""The runtime manager: makes a pod's sandbox and containers what a sync has decided, one step after the other.

Source: pkg/kubelet/kuberuntime/{kuberuntime_manager,kuberuntime_container}.go; node.md 1.5, 1.11, 3, 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from k8sim.api.core import ConfigMap, Container, LifecycleHandler, Pod, Secret
from k8sim.api.pods import is_sidecar
from k8sim.kubelet import grace
from k8sim.kubelet.actions import KillReason, PodActions, compute_pod_actions
from k8sim.kubelet.backoff import Backoff
from k8sim.kubelet.configrefs import missing_for_container
from k8sim.kubelet.hooks import hook_course
from k8sim.kubelet.images import ImageManager, RecordEvent, StartFailure
from k8sim.kubelet.prober import ProbeManager
from k8sim.kubelet.settings import KubeletSettings
from k8sim.kubelet.termination import TerminationOrder
from k8sim.kubelet.waiting import first_of
from k8sim.machines.agent import RuntimeDown, RuntimeFailure
from k8sim.machines.container import Container as Process
from k8sim.machines.machine import Machine
from k8sim.machines.records import EXITED, RUNNING, ContainerRecord, RuntimePodStatus
from k8sim.sim.clock import Clock, Event, Steps
from k8sim.sim.distributions import Constant
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import SECOND

Spawn = Callable[[Steps], Event]
Starts = dict[str, StartFailure | None]
"""For each container whose start was tried: why it failed, or None."""


class RuntimeManager:
    """Acts on the machine's runtime for the pod workers.

    Parameters
    ----------
    record
        Records an Event.
    spawn
        Starts a process of the kubelet and returns the event of its end.
    sandbox_ready
        Called with the pod when its new sandbox stands.
    lookup
        Finds a ConfigMap or Secret by kind, namespace and name.
    """

    def __init__(
        self,
        clock: Clock,
        rank: int,
        machine: Machine,
        settings: KubeletSettings,
        images: ImageManager,
        prober: ProbeManager,
        record: RecordEvent,
        spawn: Spawn,
        sandbox_ready: Callable[[Pod], None],
        lookup: Callable[[str, str, str], ConfigMap | Secret | None],
    ) -> None:
        self._clock = clock
        self._rank = rank
        self._machine = machine
        self._images = images
        self._prober = prober
        self._record = record
        self._spawn = spawn
        self._sandbox_ready = sandbox_ready
        self._lookup = lookup
        self.backoff = Backoff(max_ns=settings.max_container_restart_period_ns)

    # ---- a sync -------------------------------------------------------------------------------------------------

    def actions(self, pod: Pod, status: RuntimePodStatus, restart_all: bool = False) -> PodActions:
        """Decide what brings the runtime in line with the spec; ``restart_all``: let all containers begin again."""
        results = self._prober.results
        return compute_pod_actions(pod, status, results["liveness"], results["startup"], restart_all)

    def sync_pod(
        self, pod: Pod, status: RuntimePodStatus, actions: PodActions, cause: int = NO_CAUSE
    ) -> Generator[Event, Any, Starts]:
        """Do what was decided (SyncPod)."""
        if actions.kill_pod:
            if actions.create_sandbox and actions.attempt:
                self._record(pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            yield from self.kill_pod(pod, status, None, cause)
        else:
            for kill in actions.containers_to_kill:
                spec = _spec_of(pod, kill.record.name)
                yield from self.kill_container(pod, spec, kill.record, kill.reason, kill.message, cause=cause)
            for record in actions.containers_to_reset:
                yield from self._reset(pod, record, cause)
        if actions.create_sandbox:
            yield from self._create_sandbox(pod, actions.attempt)
        return (yield from self._start_containers(pod, status, actions, cause))

    def _create_sandbox(self, pod: Pod, attempt: int) -> Generator[Event, Any, None]:
        try:
            yield from self._machine.run_sandbox(pod.metadata.uid, pod.key, attempt, pod.spec.host_network)
        except RuntimeFailure as failure:
            self._record(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {failure}")
            raise
        self._sandbox_ready(pod)

    def _reset(self, pod: Pod, record: ContainerRecord, cause: int) -> Generator[Event, Any, None]:
        """Remove a container, alive or not, without hook and grace; its log files keep count of its restarts."""
        if record.state == RUNNING:
            spec = _spec_of(pod, record.name)
            yield from self.kill_container(pod, spec, record, "", "killing", override=0, cause=cause)
        self._machine.remove_containers(pod.uid, {record.id})

    def _start_containers(
        self, pod: Pod, status: RuntimePodStatus, actions: PodActions, cause: int
    ) -> Generator[Event, Any, Starts]:
        """Start init containers, then the others, strictly in the order of the spec."""
        starts: Starts = {}
        for index in actions.init_containers_to_start:
            container = pod.spec.init_containers[index]
            failure = yield from self._start(pod, container, status, cause)
            starts[container.name] = failure
            if failure is not None and not is_sidecar(container.restart_policy):
                return starts
        for index in actions.containers_to_start:
            container = pod.spec.containers[index]
            starts[container.name] = yield from self._start(pod, container, status, cause)
        return starts

    def _start(
        self, pod: Pod, container: Container, status: RuntimePodStatus, cause: int
    ) -> Generator[Event, Any, StartFailure | None]:
        """Start one container unless it is in back-off."""
        for last in status.containers:
            if last.name == container.name and last.state == EXITED:
                failure = self._back_off(pod, container, last)
                if failure is not None:
                    return failure
                break
        if not self._machine.runtime_up:
            message = f'Failed to inspect image "{container.image}": {RuntimeDown()}'
            self._record(pod, "Warning", "InspectFailed", message)
            return StartFailure("ImageInspectError", message)
        failure = yield from self._images.ensure_image_exists(pod, container)
        if failure is not None:
            self._record(pod, "Warning", "Failed", f"Error: {failure.reason}")
            return failure
        missing = missing_for_container(container, lambda kind, name: self._lookup(kind, pod.namespace, name))
        if missing is not None:
            self._record(pod, "Warning", "Failed", f"Error: {missing}")
            return StartFailure("CreateContainerConfigError", missing)
        restarts = self._restart_count(pod, container, status)
        process: Process = yield from self._machine.start_container(
            pod.metadata.uid, container.name, container.image, restarts, cause
        )
        self._record(pod, "Normal", "Created", f"Created container: {container.name}")
        self._record(pod, "Normal", "Started", f"Started container {container.name}")
        hook = container.lifecycle.post_start if container.lifecycle is not None else None
        if hook is not None and not (yield from self._run_hook(pod.uid, process, hook, "postStart")):
            self._record(pod, "Warning", "FailedPostStartHook", "PostStartHook failed")
            yield from self.kill_container(pod, container, process.record, "", "FailedPostStartHook", cause=cause)
            return StartFailure("PostStartHookError", f"PostStartHook of {container.name} failed")
        return None

    def _back_off(self, pod: Pod, container: Container, last: ContainerRecord) -> StartFailure | None:
        """Let the back-off after a container's end begin or double, unless it still lasts (doBackOff)."""
        now = self._clock.now
        key = f"{pod.uid}/{container.name}/{container.image}"
        expiry = self.backoff.expiry_since(key, last.finished_ns, now)
        if expiry is None:
            self.backoff.next(key, last.finished_ns, now)
            return None
        message = f"Back-off restarting failed container {container.name} in pod {pod.name}"
        self._record(pod, "Warning", "BackOff", message)
        delay = self.backoff.delay_ns(key) // SECOND
        message = f"back-off {delay}s restarting failed container={container.name} pod={pod.name}"
        return StartFailure("CrashLoopBackOff", message, expiry)

    def _restart_count(self, pod: Pod, container: Container, status: RuntimePodStatus) -> int:
        """Count on from the runtime's record, or from the log files when a reboot has wiped the records."""
        record = status.find(container.name)
        if record is not None:
            return record.restart_count + 1
        logged = self._machine.restart_counts.get(pod.metadata.uid, {}).get(container.name)
        return 0 if logged is None else logged + 1

    # ---- hooks --------------------------------------------------------------------------------------------------

    def _run_hook(
        self, uid: str, process: Process, handler: LifecycleHandler, which: str
    ) -> Generator[Event, Any, bool]:
        """Run a hook to its end; tell whether it went well. An exec dies with its container."""
        course = hook_course(handler)
        duration = course.duration_ns
        if duration is None:
            duration = self._assumed(process, which)
        ends = self._clock.now + duration
        self._machine.hook_began(uid, process, which)
        succeeded = course.succeeds
        if not course.in_container:
            if duration > 0:
                yield self._clock.sleep(duration, self._rank)
        elif not process.running:
            succeeded = False
        else:
            if duration > 0:
                yield first_of(self._clock, self._rank, process.ended(), until_ns=ends)
            succeeded = succeeded and self._clock.now >= ends
        self._machine.hook_ended(uid, process, which, succeeded)
        return succeeded

    def _assumed(self, process: Process, which: str) -> int:
        law = self._machine.registry.behaviour(process.record.content).hooks.get(which)
        if law is None:
            return 0
        if isinstance(law, Constant):
            return law.ns
        streams = self._machine.sim.streams
        return law.quantile(streams.uniform_at(process.identity, which, process.record.restart_count))

    def _pre_stop(self, pod: Pod, process: Process, handler: LifecycleHandler, grace_s: int) -> Steps:
        """Run a preStop hook, at most as long as the grace period; what outlasts it is left to die."""
        start = self._clock.now
        over = self._clock.event()
        done = {"waiting": True}

        def hook() -> Steps:
            if not (yield from self._run_hook(pod.uid, process, handler, "preStop")):
                self._record(pod, "Warning", "FailedPreStopHook", "PreStopHook failed")
            if done["waiting"]:
                self._clock.fire(over, None, self._rank)

        self._spawn(hook())
        if not over.processed:
            yield first_of(self._clock, self._rank, over, until_ns=start + grace_s * SECOND)
        done["waiting"] = False
        return self._clock.now - start

    # ---- kills --------------------------------------------------------------------------------------------------

    def kill_container(
        self,
        pod: Pod,
        spec: Container,
        record: ContainerRecord,
        reason: KillReason,
        message: str = "",
        override: int | None = None,
        order: TerminationOrder | None = None,
        cause: int = NO_CAUSE,
    ) -> Generator[Event, Any, None]:
        """Stop one container: preStop, its turn, SIGTERM, SIGKILL (killContainer)."""
        process = self._machine.find_container(pod.uid, record.id)
        if process is None:
            return
        grace_s = grace.container_grace_period(pod, spec, reason) if override is None else override
        self._record(pod, "Normal", "Killing", message or f"Stopping container {spec.name}")
        hook = spec.lifecycle.pre_stop if spec.lifecycle is not None else None
        if hook is not None and grace_s > 0:
            used = yield from self._pre_stop(pod, process, hook, grace_s)
            grace_s = grace.after(grace_s, used)
        if order is not None and grace_s > 0:
            used = yield from order.wait_for_turn(spec.name, grace_s)
            grace_s = grace.after(grace_s, used)
        yield from self._machine.stop_container(pod.uid, process, grace.stop_timeout(grace_s), cause)
        if order is not None:
            order.ended(spec.name)

    def kill_pod(
        self, pod: Pod, status: RuntimePodStatus, override: int | None, cause: int = NO_CAUSE
    ) -> Generator[Event, Any, None]:
        """Stop all containers at the same time, then the sandbox (killPodWithSyncResult)."""
        running = [c for c in status.containers if c.state == RUNNING]
        order = None
        if pod.spec.init_containers and any(is_sidecar(c.restart_policy) for c in pod.spec.init_containers):
            order = TerminationOrder(self._clock, self._rank, pod, [c.name for c in running])
        kills = [
            self.kill_container(pod, _spec_of(pod, c.name), c, "", override=override, order=order, cause=cause)
            for c in running
        ]
        if len(kills) == 1:
            yield from kills[0]
        else:
            failures: list[RuntimeFailure] = []
            for ended in [self._spawn(_noting(kill, failures)) for kill in kills]:
                if not ended.processed:
                    yield ended
            if failures:
                raise failures[0]
        try:
            yield from self._machine.stop_sandbox(pod.metadata.uid, pod.spec.host_network)
        except RuntimeFailure as failure:
            self._record(pod, "Warning", "FailedKillPod", f"error killing pod: {failure}")
            raise


def _noting(kill: Steps, failures: list[RuntimeFailure]) -> Steps:
    """Do something beside others; who waits for all of them learns of a failure afterwards."""
    try:
        yield from kill
    except RuntimeFailure as failure:
        failures.append(failure)


def _spec_of(pod: Pod, name: str) -> Container:
    """Return a container's spec; what is unknown is stopped as if it had no hooks."""
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        if container.name == name:
            return container
    return Container(name=name)
