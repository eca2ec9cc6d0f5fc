"""``nodeUpgrades:`` and ``operators:``: what people and programs do to nodes and stuck pods by themselves.

nodeUpgrades:
  - {at: 1h, nodes: "db-*", drain: {timeout: 30m}, onDrainFailure: stop, reboot: 3m, settle: 1m}
  - {name: surge, at: 1d, every: 30d, strategy: surge, parallel: 2, boot: {lognormal: {median: 2m, p99: 10m}}}
operators:
  terminationHandler: {action: drain, after: {uniform: [0s, 2s]}}
  forceDelete: {after: {lognormal: {median: 30m, p99: 6h}}, pods: "db-*"}
  outOfService: {after: 10m, fence: check, remove: 5m}
  deleteNode: {after: 1h, fence: powerOff}
  replaceNode: {after: 4m, selector: pool=spot}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from k8sim.operators.model import (
    NONE,
    Chosen,
    DeleteNode,
    Drain,
    DrainFailure,
    Fence,
    ForceDelete,
    NodeUpgrade,
    Operators,
    OutOfService,
    ReplaceNode,
    TerminationHandler,
)
from k8sim.scenario.failures import read_patterns, read_selector, refuse_unmatched
from k8sim.scenario.part import Part
from k8sim.sim.distributions import Distribution

T = TypeVar("T")
MAX_PARALLEL: Final = 20_000
_CHOICE: Final = ("nodes", "selector")
_UPGRADE: Final = (
    "name", "at", "every", *_CHOICE, "strategy", "parallel", "drain", "onDrainFailure", "reboot", "boot",
    "readyTimeout", "settle",
)  # fmt: skip
_DRAIN_FLAGS: Final[Mapping[str, str]] = {
    "ignoreDaemonsets": "ignore_daemonsets",
    "deleteEmptydirData": "delete_emptydir_data",
    "force": "force",
    "disableEviction": "disable_eviction",
}


class _Reader:
    """Reads with what all parts need to know."""

    def __init__(self, folder: Path, nodes: Mapping[str, str]) -> None:
        self.folder = folder
        self.nodes = nodes

    def law(self, fields: Mapping[str, Part], key: str, default: Distribution = NONE) -> Distribution:
        """A delay."""
        return fields[key].distribution(self.folder) if key in fields else default

    def after(self, part: Part) -> Distribution:
        """The delay that every reaction has to name."""
        return part.require("after", "say how long it takes: after: 10m").distribution(self.folder)

    def chosen(self, fields: Mapping[str, Part]) -> Chosen:
        """Nodes by patterns and labels."""
        if "nodes" in fields:
            refuse_unmatched(fields["nodes"], "node", self.nodes)
        patterns = read_patterns(fields["nodes"]) if "nodes" in fields else ("*",)
        return Chosen(patterns, read_selector(fields["selector"]) if "selector" in fields else None)

    # ---- upgrades -----------------------------------------------------------------------------------------------

    def upgrade(self, part: Part, name: str, duration_ns: int) -> NodeUpgrade:
        """One upgrade."""
        fields = part.mapping(_UPGRADE)
        at = part.require("at", "say when it begins: at: 1h")
        if at.duration() > duration_ns:
            raise at.error(f"{at.value} is after the end of the scenario", "make spec.duration longer")
        surge = "strategy" in fields and fields["strategy"].one_of(("inPlace", "surge"), "strategy") == "surge"
        idle = "reboot" if surge else "boot"
        if idle in fields:
            raise fields[idle].error(f"{idle} has no meaning for strategy {'surge' if surge else 'inPlace'}")
        plain = NodeUpgrade()
        failure = plain.on_drain_failure
        if "onDrainFailure" in fields:
            failure = cast("DrainFailure", fields["onDrainFailure"].one_of(get_args(DrainFailure), "reaction"))
        return NodeUpgrade(
            name=fields["name"].word() if "name" in fields else name,
            at_ns=at.duration(),
            every=self.law(fields, "every") if "every" in fields else None,
            nodes=self.chosen(fields),
            surge=surge,
            parallel=fields["parallel"].integer(1, MAX_PARALLEL) if "parallel" in fields else 1,
            drain=_drain(fields["drain"]) if "drain" in fields else plain.drain,
            on_drain_failure=failure,
            reboot=self.law(fields, "reboot", plain.reboot),
            boot=self.law(fields, "boot", plain.boot),
            ready_timeout_ns=fields["readyTimeout"].duration() if "readyTimeout" in fields else plain.ready_timeout_ns,
            settle=self.law(fields, "settle"),
        )

    # ---- reactions ----------------------------------------------------------------------------------------------

    def force_delete(self, part: Part) -> ForceDelete:
        """Somebody who force-deletes pods."""
        fields = part.mapping(("after", "pods", "namespaces", "onReadyNodes"))
        return ForceDelete(
            self.after(part),
            read_patterns(fields["pods"]) if "pods" in fields else ("*",),
            read_patterns(fields["namespaces"]) if "namespaces" in fields else ("*",),
            fields["onReadyNodes"].flag() if "onReadyNodes" in fields else False,
        )

    def out_of_service(self, part: Part) -> OutOfService:
        """Somebody who taints nodes that are off."""
        fields = part.mapping(("after", *_CHOICE, "fence", "remove"))
        remove: Distribution | None = OutOfService(NONE).remove
        if "remove" in fields:
            remove = fields["remove"].distribution_or_never(self.folder)
        return OutOfService(self.after(part), self.chosen(fields), _fence(fields), remove)

    def delete_node(self, part: Part) -> DeleteNode:
        """Somebody who deletes Nodes."""
        fields = part.mapping(("after", *_CHOICE, "fence"))
        return DeleteNode(self.after(part), self.chosen(fields), _fence(fields))

    def replace_node(self, part: Part) -> ReplaceNode:
        """Somebody who provides new machines."""
        fields = part.mapping(("after", *_CHOICE))
        return ReplaceNode(self.after(part), self.chosen(fields))

    def termination_handler(self, part: Part) -> TerminationHandler:
        """A program that reacts to notices of spot machines."""
        fields = part.mapping(("after", *_CHOICE, "action"))
        plain = TerminationHandler()
        cordon = "action" in fields and fields["action"].one_of(("drain", "cordon"), "action") == "cordon"
        return TerminationHandler(self.law(fields, "after", plain.after), self.chosen(fields), cordon)


def read_node_upgrades(
    part: Part | None, duration_ns: int, folder: Path, nodes: Mapping[str, str]
) -> tuple[NodeUpgrade, ...]:
    """The upgrades in file order.

    Raises
    ------
    ScenarioError
        Naming the line and what is wrong.
    """
    reader, upgrades = _Reader(folder, nodes), list[NodeUpgrade]()
    for item in part.items() if part is not None else ():
        name = f"upgrade #{len(upgrades) + 1}" if upgrades else "upgrade"
        upgrade = reader.upgrade(item, name, duration_ns)
        if any(upgrade.name == earlier.name for earlier in upgrades):
            raise item.require("name").error(f"a second upgrade called {upgrade.name!r}", "rename one")
        upgrades.append(upgrade)
    return tuple(upgrades)


def read_operators(part: Part | None, folder: Path, nodes: Mapping[str, str]) -> Operators:
    """Who reacts to what."""
    reader = _Reader(folder, nodes)
    readers: dict[str, Callable[[Part], Any]] = {
        "terminationHandler": reader.termination_handler,
        "forceDelete": reader.force_delete,
        "outOfService": reader.out_of_service,
        "deleteNode": reader.delete_node,
        "replaceNode": reader.replace_node,
    }
    fields = part.mapping(readers) if part is not None else {}
    read = {key: _one_or_more(fields[key], readers[key]) for key in fields}
    names = {_camel(field.name): field.name for field in fields_of(Operators)}
    return Operators(**{names[key]: rules for key, rules in read.items()})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _one_or_more(part: Part, read: Callable[[Part], T]) -> tuple[T, ...]:
    return tuple(read(item) for item in part.items()) if isinstance(part.value, list) else (read(part),)


def _drain(part: Part) -> Drain:
    fields = part.mapping(("timeout", "gracePeriod", "podSelector", *_DRAIN_FLAGS))
    flags: dict[str, Any] = {_DRAIN_FLAGS[key]: fields[key].flag() for key in _DRAIN_FLAGS if key in fields}
    if "timeout" in fields:
        flags["timeout_ns"] = fields["timeout"].duration()
    if "gracePeriod" in fields:
        flags["grace_period"] = fields["gracePeriod"].integer(-1, 2**31 - 1)
    if "podSelector" in fields:
        read_selector(fields["podSelector"])
        flags["pod_selector"] = fields["podSelector"].word()
    return Drain(**flags)


def _fence(fields: Mapping[str, Part]) -> Fence:
    return cast("Fence", fields["fence"].one_of(get_args(Fence), "fence")) if "fence" in fields else "check"
