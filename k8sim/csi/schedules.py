"""Scheduled snapshots with retention: the CronJob that most clusters have for it, as one block of a scenario.

Kubernetes has no such schedule. What is simulated is the usual script: at each tick make one VolumeSnapshot per claim,
then delete the oldest beyond what is to be kept. By default it counts snapshots, not ready snapshots, as such scripts
do: so it can delete the only good one.

Source: storage.md 6.7.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from k8sim.api.core import PersistentVolumeClaim
from k8sim.api.meta import ObjectMeta
from k8sim.api.snapshots import CONSISTENCY
from k8sim.api.storage import VolumeSnapshot, VolumeSnapshotSource, VolumeSnapshotSpec
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.server import APIServer
from k8sim.csi.schedulesettings import SnapshotSchedule
from k8sim.sim.clock import Steps, rank

SCHEDULE_LABEL: Final = "k8sim.dev/schedule"
CLAIM_LABEL: Final = "k8sim.dev/claim"


def surplus(schedule: SnapshotSchedule, snapshots: Iterable[VolumeSnapshot], now_ns: int) -> list[VolumeSnapshot]:
    """Return the snapshots of one claim that retention no longer covers, the oldest first."""
    counted = [s for s in snapshots if not s.deleting and (s.status.ready_to_use or not schedule.count_ready_only)]
    counted.sort(key=lambda s: (s.metadata.creation_timestamp or 0, s.name))
    extra = len(counted) - schedule.keep if schedule.keep is not None else 0
    too_many = counted[: max(0, extra)]
    too_old = [
        s
        for s in counted[max(0, extra) :]
        if schedule.keep_for_ns is not None and now_ns - (s.metadata.creation_timestamp or 0) > schedule.keep_for_ns
    ]
    return too_many + too_old


class SnapshotScheduler:
    """Carries out schedules."""

    def __init__(self, server: APIServer, schedules: Iterable[SnapshotSchedule]) -> None:
        self.server = server
        self.clock = server.sim.clock
        self.schedules = tuple(schedules)
        self._rank = rank("csi", "snapshot-schedule")

    def start(self) -> None:
        """Arm the first tick of every schedule."""
        for schedule in self.schedules:
            first = schedule.every_ns if schedule.first_ns is None else schedule.first_ns
            self.clock.call_at(first, self._tick, schedule, 1, rank=self._rank)

    def _tick(self, schedule: SnapshotSchedule, number: int) -> None:
        self.clock.call_after(schedule.every_ns, self._tick, schedule, number + 1, rank=self._rank)
        self.clock.spawn(self._run(schedule, number))

    def _run(self, schedule: SnapshotSchedule, number: int) -> Steps:
        client = Client(self.server, f"snapshot-schedule/{schedule.name}", self._rank)
        client.cause = self.server.sim.trace.append(
            self.clock.now, "SnapshotSchedule", schedule.name, "Tick", {"number": number}, namespace=schedule.namespace
        )
        try:
            claims = yield from client.list(PersistentVolumeClaim, schedule.namespace)
        except ApiError:
            return  # a job that fails: the next tick tries again
        for claim in claims:
            if not claim.deleting and fnmatchcase(claim.name, schedule.claims):
                yield from self._snapshot(schedule, claim, number, client)
        yield from self._prune(schedule, client)

    def _snapshot(self, schedule: SnapshotSchedule, claim: PersistentVolumeClaim, number: int, client: Client) -> Steps:
        if schedule.application_consistent:
            yield self.clock.sleep(schedule.quiesce_ns, self._rank)
        wanted = VolumeSnapshot(
            metadata=ObjectMeta(
                namespace=claim.namespace,
                name=f"{claim.name}-{schedule.name}-{number}",
                labels={SCHEDULE_LABEL: schedule.name, CLAIM_LABEL: claim.name},
                annotations={CONSISTENCY: "application"} if schedule.application_consistent else {},
            ),
            spec=VolumeSnapshotSpec(
                source=VolumeSnapshotSource(persistent_volume_claim_name=claim.name),
                volume_snapshot_class_name=schedule.snapshot_class,
            ),
        )
        try:
            yield from client.create(wanted)
        except ApiError as error:
            detail = {"claim": claim.name, "problem": error.message}
            self.server.sim.trace.append(
                self.clock.now, "SnapshotSchedule", schedule.name, "Failed", detail, client.cause, claim.namespace
            )

    def _prune(self, schedule: SnapshotSchedule, client: Client) -> Steps:
        if schedule.keep is None and schedule.keep_for_ns is None:
            return
        try:
            listed = yield from client.list(VolumeSnapshot, schedule.namespace)
        except ApiError:
            return
        by_claim: dict[str, list[VolumeSnapshot]] = {}
        for snapshot in listed:
            if snapshot.metadata.labels.get(SCHEDULE_LABEL) == schedule.name:
                by_claim.setdefault(snapshot.metadata.labels.get(CLAIM_LABEL, ""), []).append(snapshot)
        for snapshots in by_claim.values():
            for snapshot in surplus(schedule, snapshots, self.clock.now):
                try:
                    yield from client.delete(VolumeSnapshot, *snapshot.key)
                except ApiError:
                    continue
