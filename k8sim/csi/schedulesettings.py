"""Schedules of snapshots as a scenario describes them.

cluster:
  snapshotSchedules:
    - {name: hourly, claims: "data-*", every: 1h, keep: 24}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from k8sim.sim.units import parse_duration


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
