"""The kubelet of one node: its sync loop, and the three stages of a pod's sync.

One `Kubelet` object stands for the node's kubelet through all its processes: a process begins at `start`, after a boot,
or after a restart, and loses all that it kept in memory when it ends.

Source: pkg/kubelet/kubelet.go (syncLoopIteration, SyncPod, SyncTerminatingPod, SyncTerminatedPod); node.md 1, 4, 5.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from k8sim.api.core import Container, Node, Pod, PodStatus
from k8sim.api.meta import ObjectMeta
from k8sim.api.pods import is_pod_terminal, is_sidecar
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.informer import Informer
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.kubelet.admission import Rejection, admit
from k8sim.kubelet.containerstatus import StartError
from k8sim.kubelet.devices import Mounts
from k8sim.kubelet.images import ImageManager
from k8sim.kubelet.nodestatus import NodeStatus
from k8sim.kubelet.phase import TERMINAL
from k8sim.kubelet.pleg import PLEG, EventType
from k8sim.kubelet.podstatus import generate_api_pod_status
from k8sim.kubelet.podworkers import Cancelled, PodWorker, PodWorkers, StatusFunction, SyncError, Update, UpdateKind
from k8sim.kubelet.prober import ProbeManager, Result
from k8sim.kubelet.runtime import RuntimeManager, SyncResult
from k8sim.kubelet.settings import (
    HOUSEKEEPING_PERIOD,
    RELIST_PERIOD,
    STATUS_RECONCILE_PERIOD,
    SYNC_TICK,
    KubeletSettings,
)
from k8sim.kubelet.status import StatusManager
from k8sim.kubelet.volumes import VolumeManager, VolumeTimeout
from k8sim.machines.answers import ProbeKind
from k8sim.machines.disks import Storage
from k8sim.machines.machine import Machine
from k8sim.machines.records import EXITED, RUNNING, RuntimePodStatus
from k8sim.sim.clock import Event, Steps, Task, rank
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import SECOND

NODE_SYNC_POLL = SECOND
"""A new process watches pods only after it has seen its node, for which it looks once a second."""


class Kubelet:
    """The kubelet of a node.

    Parameters
    ----------
    sim, server
        The run, and the API server that it talks to.
    machine
        The machine it runs on; the kubelet becomes its agent.
    settings
        Its configuration.
    """

    def __init__(
        self,
        sim: Simulation,
        server: APIServer,
        machine: Machine,
        settings: KubeletSettings | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.sim = sim
        self.server = server
        self.machine = machine
        self.settings = settings or KubeletSettings()
        self.storage = storage
        self.mounts = Mounts()
        self.name = machine.name
        self.running = False
        self._clock = sim.clock
        self._rank = rank("kubelet", self.name)
        self._actor = f"kubelet/{self.name}"
        self._tasks: dict[int, Task] = {}
        self._task_number = 0
        self._processes = 0
        self._node: Node | None = server.find(Node, "", self.name)
        self._draw_read = sim.latencies.sampler("apiRead", self._actor)
        self._draw_write = sim.latencies.sampler("apiWrite", self._actor)
        self._informer: Informer[Pod] | None = None
        self._pods: dict[str, Pod] = {}
        self._removed: set[str] = set()
        self._start_errors: dict[str, dict[str, StartError]] = {}
        self._sources_ready = False
        machine.agent = self

    # ---- processes ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin at t = 0, as a process that has been running for `KubeletSettings.started_before_ns`."""
        self._begin_process(self._clock.now - self.settings.started_before_ns, 0)
        self.node_status.begin_leases(at_once=False)
        self._watch_pods()

    def _start_again(self) -> None:
        """Begin a new process after a boot or a restart."""
        delay = self.sim.latencies.draw("kubeletStart", self.name)
        number = self._processes
        self._clock.call_after(delay, self._process_started, number, rank=self._rank)

    def _process_started(self, number: int) -> None:
        if self.running or number != self._processes or not self.machine.powered:
            return
        now = self._clock.now
        self._begin_process(now, None)
        if self.machine.connected:
            self._register()
        for pod in self.machine.pods():
            self.pleg.changed(pod.uid)
        self._clock.call_after(NODE_SYNC_POLL, self._sources_are_ready, self._processes, rank=self._rank)

    def _register(self) -> None:
        """Do what a process does first when it reaches the API server."""
        self.node_status.begin_leases(at_once=True)
        self._spawn(self.node_status.register(self._node))

    def _sources_are_ready(self, number: int) -> None:
        if self.running and number == self._processes and self.machine.connected and not self._sources_ready:
            self._watch_pods()

    def _watch_pods(self) -> None:
        """List and watch the node's pods, for the first time in this process' life."""
        self._sources_ready = True
        if self._informer is None:
            self._informer = Informer(self.server, Pod, self._actor, node=self.name)
            self._informer.add_handler(self._on_pod)
        else:
            self._informer.restart()
        if self._processes > 1:
            self._clock.call_after(HOUSEKEEPING_PERIOD, self._kill_orphans, self._processes, rank=self._rank)

    def _begin_process(self, started_ns: int, phase: int | None) -> None:
        """Make all that lives in the process' memory. ``phase`` None: all loops begin now."""
        self.running = True
        self._processes += 1
        clock, sim, machine, settings = self._clock, self.sim, self.machine, self.settings

        def grid(purpose: str, period_ns: int) -> int:
            if phase is None:
                return clock.now
            return int(sim.streams.uniform(self.name, purpose) * period_ns) - period_ns

        relist = sim.latencies.draw("plegRelist", self.name)
        self.client = Client(self.server, self._actor, self._rank)
        self.client.connected = machine.connected
        self.pleg = PLEG(clock, machine, self._rank, grid("pleg", RELIST_PERIOD), relist, self._on_pleg)
        self.prober = ProbeManager(sim, machine, started_ns, self._on_probe_result, self._on_unhealthy)
        self.images = ImageManager(clock, machine, settings, self._record)
        self.runtime = RuntimeManager(
            clock, self._rank, machine, settings, self.images, self.prober, self._record, self._spawn,
            self._on_sandbox_ready,
        )  # fmt: skip
        self.volumes = VolumeManager(
            sim, self.client, self._rank, self.name, self.mounts, self.storage, self._spawn, self._record,
            self._report_volumes,
        )  # fmt: skip
        self.workers = PodWorkers(
            clock, self._rank, sim.streams, self.pleg, settings, self, grid("sync tick", SYNC_TICK), self._spawn
        )
        self.status = StatusManager(
            self.client, clock, self._rank, self._draw_read, self._draw_write, grid("status", STATUS_RECONCILE_PERIOD),
            self._could_have_running_containers, self.prober.status_changed,
        )  # fmt: skip
        self.node_status = NodeStatus(
            self.client, clock, self._rank, machine, settings,
            grid("node status", settings.node_status_update_frequency_ns), grid("lease", 10 * SECOND),
        )  # fmt: skip
        self.node_status.volumes = self.volumes.devices

    def _report_volumes(self) -> None:
        self.node_status.report_on_grid()

    def _end_process(self) -> None:
        """Lose all that lives in the process' memory."""
        if not self.running:
            return
        self.running = False
        self._sources_ready = False
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.kill()
        for part in (self.pleg, self.workers, self.status, self.node_status, self.volumes):
            part.stop()
        self.client.connected = False
        self.node_status.end_leases()
        if self._informer is not None:
            self._informer.disconnect()
        self._pods.clear()
        self._removed.clear()
        self._start_errors.clear()

    def _spawn(self, steps: Steps) -> Event:
        """Start a process that ends with the kubelet's."""
        self._task_number += 1
        number = self._task_number

        def ended(_: Event) -> None:
            self._tasks.pop(number, None)

        task = self._tasks[number] = self._clock.spawn(steps)
        task.callbacks.append(ended)
        return task

    # ---- what the machine tells (Agent) -------------------------------------------------------------------------

    def runtime_changed(self, uid: str) -> None:
        """Let the next relist see it."""
        if self.running:
            self.pleg.changed(uid)

    def answers_changed(self, uid: str) -> None:
        """Let the probes reckon anew."""
        if self.running:
            self.prober.answers_changed(uid)

    def power_lost(self) -> None:
        """The process is gone, and what was mounted with what had not been written."""
        self._end_process()
        self.mounts.staged.clear()
        if self.storage is not None:
            self.storage.power_lost(self.name)
        self._processes += 1  # a start that was under way is off

    def booted(self) -> None:
        """A new process starts."""
        self._start_again()

    def restarted(self) -> None:
        """The process ends, and a new one starts."""
        self._end_process()
        self._start_again()

    def link_lost(self) -> None:
        """Nothing arrives, nothing gets out."""
        if self.running:
            self._node = self.server.find(Node, "", self.name) or self._node
            self.client.connected = False
            self.node_status.end_leases()
        if self._informer is not None:
            self._informer.disconnect()

    def link_restored(self) -> None:
        """List and watch again, renew the lease, send what waits."""
        if not self.running:
            return
        self.client.connected = True
        if not self._sources_ready:  # it has started without a connection
            self._register()
            self._watch_pods()
            return
        self.node_status.begin_leases(at_once=True)
        self.node_status.report_on_grid()
        if self._informer is not None:
            self._informer.reconnect()
        self.status.link_restored()

    # ---- the sync loop ------------------------------------------------------------------------------------------

    def _on_pod(self, change: Change) -> None:
        """Turn a change of the watch into an operation on the pod's worker (config.go, HandlePod*)."""
        pod = change.new
        assert isinstance(pod, Pod)
        if not self.running:
            return
        if change.type == "DELETED":
            self._pod_removed(pod, change.row)
            return
        known = self._pods.get(pod.uid)
        self._pods[pod.uid] = pod
        if known is None:
            self._pod_added(pod, change.row)
        elif _differs(known, pod):
            self.workers.update_pod(Update("update", pod, change.row))
        else:
            self.status.pod_seen(pod)
            if _readiness_gates_changed(known, pod):
                self._sync(pod.uid, change.row)

    def _pod_added(self, pod: Pod, cause: int) -> None:
        self._node = self._current_node()
        if not pod.deleting and not is_pod_terminal(pod):
            rejection = self._admit(pod)
            if rejection is not None:
                self._reject(pod, rejection, cause)
                return
        self.workers.update_pod(Update("create", pod, cause))

    def _current_node(self) -> Node | None:
        if not self.client.connected:
            return self._node
        return self.server.find(Node, "", self.name) or self._node

    def _admit(self, pod: Pod) -> Rejection | None:
        if self._node is None:
            return None
        others = []
        for uid, other in self._pods.items():
            worker = self.workers.get(uid)
            gone = worker is None or not self.workers.could_have_running_containers(uid)
            if uid != pod.uid and not gone:
                others.append(other)
        return admit(pod, self._node, others)

    def _reject(self, pod: Pod, rejection: Rejection, cause: int) -> None:
        self.client.cause = cause
        self.client.event(pod, "Warning", rejection.reason, rejection.message)
        message = f"Pod was rejected: {rejection.message}"
        status = replace(pod.status, phase="Failed", reason=rejection.reason, message=message)
        self.status.set_pod_status(pod, status, cause)

    def _pod_removed(self, pod: Pod, cause: int) -> None:
        self._pods.pop(pod.uid, None)
        worker = self.workers.get(pod.uid)
        if worker is None or worker.stage == "finished":
            self._forget(pod.uid)
        else:
            self._removed.add(pod.uid)
            self.workers.update_pod(Update("kill", pod, cause))

    def _sync(self, uid: str, cause: int = NO_CAUSE, kind: UpdateKind = "sync") -> None:
        """Ask for a sync of a pod that is still there."""
        pod = self._pods.get(uid)
        if pod is not None:
            self.workers.update_pod(Update(kind, pod, cause))

    def _on_pleg(self, uid: str, events: list[EventType]) -> None:
        """Sync the pod for each event; tidy up after a container that has ended."""
        worthy = [e for e in events if e != "ContainerRemoved"]
        for _ in worthy[:2]:  # more than two leave the same: one sync under way, one pending
            self._sync(uid, self._last_row(uid))
        if "ContainerDied" in events:
            self._prune(uid)

    def _last_row(self, uid: str) -> int:
        """Return the trace row of what happened last to a container of the pod."""
        rows = [c.row for pod in self.machine.pods() if pod.uid == uid for c in pod.containers]
        return max(rows, default=NO_CAUSE)

    def _prune(self, uid: str) -> None:
        """Keep only the newest ended instance of each container (cleanUpContainersInPod)."""
        seen: set[str] = set()
        old: set[str] = set()
        for record in self.machine.snapshot(uid).containers:
            if record.state == EXITED:
                if record.name in seen:
                    old.add(record.id)
                seen.add(record.name)
        if old:
            self.machine.remove_containers(uid, old)
            self.pleg.changed(uid)

    def _on_probe_result(self, uid: str, kind: ProbeKind, container_id: str, result: Result) -> None:
        pod = self._pods.get(uid)
        if pod is None:
            return
        if kind == "readiness":
            self.status.set_container_readiness(pod, container_id, result is True)
        elif kind == "startup":
            self.status.set_container_startup(pod, container_id, result is True)
        elif result is not False:
            return
        self._sync(uid)

    def _on_unhealthy(self, uid: str, container: Container, kind: ProbeKind) -> None:
        pod = self._pods.get(uid)
        if pod is not None:
            message = f"{kind.capitalize()} probe failed: {container.name}"
            self._record(pod, "Warning", "Unhealthy", message)

    def _record(self, pod: Pod, type_: str, reason: str, message: str) -> None:
        worker = self.workers.get(pod.uid)
        active = worker.active if worker is not None else None
        self.client.cause = active.cause if active is not None else NO_CAUSE
        self.client.event(pod, type_, reason, message)

    def _on_sandbox_ready(self, pod: Pod) -> None:
        self.status.set_ready_to_start(pod, True)

    def _could_have_running_containers(self, uid: str) -> bool:
        return self.workers.could_have_running_containers(uid)

    # ---- the stages of a pod's sync -----------------------------------------------------------------------------

    def sync_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, bool]:
        """Publish the pod's status, then bring the runtime closer to its spec (SyncPod)."""
        pod, cause = update.pod, update.cause
        cancel = worker.cancel
        runtime = self.pleg.get(pod.uid)
        status = self._publish(pod, runtime, False, cause)
        if status.phase in TERMINAL:
            return True
        if cancel is not None:
            try:
                mounted = yield from self.volumes.wait_for_attach_and_mount(pod, cancel)
            except VolumeTimeout as error:
                self._record(pod, "Warning", "FailedMount", str(error))
                raise SyncError(str(error)) from None
            if not mounted:
                raise Cancelled
        self.prober.add_pod(pod, self.status.get(pod.uid) or status)
        result = yield from self.runtime.sync_pod(pod, runtime, cause)
        self._remember_start_errors(pod.uid, result)
        failures = result.failures
        if failures:
            expiries = [f.expiry_ns for f in failures if f.expiry_ns is not None]
            raise SyncError(failures[0].message, min(expiries) if len(expiries) == len(failures) else None)
        if result.acted:
            self.pleg.relist_soon(pod.uid)
        return False

    def _remember_start_errors(self, uid: str, result: SyncResult) -> None:
        """Keep why containers did not start: the next status shows it (the reason cache)."""
        for name, failure in result.starts.items():
            if failure is not None:
                self._start_errors.setdefault(uid, {})[name] = (failure.reason, failure.message)
            elif uid in self._start_errors:
                self._start_errors[uid].pop(name, None)

    def sync_terminating_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, None]:
        """Stop all containers and publish how they ended (SyncTerminatingPod)."""
        pod, cause = update.pod, update.cause
        runtime = self.pleg.get(pod.uid)
        self._publish(pod, runtime, False, cause, worker.status_function)
        self.prober.stop_liveness_and_startup(pod)
        yield from self.runtime.kill_pod(pod, runtime, worker.grace_s or None, cause)
        self.prober.remove_pod(pod.uid)
        stopped = _with_ip(self.machine.snapshot(pod.uid), runtime.ip)
        if any(c.state == RUNNING for c in stopped.containers):
            raise SyncError("detected running containers after the pod was killed")
        self._publish(pod, stopped, True, cause, worker.status_function)
        self.volumes.pod_stopped(pod)

    def sync_terminated_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, None]:
        """Wait until volumes are unmounted, then declare the pod finished (SyncTerminatedPod)."""
        pod, cause = update.pod, update.cause
        self._publish(pod, self.pleg.get(pod.uid), True, cause, worker.status_function)
        yield from self.volumes.wait_for_unmount(pod)
        self.status.terminate_pod(pod, cause)

    def pod_finished(self, worker: PodWorker) -> None:
        """Forget the pod if its object is gone already."""
        if worker.uid in self._removed:
            self._forget(worker.uid)

    def is_settled(self, uid: str) -> bool:
        """Tell whether all containers are ready: a sync would then find nothing to do."""
        status, pod = self.status.get(uid), self._pods.get(uid)
        if status is None or pod is None:
            return False
        sidecars = {c.name for c in pod.spec.init_containers if is_sidecar(c.restart_policy)}
        watched = [s for s in status.init_container_statuses if s.name in sidecars]
        return all(s.ready for s in (*watched, *status.container_statuses))

    def _publish(
        self,
        pod: Pod,
        runtime: RuntimePodStatus,
        pod_is_terminal: bool,
        cause: int,
        status_function: StatusFunction | None = None,
    ) -> PodStatus:
        """Compute the status from what the runtime says and give it to the status manager."""
        previous = self.status.get(pod.uid) or pod.status
        triggers: list[tuple[str, ProbeKind]] = []

        def fill(status: PodStatus) -> PodStatus:
            filled, wanted = self.prober.update_pod_status(pod, status, previous)
            triggers.extend(wanted)
            return filled

        status = generate_api_pod_status(
            pod,
            runtime,
            previous,
            self._start_errors.get(pod.uid, {}),
            self._clock.truncated,
            self.machine.host_ip,
            pod_is_terminal,
            None,
            fill,
        )
        if status_function is not None:
            status = status_function(status)
        self.status.set_pod_status(pod, status, cause)
        self.prober.run_now(pod.uid, triggers)
        return status

    # ---- housekeeping -------------------------------------------------------------------------------------------

    def _forget(self, uid: str) -> None:
        """Drop everything about a pod that has ended and whose object is gone."""
        self._removed.discard(uid)
        self._start_errors.pop(uid, None)
        self.prober.remove_pod(uid)
        self.status.forget(uid)
        self.workers.forget(uid)
        self.volumes.forget(uid)
        self.images.forget(uid)
        self.runtime.backoff.forget(uid)
        self.machine.remove_pod(uid)
        self.pleg.forget(uid)

    def _kill_orphans(self, number: int) -> None:
        """Kill what runs and belongs to no pod, as a kubelet finds it after its start (HandlePodCleanups)."""
        if not self.running or number != self._processes or not self.client.connected:
            return
        for sandbox in self.machine.pods():
            if sandbox.uid not in self._pods and self.workers.get(sandbox.uid) is None:
                self._spawn(self._kill_orphan(sandbox.uid, sandbox.key))
        self.volumes.devices.release_leftovers()

    def _kill_orphan(self, uid: str, key: tuple[str, str]) -> Steps:
        """Stop an orphan: its spec is lost, so there are no hooks, and the grace is 1 s."""
        pod = Pod(metadata=ObjectMeta(namespace=key[0], name=key[1], uid=uid))
        runtime = self.machine.snapshot(uid)
        yield from self.runtime.kill_pod(pod, runtime, 1)
        self._forget(uid)


def _with_ip(status: RuntimePodStatus, ip: str) -> RuntimePodStatus:
    """Return the status with the address that the pod had (preserveDataFromBeforeStopping)."""
    return RuntimePodStatus(status.uid, status.containers, status.sandboxes, ip)


def _differs(old: Pod, new: Pod) -> bool:
    """Tell whether a change is more than one of status (podsDifferSemantically)."""
    a, b = old.metadata, new.metadata
    return (
        old.spec != new.spec
        or a.labels != b.labels
        or a.annotations != b.annotations
        or a.deletion_timestamp != b.deletion_timestamp
        or a.deletion_grace_period_seconds != b.deletion_grace_period_seconds
    )


def _readiness_gates_changed(old: Pod, new: Pod) -> bool:
    gates = [g.condition_type for g in new.spec.readiness_gates]
    if not gates:
        return False

    def values(pod: Pod) -> list[str]:
        return [c.status for g in gates for c in pod.status.conditions if c.type == g]

    return values(old) != values(new)
