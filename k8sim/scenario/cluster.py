"""``cluster:``: the components' own settings under Kubernetes' names.

A component defines a frozen dataclass of settings; what the file calls them, of which type they are and what is wrong
follows from it. Nested dataclasses (the controllers of kube-controller-manager) are flags of their component.

    cluster:
      kubeAPIServer: {defaultNotReadyTolerationSeconds: 30}
      kubeControllerManager: {nodeMonitorGracePeriod: 20s, nodeEvictionRate: 1}
      kubeScheduler: {podMaxBackoffSeconds: 30}
      kubelet: {nodeStatusUpdateFrequency: 5s}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_type_hints

from k8sim.api.quantity import format_quantity
from k8sim.csi.driversettings import parse_driver
from k8sim.csi.schedulesettings import parse_schedule
from k8sim.scenario.part import Part
from k8sim.scenario.settings import ClusterSettings
from k8sim.sim.units import MILLISECOND, SECOND, format_duration

T = TypeVar("T")

COMPONENTS: Final[Mapping[str, str]] = {
    "kubeAPIServer": "kube_api_server",
    "kubeControllerManager": "kube_controller_manager",
    "kubeScheduler": "kube_scheduler",
    "kubelet": "kubelet",
    "watches": "watches",
}
#: Read by `read_network`.
_NETWORK: Final = ("dns", "kubeProxy")
_ACRONYMS: Final[Mapping[str, str]] = {"gc": "GC", "api": "API", "qps": "QPS"}
_NAMES: Final[Mapping[str, str]] = {
    "period_ns": "podGCCheckPeriod",
    "quarantine_ns": "podGCQuarantineTime",
    "reconciler_sync_loop_period_ns": "attachDetachReconcileSyncPeriod",
    "pod_initial_backoff_ns": "podInitialBackoffSeconds",
    "pod_max_backoff_ns": "podMaxBackoffSeconds",
    "bind_timeout_ns": "bindTimeoutSeconds",
}
"""Where Kubernetes' name does not follow from ours; a duration named ...Seconds is a whole number of them."""
_SHARES: Final = ("unhealthy_zone_threshold", "late_share", "repeated_share", "broken_share")
"""Between 0 and 1."""
MAX_COUNT: Final = 10**9


@dataclass(frozen=True)
class Setting:
    """One setting: its name in a file, where it is in the dataclasses, its type and default."""

    name: str
    path: tuple[str, ...]
    type: Any
    default: Any

    @property
    def is_duration(self) -> bool:
        """Tell whether it is kept in ns."""
        return self.path[-1].endswith("_ns")

    @property
    def of_memory(self) -> bool:
        """Tell whether the file gives it by eviction signal, of which only memory.available is simulated."""
        return self.path[-1].endswith("_bytes") or self.name == "evictionSoftGracePeriod"

    @property
    def in_seconds(self) -> bool:
        """Tell whether the file gives a duration as a number of seconds."""
        return self.is_duration and self.name.endswith("Seconds")

    @property
    def default_text(self) -> str:
        """The default as a file would say it."""
        if self.default is None or self.default == ():
            return ""
        if self.of_memory:
            value = format_duration(self.default) if self.is_duration else format_quantity(self.default, binary=True)
            return f"{{memory.available: {value}}}"
        if self.in_seconds:
            return str(self.default // SECOND)
        if self.is_duration:
            return format_duration(self.default)
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)


def settings_of(defaults: Any, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield what can be set in a dataclass of settings."""
    hints = get_type_hints(type(defaults))
    for field in dataclasses.fields(defaults):
        value = getattr(defaults, field.name)
        if dataclasses.is_dataclass(value):
            yield from settings_of(value, (*path, field.name))
        else:
            hint = hints[field.name]
            kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
            type_ = next(k for k in kinds if k is not NoneType)
            yield Setting(_name(field.name), (*path, field.name), type_, value)


def _name(field: str) -> str:
    if field in _NAMES:
        return _NAMES[field]
    first, *rest = field.removesuffix("_ns").removesuffix("_bytes").split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


def read_cluster(part: Part | None) -> ClusterSettings:
    """The settings of all components.

    Raises
    ------
    ScenarioError
        Naming the line, what is wrong, and the setting that may be meant.
    """
    settings = ClusterSettings()
    if part is None:
        return settings
    fields = part.mapping((*COMPONENTS, *_NETWORK, "storageDrivers", "snapshotSchedules"))
    for key, attribute in COMPONENTS.items():
        if key in fields:
            read = read_settings(fields[key], getattr(settings, attribute))
            settings = dataclasses.replace(settings, **{attribute: read})
    if "storageDrivers" in fields:
        settings = dataclasses.replace(settings, storage_drivers=_each(fields["storageDrivers"], parse_driver))
    if "snapshotSchedules" in fields:
        settings = dataclasses.replace(settings, snapshot_schedules=_each(fields["snapshotSchedules"], parse_schedule))
    return settings


def read_settings(part: Part, defaults: T) -> T:
    """A component's settings: the defaults with what the file says."""
    known = {setting.name: setting for setting in settings_of(defaults)}
    for name, item in part.mapping(known).items():
        defaults = _with(defaults, known[name].path, _value(item, known[name]))
    return defaults


def _with(settings: Any, path: tuple[str, ...], value: Any) -> Any:
    first, *rest = path
    if rest:
        value = _with(getattr(settings, first), tuple(rest), value)
    return dataclasses.replace(settings, **{first: value})


def _value(part: Part, setting: Setting) -> Any:
    if setting.of_memory:
        part.mapping(("memory.available",))
        item = part.require("memory.available", "other signals are simulated with their defaults only")
        return item.duration() if setting.is_duration else item.amount()
    if setting.in_seconds:
        return part.integer(0, MAX_COUNT) * SECOND
    if setting.is_duration:
        return _duration(part, setting.name)
    if setting.type is bool:
        return part.flag()
    if setting.type is int:
        return part.integer(0, MAX_COUNT)
    if setting.type is float:
        return part.number(0, 1 if setting.path[-1] in _SHARES else MAX_COUNT)
    return tuple(_priority_grace(item) for item in part.items())


def _priority_grace(part: Part) -> tuple[int, int]:
    """An entry of shutdownGracePeriodByPodPriority."""
    part.mapping(("priority", "shutdownGracePeriodSeconds"))
    priority = part.require("priority").integer(-(2**31), 2**31 - 1)
    return priority, part.require("shutdownGracePeriodSeconds").integer(0, MAX_COUNT) * SECOND


def _duration(part: Part, name: str) -> int:
    ns = part.duration()
    if ns < MILLISECOND and name.endswith(("Period", "Frequency")):
        raise part.error(f"{part.value!r} is too short", "at least 1ms")
    return ns


def _each(part: Part, parse: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
    """Items that their own room parses; its errors begin with the field."""
    items = []
    for item in part.items():
        item.mapping()
        try:
            items.append(parse(item.value))
        except ValueError as problem:
            field, _, text = str(problem).partition(": ")
            place: Part | None = item
            for key in field.split("."):
                place = place.child(key) if place is not None and isinstance(place.value, dict) else None
            raise (item.error(str(problem)) if place is None else place.error(text)) from None
    return tuple(items)
