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
from k8sim.machines.image import digest
from k8sim.machines.records import CREATED, EXITED, RUNNING, ContainerRecord, RuntimePodStatus

Truncate = Callable[[int], int]
StartError = tuple[str, str]
"""Reason and message of the last failed attempt to start a container."""

NO_STATE = ContainerState()
_INITIALIZING = ContainerState(waiting=ContainerStateWaiting(reason="PodInitializing"))
_CREATING = ContainerState(waiting=ContainerStateWaiting(reason="ContainerCreating"))
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
    statuses = []
    for container in containers:
        newest = earlier = None
        for record in runtime.containers:
            if record.name == container.name:
                if newest is not None:
                    earlier = record
                    break
                newest = record
        before = status_of(previous, container.name)
        if newest is None:
            status = _unseen(container, before, pod, is_init)
        elif earlier is None and before is not None and _goes_on(newest, before):
            status = before
        else:
            status = _seen(newest, earlier, before, truncate)
        if container.name in start_errors and _shows_start_error(container, pod, runtime, is_init):
            status = _waiting_to_start(status, start_errors[container.name])
        statuses.append(status)
    return tuple(statuses)


def status_of(statuses: Sequence[ContainerStatus], name: str) -> ContainerStatus | None:
    """Return the status of the container of that name, if there is one."""
    for status in statuses:
        if status.name == name:
            return status
    return None


def _seen(
    newest: ContainerRecord, earlier: ContainerRecord | None, old: ContainerStatus | None, truncate: Truncate
) -> ContainerStatus:
    """Show the newest instance; its last state is the one before it, or what was known before."""
    if earlier is not None:
        last = _state(earlier, old, truncate)
    else:
        last = NO_STATE if old is None else old.last_state
    return ContainerStatus(
        name=newest.name,
        image=newest.image,
        image_id=digest(newest.content) if newest.content else "",
        restart_count=newest.restart_count,
        container_id=newest.id,
        state=_state(newest, old, truncate),
        last_state=last,
    )


def _goes_on(record: ContainerRecord, old: ContainerStatus) -> bool:
    """Tell whether a status still shows an instance as it is: nothing of one that runs changes before its end."""
    return old.container_id == record.id and record.state == RUNNING and old.state.running is not None


def _unseen(container: Container, old: ContainerStatus | None, pod: Pod, is_init: bool) -> ContainerStatus:
    """Show a container that the runtime does not know: not made yet, or lost in a reboot."""
    if is_init and old is not None and old.state.terminated is not None:
        return old  # the record of an ended init container may be removed at any time
    count, last = (0, NO_STATE) if old is None else (old.restart_count, old.last_state)
    if old is not None and old.state.running is not None and last.terminated is None:
        count, last = count + (0 if pod.deleting else 1), ContainerState(terminated=STATUS_UNKNOWN)
    return ContainerStatus(
        name=container.name,
        image=container.image,
        state=_INITIALIZING if pod.spec.init_containers else _CREATING,
        last_state=last,
        restart_count=count,
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


def _shows_start_error(container: Container, pod: Pod, runtime: RuntimePodStatus, is_init: bool) -> bool:
    """Tell whether the next sync is to try again: then the container waits, and the last error says why.

    Attempts are recorded at the end of a sync, statuses are computed at its start: the reason shows one sync late.
    """
    if is_init:
        record = runtime.find(container.name)
        if record is not None and record.state == EXITED and record.exit_code == 0:
            return False
    return should_container_be_restarted(container, pod, runtime)


def _waiting_to_start(status: ContainerStatus, error: StartError) -> ContainerStatus:
    last = status.state if status.state.terminated is not None else status.last_state
    reason, message = error
    waiting = ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message))
    return replace(status, last_state=last, state=waiting)
