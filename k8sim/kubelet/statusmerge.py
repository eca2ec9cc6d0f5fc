"""What of a pod's status the kubelet may write: merged with the stored one, terminal only when nothing runs.

Source: pkg/kubelet/status/status_manager.go (mergePodStatus, isPodStatusByKubeletEqual, TerminatePod,
checkContainerStateTransition, canBeDeleted); node.md 1.10.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8sim.api.core import ContainerState, ContainerStatus, Pod, PodStatus
from k8sim.api.meta import Condition, condition_of, set_condition
from k8sim.api.pods import is_sidecar
from k8sim.api.struct import Time, replace
from k8sim.kubelet.conditions import OWNED, OWNED_OR_SHARED, SHARED
from k8sim.kubelet.containerstatus import STATUS_UNKNOWN
from k8sim.kubelet.phase import TERMINAL
from k8sim.kubelet.restart import all_containers_could_restart, container_should_restart


def merge_pod_status(old: PodStatus, new: PodStatus, could_have_running_containers: bool, now: Time) -> PodStatus:
    """Return the status to write: foreign conditions kept, a terminal phase withheld while a container may run."""
    ending = old.phase not in TERMINAL and new.phase in TERMINAL
    merged = new
    if not _nothing_to_keep(old, new):
        conditions = _merged_conditions(old, new, ending and not could_have_running_containers)
        merged = replace(new, conditions=conditions, nominated_node_name=old.nominated_node_name)
    if ending and could_have_running_containers:
        merged = replace(merged, phase=old.phase, reason=old.reason, message=old.message)
    if merged.phase in TERMINAL:
        merged = _not_ready(merged, now)
    return merged


def _nothing_to_keep(old: PodStatus, new: PodStatus) -> bool:
    """Tell whether all that is stored is the kubelet's own, as it mostly is: the new status can take its place."""
    for condition in (*old.conditions, *new.conditions):
        if condition.type not in OWNED:
            return False
    return old.nominated_node_name == new.nominated_node_name


def _merged_conditions(old: PodStatus, new: PodStatus, takes_shared: bool) -> tuple[Condition, ...]:
    foreign = [c for c in old.conditions if c.type not in OWNED_OR_SHARED]
    owned = [c for c in new.conditions if c.type in OWNED]
    shared = {c.type: c for c in old.conditions if c.type in SHARED}
    if takes_shared:
        shared |= {c.type: c for c in new.conditions if c.type in SHARED}
    return (*foreign, *owned, *shared.values())


def _not_ready(status: PodStatus, now: Time) -> PodStatus:
    """Force Ready and ContainersReady to False: a terminal pod is never shown ready."""
    reason = "PodCompleted" if status.phase == "Succeeded" else "PodFailed"
    conditions = status.conditions
    for type_ in ("ContainersReady", "Ready"):
        condition = condition_of(conditions, type_)
        if condition is not None and condition.status == "True":
            changed = Condition(type=type_, status="False", reason=reason, last_transition_time=now)
            conditions = set_condition(conditions, changed)
    return status if conditions is status.conditions else replace(status, conditions=conditions)


def same_for_kubelet(a: PodStatus, b: PodStatus) -> bool:
    """Tell whether two statuses are the same but for conditions of others (isPodStatusByKubeletEqual)."""
    if a is b or a == b:
        return True
    if not _same_conditions(a.conditions, b.conditions):
        return False
    return replace(a, conditions=b.conditions, nominated_node_name=b.nominated_node_name) == b


def _same_conditions(a: tuple[Condition, ...], b: tuple[Condition, ...]) -> bool:
    """Compare the kubelet's conditions, whatever their order; mostly both have the same one."""
    for x, y in zip(a, b, strict=False):
        if x.type != y.type:
            break
        if x != y and x.type in OWNED_OR_SHARED:
            return False
    else:
        if len(a) == len(b):
            return True
    mine_a = {c.type: c for c in a if c.type in OWNED_OR_SHARED}
    mine_b = {c.type: c for c in b if c.type in OWNED_OR_SHARED}
    return mine_a == mine_b


def transition_allowed(old: PodStatus, new: PodStatus, pod: Pod) -> bool:
    """Tell whether no container leaves Terminated that may not restart (checkContainerStateTransition)."""
    spec = pod.spec
    if spec.restart_policy == "Always" or all_containers_could_restart(spec):
        return True
    for containers, before, after in (
        (spec.containers, old.container_statuses, new.container_statuses),
        (spec.init_containers, old.init_container_statuses, new.init_container_statuses),
    ):
        now = {s.name: s for s in after}
        by_name = {c.name: c for c in containers}
        for status in before:
            ended = status.state.terminated
            container = by_name.get(status.name)
            if ended is None or container is None or is_sidecar(container.restart_policy):
                continue
            if container_should_restart(container, spec, ended.exit_code):
                continue
            later = now.get(status.name)
            if later is not None and later.state.terminated is None:
                return False
    return True


def terminated_status(pod: Pod, status: PodStatus) -> PodStatus:
    """Return the final status of a pod whose containers are gone (TerminatePod).

    Containers that are not shown as ended are so now, with code 137; a phase that is not terminal becomes Failed.
    """
    regular = status.container_statuses
    if _has_pod_initialized(pod, status):
        regular = tuple([_ended(s) for s in regular])
    inits = status.init_container_statuses
    if inits:
        n = _initialized_containers(inits)
        inits = (*[_ended(s) for s in inits[:n]], *inits[n:])
    phase = status.phase if status.phase in TERMINAL else "Failed"
    return replace(status, phase=phase, container_statuses=regular, init_container_statuses=inits)


def _ended(status: ContainerStatus) -> ContainerStatus:
    if status.state.terminated is not None:
        return status
    return replace(status, state=ContainerState(terminated=STATUS_UNKNOWN))


def _has_pod_initialized(pod: Pod, status: PodStatus) -> bool:
    if not pod.spec.init_containers:
        return True
    if any(s.last_state.terminated is not None or s.state.waiting is None for s in status.container_statuses):
        return True
    if not status.init_container_statuses:
        return False
    last = status.init_container_statuses[-1]
    if is_sidecar(pod.spec.init_containers[-1].restart_policy):
        return last.state.running is not None and bool(last.started)
    return last.state.terminated is not None and last.state.terminated.exit_code == 0


def _initialized_containers(statuses: Sequence[ContainerStatus]) -> int:
    """Count the init containers that have tried to start; the first one always counts."""
    for i in range(len(statuses) - 1, -1, -1):
        if statuses[i].state.waiting is None or statuses[i].last_state.terminated is not None:
            return i + 1
    return min(1, len(statuses))
