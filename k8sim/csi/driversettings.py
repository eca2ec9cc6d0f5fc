"""Drivers as a scenario describes them: like a known one or a family, with differences.

cluster:
storageDrivers:
- {name: disk.example.com, like: zonal-disk, volumesPerNode: 8, latencies: {volumeAttach: 12s}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from k8sim.api.quantity import parse_quantity
from k8sim.csi.drivers import ALL_MODES, DEFAULT_FAMILY, FAMILIES, WELL_KNOWN, Driver
from k8sim.sim.distributions import Distribution, parse_distribution

LEAST_UPDATE_PERIOD_S: Final = 10

# What a scenario may say of a driver: its field, and what it has to be.
_FIELDS: Final[Mapping[str, tuple[str, type]]] = {
    "attach": ("attach", bool),
    "topology": ("topology", str),
    "expansion": ("expansion", str),
    "nodeExpansion": ("node_expansion", bool),
    "modification": ("modification", bool),
    "snapshots": ("snapshots", bool),
    "clones": ("clones", bool),
    "volumesPerNode": ("volumes_per_node", int),
    "slotsTaken": ("slots_taken", int),
    "nodeAllocatableUpdatePeriodSeconds": ("node_allocatable_update_period_s", int),
    "storageCapacity": ("storage_capacity", bool),
    "fsType": ("fs_type", str),
    "fsGroupPolicy": ("fs_group_policy", str),
    "secondPublish": ("second_publish", bool),
    "fences": ("fences", bool),
    "sizeEnforced": ("size_enforced", bool),
    "snapshotsSurviveVolume": ("snapshots_survive_volume", bool),
}
_SIZES: Final[Mapping[str, str]] = {"capacity": "capacity_bytes", "maxVolumeSize": "max_volume_bytes"}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "topology": ("", "zone", "region", "node"),
    "expansion": ("online", "offline", "none"),
    "fsGroupPolicy": ("ReadWriteOnceWithFSType", "File", "None"),
}


def parse_driver(raw: Mapping[str, Any]) -> Driver:
    """Return a driver as a scenario describes it: like a known one or a family, with differences.

    Raises
    ------
    ValueError
        What is wrong, beginning with the field.
    """
    name, like = raw.get("name"), raw.get("like")
    if not isinstance(name, str) or not name:
        raise ValueError("name: missing")
    if like is not None and like not in FAMILIES and like not in WELL_KNOWN:
        raise ValueError(f"like: neither a driver nor a family; families are {', '.join(FAMILIES)}")
    base = FAMILIES.get(str(like)) or WELL_KNOWN.get(str(like)) or WELL_KNOWN.get(name) or DEFAULT_FAMILY
    changes: dict[str, Any] = {"name": name, "known": True}
    for key, value in raw.items():
        if key in ("name", "like"):
            continue
        if key in _FIELDS:
            attribute, wanted = _FIELDS[key]
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                raise ValueError(f"{key}: expected {wanted.__name__}, got {value!r}")
            if key in _CHOICES and value not in _CHOICES[key]:
                raise ValueError(f"{key}: expected one of {', '.join(c or '(empty)' for c in _CHOICES[key])}")
            changes[attribute] = value
        elif key in _SIZES:
            changes[_SIZES[key]] = _size(key, value)
        elif key == "accessModes":
            changes["access_modes"] = _modes(value)
        elif key == "latencies":
            changes["laws"] = _laws(value)
        else:
            known = [*_FIELDS, *_SIZES, "accessModes", "latencies", "like"]
            raise ValueError(f"{key}: unknown field; known are {', '.join(known)}")
    _check_period(changes.get("node_allocatable_update_period_s"))
    return replace(base, **changes)


def _check_period(period: int | None) -> None:
    """Refuse what the API server does (ValidateCSIDriver)."""
    if period is not None and period < LEAST_UPDATE_PERIOD_S:
        raise ValueError(f"nodeAllocatableUpdatePeriodSeconds: must be at least {LEAST_UPDATE_PERIOD_S}")


def _size(key: str, value: Any) -> int:
    try:
        return parse_quantity(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _modes(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not value or not set(value) <= ALL_MODES:
        raise ValueError(f"accessModes: expected a list of {', '.join(sorted(ALL_MODES))}")
    return frozenset(value)


def _laws(value: Any) -> dict[str, Distribution]:
    if not isinstance(value, Mapping):
        raise ValueError("latencies: expected a mapping of names to durations or distributions")
    laws = {}
    for name, shape in value.items():
        if not str(name).startswith(("volume", "snapshot")):
            raise ValueError(f"latencies.{name}: not a latency of storage")
        try:
            laws[str(name)] = parse_distribution(shape)
        except ValueError as error:
            raise ValueError(f"latencies.{name}: {error}") from None
    return laws
