"""On which nodes a DaemonSet's pod runs, and how the pod is tied to its node.

Source: pkg/controller/daemon/daemon_controller.go (NodeShouldRunDaemonPod), util/daemonset_util.go.
"""

from __future__ import annotations

from typing import NamedTuple

from k8sim.api.apps import DaemonSet
from k8sim.api.core import (
    Affinity,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    PodTemplateSpec,
    Toleration,
)
from k8sim.api.meta import LabelSelectorRequirement
from k8sim.api.selectors import labels_match, node_selector_matches
from k8sim.api.struct import replace
from k8sim.api.taints import untolerated

GENERATION_LABEL = "pod-template-generation"
HASH_LABEL = "controller-revision-hash"
_BORNE = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class Fit(NamedTuple):
    """Whether a pod is to run on a node, and whether one that runs there may go on."""

    should_run: bool
    should_continue: bool


def with_daemon_tolerations(spec: PodSpec) -> PodSpec:
    """Return a spec with the tolerations that all pods of DaemonSets have (AddOrUpdateDaemonPodTolerations)."""
    borne = _BORNE + ((("node.kubernetes.io/network-unavailable", "NoSchedule"),) if spec.host_network else ())
    added = tuple(Toleration(key=key, operator="Exists", effect=effect) for key, effect in borne)
    known = {(t.key, t.effect) for t in added}
    kept = tuple(t for t in spec.tolerations if (t.key, t.effect) not in known or t.operator != "Exists")
    return replace(spec, tolerations=kept + added)


def node_should_run_daemon_pod(node: Node, daemon_set: DaemonSet) -> Fit:
    """Decide by node name, node selector and affinity, and taints; resources do not count."""
    spec = with_daemon_tolerations(daemon_set.spec.template.spec)
    if spec.node_name and spec.node_name != node.name:
        return Fit(False, False)
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    if not labels_match(spec.node_selector, node.metadata.labels) or not node_selector_matches(required, node):
        return Fit(False, False)
    if untolerated(node.spec.taints, spec.tolerations, ("NoExecute", "NoSchedule")):
        return Fit(False, not untolerated(node.spec.taints, spec.tolerations, ("NoExecute",)))
    return Fit(True, True)


def pod_template(daemon_set: DaemonSet, hash_: str, node: str) -> PodTemplateSpec:
    """Return the template of the pod for one node: the scheduler puts it there, by its affinity to the node's name."""
    template = daemon_set.spec.template
    labels = {
        **template.metadata.labels,
        GENERATION_LABEL: str(daemon_set.metadata.generation),
        HASH_LABEL: hash_,
    }
    spec = with_daemon_tolerations(template.spec)
    return PodTemplateSpec(
        metadata=replace(template.metadata, labels=labels),
        spec=replace(spec, affinity=_for_node(spec.affinity, node)),
    )


def _for_node(affinity: Affinity | None, node: str) -> Affinity:
    """Replace the required node affinity by the node's name (ReplaceDaemonSetPodNodeNameNodeAffinity)."""
    requirement = LabelSelectorRequirement(key="metadata.name", operator="In", values=(node,))
    selector = NodeSelector(node_selector_terms=(NodeSelectorTerm(match_fields=(requirement,)),))
    affinity = affinity or Affinity()
    to_nodes = affinity.node_affinity or NodeAffinity()
    to_nodes = replace(to_nodes, required_during_scheduling_ignored_during_execution=selector)
    return replace(affinity, node_affinity=to_nodes)


def target_node(pod: Pod) -> str:
    """Return the node that a pod is on, or is meant for (GetTargetNodeName)."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    for term in required.node_selector_terms if required is not None else ():
        for requirement in term.match_fields:
            if requirement.key == "metadata.name" and requirement.operator == "In" and len(requirement.values) == 1:
                return requirement.values[0]
    return ""
