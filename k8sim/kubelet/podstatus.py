"""The whole status of a pod as the kubelet computes it, before probes are consulted for started and ready.

Source: pkg/kubelet/kubelet_pods.go (generateAPIPodStatus, convertStatusToAPIStatus); node.md 1.7-1.9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k8sim.api.core import ContainerStatus, Pod, PodIP, PodSpec, PodStatus
from k8sim.api.meta import Condition
from k8sim.api.resources import qos_class
from k8sim.kubelet import conditions
from k8sim.kubelet.actions import pod_sandbox_changed
from k8sim.kubelet.conditions import OWNED, SHARED, Info
from k8sim.kubelet.containerstatus import StartError, Truncate, container_statuses
from k8sim.kubelet.phase import TERMINAL, get_phase
from k8sim.kubelet.restart import all_containers_could_restart, should_all_containers_restart
from k8sim.machines.records import RuntimePodStatus

Statuses = tuple[ContainerStatus, ...]
Basis = tuple[PodSpec, RuntimePodStatus, bool]
"""What a status follows from, together with the statuses of the containers: spec, runtime, stopped for good or not."""
FillFromProbes = Callable[[Pod, Statuses, Statuses, PodStatus], tuple[Statuses, Statuses]]


def basis_of(pod: Pod, runtime: RuntimePodStatus, pod_is_terminal: bool) -> Basis | None:
    """Return the basis of a pod's status, or None if what the API says of the pod plays a part, too."""
    said = pod.status
    if said.phase in TERMINAL or said.reason or said.message:
        return None
    for condition in said.conditions:
        if condition.type not in OWNED:
            return None
    return pod.spec, runtime, pod_is_terminal


def generate_api_pod_status(
    pod: Pod,
    runtime: RuntimePodStatus,
    previous: PodStatus,
    start_errors: Mapping[str, StartError],
    truncate: Truncate,
    host_ip: str,
    pod_is_terminal: bool,
    eviction: tuple[str, str] | None,
    fill_from_probes: FillFromProbes,
    same_basis: bool = False,
) -> PodStatus:
    """Return the status to publish; times of conditions are the status manager's.

    Parameters
    ----------
    previous
        The last status of the cache, or the API's.
    pod_is_terminal
        All containers have been stopped for good.
    eviction
        Reason and message if the kubelet wants the pod to fail (a deadline).
    fill_from_probes
        Sets the started and ready flags of the regular and the init containers, given the last status.
    same_basis
        The last status has the same basis: if its containers show the same again, it is returned itself.
    """
    spec = pod.spec
    regular = container_statuses(
        pod, runtime, previous.container_statuses, spec.containers, False, start_errors, truncate
    )
    inits: Statuses = ()
    if spec.init_containers:
        inits = container_statuses(
            pod, runtime, previous.init_container_statuses, spec.init_containers, True, start_errors, truncate
        )
    regular, inits = fill_from_probes(pod, regular, inits, previous)
    if same_basis and regular == previous.container_statuses and inits == previous.init_container_statuses:
        return previous
    info = {s.name: s for s in (*regular, *inits)}
    phase, reason, message = _phase(pod, info, previous, pod_is_terminal, eviction)
    ip = host_ip if spec.host_network else runtime.ip
    return PodStatus(
        phase=phase,
        conditions=_conditions(pod, runtime, info, phase, previous),
        reason=reason,
        message=message,
        host_ip=host_ip,
        pod_ip=ip,
        pod_ips=(PodIP(ip=ip),) if ip else (),
        start_time=previous.start_time,
        init_container_statuses=inits,
        container_statuses=regular,
        qos_class=previous.qos_class or qos_class(pod),
    )


def _phase(
    pod: Pod, info: Info, previous: PodStatus, pod_is_terminal: bool, eviction: tuple[str, str] | None
) -> tuple[str, str, str]:
    phase = get_phase(pod, info, pod_is_terminal)
    if phase not in TERMINAL:
        for earlier in (previous.phase, pod.status.phase):
            if earlier in TERMINAL:
                phase = earlier
                break
    reason = message = ""
    if phase == previous.phase:
        reason, message = previous.reason or pod.status.reason, previous.message or pod.status.message
    if eviction is not None:
        phase, (reason, message) = "Failed", eviction
    if pod.status.phase in TERMINAL:
        phase = pod.status.phase
    return phase, reason, message


def _conditions(
    pod: Pod, runtime: RuntimePodStatus, info: Info, phase: str, previous: PodStatus
) -> tuple[Condition, ...]:
    foreign: list[Condition] = []
    shared: list[Condition] = []
    for condition in pod.status.conditions:
        if condition.type not in OWNED:
            (shared if condition.type in SHARED else foreign).append(condition)
    has_sandbox = not pod_sandbox_changed(pod, runtime)[0]
    restarting: tuple[Condition, ...] = ()
    if all_containers_could_restart(pod.spec):
        begun = bool(runtime.containers) and should_all_containers_restart(pod, runtime, previous)
        restarting = (conditions.all_containers_restarting(begun, phase),)
    containers_ready = conditions.containers_ready(pod, info, phase)
    # Shared ones come last, as in the stored status (`merge_pod_status`): the two are compared by position.
    return (
        *foreign,
        *restarting,
        conditions.READY_TO_START_CONTAINERS[has_sandbox],
        conditions.initialized(pod, info, phase),
        conditions.ready(pod, containers_ready, (*foreign, *shared)),
        containers_ready,
        conditions.POD_SCHEDULED,
        *shared,
    )
