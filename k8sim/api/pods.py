"""Small predicates on pods that several rooms share (pkg/api/v1/pod/util.go, pkg/controller/controller_utils.go)."""

from __future__ import annotations

from k8sim.api.core import Pod, PodSpec
from k8sim.api.meta import Condition, condition_of

SECOND_NS = 1_000_000_000
CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_MIRROR = "kubernetes.io/config.mirror"
"""Annotations of static pods and of their mirrors (pkg/kubelet/types/pod_update.go)."""


def pod_condition(pod: Pod, type_: str) -> Condition | None:
    """Return the pod's condition of that type, if present."""
    return condition_of(pod.status.conditions, type_)


def is_pod_ready(pod: Pod) -> bool:
    """Tell whether condition Ready is True (phase is not consulted)."""
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return condition.status == "True"
    return False


def is_pod_terminal(pod: Pod) -> bool:
    """Tell whether the phase is Failed or Succeeded."""
    return pod.status.phase in ("Failed", "Succeeded")


def is_pod_active(pod: Pod) -> bool:
    """Tell whether the pod is neither ended nor being deleted (controller.IsPodActive)."""
    return not is_pod_terminal(pod) and not pod.deleting


def goes_on(old: Pod, new: Pod) -> bool:
    """Tell whether a pod that is on a node stays in its phase, and neither ends nor is being deleted."""
    return (
        old.status.phase == new.status.phase
        and new.metadata.deletion_timestamp is None
        and bool(new.spec.node_name)
        and new.status.phase not in ("Failed", "Succeeded")
    )


def is_mirror_pod(pod: Pod) -> bool:
    """Tell whether the object only shows a static pod (kubetypes.IsMirrorPod)."""
    return CONFIG_MIRROR in pod.metadata.annotations


def is_static_pod(pod: Pod) -> bool:
    """Tell whether a kubelet runs the pod from a manifest of its own; not its mirror (kubetypes.IsStaticPod)."""
    annotations = pod.metadata.annotations
    return CONFIG_SOURCE in annotations and CONFIG_MIRROR not in annotations


def runtime_uid(pod: Pod) -> str:
    """Return the UID under which the pod's node runs it: that of the static pod, if the object is a mirror."""
    return pod.metadata.annotations.get(CONFIG_MIRROR) or pod.metadata.uid


def is_running_and_ready(pod: Pod) -> bool:
    """Tell whether the phase is Running and condition Ready is True."""
    return pod.status.phase == "Running" and is_pod_ready(pod)


def is_pod_available(pod: Pod, min_ready_seconds: int, now_ns: int) -> bool:
    """Tell whether the pod has been Ready for ``min_ready_seconds`` (podutil.IsPodAvailable)."""
    ready = pod_condition(pod, "Ready")
    if ready is None or ready.status != "True":
        return False
    if min_ready_seconds == 0:
        return True
    since = ready.last_transition_time
    return since is not None and since + min_ready_seconds * SECOND_NS <= now_ns


def claim_names(pod: Pod) -> list[str]:
    """Return the names of the claims that the pod uses, generic ephemeral ones included, in volume order."""
    names = []
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            names.append(volume.persistent_volume_claim.claim_name)
        elif volume.ephemeral is not None:
            names.append(f"{pod.name}-{volume.name}")
    return names


def is_volume_pod_terminated(pod: Pod) -> bool:
    """Tell whether storage code counts the pod as terminated (pkg/volume/util IsPodTerminated).

    Terminal phase, or being deleted with no container known to run: a pod deleted while ContainerCreating counts.
    """
    if is_pod_terminal(pod):
        return True
    if not pod.deleting:
        return False
    statuses = pod.status.init_container_statuses + pod.status.container_statuses
    return not any(s.state.running is not None for s in statuses)


def is_sidecar(container_restart_policy: str | None) -> bool:
    """Tell whether an init container with this restartPolicy is a restartable one (sidecar)."""
    return container_restart_policy == "Always"


def all_containers(spec: PodSpec) -> tuple[tuple[str, bool], ...]:
    """Return (name, is_init) of every container of a pod, init containers first."""
    return tuple((c.name, True) for c in spec.init_containers) + tuple((c.name, False) for c in spec.containers)
