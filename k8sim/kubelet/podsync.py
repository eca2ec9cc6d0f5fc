"""The three stages of a pod's sync: bring it up and keep it up, stop it, clean up after it.

Source: pkg/kubelet/kubelet.go (SyncPod, SyncTerminatingPod, SyncTerminatedPod); node.md 1.4, 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from k8sim.api.core import Pod, PodStatus
from k8sim.api.pods import is_sidecar, is_static_pod
from k8sim.api.struct import replace
from k8sim.api.volumes import ATTACH_LIMIT_EXCEEDED
from k8sim.kubelet.containerstatus import StartError, status_of
from k8sim.kubelet.deadline import past_active_deadline
from k8sim.kubelet.images import StartFailure
from k8sim.kubelet.phase import TERMINAL
from k8sim.kubelet.pleg import PLEG
from k8sim.kubelet.podstatus import basis_of, generate_api_pod_status
from k8sim.kubelet.podworkers import Cancelled, PodWorker, StatusFunction, SyncError, Update
from k8sim.kubelet.prober import ProbeManager
from k8sim.kubelet.restart import should_all_containers_restart
from k8sim.kubelet.runtime import RuntimeManager, Starts
from k8sim.kubelet.runtimestate import RuntimeState
from k8sim.kubelet.staticpods import Mirrors
from k8sim.kubelet.status import StatusManager
from k8sim.kubelet.volumes import AttachLimitExceeded, VolumeManager, VolumesUnusable, VolumeTimeout
from k8sim.machines.machine import Machine
from k8sim.machines.records import RUNNING, RuntimePodStatus
from k8sim.sim.clock import Clock, Event


class PodSync:
    """What a pod worker does in each stage.

    Parameters
    ----------
    volumes
        Returns what mounts volumes, which is made for the first pod that has some.
    mirrors
        The mirrors of static pods.
    runtime_state
        Knows whether there is a network for pods.
    record
        Records an Event.
    on_finished
        Called with the UID of a pod that has come to its end.
    """

    def __init__(
        self,
        clock: Clock,
        machine: Machine,
        pleg: PLEG,
        prober: ProbeManager,
        runtime: RuntimeManager,
        volumes: Callable[[], VolumeManager],
        status: StatusManager,
        mirrors: Mirrors,
        runtime_state: RuntimeState,
        record: Callable[[Pod, str, str, str], None],
        on_finished: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._pleg = pleg
        self._prober = prober
        self._runtime = runtime
        self._volumes = volumes
        self._status = status
        self._mirrors = mirrors
        self._runtime_state = runtime_state
        self._record = record
        self._on_finished = on_finished
        self._start_errors: dict[str, dict[str, StartError]] = {}

    def sync_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, bool]:
        """Publish the pod's status, then bring the runtime closer to its spec; True if the pod is over."""
        pod, cause = update.pod, update.cause
        uid, is_static = pod.metadata.uid, is_static_pod(pod)
        if is_static and not self._mirrors.may_start(pod):
            raise SyncError("an earlier version of the static pod has not ended yet")
        runtime = self._pleg.get(uid)
        status = self._publish(pod, runtime, False, cause)
        if status.phase in TERMINAL:
            return True
        network_error = self._runtime_state.network_error
        if network_error and not pod.spec.host_network:
            self._record(pod, "Warning", "NetworkNotReady", f"network is not ready: {network_error}")
            raise SyncError("network is not ready", transient=True)
        if is_static:
            yield from self._mirrors.reconcile(pod)
        if pod.spec.volumes:
            try:
                yield from self._mount_volumes(pod, worker.cancel)
            except AttachLimitExceeded as error:
                self._reject(pod, ATTACH_LIMIT_EXCEEDED, str(error), cause)
                return True
        self._prober.add_pod(pod, self._status.get(uid) or status)
        restart_all = should_all_containers_restart(pod, runtime, status)
        actions = self._runtime.actions(pod, runtime, restart_all)
        if actions.nothing:
            return False
        starts = yield from self._runtime.sync_pod(pod, runtime, actions, cause)
        failures = self._remember_start_errors(uid, starts)
        if failures:
            expiries = [f.expiry_ns for f in failures if f.expiry_ns is not None]
            raise SyncError(failures[0].message, min(expiries) if len(expiries) == len(failures) else None)
        self._pleg.relist_soon(uid)
        if actions.containers_to_reset and worker.pending is None:
            worker.pending = update  # what is removed makes no event that would lead to the next sync
        return False

    def _mount_volumes(self, pod: Pod, cancel: Event | None) -> Generator[Event, Any, None]:
        """Wait until the pod's volumes are mounted; that they never will be is for the caller to handle."""
        try:
            mounted = yield from self._volumes().wait_for_attach_and_mount(pod, cancel)
        except VolumesUnusable as error:
            self._record(pod, "Warning", "FailedMount", str(error))
            raise SyncError(str(error)) from None
        except VolumeTimeout as error:  # no event: those of what it waits for are enough (kubelet.go SyncPod)
            raise SyncError(str(error)) from None
        if not mounted:
            raise Cancelled

    def _reject(self, pod: Pod, reason: str, message: str, cause: int) -> None:
        """Let a pod fail that cannot start here (rejectPod): whoever made it has to make another one."""
        self._record(pod, "Warning", reason, message)
        status = self._status.get(pod.uid) or pod.status
        failed = replace(status, phase="Failed", reason=reason, message=f"Pod was rejected: {message}")
        self._status.set_pod_status(pod, failed, cause)

    def _remember_start_errors(self, uid: str, starts: Starts) -> list[StartFailure]:
        """Keep why containers did not start, and return that: the next status shows it (the reason cache)."""
        failures = []
        for name, failure in starts.items():
            if failure is not None:
                failures.append(failure)
                self._start_errors.setdefault(uid, {})[name] = (failure.reason, failure.message)
            elif uid in self._start_errors:
                self._start_errors[uid].pop(name, None)
        return failures

    def sync_terminating_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, None]:
        """Stop all containers and publish how they ended."""
        pod, cause = update.pod, update.cause
        uid = pod.metadata.uid
        runtime = self._pleg.get(uid)
        self._publish(pod, runtime, False, cause, worker.status_function)
        self._prober.stop_liveness_and_startup(pod)
        yield from self._runtime.kill_pod(pod, runtime, worker.grace_s or None, cause)
        self._prober.remove_pod(uid)
        stopped = self._machine.snapshot(uid)
        if RUNNING in [c.state for c in stopped.containers]:
            raise SyncError("detected running containers after the pod was killed")
        # The address that the pod had stays in its status (preserveDataFromBeforeStopping).
        stopped = RuntimePodStatus(stopped.uid, stopped.containers, stopped.sandboxes, runtime.ip)
        self._publish(pod, stopped, True, self._last_row(pod, cause), worker.status_function)
        if pod.spec.volumes:
            said = pod.status if worker.status_function is None else worker.status_function(pod.status)
            self._volumes().pod_stopped(pod, evicted=said.reason == "Evicted")

    def sync_terminated_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, None]:
        """Wait until volumes are unmounted, then declare the pod finished."""
        pod, cause = update.pod, self._last_row(update.pod, update.cause)
        self._publish(pod, self._pleg.get(pod.metadata.uid), True, cause, worker.status_function)
        if pod.spec.volumes:
            yield from self._volumes().wait_for_unmount(pod)
        self._status.terminate_pod(pod, cause)

    def _last_row(self, pod: Pod, cause: int) -> int:
        """Return the row of the last end of a container, which came of the update."""
        return max(self._machine.last_row(pod.metadata.uid), cause)

    def pod_finished(self, worker: PodWorker) -> None:
        """Say so."""
        self._on_finished(worker.uid)

    def is_settled(self, pod: Pod) -> bool:
        """Tell whether all containers are ready, and a static pod is shown: a sync would then find nothing to do."""
        status = self._status.get(pod.metadata.uid)
        if status is None or (is_static_pod(pod) and not self._mirrors.is_shown(pod)):
            return False
        for shown in status.container_statuses:
            if not shown.ready:
                return False
        for container in pod.spec.init_containers:
            sidecar = status_of(status.init_container_statuses, container.name)
            if sidecar is not None and not sidecar.ready and is_sidecar(container.restart_policy):
                return False
        return True

    def forget(self, uid: str) -> None:
        """Drop a pod that is gone."""
        self._start_errors.pop(uid, None)

    def _publish(
        self,
        pod: Pod,
        runtime: RuntimePodStatus,
        pod_is_terminal: bool,
        cause: int,
        status_function: StatusFunction | None = None,
    ) -> PodStatus:
        """Compute the status from what the runtime says and give it to the status manager."""
        uid = pod.metadata.uid
        entry = self._status.entry(uid)
        previous = pod.status if entry is None else entry.status
        has_deadline = pod.spec.active_deadline_seconds is not None
        overruled = has_deadline or status_function is not None
        basis = None if overruled else basis_of(pod, runtime, pod_is_terminal)
        computed = generate_api_pod_status(
            pod,
            runtime,
            previous,
            self._start_errors.get(uid, {}),
            self._clock.truncated,
            self._machine.host_ip,
            pod_is_terminal,
            past_active_deadline(pod, previous, self._clock.now) if has_deadline else None,
            self._prober.update_pod_status,
            same_basis=basis is not None and entry is not None and basis == entry.basis,
        )
        status = computed if status_function is None else status_function(computed)
        if status is not previous or pod.metadata.deletion_timestamp is not None:  # a deleted pod's is always sent
            self._status.set_pod_status(pod, status, cause, basis)
        self._prober.run_unready(uid, computed)
        return status
