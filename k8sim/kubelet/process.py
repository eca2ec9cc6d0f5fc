"""One process of a kubelet: all that it keeps in memory, and its sync loop.

The sync loop turns what happens (pods of the watch, relists, probe results) into updates of pod workers.

Source: pkg/kubelet/kubelet.go (syncLoopIteration, Handle*), pkg/kubelet/config; node.md 1.1, 1.3.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8sim.api.core import ConfigMap, Container, Node, Pod, Secret
from k8sim.api.meta import ObjectMeta
from k8sim.api.pods import CONFIG_MIRROR, is_pod_terminal
from k8sim.api.resources import Amounts, pod_requests
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.kubelet.admission import Rejection, admit
from k8sim.kubelet.configrefs import CONFIG_KINDS
from k8sim.kubelet.deadline import deadline_ns
from k8sim.kubelet.devices import Mounts
from k8sim.kubelet.grid import Grid
from k8sim.kubelet.images import ImageManager
from k8sim.kubelet.nodestatus import NodeStatus
from k8sim.kubelet.ondemand import OnDemand
from k8sim.kubelet.pleg import PLEG, EventType
from k8sim.kubelet.podchanges import differs, is_settled, readiness_gates_changed
from k8sim.kubelet.podsync import PodSync
from k8sim.kubelet.podworkers import PodWorkers, Update
from k8sim.kubelet.preemption import MESSAGE, REASON, patience, pods_to_preempt, preempted
from k8sim.kubelet.prober import ProbeManager, Result
from k8sim.kubelet.qos import is_critical
from k8sim.kubelet.runtime import RuntimeManager
from k8sim.kubelet.runtimestate import CHECK_PERIOD, RuntimeState
from k8sim.kubelet.settings import (
    HOUSEKEEPING_PERIOD,
    RELIST_PERIOD,
    STATUS_RECONCILE_PERIOD,
    SYNC_TICK,
    KubeletSettings,
)
from k8sim.kubelet.staticpods import Mirrors
from k8sim.kubelet.status import StatusManager
from k8sim.kubelet.syncloop import SyncLoop
from k8sim.kubelet.waiting import first_of
from k8sim.machines.agent import RuntimeFailure
from k8sim.machines.answers import ProbeKind
from k8sim.machines.disks import Storage
from k8sim.machines.machine import Machine
from k8sim.machines.records import EXITED
from k8sim.sim.clock import Event, Steps, Task
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE

NO_VICTIMS = Rejection(
    "UnexpectedAdmissionError",
    "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to "
    "preempt: no set of running pods found to reclaim resources",
)


class KubeletProcess:
    """A kubelet from its start to its end.

    Parameters
    ----------
    mounts
        What is mounted on the machine; it outlives the process.
    node
        The node as it was last seen.
    started_ns
        When the process' probe manager was made.
    begins_now
        All its loops begin now; else they have been running for long, each with a phase of its own.

    Attributes
    ----------
    loop
        Has everything wait that comes while something holds it up.
    """

    def __init__(
        self,
        sim: Simulation,
        server: APIServer,
        machine: Machine,
        settings: KubeletSettings,
        storage: Storage | None,
        mounts: Mounts,
        rank: int,
        node: Node | None,
        started_ns: int,
        begins_now: bool,
    ) -> None:
        self._clock = clock = sim.clock
        self._server = server
        self.machine = machine
        self._rank = rank
        self._tasks: dict[int, Task] = {}
        self._task_number = 0
        self._removed: set[str] = set()
        self.loop = SyncLoop()
        self._unhealthy: dict[str, int] = {}
        self._settled: dict[str, Pod] = {}
        self._requests: dict[str, Amounts] = {}
        self.node = node
        self.pods: dict[str, Pod] = {}
        self.sources_ready = False
        self.alive = True
        name = machine.name
        actor = f"kubelet/{name}"
        began_ns = clock.now if begins_now else None
        record = self.record

        def grid(purpose: str, period_ns: int) -> Grid:
            return Grid(sim, name, purpose, period_ns, began_ns)

        self.client = Client(server, actor, rank)
        self.client.connected = machine.connected
        relist = sim.latencies.draw("plegRelist", name)
        self.pleg = PLEG(clock, machine, rank, grid("pleg", RELIST_PERIOD).phase_ns, relist, self._on_pleg)
        self.prober = ProbeManager(sim, machine, started_ns, self._on_probe_result, self._on_unhealthy)
        self.images = ImageManager(clock, machine, settings, record)
        self.runtime = RuntimeManager(
            clock, rank, machine, settings, self.images, self.prober, record, self.spawn, self._on_sandbox_ready,
            self.find_config,
        )  # fmt: skip
        self.node_status = NodeStatus(
            self.client, clock, rank, machine, settings,
            grid("node status", settings.node_status_update_frequency_ns),
        )  # fmt: skip
        self.mirrors = Mirrors(self.client, self._seen_node)
        self.runtime_state = RuntimeState(
            clock, rank, machine, grid("runtime checks", CHECK_PERIOD), self.loop, self.node_status, begins_now
        )
        self.on_demand = OnDemand(self, sim, rank, settings, storage, mounts, began_ns)
        self.status = StatusManager(
            self.client, clock, rank, sim.latencies.sampler("apiRead", actor),
            sim.latencies.sampler("statusPatch", actor), sim.latencies.sampler("apiWrite", actor),
            grid("status", STATUS_RECONCILE_PERIOD), self._could_have_running_containers, self.mirrors.uid_of,
            self.prober.status_changed,
        )  # fmt: skip
        self.syncer = PodSync(
            clock, machine, self.pleg, self.prober, self.runtime, self.on_demand.volumes, self.status,
            self.mirrors, self.runtime_state, record, self._pod_finished,
        )  # fmt: skip
        self.workers = PodWorkers(
            clock, rank, sim.streams, self.pleg, settings, self.syncer, grid("sync tick", SYNC_TICK),
            self.loop.take,
        )  # fmt: skip
        if begins_now and not machine.runtime_up:
            self.pleg.runtime_stopped()
        if machine.pressures.any(clock.now):
            self.on_demand.eviction.pressure_changed()

    def end(self) -> None:
        """Lose it all."""
        self.alive = False
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.kill()
        parts = (
            self.on_demand, self.pleg, self.prober, self.workers, self.status, self.node_status, self.runtime_state,
        )  # fmt: skip
        for part in parts:
            part.stop()
        self.client.connected = False
        self.node_status.end_leases()

    def let_go(self) -> None:
        """Let the parts refer to each other no more (`k8sim.cluster.Cluster.take_apart`)."""
        for part in (self.node_status, self.on_demand, self):
            vars(part).clear()

    def spawn(self, steps: Steps) -> Event:
        """Start a task that ends with the process."""
        self._task_number += 1
        number = self._task_number

        def ended(_: Event) -> None:
            self._tasks.pop(number, None)

        task = self._tasks[number] = self._clock.spawn(steps)
        task.callbacks.append(ended)
        return task

    def record(self, pod: Pod, type_: str, reason: str, message: str) -> None:
        """Record an Event on a pod; its cause is what the pod's worker reacts to."""
        worker = self.workers.get(pod.metadata.uid)
        active = worker.active if worker is not None else None
        self.client.cause = active.cause if active is not None else NO_CAUSE
        self.client.event(pod, type_, reason, message)

    def find_config(self, kind: str, namespace: str, name: str) -> ConfigMap | Secret | None:
        """Return a ConfigMap or Secret (the kubelet watches those that its pods name)."""
        return self._server.find(CONFIG_KINDS[kind], namespace, name)

    # ---- pods that were there before t = 0 ----------------------------------------------------------------------

    def take_over(self, pods: Iterable[Pod]) -> None:
        """Go on with pods that have been there all along. One that is settled waits until something happens to it."""
        for pod in pods:
            if is_settled(pod):
                self.pods[pod.uid] = self._settled[pod.uid] = pod
                self._requests[pod.uid] = pod_requests(pod)
            else:
                self.pleg.know(pod.uid)
                self.loop.take(self.handle_pod, Change("ADDED", None, pod))

    def attend(self, uid: str) -> None:
        """Give a pod that could wait its worker."""
        pod = self._settled.pop(uid, None)
        if pod is not None:
            self.pleg.know(uid)
            self._take_in(pod, NO_CAUSE)

    # ---- pods of the machine's manifests and of the watch ---------------------------------------------------------

    def run_static_pods(self, pods: Iterable[Pod]) -> None:
        """Take in the pods of the manifests on the machine, which are there before anything is watched."""
        for pod in pods:
            self.mirrors.add_static(pod)
            self.loop.take(self.handle_pod, Change("ADDED", None, pod))

    def static_pods_changed(self, pods: Iterable[Pod]) -> None:
        """End the pods whose manifests are gone, and take in those of new ones."""
        manifests = {pod.uid: pod for pod in pods}
        for pod in self.mirrors.static():
            if pod.uid not in manifests:
                self.mirrors.remove_static(pod)
                self.loop.take(self._pod_removed, pod, NO_CAUSE)
        self.run_static_pods(pod for uid, pod in manifests.items() if uid not in self.pods)

    def show_static_pods(self) -> None:
        """Make the mirrors that are missing, now that the API server can be asked (fastStaticPodsRegistration)."""
        for pod in self.mirrors.static():
            self.spawn(self.mirrors.reconcile(pod))

    def handle_pod(self, change: Change) -> None:
        """Turn a change of the watch, whose turn in the loop has come, into an operation on the pod's worker.

        Source: pkg/kubelet/config/config.go, pkg/kubelet/kubelet.go (HandlePod*).
        """
        pod = change.new
        assert isinstance(pod, Pod)
        if CONFIG_MIRROR in pod.metadata.annotations:
            self._handle_mirror(pod, change)
            return
        uid = pod.metadata.uid
        if uid in self._settled:
            self.attend(uid)
        if change.type == "DELETED":
            self._pod_removed(pod, change.row)
            return
        known = self.pods.get(uid)
        self.pods[uid] = pod
        if known is None or known.spec is not pod.spec:
            self._requests[uid] = pod_requests(pod)
        if known is None:
            self._pod_added(pod, change.row)
        elif not change.of_status and differs(known, pod):
            self.workers.update_pod(Update("update", pod, change.row))
        else:
            if change.actor != self.client.actor:  # what it has written itself it has seen in the answer
                self.status.pod_seen(uid, pod)
            if pod.spec.readiness_gates and readiness_gates_changed(known, pod):
                self.sync(uid, change.row)

    def _handle_mirror(self, mirror: Pod, change: Change) -> None:
        """Let the static pod's worker see to a mirror that came, went or is to go."""
        before = None
        if change.type == "DELETED":
            self.mirrors.gone(mirror)
        else:
            before = self.mirrors.seen(mirror)
            self.status.pod_seen(self.mirrors.uid_of(mirror), mirror)
        static = self.mirrors.static_of(mirror)
        if static is None:
            self._delete_orphaned_mirror_soon(mirror)
        elif before is None or before.uid != mirror.uid or differs(before, mirror):
            self.sync(static.uid, change.row)

    def _delete_orphaned_mirror_soon(self, mirror: Pod) -> None:
        """Remove the mirror of a manifest that is not there with the next housekeeping (deleteOrphanedMirrorPods)."""
        self._clock.call_after(HOUSEKEEPING_PERIOD, self._delete_orphaned_mirror, mirror, rank=self._rank)

    def _delete_orphaned_mirror(self, mirror: Pod) -> None:
        if self.alive:
            self.spawn(self._try_to_remove(mirror))

    def _try_to_remove(self, mirror: Pod) -> Steps:
        if not (yield from self.mirrors.remove(mirror)):
            self._delete_orphaned_mirror_soon(mirror)

    def _pod_added(self, pod: Pod, cause: int) -> None:
        if not pod.deleting and not is_pod_terminal(pod):
            rejection = self._admit(pod)
            if rejection is not None and rejection.lacking and is_critical(pod):
                victims = pods_to_preempt(pod, self.active_pods(), rejection.lacking)
                if victims is not None:
                    self.spawn(self._preempt(pod, victims, cause))
                    return
                rejection = NO_VICTIMS
            if rejection is not None:
                self._reject(pod, rejection, cause)
                return
        self._take_in(pod, cause)

    def _take_in(self, pod: Pod, cause: int) -> None:
        self.workers.update_pod(Update("create", pod, cause))
        if pod.spec.active_deadline_seconds is not None:
            self._watch_deadline(pod)

    def _preempt(self, pod: Pod, victims: list[Pod], cause: int) -> Steps:
        """End pods with their whole grace, one after the other; the sync loop waits for them (evictPodsToFreeRequests).

        Pod workers go on meanwhile with what they have begun.
        """
        self.loop.hold()
        for victim in victims:
            self.client.cause = cause
            self.client.event(victim, "Warning", REASON, MESSAGE)
            self.workers.update_pod(Update("kill", victim, cause, status_function=preempted))
            stopped = self.workers.stopped(victim.uid)
            if stopped is not None:
                yield first_of(self._clock, self._rank, stopped, until_ns=self._clock.now + patience(victim))
        self._take_in(pod, cause)
        self.loop.go_on()

    def _watch_deadline(self, pod: Pod) -> None:
        """Sync the pod on the first tick after its deadline."""
        deadline = deadline_ns(pod, self.status.get(pod.metadata.uid) or pod.status)
        if deadline is not None:
            self.workers.sync_at(pod.uid, deadline)

    def _seen_node(self) -> Node | None:
        """Return the node if the process has seen it, and can ask for it."""
        if not self.sources_ready or not self.client.connected:
            return None
        return self._server.find(Node, "", self.machine.name)

    def look_at_node(self) -> None:
        """Note the node as it is now, if it can be seen."""
        if self.client.connected:
            self.node = self._server.find(Node, "", self.machine.name) or self.node

    def _admit(self, pod: Pod) -> Rejection | None:
        """Ask the admission handlers in their order."""
        rejection = self.on_demand.admit_under_pressure(pod)
        self.look_at_node()
        if rejection is None and self.node is not None:
            uid = pod.metadata.uid
            others = [self._requests[other] for other in self._not_terminated() if other != uid]
            rejection = admit(pod, self.node, others)
        return rejection or self.on_demand.admit_in_shutdown(pod)

    def active_pods(self) -> list[Pod]:
        """Return the pods that the kubelet has not terminated, each with its worker: somebody wants to end some."""
        for uid in list(self._settled):
            self.attend(uid)
        return [self.pods[uid] for uid in self._not_terminated()]

    def _not_terminated(self) -> list[str]:
        running = self.workers.running.union(self._settled)
        return [uid for uid in self.pods if uid in running]

    def _reject(self, pod: Pod, rejection: Rejection, cause: int) -> None:
        self.client.cause = cause
        self.client.event(pod, "Warning", rejection.reason, rejection.message)
        message = f"Pod was rejected: {rejection.message}"
        status = replace(pod.status, phase="Failed", reason=rejection.reason, message=message)
        self.status.set_pod_status(pod, status, cause)

    def _pod_removed(self, pod: Pod, cause: int) -> None:
        uid = pod.metadata.uid
        self.pods.pop(uid, None)
        self._requests.pop(uid, None)
        worker = self.workers.get(uid)
        if worker is None or worker.stage == "finished":
            self._forget(uid)
        else:
            self._removed.add(uid)
            self.workers.update_pod(Update("kill", pod, cause))

    def sync(self, uid: str, cause: int = NO_CAUSE) -> None:
        """Ask for a sync of a pod that is still there."""
        pod = self.pods.get(uid)
        if pod is not None:
            self.workers.update_pod(Update("sync", pod, cause))

    # ---- what the parts report ----------------------------------------------------------------------------------

    def _on_pleg(self, uid: str, events: list[EventType]) -> None:
        """Sync the pod for each event; tidy up after a container that has ended."""
        self.loop.take(self._handle_pleg, uid, events)

    def _handle_pleg(self, uid: str, events: list[EventType]) -> None:
        worthy = len(events) - events.count("ContainerRemoved")
        for _ in range(min(worthy, 2)):  # more than two leave the same: one sync under way, one pending
            self.sync(uid, self.machine.last_row(uid))
        if "ContainerDied" in events:
            self._prune(uid)

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
        self.loop.take(self._handle_probe_result, uid, kind, container_id, result)

    def _handle_probe_result(self, uid: str, kind: ProbeKind, container_id: str, result: Result) -> None:
        pod = self.pods.get(uid)
        if pod is None:
            return
        cause = self._unhealthy.get(uid) if result is False else None
        if cause is None:
            cause = self.machine.row_of_answers(uid)
        if kind == "readiness":
            self.status.set_container_readiness(pod, container_id, result is True, cause)
        elif kind == "startup":
            self.status.set_container_startup(pod, container_id, result is True, cause)
        elif result is not False:
            return
        self.sync(uid, cause)

    def _on_unhealthy(self, uid: str, container: Container, kind: ProbeKind) -> None:
        pod = self.pods.get(uid)
        if pod is not None:
            self.client.cause = self.machine.row_of_answers(uid)
            message = f"{kind.capitalize()} probe failed: {container.name}"
            self._unhealthy[uid] = self.client.event(pod, "Warning", "Unhealthy", message)

    def _on_sandbox_ready(self, pod: Pod) -> None:
        self.status.set_ready_to_start(pod, True)

    def _could_have_running_containers(self, uid: str) -> bool:
        return uid in self._settled or uid in self.workers.running

    def runtime_stopped(self) -> None:
        """Go on without the runtime for as long as that is possible."""
        self.pleg.runtime_stopped()
        self.prober.runtime_changed()
        self.runtime_state.runtime_stopped()

    def runtime_started(self) -> None:
        """See what has happened meanwhile."""
        self.pleg.runtime_started()
        self.prober.runtime_changed()
        self.runtime_state.runtime_started()
        self.kill_orphans_soon()

    # ---- housekeeping -------------------------------------------------------------------------------------------

    def _pod_finished(self, uid: str) -> None:
        if uid in self._removed:
            self._forget(uid)
            mirror = self.mirrors.ended(uid)
            if mirror is not None:
                self._delete_orphaned_mirror_soon(mirror)

    def _forget(self, uid: str) -> None:
        """Drop everything about a pod that has ended and whose object is gone."""
        self._removed.discard(uid)
        self._unhealthy.pop(uid, None)
        self.syncer.forget(uid)
        self.prober.remove_pod(uid)
        self.status.forget(uid)
        self.workers.forget(uid)
        self.on_demand.forget(uid)
        self.images.forget(uid)
        self.runtime.backoff.forget(uid)
        self.machine.remove_pod(uid)
        self.pleg.forget(uid)

    def kill_orphans_soon(self) -> None:
        """Look for orphans with the next housekeeping, which waits like everything else while the sync loop pauses."""
        self._clock.call_after(HOUSEKEEPING_PERIOD, self.loop.take, self._kill_orphans, rank=self._rank)

    def _kill_orphans(self) -> None:
        """Kill what runs and belongs to no pod, as a kubelet finds it after its start (HandlePodCleanups)."""
        if not self.alive or not self.client.connected:
            return
        for sandbox in self.machine.pods():
            if sandbox.uid not in self.pods and self.workers.get(sandbox.uid) is None:
                self.spawn(self._kill_orphan(sandbox.uid, sandbox.key))

    def _kill_orphan(self, uid: str, key: tuple[str, str]) -> Steps:
        """Stop an orphan: its spec is lost, so there are no hooks, and the grace is 1 s."""
        pod = Pod(metadata=ObjectMeta(namespace=key[0], name=key[1], uid=uid))
        try:
            yield from self.runtime.kill_pod(pod, self.machine.snapshot(uid), 1)
        except RuntimeFailure:
            return  # it is an orphan still when the runtime is back
        self._forget(uid)
