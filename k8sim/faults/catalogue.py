"""The faults that a timeline can name, with their arguments as the scenario loader and the documentation read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from k8sim.faults.containers import ContainerExit, Hang, NodeOom, OomKill, SlowAnswers, Unready
from k8sim.faults.fault import TARGETS, ArgumentType, Fault, World
from k8sim.faults.nodes import (
    DiskPressure,
    KubeletRestart,
    MemoryPressure,
    NetworkPluginOutage,
    NodeCrash,
    NodeIsolation,
    NodePartition,
    NodeShutdown,
    NodeSlow,
    RuntimeOutage,
    SpotReclaim,
    StaticPodChange,
    ZoneIsolation,
    ZoneOutage,
    ZonePartition,
)
from k8sim.faults.services import APIServerOutage, ControllerManagerRestart, RegistryOutage
from k8sim.faults.storage import DiskLoss, DiskSlow, StorageOutage
from k8sim.sim.units import format_duration

CLASSES: Final[tuple[type[Fault], ...]] = (
    NodeCrash, NodePartition, NodeIsolation, KubeletRestart, RuntimeOutage, NetworkPluginOutage, NodeShutdown,
    NodeSlow, MemoryPressure, DiskPressure, ContainerExit, Unready, Hang, SlowAnswers, OomKill, NodeOom, SpotReclaim,
    ZoneOutage, ZonePartition, ZoneIsolation, DiskLoss, DiskSlow, StorageOutage, RegistryOutage, APIServerOutage,
    ControllerManagerRestart, StaticPodChange,
)  # fmt: skip


@dataclass(frozen=True)
class Argument:
    """One argument of a fault: what it is, and whether it may be left out."""

    type: ArgumentType
    meaning: str
    required: bool
    field: str


@dataclass(frozen=True)
class FaultShape:
    """How a fault is written in a timeline."""

    meaning: str
    arguments: Mapping[str, Argument]
    fault: type[Fault]


def _shape(fault: type[Fault]) -> FaultShape:
    arguments = {
        field.metadata["name"] or field.name: Argument(
            field.metadata["type"], field.metadata["meaning"], field.metadata["required"], field.name
        )
        for field in dataclasses.fields(fault)  # type: ignore[arg-type]
    }
    return FaultShape((fault.__doc__ or "").partition("\n")[0], arguments, fault)


FAULTS: Final[Mapping[str, FaultShape]] = {fault.name: _shape(fault) for fault in CLASSES}


def target_of(fault: type[Fault]) -> ArgumentType | None:
    """Return the argument that says what breaks, None for a fault of the whole cluster. Its name is its type's."""
    for field in dataclasses.fields(fault):  # type: ignore[arg-type]
        if field.metadata["type"] in TARGETS:
            target: ArgumentType = field.metadata["type"]
            return target
    return None


def target_named(name: str, arguments: Mapping[str, Any]) -> str:
    """Return what the arguments of a fault say that breaks, "" for a fault of the whole cluster."""
    target = target_of(FAULTS[name].fault) if name in FAULTS else None
    return str(arguments.get(target) or "") if target is not None else ""


def written(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fault's arguments as a file gives them: durations with their units, nothing that is absent."""
    types = {key: argument.type for key, argument in FAULTS[name].arguments.items()} if name in FAULTS else {}
    return {
        key: format_duration(value) if types.get(key) == "duration" else value
        for key, value in arguments.items()
        if value is not None
    }


def make_fault(name: str, arguments: Mapping[str, Any]) -> Fault:
    """Return the fault of a name with the arguments of a timeline step (None: absent).

    Raises
    ------
    KeyError
        There is no such fault or argument.
    TypeError
        An argument is missing.
    """
    shape = FAULTS[name]
    given = {shape.arguments[key].field: value for key, value in arguments.items() if value is not None}
    return shape.fault(**given)


def apply_fault(world: World, name: str, arguments: Mapping[str, Any]) -> None:
    """Let a fault happen now.

    Raises
    ------
    FaultFailed
        What it names is not there.
    """
    make_fault(name, arguments).begin(world)
