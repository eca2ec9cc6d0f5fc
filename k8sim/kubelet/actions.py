"""What a sync does to a pod's sandbox and containers: decided from the spec, the runtime, and the probes' verdicts.

Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go (computePodActions), kuberuntime_container.go
(computeInitContainerActions), util/util.go (PodSandboxChanged); node.md 1.5, 1.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from k8sim.api.core import Container, Pod
from k8sim.api.pods import is_sidecar
from k8sim.kubelet.restart import (
    container_should_restart,
    restarts_all,
    should_container_be_restarted,
    should_restart_on_failure,
)
from k8sim.machines.records import CREATED, EXITED, RUNNING, ContainerRecord, RuntimePodStatus

KillReason = Literal["", "Startup", "Liveness"]
Verdicts = Mapping[str, bool | None]
"""Probe results by container ID: True success, False failure, None or absent unknown."""


@dataclass(frozen=True)
class ToKill:
    """A running container that has to go, and why."""

    record: ContainerRecord
    reason: KillReason
    message: str


class PodActions(msgspec.Struct):
    """What a sync is to do; indices are those of the spec's lists.

    ``containers_to_reset`` go without a grace period, and with all that the runtime keeps of them.
    """

    kill_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    init_containers_to_start: list[int] = []
    containers_to_start: list[int] = []
    containers_to_kill: list[ToKill] = []
    containers_to_reset: list[ContainerRecord] = []

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not (
            self.kill_pod
            or self.create_sandbox
            or self.init_containers_to_start
            or self.containers_to_start
            or self.containers_to_kill
            or self.containers_to_reset
        )


def pod_sandbox_changed(pod: Pod, runtime: RuntimePodStatus) -> tuple[bool, int]:
    """Tell whether a new sandbox is needed, and which attempt it is (PodSandboxChanged)."""
    if not runtime.sandboxes:
        return True, 0
    newest = runtime.sandboxes[0]
    if not newest.ready or (runtime.sandboxes[1:] and any(s.ready for s in runtime.sandboxes[1:])):
        return True, newest.attempt + 1
    return False, newest.attempt


def compute_pod_actions(
    pod: Pod, runtime: RuntimePodStatus, liveness: Verdicts, startup: Verdicts, restart_all: bool = False
) -> PodActions:
    """Decide what a sync does (computePodActions).

    Parameters
    ----------
    liveness, startup
        Results of the probes by container ID.
    restart_all
        All containers are to go, and to begin again.
    """
    create, attempt = pod_sandbox_changed(pod, runtime)
    actions = PodActions(kill_pod=create, create_sandbox=create, attempt=attempt)
    if restart_all:
        actions.containers_to_reset = _containers_to_reset(pod, runtime)
        return actions
    if create:
        _from_the_beginning(pod, runtime, actions)
        return actions
    if pod.spec.init_containers:
        initialized = _compute_init_container_actions(pod, runtime, liveness, startup, actions)
        if actions.kill_pod or not initialized:
            return actions
    keep = 0
    for index, container in enumerate(pod.spec.containers):
        record = runtime.find(container.name)
        if record is None or record.state != RUNNING:
            if should_container_be_restarted(container, pod, runtime):
                actions.containers_to_start.append(index)
            continue
        kill = _why_kill(container, record, liveness, startup)
        if kill is None:
            keep += 1
            continue
        # A changed definition restarts the container whatever the policy says.
        if not kill.reason or _restarts_after_kill(container, pod):
            actions.containers_to_start.append(index)
            kill = ToKill(record, kill.reason, f"{kill.message}, will be restarted")
        actions.containers_to_kill.append(kill)
    if keep == 0 and not actions.containers_to_start:
        actions.kill_pod = True
        actions.init_containers_to_start = []  # sidecars must not keep the pod alive
    return actions


def _containers_to_reset(pod: Pod, runtime: RuntimePodStatus) -> list[ContainerRecord]:
    """Return what goes when all containers restart; those that brought it about last (getContainersToReset).

    While one of them is there, a kubelet that is restarted in between goes on with it.
    """
    sources: list[ContainerRecord] = []
    targets: list[ContainerRecord] = []
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        for record in runtime.containers:
            if record.name == container.name:
                is_source = record.state == EXITED and restarts_all(container, record.exit_code)
                (sources if is_source else targets).append(record)
    return targets + sources


def _from_the_beginning(pod: Pod, runtime: RuntimePodStatus, actions: PodActions) -> None:
    """Decide what starts in a new sandbox: the first init container, else all containers that are not done."""
    if not should_restart_on_failure(pod) and actions.attempt != 0 and runtime.containers:
        actions.create_sandbox = False  # the pod is over; do not make a sandbox only to find that out
        return
    to_start = []
    for index, container in enumerate(pod.spec.containers):
        record = runtime.find(container.name)
        succeeded = record is not None and record.state == EXITED and record.exit_code == 0
        if pod.spec.restart_policy == "OnFailure" and succeeded:
            continue
        to_start.append(index)
    if not to_start:
        actions.create_sandbox = False
        return
    if pod.spec.init_containers:
        actions.init_containers_to_start = [0]
    else:
        actions.containers_to_start = to_start


def _restarts_after_kill(container: Container, pod: Pod) -> bool:
    if container.restart_policy or container.restart_policy_rules:
        return container_should_restart(container, pod.spec, 137)
    return should_restart_on_failure(pod)


def _why_kill(container: Container, record: ContainerRecord, liveness: Verdicts, startup: Verdicts) -> ToKill | None:
    if record.image != container.image:
        return ToKill(record, "", f"Container {container.name} definition changed")
    if liveness.get(record.id) is False:
        return ToKill(record, "Liveness", f"Container {container.name} failed liveness probe")
    if startup.get(record.id) is False:
        return ToKill(record, "Startup", f"Container {container.name} failed startup probe")
    return None


def has_any_regular_container_started(pod: Pod, runtime: RuntimePodStatus) -> bool:
    """Tell whether a regular container of the present sandbox was created or runs: the pod is then initialized."""
    for container in pod.spec.containers:
        record = runtime.find(container.name)
        if record is not None and record.state in (CREATED, RUNNING):
            return True
    return False


def _compute_init_container_actions(
    pod: Pod, runtime: RuntimePodStatus, liveness: Verdicts, startup: Verdicts, actions: PodActions
) -> bool:
    """Decide about init containers, from the last to the first; return whether the pod is initialized."""
    inits = pod.spec.init_containers
    initialized = has_any_regular_container_started(pod, runtime)
    previously = initialized  # whether the one at hand has been passed already
    to_start: list[int] = []
    last = len(inits) - 1
    for index in range(last, -1, -1):
        container = inits[index]
        sidecar = is_sidecar(container.restart_policy)
        record = runtime.find(container.name)
        if record is None:
            if previously and sidecar:
                to_start.append(index)
            continue
        if previously and not sidecar:
            continue
        if record.state == CREATED:
            to_start.append(index)
        elif record.state == RUNNING:
            if sidecar:
                started = container.startup_probe is None or startup.get(record.id) is True
                kill = _why_kill(container, record, liveness, startup)
                if kill is not None and (started or kill.reason == "Startup"):
                    actions.containers_to_kill.append(kill)
                    to_start.append(index)
                if started:
                    if index == last:
                        initialized = True
                    elif not previously:
                        to_start.append(index + 1)
        elif sidecar:
            to_start.append(index)
        elif record.exit_code != 0:
            if not container_should_restart(container, pod.spec, record.exit_code):
                actions.kill_pod = True
                actions.init_containers_to_start = []
                return False
            to_start.append(index)
        elif index == last:
            initialized = True
        else:
            to_start.append(index + 1)
        previously = True
    if not previously:
        to_start.append(0)
    actions.init_containers_to_start = sorted(to_start)
    return initialized
