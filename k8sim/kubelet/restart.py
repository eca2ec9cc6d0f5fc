"""Whether a container is started again (pkg/kubelet/container/helpers.go, pkg/api/v1/pod/util.go)."""

from __future__ import annotations

from k8sim.api.core import Container, ContainerRestartRule, Pod, PodSpec, PodStatus
from k8sim.api.meta import condition_of
from k8sim.machines.records import CREATED, EXITED, RUNNING, UNKNOWN, RuntimePodStatus

ALL_CONTAINERS_RESTARTING = "AllContainersRestarting"
"""The condition of a pod whose containers are all being removed, to begin again from the first init container."""


def should_restart_on_failure(pod: Pod) -> bool:
    """Tell whether the pod's policy lets failed containers restart (shouldRestartOnFailure)."""
    return pod.spec.restart_policy != "Never"


def matching_rule(container: Container, exit_code: int) -> ContainerRestartRule | None:
    """Return the first of a container's rules that an exit code meets (FindMatchingContainerRestartRule)."""
    for rule in container.restart_policy_rules:
        codes = rule.exit_codes
        if codes is not None and (exit_code in codes.values) == (codes.operator == "In"):
            return rule
    return None


def container_should_restart(container: Container, spec: PodSpec, exit_code: int) -> bool:
    """Tell whether an ended container restarts: its own rules, then its own policy, then the pod's.

    Source: pkg/api/v1/pod/util.go ContainerShouldRestart (gate ContainerRestartRules).
    """
    rule = matching_rule(container, exit_code)
    if rule is not None:
        return rule.action in ("Restart", "RestartAllContainers")
    policy = container.restart_policy or spec.restart_policy
    if policy == "Always":
        return True
    return policy == "OnFailure" and exit_code != 0


def should_container_be_restarted(container: Container, pod: Pod, runtime: RuntimePodStatus) -> bool:
    """Tell whether the next sync starts a container (kubecontainer.ShouldContainerBeRestarted)."""
    if pod.deleting:
        return False
    record = runtime.find(container.name)
    if record is None:
        return True
    if record.state == RUNNING:
        return False
    if record.state in (CREATED, UNKNOWN):
        return True
    return container_should_restart(container, pod.spec, record.exit_code)


def all_containers_could_restart(spec: PodSpec) -> bool:
    """Tell whether some container has a rule that restarts them all (AllContainersCouldRestart)."""
    for container in (*spec.init_containers, *spec.containers):
        for rule in container.restart_policy_rules:
            if rule.action == "RestartAllContainers":
                return True
    return False


def should_all_containers_restart(pod: Pod, runtime: RuntimePodStatus | None, status: PodStatus) -> bool:
    """Tell whether all containers of a pod are to go and begin again (ShouldAllContainersRestart).

    So it is once a container has ended with a code whose rule says so, until the last of them is removed.

    Source: pkg/kubelet/container/helpers.go; KEP-5532 (gate RestartAllContainersOnContainerExits).
    """
    if not all_containers_could_restart(pod.spec):
        return False
    condition = condition_of(status.conditions, ALL_CONTAINERS_RESTARTING)
    if condition is not None and condition.status == "True":
        return True
    shown = {s.name: s for s in (*status.init_container_statuses, *status.container_statuses)}
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        if runtime is not None:
            record = runtime.find(container.name)
            code = record.exit_code if record is not None and record.state == EXITED else None
        else:
            ended = shown[container.name].state.terminated if container.name in shown else None
            code = None if ended is None else ended.exit_code
        if code is not None and restarts_all(container, code):
            return True
    return False


def restarts_all(container: Container, exit_code: int) -> bool:
    """Tell whether a container that ends so takes all others with it."""
    rule = matching_rule(container, exit_code)
    return rule is not None and rule.action == "RestartAllContainers"
