"""Which pods a DaemonSet creates and deletes, and its status.

Source: pkg/controller/daemon/daemon_controller.go (manage, podsShouldBeOnNode), update.go (rollingUpdate).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from k8sim.api.apps import DaemonSet, DaemonSetStatus
from k8sim.api.core import Node, Pod
from k8sim.api.pods import is_pod_available, is_pod_ready
from k8sim.api.struct import IntOrString
from k8sim.controllers.daemonset.nodes import HASH_LABEL, node_should_run_daemon_pod

BURST_REPLICAS = 250
PodsByNode = Mapping[str, Sequence[Pod]]


@dataclass
class Plan:
    """Nodes that need a pod, pods to delete, and ended pods among them (which are deleted with a back-off)."""

    create_on: list[str] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)
    ended: list[Pod] = field(default_factory=list)


def by_age(pods: Sequence[Pod]) -> list[Pod]:
    """Return pods that are on a node first, then the oldest first (podByCreationTimestampAndPhase)."""
    return sorted(pods, key=lambda p: (not p.spec.node_name, p.metadata.creation_timestamp or 0, p.name))


def manage(daemon_set: DaemonSet, nodes: Sequence[Node], pods: PodsByNode, hash_: str, now_ns: int) -> Plan:
    """Decide what is missing and what is too much, node by node."""
    plan = Plan()
    for node in nodes:
        fit = node_should_run_daemon_pod(node, daemon_set)
        here = pods.get(node.name, ())
        if fit.should_run and not here:
            plan.create_on.append(node.name)
        elif fit.should_continue:
            _tidy_node(daemon_set, here, hash_, now_ns, plan)
        else:
            plan.delete += [p for p in here if not p.deleting]
    known = {node.name for node in nodes}
    for name, orphaned in pods.items():  # not scheduled yet, and its node is gone
        plan.delete += [p for p in orphaned if name not in known and not p.spec.node_name and not p.deleting]
    return plan


def _tidy_node(daemon_set: DaemonSet, here: Sequence[Pod], hash_: str, now_ns: int, plan: Plan) -> None:
    alive = [p for p in here if not p.deleting]
    plan.ended += [p for p in alive if p.status.phase in ("Failed", "Succeeded")]
    running = by_age([p for p in alive if p.status.phase not in ("Failed", "Succeeded")])
    if len(running) <= 1:
        return
    if not allows_surge(daemon_set):
        plan.delete += running[1:]
        return
    new = next((p for p in running if is_updated(p, hash_)), None)
    old = next((p for p in running if not is_updated(p, hash_)), None)
    plan.delete += [p for p in running if p is not new and p is not old]
    if new is not None and old is not None:
        if not is_pod_ready(old) or is_pod_available(new, daemon_set.spec.min_ready_seconds, now_ns):
            plan.delete.append(old)


def is_updated(pod: Pod, hash_: str) -> bool:
    """Tell whether a pod was made from the template of that hash."""
    return pod.metadata.labels.get(HASH_LABEL) == hash_


def allows_surge(daemon_set: DaemonSet) -> bool:
    """Tell whether an update starts the new pod of a node before it ends the old one."""
    rolling = daemon_set.spec.update_strategy.rolling_update
    return rolling is not None and _scaled(rolling.max_surge, 100) > 0


def _scaled(value: IntOrString | None, total: int) -> int:
    """Return a number, or a percentage rounded up."""
    if isinstance(value, str):
        return -(-int(value.rstrip("%")) * total // 100)
    return value or 0


def bounds(daemon_set: DaemonSet, desired: int) -> tuple[int, int]:
    """Return maxSurge and maxUnavailable as numbers; if both are 0, one pod may be unavailable."""
    rolling = daemon_set.spec.update_strategy.rolling_update
    if rolling is None:
        return 0, 1
    surge, unavailable = _scaled(rolling.max_surge, desired), _scaled(rolling.max_unavailable, desired)
    return surge, unavailable if surge or unavailable else 1


def rolling_update(daemon_set: DaemonSet, nodes: Sequence[Node], pods: PodsByNode, hash_: str, now_ns: int) -> Plan:
    """Decide which old pods to delete now (or, with maxSurge, on which nodes to add a new one first)."""
    desired = [n.name for n in nodes if node_should_run_daemon_pod(n, daemon_set).should_run]
    max_surge, max_unavailable = bounds(daemon_set, len(desired))
    min_ready = daemon_set.spec.min_ready_seconds
    busy = 0
    free: list[Pod] = []
    candidates: list[Pod] = []
    plan = Plan()
    for name in [n for n in pods if pods[n]]:
        alive = [p for p in pods[name] if not p.deleting]
        new = [p for p in alive if is_updated(p, hash_)]
        old = [p for p in alive if not is_updated(p, hash_)]
        if len(new) > 1 or len(old) > 1:
            busy += 1  # the manage loop cleans this node up first
        elif max_surge:
            if old and not new:
                (candidates if is_pod_available(old[0], min_ready, now_ns) else free).append(old[0])
            elif old and is_pod_available(new[0], min_ready, now_ns):
                plan.delete.append(old[0])
            elif old:
                busy += 1
        elif bool(new) == bool(old):
            busy += 1
        elif new:
            busy += not is_pod_available(new[0], min_ready, now_ns)
        else:
            (candidates if is_pod_available(old[0], min_ready, now_ns) else free).append(old[0])
    room = max(0, (max_surge or max_unavailable) - busy)
    chosen = free + candidates[:room]
    if max_surge:
        plan.create_on = [p.spec.node_name for p in chosen if p.spec.node_name]
    else:
        plan.delete = chosen
    return plan


def status_of(
    daemon_set: DaemonSet, nodes: Sequence[Node], pods: PodsByNode, hash_: str, now_ns: int, generation: int
) -> DaemonSetStatus:
    """Count nodes: those that should and do run a pod, and how these pods are (updateDaemonSetStatus)."""
    desired = scheduled = misscheduled = ready = available = updated = 0
    for node in nodes:
        here = pods.get(node.name, ())
        if not node_should_run_daemon_pod(node, daemon_set).should_run:
            misscheduled += bool(here)
            continue
        desired += 1
        if not here:
            continue
        scheduled += 1
        pod = by_age(here)[0]
        if is_pod_ready(pod):
            ready += 1
            available += is_pod_available(pod, daemon_set.spec.min_ready_seconds, now_ns)
        updated += is_updated(pod, hash_)
    return DaemonSetStatus(
        observed_generation=generation,
        current_number_scheduled=scheduled,
        desired_number_scheduled=desired,
        number_misscheduled=misscheduled,
        number_ready=ready,
        number_available=available,
        number_unavailable=desired - available,
        updated_number_scheduled=updated,
    )
