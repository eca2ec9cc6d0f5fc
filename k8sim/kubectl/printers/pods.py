"""The row of a pod: what its STATUS column says is computed from phase, reasons and container states (printPod)."""

from __future__ import annotations

from typing import NamedTuple

from k8sim.api.core import ContainerStateTerminated, ContainerStatus, Pod
from k8sim.api.meta import condition_of
from k8sim.api.pods import is_pod_ready, is_pod_terminal, is_sidecar
from k8sim.kubectl.printers.text import NONE, age

POD_COLUMNS = ("Name", "Ready", "Status", "Restarts", "Age")
POD_WIDE = ("IP", "Node", "Nominated Node", "Readiness Gates")


class PodSummary(NamedTuple):
    """The four things that a pod's row says of its containers."""

    ready: int
    total: int
    status: str
    restarts: int
    last_restart_ns: int | None


def pod_status(pod: Pod) -> str:
    """Return the STATUS column."""
    return summary(pod).status


def summary(pod: Pod) -> PodSummary:
    """Return what a pod's row says."""
    reason = pod.status.reason or pod.status.phase
    scheduled = condition_of(pod.status.conditions, "PodScheduled")
    if scheduled is not None and scheduled.reason == "SchedulingGated":
        reason = "SchedulingGated"
    sidecars = {c.name for c in pod.spec.init_containers if is_sidecar(c.restart_policy)}
    inits = pod.status.init_container_statuses
    ready, init_reason = _initialization(pod, sidecars)
    counted: tuple[ContainerStatus, ...] = inits
    initialized = condition_of(pod.status.conditions, "Initialized")
    if init_reason:
        reason = init_reason
    if not init_reason or (initialized is not None and initialized.status == "True"):
        reason, running = _running(pod, reason)
        ready += running
        counted = (*(s for s in inits if s.name in sidecars), *pod.status.container_statuses)
    if pod.deleting and pod.status.reason == "NodeLost":
        reason = "Unknown"
    elif pod.deleting and not is_pod_terminal(pod):
        reason = "Terminating"
    ends = [s.last_state.terminated.finished_at for s in counted if s.last_state.terminated is not None]
    return PodSummary(
        ready,
        len(pod.spec.containers) + len(sidecars),
        reason,
        sum(s.restart_count for s in counted),
        max((t for t in ends if t is not None), default=None),
    )


def _initialization(pod: Pod, sidecars: set[str]) -> tuple[int, str]:
    """Return how many sidecars are ready, and where initialization stands ("" if it is over)."""
    ready = 0
    for i, status in enumerate(pod.status.init_container_statuses):
        terminated, waiting = status.state.terminated, status.state.waiting
        if terminated is not None and terminated.exit_code == 0:
            continue
        if status.name in sidecars and status.started:
            ready += status.ready
            continue
        if terminated is not None:
            return ready, f"Init:{_ended(terminated)}"
        if waiting is not None and waiting.reason not in ("", "PodInitializing"):
            return ready, f"Init:{waiting.reason}"
        return ready, f"Init:{i}/{len(pod.spec.init_containers)}"
    return ready, ""


def _running(pod: Pod, reason: str) -> tuple[str, int]:
    """Return the status that the containers give (of several the first one's), and how many are ready."""
    ready = 0
    for status in reversed(pod.status.container_statuses):
        terminated, waiting = status.state.terminated, status.state.waiting
        if waiting is not None and waiting.reason:
            reason = waiting.reason
        elif terminated is not None:
            reason = _ended(terminated)
        elif status.ready and status.state.running is not None:
            ready += 1
    if reason == "Completed" and ready:
        reason = "Running" if is_pod_ready(pod) else "NotReady"
    return reason, ready


def _ended(terminated: ContainerStateTerminated) -> str:
    return terminated.reason or f"ExitCode:{terminated.exit_code}"


def pod_row(pod: Pod, now_ns: int) -> list[str]:
    """Return the cells of a pod, those of ``-o wide`` last."""
    said = summary(pod)
    restarts = str(said.restarts)
    if said.restarts and said.last_restart_ns is not None:
        restarts += f" ({age(said.last_restart_ns, now_ns)} ago)"
    return [
        pod.name,
        f"{said.ready}/{said.total}",
        said.status,
        restarts,
        age(pod.metadata.creation_timestamp, now_ns),
        (pod.status.pod_ips[0].ip if pod.status.pod_ips else pod.status.pod_ip) or NONE,
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        _gates(pod),
    ]


def _gates(pod: Pod) -> str:
    if not pod.spec.readiness_gates:
        return NONE
    found = [condition_of(pod.status.conditions, gate.condition_type) for gate in pod.spec.readiness_gates]
    true = sum(condition is not None and condition.status == "True" for condition in found)
    return f"{true}/{len(found)}"
