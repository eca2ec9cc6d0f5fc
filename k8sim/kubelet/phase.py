"""A pod's phase, from its containers' statuses (pkg/kubelet/kubelet_pods.go getPhase; node.md 1.8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8sim.api.core import Container, ContainerStatus, Pod
from k8sim.api.pods import is_sidecar, is_static_pod
from k8sim.kubelet.restart import container_should_restart

TERMINAL = ("Failed", "Succeeded")


def get_phase(pod: Pod, info: Mapping[str, ContainerStatus], pod_is_terminal: bool) -> str:
    """Return the phase.

    Parameters
    ----------
    info
        The containers' statuses by name.
    pod_is_terminal
        The kubelet has stopped all containers for good.
    """
    pending_init = running = waiting = unknown = pending_sidecar = 0
    if pod.spec.init_containers:
        failed, pending_init = _init_containers(pod, info)
        if failed:
            return "Failed"
        running, waiting, unknown, pending_sidecar = _sidecars(pod, info)
    stopped = succeeded = restartable = 0
    for container in pod.spec.containers:
        status = info.get(container.name)
        if status is None:
            unknown += 1
        elif status.state.running is not None:
            running += 1
        elif status.state.terminated is not None:
            stopped += 1
            code = status.state.terminated.exit_code
            succeeded += code == 0
            restartable += container_should_restart(container, pod.spec, code)
        elif status.state.waiting is not None:
            if status.last_state.terminated is not None:
                stopped += 1  # it waits to be restarted
                code = status.last_state.terminated.exit_code
                restartable += container_should_restart(container, pod.spec, code)
            else:
                waiting += 1
        else:
            unknown += 1
    if pending_init or (pending_sidecar and not has_any_regular_container_started(pod, info.values())) or waiting:
        return "Pending"
    if unknown:
        return "Pending"
    if running:
        return "Running"
    if not stopped:
        return "Pending"
    if (pod_is_terminal and not is_static_pod(pod)) or not restartable:
        return "Succeeded" if succeeded == stopped else "Failed"
    return "Running"


def has_any_regular_container_started(pod: Pod, statuses: Iterable[ContainerStatus]) -> bool:
    """Tell whether a regular container runs or has ended (kubecontainer.HasAnyRegularContainerStarted)."""
    names = {c.name for c in pod.spec.containers}
    return any(s.name in names and (s.state.running or s.state.terminated) is not None for s in statuses)


def _init_containers(pod: Pod, info: Mapping[str, ContainerStatus]) -> tuple[int, int]:
    """Count regular init containers that have failed for good, and those that are not through."""
    failed = pending = 0
    for container in pod.spec.init_containers:
        if is_sidecar(container.restart_policy):
            continue
        status = info.get(container.name)
        code = None if status is None else _exit_code(status)
        if code is None:
            pending += 1
        elif code != 0:
            failed += not container_should_restart(container, pod.spec, code)
    return failed, pending


def _exit_code(status: ContainerStatus) -> int | None:
    """Return the exit code of an ended container, or of one that waits after its end."""
    if status.state.terminated is not None:
        return status.state.terminated.exit_code
    if status.state.waiting is not None and status.last_state.terminated is not None:
        return status.last_state.terminated.exit_code
    return None


def _sidecars(pod: Pod, info: Mapping[str, ContainerStatus]) -> tuple[int, int, int, int]:
    running = waiting = unknown = pending = 0
    for container in _only_sidecars(pod):
        status = info.get(container.name)
        if status is None:
            unknown += 1
        elif status.state.running is not None:
            running += 1
            pending += not status.started
        elif status.state.terminated is not None:
            pass  # counts for nothing
        elif status.state.waiting is not None:
            if status.last_state.terminated is None:
                waiting += 1
                pending += 1
        else:
            unknown += 1
            pending += 1
    return running, waiting, unknown, pending


def _only_sidecars(pod: Pod) -> list[Container]:
    return [c for c in pod.spec.init_containers if is_sidecar(c.restart_policy)]
