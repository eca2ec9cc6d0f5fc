"""From what the runtime says to the container statuses that the API shows.

Source: pkg/kubelet/kubelet_pods.go (convertToAPIContainerStatuses); node.md 1.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from k8sim.api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
)
from k8sim.api.struct import Time, replace
from k8sim.kubelet.restart import should_container_be_restarted
from k8sim.machines.records import CREATED, EXITED, RUNNING, ContainerRecord, RuntimePodStatus

Truncate = Callable[[int], int]
StartError = tuple[str, str]
"""Reason and message of the last failed attempt to start a container."""

STATUS_UNKNOWN = ContainerStateTerminated(exit_code=137, reason="ContainerStatusUnknown")
"""The end of a container that could not be located any more."""


def container_statuses(
    pod: Pod,
    runtime: RuntimePodStatus,
    previous: Sequence[ContainerStatus],
    containers: Sequence[Container],
    is_init: bool,
    start_errors: Mapping[str, StartError],
    truncate: Truncate,
) -> tuple[ContainerStatus, ...]:
    """Return the statuses of a list of containers.

    Parameters
    ----------
    previous
        The statuses that were last published.
    start_errors
        Why the last attempt to start a container failed, by name (the reason cache).
    truncate
        Cuts a time to the API's whole seconds.
    """
    old = {s.name: s for s in previous}
    waiting = _default_waiting(pod)
    statuses = {c.name: _default_status(c, old.get(c.name), waiting, is_init) for c in containers}
    for container in containers:
        if runtime.find(container.name) is None:
            statuses[container.name] = _lost(statuses[container.name], old.get(container.name), pod)
    _overlay(statuses, runtime, old, truncate)
    for container in containers:
        statuses[container.name] = _waiting_to_start(
            statuses[container.name], container, pod, runtime, is_init, start_errors
        )
    return tuple(statuses.values())


def _default_waiting(pod: Pod) -> ContainerState:
    reason = "PodInitializing" if pod.spec.init_containers else "ContainerCreating"
    return ContainerState(waiting=ContainerStateWaiting(reason=reason))


def _default_status(
    container: Container, old: ContainerStatus | None, waiting: ContainerState, is_init: bool
) -> ContainerStatus:
    status = ContainerStatus(name=container.name, image=container.image, state=waiting)
    if old is None:
        return status
    if is_init and old.state.terminated is not None:
        return old  # the record of an ended init container may be removed at any time
    return replace(status, restart_count=old.restart_count, last_state=old.last_state)


def _lost(status: ContainerStatus, old: ContainerStatus | None, pod: Pod) -> ContainerStatus:
    """Account for a container that ran when it was last seen and of which the runtime knows nothing (a reboot)."""
    if old is None or old.state.running is None or status.last_state.terminated is not None:
        return status
    count = status.restart_count + (0 if pod.deleting else 1)
    return replace(status, last_state=ContainerState(terminated=STATUS_UNKNOWN), restart_count=count)


def _overlay(
    statuses: dict[str, ContainerStatus],
    runtime: RuntimePodStatus,
    old: Mapping[str, ContainerStatus],
    truncate: Truncate,
) -> None:
    """Show the newest instance of each container, and the one before it as its last state."""
    seen: dict[str, int] = {}
    for record in runtime.containers:
        n = seen.get(record.name, 0)
        if record.name not in statuses or n >= 2:
            continue
        status = _convert(record, old.get(record.name), truncate)
        if n == 0:
            statuses[record.name] = replace(status, last_state=statuses[record.name].last_state)
        else:
            statuses[record.name] = replace(statuses[record.name], last_state=status.state)
        seen[record.name] = n + 1


def _convert(record: ContainerRecord, old: ContainerStatus | None, truncate: Truncate) -> ContainerStatus:
    return ContainerStatus(
        name=record.name,
        image=record.image,
        restart_count=record.restart_count,
        container_id=record.id,
        state=_state(record, old, truncate),
    )


def _state(record: ContainerRecord, old: ContainerStatus | None, truncate: Truncate) -> ContainerState:
    if record.state == RUNNING:
        return ContainerState(running=ContainerStateRunning(started_at=Time(truncate(record.started_ns))))
    if record.state == EXITED:
        return ContainerState(
            terminated=ContainerStateTerminated(
                exit_code=record.exit_code,
                reason=record.reason,
                started_at=Time(truncate(record.started_ns)),
                finished_at=Time(truncate(record.finished_ns)),
                container_id=record.id,
            )
        )
    if record.state != CREATED and old is not None and old.state.running is not None:
        return ContainerState(terminated=replace(STATUS_UNKNOWN, container_id=record.id))
    return ContainerState(waiting=ContainerStateWaiting())


def _waiting_to_start(
    status: ContainerStatus,
    container: Container,
    pod: Pod,
    runtime: RuntimePodStatus,
    is_init: bool,
    start_errors: Mapping[str, StartError],
) -> ContainerStatus:
    """Show why the last attempt to start a container failed, if the next sync is to try again.

    Attempts are recorded at the end of a sync, statuses are computed at its start: the reason shows one sync late.
    """
    error = start_errors.get(container.name)
    if error is None:
        return status
    record = runtime.find(container.name)
    if is_init and record is not None and record.state == EXITED and record.exit_code == 0:
        return status
    if not should_container_be_restarted(container, pod, runtime):
        return status
    last = status.state if status.state.terminated is not None else status.last_state
    reason, message = error
    return replace(
        status, last_state=last, state=ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message))
    )
