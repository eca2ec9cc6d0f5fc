"""When a node counts as lost, how bad that is for its zone, and which taints say so.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go; workloads.md 4.3, 4.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from k8sim.api.core import Node, Pod, Taint
from k8sim.api.meta import Condition, condition_of, set_condition
from k8sim.api.pods import pod_condition
from k8sim.api.struct import Time, replace
from k8sim.controllers.nodelifecycle.settings import NodeLifecycleSettings

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
EXCLUDE_DISRUPTION: Final = "node.kubernetes.io/exclude-disruption"

ZoneState = Literal["Initial", "Normal", "FullDisruption", "PartialDisruption"]

_SECOND_NS: Final = 1_000_000_000
_ZONE_LABELS: Final = (
    ("failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/zone"),
)
_TAINT_OF_CONDITION: Final[Mapping[tuple[str, str], str]] = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_MANAGED: Final = frozenset((*_TAINT_OF_CONDITION.values(), UNSCHEDULABLE))
_SET_UNKNOWN: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


# ---- health -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Health:
    """What the controller remembers of a node.

    ``probe_ns`` is when it last noticed a heartbeat; ``lease_ns`` the renewal that it noticed last.
    """

    ready: Condition | None
    probe_ns: int
    lease_ns: int | None = None


def ready_condition(node: Node) -> Condition | None:
    """Return the node's Ready condition."""
    for condition in node.status.conditions:
        if condition.type == "Ready":
            return condition
    return None


def grace_period_ns(ready: Condition | None, settings: NodeLifecycleSettings) -> int:
    """Return how long a node may be silent: longer while its kubelet has never posted a status."""
    return settings.node_startup_grace_period_ns if ready is None else settings.node_monitor_grace_period_ns


def notice_heartbeat(node: Node, saved: Health | None, renewal: tuple[int, int] | None, now_ns: int) -> Health:
    """Update what is remembered of a node at a pass (first half of tryUpdateNodeHealth).

    Parameters
    ----------
    renewal
        The lease's last renewal, and the pass at which it was first there to be noticed.
    """
    ready = ready_condition(node)
    if saved is None:
        probe = now_ns if ready is not None else (node.metadata.creation_timestamp or 0)
        health = Health(ready, probe)
    elif saved.ready != ready:
        health = Health(ready, now_ns, saved.lease_ns)
    else:
        health = saved
    if renewal is not None and (health.lease_ns is None or renewal[0] > health.lease_ns):
        health = Health(health.ready, max(health.probe_ns, renewal[1]), renewal[0])
    return health


def is_silent(health: Health, grace_ns: int, now_ns: int) -> bool:
    """Tell whether the last heartbeat was noticed strictly longer ago than the grace period."""
    return now_ns > health.probe_ns + grace_ns


def unknown_conditions(node: Node, now: Time) -> tuple[Condition, ...]:
    """Return the node's conditions with those of a silent kubelet Unknown; NetworkUnavailable is not the kubelet's."""
    conditions = node.status.conditions
    for type_ in _SET_UNKNOWN:
        old = condition_of(conditions, type_)
        if old is None:
            new = Condition(
                type=type_,
                reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.",
                last_heartbeat_time=node.metadata.creation_timestamp,
                last_transition_time=now,
            )
        elif old.status == "Unknown":
            continue
        else:
            new = replace(
                old,
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                last_transition_time=now,
            )
        conditions = set_condition(conditions, new)
    return conditions


def not_ready_pod(pod: Pod, now: Time) -> Pod | None:
    """Return the pod with Ready=False, or None if it has no Ready condition that is anything else (MarkPodsNotReady).

    Reason, message and all other conditions stay, and so does the phase.
    """
    ready = pod_condition(pod, "Ready")
    if ready is None or ready.status == "False":
        return None
    conditions = set_condition(pod.status.conditions, replace(ready, status="False", last_transition_time=now))
    return replace(pod, status=replace(pod.status, conditions=conditions))


# ---- taints -------------------------------------------------------------------------------------------------------


def no_schedule_taints(node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of NoSchedule taints to add and to remove, so that they mirror conditions and cordon."""
    wanted = [
        key
        for condition in node.status.conditions
        if (key := _TAINT_OF_CONDITION.get((condition.type, condition.status))) is not None
    ]
    if node.spec.unschedulable:
        wanted.append(UNSCHEDULABLE)
    if not wanted and not node.spec.taints:
        return (), ()
    have = [t.key for t in node.spec.taints if t.effect == "NoSchedule" and t.key in _MANAGED]
    return tuple(k for k in wanted if k not in have), tuple(k for k in have if k not in wanted)


def has_no_execute(node: Node, key: str) -> bool:
    """Tell whether the node carries a NoExecute taint of that key."""
    taints = node.spec.taints
    return bool(taints) and any(t.key == key and t.effect == "NoExecute" for t in taints)


def with_taints(node: Node, effect: str, add: tuple[str, ...], remove: tuple[str, ...], now: Time) -> Node:
    """Return the node with taints of one effect added and removed, by key."""
    add = tuple(k for k in add if not any(t.key == k and t.effect == effect for t in node.spec.taints))
    taints = tuple(t for t in node.spec.taints if not (t.effect == effect and t.key in remove))
    taints += tuple(Taint(key=k, effect=effect, time_added=now) for k in add)
    return node if taints == node.spec.taints else replace(node, spec=replace(node.spec, taints=taints))


def no_execute_key(ready: Condition | None) -> str | None:
    """Return the key of the NoExecute taint that a node in this condition gets, None for a Ready one."""
    if ready is None or ready.status == "Unknown":
        return UNREACHABLE
    return NOT_READY if ready.status == "False" else None


# ---- zones --------------------------------------------------------------------------------------------------------


def zone_key(node: Node) -> str:
    """Return region and zone, "" for a node that has neither label (GetZoneKey)."""
    labels = node.metadata.labels
    region = zone = ""
    for region_label, zone_label in _ZONE_LABELS:
        if not region and region_label in labels:
            region = labels[region_label]
        if not zone and zone_label in labels:
            zone = labels[zone_label]
    return f"{region}:\x00:{zone}" if region or zone else ""


def compute_zone_state(ready: int, not_ready: int, unhealthy_zone_threshold: float) -> ZoneState:
    """Return how bad it is (ComputeZoneState)."""
    if ready == 0 and not_ready > 0:
        return "FullDisruption"
    if not_ready > 2 and not_ready / (not_ready + ready) >= unhealthy_zone_threshold:
        return "PartialDisruption"
    return "Normal"


def tainting_rate(state: ZoneState, zone_size: int, settings: NodeLifecycleSettings) -> float:
    """Return how many nodes per second may get a NoExecute taint in a zone (setLimiterInZone)."""
    if state != "PartialDisruption":
        return settings.node_eviction_rate
    large = zone_size > settings.large_cluster_size_threshold
    return settings.secondary_node_eviction_rate if large else 0.0


@dataclass(frozen=True)
class DisruptionPlan:
    """What follows from the zones' states. ``rates`` has the zones whose rate is to be set."""

    states: Mapping[str, ZoneState]
    rates: Mapping[str, float]
    stop_evictions: bool = False
    reset_probes: bool = False


def handle_disruption(
    before: Mapping[str, ZoneState], counts: Mapping[str, tuple[int, int]], settings: NodeLifecycleSettings
) -> DisruptionPlan:
    """Decide on rates from (ready, not ready) per zone at the end of a pass (handleDisruption).

    When all zones are lost, the control plane may be what is cut off: evictions stop and taints go. When that ends,
    every node gets a fresh grace period.
    """
    now = {
        zone: compute_zone_state(ready, not_ready, settings.unhealthy_zone_threshold)
        for zone, (ready, not_ready) in counts.items()
    }
    was = {zone: before.get(zone, "Initial") for zone in counts}
    all_lost = all(state == "FullDisruption" for state in now.values())
    all_were_lost = all(state == "FullDisruption" for state in was.values())
    if all_lost and all_were_lost:
        return DisruptionPlan(was, {})
    if all_lost:
        return DisruptionPlan(dict.fromkeys(now, "FullDisruption"), dict.fromkeys(now, 0.0), stop_evictions=True)
    changed = now if all_were_lost else {zone: state for zone, state in now.items() if state != was[zone]}
    rates = {zone: tainting_rate(state, sum(counts[zone]), settings) for zone, state in changed.items()}
    return DisruptionPlan(now, rates, reset_probes=all_were_lost)
