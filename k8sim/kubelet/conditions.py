"""The conditions of a pod that the kubelet owns (pkg/kubelet/status/generate.go; node.md 1.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from k8sim.api.core import ContainerStatus, Pod
from k8sim.api.meta import Condition, condition_of
from k8sim.api.pods import is_sidecar
from k8sim.api.struct import Time, replace
from k8sim.kubelet.phase import has_any_regular_container_started
from k8sim.kubelet.restart import ALL_CONTAINERS_RESTARTING

OWNED = frozenset((
    "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", ALL_CONTAINERS_RESTARTING,
))  # fmt: skip
"""Condition types of the kubelet alone (kubetypes.PodConditionByKubelet)."""
SHARED = frozenset(("DisruptionTarget",))
"""Condition types that the kubelet may set among others (kubetypes.PodConditionSharedByKubelet)."""
OWNED_OR_SHARED = OWNED | SHARED

READY_TO_START_CONTAINERS = {
    True: Condition(type="PodReadyToStartContainers", status="True"),
    False: Condition(type="PodReadyToStartContainers", status="False"),
}
"""The condition while a ready sandbox with its network exists, and while none does."""
POD_SCHEDULED = Condition(type="PodScheduled", status="True")
_INITIALIZED = Condition(type="Initialized", status="True")
_CONTAINERS_READY = Condition(type="ContainersReady", status="True")
_READY = Condition(type="Ready", status="True")
_REASON_WHEN_OVER = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}
_CONTAINERS_OVER = {
    phase: Condition(type="ContainersReady", status="False", reason=reason)
    for phase, reason in _REASON_WHEN_OVER.items()
}
Info = Mapping[str, ContainerStatus]


def initialized(pod: Pod, info: Info, phase: str) -> Condition:
    """Return Initialized: True once init containers are through; it stays when a container has started."""
    unknown: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    for container in pod.spec.init_containers:
        status = info.get(container.name)
        if status is None:
            unknown += (container.name,)
        elif not (status.started if is_sidecar(container.restart_policy) else status.ready):
            incomplete += (container.name,)
    if phase == "Succeeded" and not unknown:
        return Condition(type="Initialized", status="True", reason="PodCompleted")
    if (unknown or incomplete) and not has_any_regular_container_started(pod, info.values()):
        return Condition(
            type="Initialized",
            status="False",
            reason="ContainersNotInitialized",
            message=_names("with incomplete status", incomplete, unknown),
        )
    return _INITIALIZED


def containers_ready(pod: Pod, info: Info, phase: str) -> Condition:
    """Return ContainersReady: all containers, sidecars among them, are ready."""
    unknown: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    containers = pod.spec.containers
    if pod.spec.init_containers:
        containers = (*[c for c in pod.spec.init_containers if is_sidecar(c.restart_policy)], *containers)
    for container in containers:
        status = info.get(container.name)
        if status is None:
            unknown += (container.name,)
        elif not status.ready:
            unready += (container.name,)
    if phase == "Failed" or (phase == "Succeeded" and not unknown):
        return _CONTAINERS_OVER[phase]
    if unknown or unready:
        return _containers_not_ready(unready, unknown)
    return _CONTAINERS_READY


@lru_cache(maxsize=1024)  # the pods of a template say the same
def _containers_not_ready(unready: tuple[str, ...], unknown: tuple[str, ...]) -> Condition:
    message = _names("with unready status", unready, unknown)
    return Condition(type="ContainersReady", status="False", reason="ContainersNotReady", message=message)


@lru_cache(maxsize=1024)
def _not_ready(base: Condition) -> Condition:
    return replace(base, type="Ready")


def ready(pod: Pod, base: Condition, conditions: tuple[Condition, ...]) -> Condition:
    """Return Ready: ContainersReady (``base``), and every readiness gate's condition is True."""
    if base.status != "True":
        return _not_ready(base)
    missing = []
    for gate in pod.spec.readiness_gates:
        condition = condition_of(conditions, gate.condition_type)
        if condition is None or condition.status != "True":
            missing.append(gate.condition_type)
    if missing:
        message = f"readiness gates not True: {', '.join(missing)}"
        return Condition(type="Ready", status="False", reason="ReadinessGatesNotReady", message=message)
    return _READY


def all_containers_restarting(restarting: bool, phase: str) -> Condition:
    """Return AllContainersRestarting: True from the exit that brings it about until all containers are removed."""
    if phase in _REASON_WHEN_OVER:
        return Condition(type=ALL_CONTAINERS_RESTARTING, status="False", reason=_REASON_WHEN_OVER[phase])
    if not restarting:
        return Condition(type=ALL_CONTAINERS_RESTARTING, status="False")
    return Condition(
        type=ALL_CONTAINERS_RESTARTING,
        status="True",
        reason="RestartAllContainersStarted",
        message="container exited with restart policy rule",
    )


def with_transition_times(
    new: tuple[Condition, ...], old: tuple[Condition, ...], now: Time, given: tuple[Condition, ...] = ()
) -> tuple[Condition, ...]:
    """Give every owned condition the time of its last change of status (updateLastTransitionTime).

    An earlier condition mostly has the place of the new one, so that it need not be looked for.

    Parameters
    ----------
    given
        What the old ones were made of, if that is known: given again, they stand.
    """
    if new is old or (given and new == given):
        return old
    result, n = list(new), len(old)
    for i, condition in enumerate(new):
        if condition.type not in OWNED_OR_SHARED:
            continue
        in_place = i < n and old[i].type == condition.type
        before = old[i] if in_place else condition_of(old, condition.type)
        since = now
        if before is not None and before.status == condition.status:
            if before.reason == condition.reason and before.message == condition.message:
                result[i] = before
                continue
            since = before.last_transition_time or now
        result[i] = replace(condition, last_transition_time=since)
    return tuple(result)


def _names(what: str, names: Sequence[str], unknown: Sequence[str]) -> str:
    parts = [f"containers with unknown status: [{' '.join(unknown)}]"] if unknown else []
    parts += [f"containers {what}: [{' '.join(names)}]"] if names else []
    return ", ".join(parts)
