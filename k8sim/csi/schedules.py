"""Scheduled snapshots with retention: the CronJob that most clusters have for it, as one block of a scenario.

Kubernetes has no such schedule. What is simulated is the usual script: at each tick make one VolumeSnapshot per claim,
then delete the oldest beyond what is to be kept. By default it counts snapshots, not ready snapshots, as such scripts
do: so it can delete the only good one.

Source: storage.md 6.7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from k8sim.api.core import PersistentVolumeClaim
from k8sim.api.meta import ObjectMeta
from k8sim.api.snapshots import CONSISTENCY
from k8sim.api.storage import VolumeSnapshot, VolumeSnapshotSource, VolumeSnapshotSpec
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.server import APIServer
from k8sim.sim.clock import Steps, rank
from k8sim.sim.units import parse_duration

SCHEDULE_LABEL: Final = "k8sim.dev/schedule"
CLAIM_LABEL: Final = "k8sim.dev/claim"


@dataclass(frozen=True)
class SnapshotSchedule:
    """One schedule.

    Parameters
    ----------
    claims
        Which claims of the namespace: an fnmatch pattern on their names.
    every_ns, first_ns
        Period, and time of the first tick (default: after one period).
    snapshot_class
        VolumeSnapshotClass; None: the driver's default.
    keep, keep_for_ns
        Retention by number and by age, per claim; None: no such limit.
    count_ready_only
        Count only snapshots that are ready, so that failing ones push no good one out.
    application_consistent, quiesce_ns
        Bring the application to rest first (a hook that takes that long); else snapshots are crash-consistent.
    """

    name: str
    every_ns: int
    claims: str = "*"
    namespace: str = "default"
    first_ns: int | None = None
    snapshot_class: str | None = None
    keep: int | None = None
    keep_for_ns: int | None = None
    count_ready_only: bool = False
    application_consistent: bool = False
    quiesce_ns: int = 0


_DURATIONS: Final[Mapping[str, str]] = {
    "every": "every_ns", "first": "first_ns", "keepFor": "keep_for_ns", "quiesce": "quiesce_ns",
}  # fmt: skip
_PLAIN: Final[Mapping[str, tuple[str, type]]] = {
    "name": ("name", str),
    "claims": ("claims", str),
    "namespace": ("namespace", str),
    "snapshotClass": ("snapshot_class", str),
    "keep": ("keep", int),
    "countReadyOnly": ("count_ready_only", bool),
    "applicationConsistent": ("application_consistent", bool),
}


def parse_schedule(raw: Mapping[str, Any]) -> SnapshotSchedule:
    """Return a schedule as a scenario writes it.

    Raises
    ------
    ValueError
        What is wrong, beginning with the field.
    """
    fields: dict[str, Any] = {}
    for key, value in raw.items():
        if key in _DURATIONS:
            try:
                fields[_DURATIONS[key]] = parse_duration(value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        elif key in _PLAIN:
            attribute, wanted = _PLAIN[key]
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                raise ValueError(f"{key}: expected {wanted.__name__}, got {value!r}")
            fields[attribute] = value
        else:
            raise ValueError(f"{key}: unknown field; known are {', '.join([*_PLAIN, *_DURATIONS])}")
    for needed in ("name", "every"):
        if needed not in raw:
            raise ValueError(f"{needed}: missing")
    if not fields["every_ns"]:
        raise ValueError("every: must be more than 0")
    return SnapshotSchedule(**fields)


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
