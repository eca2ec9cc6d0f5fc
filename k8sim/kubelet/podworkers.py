"""Pod workers: one per pod UID, busy with one sync at a time, with one slot for what comes next.

A worker goes from syncing to terminating to terminated to finished, and never back. While it is busy only the latest
update is kept. Before each sync it waits until the PLEG's cache is newer than the end of its last sync.

Source: pkg/kubelet/pod_workers.go; node.md 1.2.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import msgspec

from k8sim.api.core import Pod, PodStatus
from k8sim.kubelet.grace import effective_grace_period
from k8sim.kubelet.grid import Grid
from k8sim.kubelet.phase import TERMINAL
from k8sim.kubelet.pleg import PLEG
from k8sim.kubelet.settings import (
    BACK_OFF_PERIOD,
    JITTER,
    MAX_BACK_OFF_WAIT,
    TRANSIENT_BACK_OFF_PERIOD,
    KubeletSettings,
)
from k8sim.machines.agent import RuntimeFailure
from k8sim.sim.clock import Clock, Event, Steps
from k8sim.sim.streams import Streams
from k8sim.sim.trace import NO_CAUSE

UpdateKind = Literal["create", "update", "sync", "kill"]
Stage = Literal["syncing", "terminating", "terminated", "finished"]
StatusFunction = Callable[[PodStatus], PodStatus]
LONG_AGO = -(2**60)


class SyncError(Exception):
    """A sync has failed and is tried again.

    ``expiry_ns`` says when a back-off ends that was the only reason; ``transient``: it may well work in a second.
    """

    def __init__(self, message: str, expiry_ns: int | None = None, transient: bool = False) -> None:
        super().__init__(message)
        self.expiry_ns = expiry_ns
        self.transient = transient


class Cancelled(Exception):
    """A sync has been given up because the pod is to be terminated; the next update is already there."""


class Update(msgspec.Struct, frozen=True, gc=False):
    """A request for a sync.

    Parameters
    ----------
    grace_override
        Shorter grace of a kill that the kubelet itself wants (an eviction).
    status_function
        What such a kill makes of the pod's status.
    cause
        The trace row that led to it.
    """

    kind: UpdateKind
    pod: Pod
    cause: int = NO_CAUSE
    grace_override: int | None = None
    status_function: StatusFunction | None = None


@dataclass(slots=True, eq=False)
class PodWorker:
    """The state of one pod's worker (podSyncStatus)."""

    uid: str
    pod: Pod
    stage: Stage = "syncing"
    busy: bool = False
    steps: Steps | None = None
    grace_s: int = 0
    status_function: StatusFunction | None = None
    pending: Update | None = None
    active: Update | None = None
    active_stage: Stage = "syncing"
    taken_ns: int | None = None
    cancel: Event | None = None
    last_sync_ns: int = LONG_AGO
    synced_ns: int = LONG_AGO
    resync_pending: bool = False
    on_stopped: Event | None = None
    on_finished: Event | None = None

    @property
    def termination_requested(self) -> bool:
        """Whether the worker has turned to terminating."""
        return self.stage != "syncing"


class PodSyncer(Protocol):
    """What a worker does in each stage (the kubelet)."""

    def sync_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, bool]:
        """Bring the pod closer to its spec; True if its phase is terminal."""

    def sync_terminating_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, None]:
        """Stop all containers."""

    def sync_terminated_pod(self, worker: PodWorker, update: Update) -> Generator[Event, Any, None]:
        """Clean up after the containers."""

    def pod_finished(self, worker: PodWorker) -> None:
        """The worker has nothing left to do."""

    def is_settled(self, pod: Pod) -> bool:
        """Whether a further sync of the pod would do nothing at all."""


class PodWorkers:
    """All pod workers of a kubelet.

    Parameters
    ----------
    ticks
        The sync loop's, every second: retries are picked up on them.
    take
        Does something when the sync loop's turn for it has come.

    Attributes
    ----------
    running
        The UIDs of the pods whose containers may run: those of the workers that have not stopped them for good.
    """

    def __init__(
        self,
        clock: Clock,
        rank: int,
        streams: Streams,
        pleg: PLEG,
        settings: KubeletSettings,
        syncer: PodSyncer,
        ticks: Grid,
        take: Callable[..., None],
    ) -> None:
        self._clock = clock
        self._rank = rank
        self._streams = streams
        self._pleg = pleg
        self._settings = settings
        self._syncer = syncer
        self._ticks = ticks
        self._take = take
        self._workers: dict[str, PodWorker] = {}
        self._due: dict[str, int] = {}
        self._stopped = False
        self.running: set[str] = set()

    # ---- what others ask ----------------------------------------------------------------------------------------

    def get(self, uid: str) -> PodWorker | None:
        """Return the worker of a pod."""
        return self._workers.get(uid)

    def finished(self, uid: str) -> Event | None:
        """Return an event of the pod's end, or None if it has ended."""
        worker = self._workers.get(uid)
        if worker is None or worker.stage == "finished":
            return None
        if worker.on_finished is None:
            worker.on_finished = self._clock.event()
        return worker.on_finished

    def stopped(self, uid: str) -> Event | None:
        """Return an event of the moment when all containers of a pod have been stopped, or None if they have been."""
        worker = self._workers.get(uid)
        if worker is None or worker.stage in ("terminated", "finished"):
            return None
        if worker.on_stopped is None:
            worker.on_stopped = self._clock.event()
        return worker.on_stopped

    def forget(self, uid: str) -> None:
        """Drop the worker of a pod that is finished and gone."""
        self._workers.pop(uid, None)
        self.running.discard(uid)
        self._due.pop(uid, None)

    def stop(self) -> None:
        """The kubelet's process ends."""
        self._stopped = True
        for worker in self._workers.values():
            if worker.steps is not None:
                worker.steps.close()

    # ---- updates ------------------------------------------------------------------------------------------------

    def update_pod(self, update: Update) -> None:
        """Hand an update to the pod's worker (UpdatePod)."""
        pod = update.pod
        uid = pod.metadata.uid
        worker = self._workers.get(uid)
        if worker is None:
            worker = self._workers[uid] = PodWorker(uid, pod)
            self.running.add(uid)
        if worker.stage == "finished":
            return
        worker.pod = pod
        became_terminating = shortened = False
        if worker.stage == "syncing" and (
            pod.metadata.deletion_timestamp is not None or update.kind == "kill" or pod.status.phase in TERMINAL
        ):
            became_terminating = True
            worker.stage = "terminating"
            worker.status_function = update.status_function
        if worker.stage == "terminating":
            grace = effective_grace_period(worker.grace_s, pod, update.grace_override)
            shortened = worker.grace_s not in (0, grace)
            worker.grace_s = grace
        if worker.taken_ns == self._clock.now:
            # A sync takes a moment in which further requests gather in the slot; here it may take none, so what comes
            # at the instant of its end joins the request that was taken from the slot at that instant.
            worker.active = update
            worker.active_stage = worker.stage
        else:
            worker.pending = update
        if (became_terminating or shortened) and worker.cancel is not None:
            self._clock.fire(worker.cancel, None, self._rank)
        if not worker.busy:
            self._begin(worker)

    # ---- the worker ---------------------------------------------------------------------------------------------

    def _begin(self, worker: PodWorker) -> None:
        """Run the worker as far as it gets at this instant.

        It is no process of the clock's: there are many, and each would cost two events more, its begin and its end.
        """
        worker.busy = True
        worker.steps = self._loop(worker)
        self._go_on(worker)

    def _go_on(self, worker: PodWorker, _: Event | None = None) -> None:
        """Let the worker go on after what it has waited for, until it waits again; it asks for no event's value."""
        steps = worker.steps
        if self._stopped or steps is None:
            return
        try:
            event = next(steps)
            while event.processed:
                event = next(steps)
        except StopIteration:
            worker.steps = None
        else:
            event.callbacks.append(partial(self._go_on, worker))

    def _loop(self, worker: PodWorker) -> Steps:
        """Process updates until there is none (podWorkerLoop)."""
        while worker.pending is not None:
            worker.active, worker.pending = worker.pending, None
            worker.active_stage = worker.stage
            if worker.stage == "syncing" and worker.pod.spec.volumes:  # only a wait for volumes is given up
                worker.cancel = self._clock.event()
            while (renewed := self._pleg.newer_than(worker.uid, worker.last_sync_ns)) is not None:
                worker.taken_ns = self._clock.now
                yield renewed
                worker.taken_ns = None
            update, stage = worker.active, worker.active_stage
            succeeded = terminal = False
            try:
                if stage == "syncing":
                    terminal = yield from self._syncer.sync_pod(worker, update)
                elif stage == "terminating":
                    yield from self._syncer.sync_terminating_pod(worker, update)
                else:
                    yield from self._syncer.sync_terminated_pod(worker, update)
                succeeded = True
            except Cancelled:
                pass
            except SyncError as error:  # used up here: kept in a variable it would refer to itself, by way of its frame
                self._retry(worker, error)
            except RuntimeFailure as failure:
                self._retry(worker, SyncError(str(failure)))
            worker.last_sync_ns = self._clock.now
            worker.cancel = None
            if succeeded:
                self._complete(worker, stage, terminal)
        worker.busy = False

    def _complete(self, worker: PodWorker, stage: Stage, terminal: bool) -> None:
        """Move the worker on after a sync without an error; a change of stage runs it again at once."""
        if stage == "syncing" and not terminal:
            if worker.uid in self._due:
                del self._due[worker.uid]
            worker.synced_ns = self._clock.now
            if not worker.resync_pending:
                self._resync_later(worker)
            return
        if stage == "syncing":
            worker.stage = "terminating"
        elif stage == "terminating":
            worker.stage = "terminated"
            self.running.discard(worker.uid)
            if worker.on_stopped is not None:
                self._clock.fire(worker.on_stopped, None, self._rank)
        elif stage == "terminated":
            worker.stage = "finished"
            if worker.on_finished is not None:
                self._clock.fire(worker.on_finished, None, self._rank)
            worker.pending = None
            self._due.pop(worker.uid, None)
            self._syncer.pod_finished(worker)
            return
        if worker.pending is None and worker.active is not None:
            worker.pending = worker.active

    def _resync_later(self, worker: PodWorker) -> None:
        """Come back no sooner than the next regular sync could be."""
        worker.resync_pending = True
        due = worker.synced_ns + self._settings.sync_frequency_ns
        self._clock.call_at(due, self._resync, worker, rank=self._rank)

    def _resync(self, worker: PodWorker) -> None:
        """Queue the regular sync that is due 60 to 90 s after the last one, unless it would find nothing to do."""
        worker.resync_pending = False
        if self._stopped or worker.termination_requested or self._syncer.is_settled(worker.pod):
            return
        frequency = self._settings.sync_frequency_ns
        since = self._clock.now - worker.synced_ns
        if since < frequency:
            self._resync_later(worker)
        elif worker.uid not in self._due:
            self._enqueue(worker.uid, self._jitter(worker.uid, "resync", frequency) - since)

    def _retry(self, worker: PodWorker, error: SyncError) -> None:
        """Queue another try: at the end of a back-off if that was the reason, else in 10 to 15 s (completeWork)."""
        wait = TRANSIENT_BACK_OFF_PERIOD if error.transient else BACK_OFF_PERIOD
        if error.expiry_ns is not None:
            wait = min(max(error.expiry_ns - self._clock.now, 0), MAX_BACK_OFF_WAIT)
        self._enqueue(worker.uid, self._jitter(worker.uid, "retry", wait))

    def _jitter(self, uid: str, purpose: str, duration_ns: int) -> int:
        return self._streams.jitter_ns(uid, purpose, duration_ns, JITTER)

    # ---- the work queue -----------------------------------------------------------------------------------------

    def _enqueue(self, uid: str, delay_ns: int) -> None:
        """Ask for a sync at the first tick after a delay; it replaces an earlier request."""
        due = self._ticks.next(self._clock.now + delay_ns)
        self._due[uid] = due
        self._clock.call_at(due, self._take, self._tick, uid, due, rank=self._rank)

    def sync_at(self, uid: str, when_ns: int) -> None:
        """Ask for a sync at the first tick from a moment on, whatever else is asked for."""
        due = self._ticks.next(max(when_ns, self._clock.now))
        self._clock.call_at(due, self._take, self._sync_now, uid, rank=self._rank)

    def _tick(self, uid: str, due: int) -> None:
        if self._due.get(uid) == due:
            del self._due[uid]
            self._sync_now(uid)

    def _sync_now(self, uid: str) -> None:
        if self._stopped:
            return
        worker = self._workers.get(uid)
        if worker is not None and worker.stage != "finished":
            cause = worker.active.cause if worker.active is not None else NO_CAUSE
            self.update_pod(Update("sync", worker.pod, cause))
