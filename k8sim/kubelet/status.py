"""The status manager: one versioned status per pod, sent to the API server one after the other.

A new version is sent at once if nothing else is under way; every 10 s all are compared with what the API shows, which
is computed only when there is a difference. A send is GET, merge, PATCH, and, for a deleted pod whose containers and
volumes are gone, DELETE with grace 0.

Source: pkg/kubelet/status/status_manager.go; node.md 1.10.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from k8sim.api.core import ContainerStatus, Pod, PodStatus
from k8sim.api.meta import Condition, set_condition
from k8sim.api.pods import is_mirror_pod
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Conflict, NotFound
from k8sim.kubelet import conditions
from k8sim.kubelet.conditions import with_transition_times
from k8sim.kubelet.grid import Grid
from k8sim.kubelet.phase import TERMINAL
from k8sim.kubelet.podstatus import Basis
from k8sim.kubelet.statusmerge import merge_pod_status, same_for_kubelet, terminated_status, transition_allowed
from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Sampler
from k8sim.sim.trace import NO_CAUSE

Statuses = tuple[ContainerStatus, ...]


@dataclass(slots=True)
class Entry:
    """The status of one pod, as the kubelet sees it.

    Parameters
    ----------
    given
        Its conditions before they had their times.
    basis
        What it has been computed from, if it is still as it would be computed.
    """

    pod: Pod
    status: PodStatus
    given: tuple[Condition, ...]
    basis: Basis | None = None
    version: int = 0
    sent: int = 0
    finished: bool = False
    cause: int = NO_CAUSE


class Send(msgspec.Struct, frozen=True, gc=False):
    """A version that is to be sent."""

    uid: str
    status: PodStatus
    version: int
    finished: bool
    cause: int


class StatusManager:
    """Publishes pods' statuses.

    Parameters
    ----------
    client
        The kubelet's connection.
    reconciliations
        When all statuses are compared with what the API shows: every 10 s.
    could_have_running_containers
        Tells of a pod UID whether its worker has not stopped all containers yet.
    uid_of
        Returns the UID of the pod that an object shows: a mirror shows a static pod.
    on_change
        Called with (UID, status) when a cached status changes.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rank: int,
        read: Sampler,
        patch: Sampler,
        write: Sampler,
        reconciliations: Grid,
        could_have_running_containers: Callable[[str], bool],
        uid_of: Callable[[Pod], str],
        on_change: Callable[[str, PodStatus], None],
    ) -> None:
        self._client = client
        self._server = client.server
        self._clock = clock
        self._rank = rank
        self._read = read
        self._patch = patch
        self._write = write
        self._reconciliations = reconciliations
        self._could_have_running_containers = could_have_running_containers
        self._uid_of = uid_of
        self._on_change = on_change
        self._entries: dict[str, Entry] = {}
        self._unsent: dict[str, None] = {}
        self._batch: deque[Send] = deque()
        self._sending: Send | None = None
        self._blocked_since: int | None = None
        self._reconcile_at: int | None = None
        self._stopped = False

    # ---- the cache ----------------------------------------------------------------------------------------------

    def get(self, uid: str) -> PodStatus | None:
        """Return the cached status of a pod."""
        entry = self._entries.get(uid)
        return None if entry is None else entry.status

    def entry(self, uid: str) -> Entry | None:
        """Return what is cached of a pod."""
        return self._entries.get(uid)

    def set_pod_status(self, pod: Pod, status: PodStatus, cause: int = NO_CAUSE, basis: Basis | None = None) -> None:
        """Take a new status (SetPodStatus); that of a deleted pod is sent even if nothing has changed."""
        self._update(pod, status, pod.metadata.deletion_timestamp is not None, False, cause, basis)

    def set_container_readiness(self, pod: Pod, container_id: str, ready: bool, cause: int = NO_CAUSE) -> None:
        """Change a container's ready flag, and with it Ready and ContainersReady (SetContainerReadiness)."""
        entry = self._entries.get(pod.uid)
        if entry is not None:
            self._flag(entry, pod, container_id, "ready", ready, cause)

    def set_container_startup(self, pod: Pod, container_id: str, started: bool, cause: int = NO_CAUSE) -> None:
        """Change a container's started flag (SetContainerStartup)."""
        entry = self._entries.get(pod.uid)
        if entry is not None:
            self._flag(entry, pod, container_id, "started", started, cause)

    def set_ready_to_start(self, pod: Pod, ready: bool, cause: int = NO_CAUSE) -> None:
        """Push PodReadyToStartContainers at once: the sandbox stands, whatever else the sync is still to do."""
        entry = self._entries.get(pod.metadata.uid)
        if entry is not None:
            new = set_condition(entry.given, conditions.READY_TO_START_CONTAINERS[ready])
            self._update(pod, replace(entry.status, conditions=new), False, False, cause)

    def _flag(self, entry: Entry, pod: Pod, container_id: str, flag: str, value: bool, cause: int) -> None:
        status = entry.status
        inits = _with_flag(status.init_container_statuses, container_id, flag, value)
        regular = _with_flag(status.container_statuses, container_id, flag, value)
        if inits is status.init_container_statuses and regular is status.container_statuses:
            return
        info = {s.name: s for s in (*inits, *regular)}
        new_conditions, basis = entry.given, None
        if flag == "ready":  # phase and Initialized do not depend on it: the status is as it would be computed
            basis = entry.basis
            containers_ready = conditions.containers_ready(pod, info, status.phase)
            for condition in (conditions.ready(pod, containers_ready, status.conditions), containers_ready):
                new_conditions = set_condition(new_conditions, condition)
        status = replace(status, init_container_statuses=inits, container_statuses=regular, conditions=new_conditions)
        self._update(pod, status, False, False, cause, basis)

    def terminate_pod(self, pod: Pod, cause: int = NO_CAUSE) -> None:
        """Note that nothing of the pod is left: its phase is terminal, its object may be removed (TerminatePod)."""
        entry = self._entries.get(pod.uid)
        status = pod.status if entry is None else entry.status
        self._update(pod, terminated_status(pod, status), True, True, cause)

    def forget(self, uid: str) -> None:
        """Drop a pod whose object is gone (RemoveOrphanedStatuses)."""
        self._entries.pop(uid, None)

    def _update(
        self, pod: Pod, status: PodStatus, force: bool, finished: bool, cause: int, basis: Basis | None = None
    ) -> None:
        entry = self._entries.get(pod.metadata.uid)
        old = pod.status if entry is None else entry.status
        if not transition_allowed(old, status, pod):
            return
        now = Time(self._clock.truncated())
        given = status.conditions
        status = replace(
            status,
            conditions=with_transition_times(given, old.conditions, now, () if entry is None else entry.given),
            start_time=old.start_time if old.start_time is not None else status.start_time or now,
        )
        changed = True
        if entry is None:
            entry = self._entries[pod.metadata.uid] = Entry(pod, status, given)
        else:
            finished = finished or entry.finished
            if force:
                changed = status != entry.status
            elif same_for_kubelet(entry.status, status):
                return
        entry.pod = pod
        entry.status = status
        entry.given = given
        entry.basis = basis
        entry.version += 1
        entry.finished = finished
        entry.cause = cause
        self._unsent[pod.metadata.uid] = None
        if changed:
            self._on_change(pod.metadata.uid, status)
        if self._sending is None:
            self._next()

    # ---- sending ------------------------------------------------------------------------------------------------

    def pod_seen(self, uid: str, pod: Pod) -> None:
        """Compare what the API shows of a pod with the cache: a difference is repaired at the next reconciliation.

        That is how a new mirror gets its status: no version of it was sent while there was none.
        """
        entry = self._entries.get(uid)
        if entry is None:
            return
        if entry.version <= entry.sent or is_mirror_pod(pod):
            if same_for_kubelet(pod.status, entry.status):
                return
            self._reconcile_later()

    def _reconcile_later(self) -> None:
        when = self._reconciliations.next(self._clock.now + 1)
        if self._reconcile_at is None or self._reconcile_at < self._clock.now:
            self._reconcile_at = when
            self._clock.call_at(when, self._reconcile, when, rank=self._rank)

    def _reconcile(self, when: int) -> None:
        """Send whatever differs from what the API shows (syncBatch with all = true)."""
        if self._stopped or self._reconcile_at != when:
            return
        self._reconcile_at = None
        if self._sending is not None:
            self._reconcile_later()
            return
        for uid, entry in self._entries.items():
            shown = self._server.find(Pod, *entry.pod.key) if self._client.connected else None
            differs = (
                shown is not None and self._uid_of(shown) == uid and not same_for_kubelet(shown.status, entry.status)
            )
            if entry.version > entry.sent or differs:
                self._batch.append(Send(uid, entry.status, entry.version, entry.finished, entry.cause))
        self._next()

    def _next(self) -> None:
        """Begin the next send, of the new versions once the batch has been sent, or go idle."""
        if self._unsent and not self._batch:
            for uid in self._unsent:
                entry = self._entries.get(uid)
                if entry is not None and entry.version > entry.sent:
                    self._batch.append(Send(uid, entry.status, entry.version, entry.finished, entry.cause))
            self._unsent.clear()
        if self._stopped or not self._batch:
            return
        self._sending = self._batch.popleft()
        if not self._client.connected:
            self._blocked_since = self._clock.now  # the request hangs until the connection is closed
            return
        arrives = self._clock.now + self._read.draw() + self._patch.draw()
        self._clock.call_at(arrives, self._arrive, self._sending, rank=self._rank)

    def link_restored(self) -> None:
        """The connection is back: a request that hung fails now; what is due is sent again."""
        if self._blocked_since is None or self._sending is None:
            return
        since, self._blocked_since = self._blocked_since, None
        self._sending = None
        self._batch.clear()
        if self._reconciliations.next(since + 1) <= self._clock.now:
            self._reconcile_at = self._clock.now
            self._reconcile(self._clock.now)
        else:
            self._reconcile_later()

    def stop(self) -> None:
        """The kubelet's process ends."""
        self._stopped = True

    def _arrive(self, send: Send) -> None:
        """Merge and store (syncPod)."""
        if self._stopped:
            return
        if not self._client.connected:
            self._blocked_since = self._clock.now
            return
        entry = self._entries.get(send.uid)
        deletable = None
        if not self._server.available:
            self._unsent[send.uid] = None
            self._reconcile_later()
        elif entry is not None:
            deletable = self._store(entry, send)
        if deletable is not None:
            self._clock.call_after(self._write.draw(), self._delete, send, deletable, rank=self._rank)
        else:
            self._done()

    def _store(self, entry: Entry, send: Send) -> Pod | None:
        """Write one version; return the pod if its object can now be removed."""
        meta = entry.pod.metadata

        def change(pod: Pod) -> Pod:
            if pod.metadata.uid != send.uid and self._uid_of(pod) != send.uid:  # a mirror has a UID of its own
                raise NotFound(f'pod "{pod.name}" has been replaced by another one of its name')
            ends = send.status.phase in TERMINAL
            could_run = ends and self._could_have_running_containers(send.uid)
            now = Time(self._clock.truncated())
            return replace(pod, status=merge_pod_status(pod.status, send.status, could_run, now))

        try:
            pod = self._server.patch_status(Pod, meta.namespace, meta.name, change, self._client.actor, send.cause)
        except NotFound:
            return None
        except ApiError:
            self._reconcile_later()
            return None
        if send.version > entry.sent:
            entry.sent = send.version
        if entry.version <= entry.sent and not same_for_kubelet(pod.status, entry.status):
            self._reconcile_later()
        deletable = send.finished and pod.deleting and pod.status.phase in TERMINAL and not is_mirror_pod(pod)
        return pod if deletable else None

    def _delete(self, send: Send, pod: Pod) -> None:
        if self._stopped:
            return
        if not self._client.connected:
            self._blocked_since = self._clock.now
            return
        try:
            self._server.delete(
                Pod, *pod.key, grace_period_seconds=0, uid=send.uid, actor=self._client.actor, cause=send.cause
            )
        except (NotFound, Conflict):
            pass
        except ApiError:
            self._reconcile_later()
        self._done()

    def _done(self) -> None:
        self._sending = None
        if self._batch or self._unsent:
            self._next()


def _with_flag(statuses: Statuses, container_id: str, flag: str, value: bool) -> Statuses:
    """Return the statuses with a flag of one container set; the same object if it is set already."""
    for i, status in enumerate(statuses):
        if status.container_id == container_id and getattr(status, flag) is not value:
            return (*statuses[:i], replace(status, **{flag: value}), *statuses[i + 1 :])
    return statuses
