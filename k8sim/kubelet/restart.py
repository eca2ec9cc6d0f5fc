"""Whether a container is started again (pkg/kubelet/container/helpers.go, pkg/api/v1/pod/util.go)."""

from __future__ import annotations

from k8sim.api.core import Container, Pod, PodSpec
from k8sim.machines.records import CREATED, RUNNING, UNKNOWN, RuntimePodStatus


def should_restart_on_failure(pod: Pod) -> bool:
    """Tell whether the pod's policy lets failed containers restart (shouldRestartOnFailure)."""
    return pod.spec.restart_policy != "Never"


def container_should_restart(container: Container, spec: PodSpec, exit_code: int) -> bool:
    """Tell whether an ended container restarts: its own rules, then its own policy, then the pod's.

    Source: pkg/api/v1/pod/util.go ContainerShouldRestart (gate ContainerRestartRules).
    """
    for rule in container.restart_policy_rules:
        codes = rule.exit_codes
        if codes is not None and (exit_code in codes.values) == (codes.operator == "In"):
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
