"""Why a pod is not there or not ready, in words, from what the API server was told and by whom."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from k8sim.api.apps import StatefulSet
from k8sim.api.core import ContainerStateTerminated, ContainerStatus, Pod
from k8sim.api.pods import is_pod_ready, pod_condition
from k8sim.apiserver.watch import Change
from k8sim.sim.units import SECOND, format_duration

REVISION: Final = "controller-revision-hash"
UPDATED: Final = "updated"
REPLACED: Final = "replaced by its set"
DELETED_BY: Final = {
    "kubectl": "deleted with kubectl",
    "tainteviction": "evicted by a taint of its node",
    "podgc": "removed with its node",
    "garbagecollector": "deleted with its owner",
    "namespace": "deleted with its namespace",
    "kube-scheduler": "preempted",
}
"""Actor -> what its deleting a pod means; the controllers of workloads delete for reasons of their own."""


def why_deleted(change: Change, pod: Pod, owner: StatefulSet | None) -> str:
    """Return why a pod was deleted that should have stayed."""
    target = pod_condition(pod, "DisruptionTarget")
    if target is not None and target.reason == "EvictionByEvictionAPI":
        return "evicted"
    if owner is not None and change.actor.startswith("statefulset"):
        return UPDATED if pod.metadata.labels.get(REVISION) != owner.status.update_revision else REPLACED
    return DELETED_BY.get(change.actor, f"deleted by {change.actor}" if change.actor else "deleted")


def why_not_ready(change: Change, pod: Pod) -> str:
    """Return why a pod that stays has lost its Ready condition."""
    if not change.actor.startswith("kubelet"):
        return f"node {pod.spec.node_name} not Ready"
    if pod.status.phase == "Failed" and pod.status.reason:  # the kubelet gave it up: pressure, shutdown, deadline
        return f"{pod.status.reason}: {pod.status.message.rstrip('.')}".rstrip(": ")
    old = change.old
    before = {s.name: s for s in _statuses(old)} if isinstance(old, Pod) else {}
    for status in _statuses(pod):
        was = before.get(status.name)
        for state in (status.state, status.last_state):
            ended = state.terminated
            if ended is None or (was is not None and ended in (was.state.terminated, was.last_state.terminated)):
                continue
            return how_it_ended(status.name, ended)
    return "readiness probe failed"


def how_it_ended(container: str, ended: ContainerStateTerminated) -> str:
    """Return how a container ended, with the reason if it says more than the code does."""
    text = f"{container} exited with code {ended.exit_code}"
    return text if ended.reason in ("", "Completed", "Error") else f"{text} ({ended.reason})"


def pod_state(pod: Pod, now_ns: int, lost_nodes: Collection[str]) -> str:
    """Return how a pod is, in words; "Ready" when all is well.

    Parameters
    ----------
    lost_nodes
        Names of the nodes that are not Ready: nothing can end there.
    """
    meta = pod.metadata
    if meta.deletion_timestamp is not None:
        asked_ns = meta.deletion_timestamp - (meta.deletion_grace_period_seconds or 0) * SECOND
        took = format_duration(round((now_ns - asked_ns) / SECOND) * SECOND)
        held = f", node {pod.spec.node_name} not Ready" if pod.spec.node_name in lost_nodes else ""
        return f"Terminating for {took}{held}"
    if is_pod_ready(pod):
        return "Ready"
    if pod.status.phase in ("Failed", "Succeeded"):
        return pod.status.reason or pod.status.phase
    scheduled = pod_condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        message = scheduled.message.partition(" preemption: ")[0]
        return f"Unschedulable: {message}" if message else "Unschedulable"
    for status in _statuses(pod):
        if status.state.waiting is not None and status.state.waiting.reason not in ("", "PodInitializing"):
            return f"{status.name}: {status.state.waiting.reason}"
        if status.state.terminated is not None and status in pod.status.container_statuses:
            return how_it_ended(status.name, status.state.terminated)
    return "running, not Ready" if pod.status.phase == "Running" else "Pending"


def _statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    return pod.status.init_container_statuses + pod.status.container_statuses
