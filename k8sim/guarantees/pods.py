"""What pods promise: where they run, and how their containers start."""

from __future__ import annotations

from typing import ClassVar

from k8sim.api.core import Container, Node, Pod, Taint
from k8sim.api.pods import claim_names, is_pod_terminal, is_sidecar
from k8sim.api.resources import amounts, pod_requests
from k8sim.api.selectors import labels_match, node_selector_matches, selector_matches
from k8sim.api.taints import tolerates
from k8sim.apiserver.watch import Change
from k8sim.guarantees.guarantee import Checker, Guarantee
from k8sim.guarantees.world import World
from k8sim.sim.trace import Row

LIFECYCLE = "kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle"
KUBELET_GONE = {
    "kubelet-restart": "a kubelet forgets what it was doing",
    "node-crash": "the machine was gone",
    "zone-outage": "the machine was gone",
    "spot-reclaim": "the machine was gone",
}
Place = tuple[str, str]
"""A container: the UID of its pod, and its name."""
REBOOTS = ("node-crash", "zone-outage", "node-shutdown", "spot-reclaim")


def containers_of(pod: Pod) -> tuple[Container, ...]:
    """Return all containers of a pod."""
    return (*pod.spec.init_containers, *pod.spec.containers)


def container_of(pod: Pod, name: str) -> Container | None:
    """Return a container of a pod by name."""
    return next((c for c in containers_of(pod) if c.name == name), None)


class BoundOnce(Checker):
    about = Guarantee(
        name="bound-once",
        promise="A pod is given a node once and stays there.",
        checks="that spec.nodeName never changes",
        does_not_check="whether the pod runs there",
        source=f"{LIFECYCLE}#pod-lifetime; pkg/registry/core/pod/storage/storage.go (assignPod)",
    )
    kinds = ("Pod",)

    def change(self, change: Change) -> None:
        pod, old = change.new, change.old
        if not (isinstance(pod, Pod) and isinstance(old, Pod)) or not old.spec.node_name:
            return
        self.exercised += 1
        if pod.uid == old.uid and pod.spec.node_name != old.spec.node_name:
            self.violated(pod.name, f"moved from {old.spec.node_name} to {pod.spec.node_name}")


class PhaseForward(Checker):
    about = Guarantee(
        name="phase-forward",
        promise="A pod's phase goes from Pending to Running to Succeeded or Failed and never back.",
        checks="every change of status.phase",
        does_not_check="phase Unknown",
        source=f"{LIFECYCLE}#pod-phase",
        not_kept_under={
            **dict.fromkeys(REBOOTS, "after a reboot init containers run again"),
            "manual edit": "the status was patched by hand",
        },
    )
    edits = ("Pod",)
    kinds = ("Pod",)
    _order = ("Pending", "Running", "Succeeded", "Failed")

    def change(self, change: Change) -> None:
        pod, old = change.new, change.old
        if not (isinstance(pod, Pod) and isinstance(old, Pod)) or pod.status.phase == old.status.phase:
            return
        self.exercised += 1
        back = self._order.index(pod.status.phase) < self._order.index(old.status.phase)
        if back or is_pod_terminal(old):
            self.violated(pod.name, f"went from {old.status.phase} to {pod.status.phase}", node=pod.spec.node_name)


class Scheduled(Checker):
    """Base of checkers of the scheduler's bindings."""

    kinds: ClassVar[tuple[str, ...]] = ("Pod",)

    def change(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        if isinstance(old, Pod) and not old.spec.node_name and pod.spec.node_name and change.actor == "kube-scheduler":
            node = self.world.find("Node", "", pod.spec.node_name)
            if isinstance(node, Node):
                self.bound(pod, node)

    def bound(self, pod: Pod, node: Node) -> None:
        """Look at a binding."""


class SchedulableNode(Scheduled):
    about = Guarantee(
        name="schedulable-node",
        promise="No pod is put on a node that is cordoned or has a taint it does not tolerate.",
        checks="spec.unschedulable and taints of the node at each binding",
        does_not_check="a node that has changed within 2 s, or since the pod was made if it has claims: the scheduler "
        "chooses first and then waits until the volumes are there",
        source="pkg/scheduler/framework/plugins/{nodeunschedulable,tainttoleration}",
        not_kept_under={"apiserver-outage": "the scheduler acts on the cache it has"},
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._changed: dict[str, int] = {}

    kinds = ("Pod", "Node")

    def change(self, change: Change) -> None:
        if isinstance(change.new, Node):
            if not isinstance(change.old, Node) or change.old.spec != change.new.spec:
                self._changed[change.new.name] = self.world.now
            return
        super().change(change)

    def bound(self, pod: Pod, node: Node) -> None:
        self.exercised += 1
        changed = self._changed.get(node.name)
        waited = bool(claim_names(pod)) and changed is not None and changed >= (pod.metadata.creation_timestamp or 0)
        if self.world.recently(changed) or waited:
            return
        taints = list(node.spec.taints)
        if node.spec.unschedulable:
            taints.append(Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule"))
        for taint in taints:
            bears = any(tolerates(t, taint) for t in pod.spec.tolerations)
            if taint.effect in ("NoSchedule", "NoExecute") and not bears:
                self.violated(pod.name, f"was put on {node.name} in spite of its taint {taint.key}")


class RequestedNode(Scheduled):
    about = Guarantee(
        name="requested-node",
        promise="A pod is put only on a node that its nodeSelector and required node affinity match.",
        checks="both at each binding",
        does_not_check="labels of nodes that change later",
        source="pkg/scheduler/framework/plugins/nodeaffinity",
        not_kept_under={"manual edit": "labels of nodes were changed"},
    )
    edits = ("Node",)

    def bound(self, pod: Pod, node: Node) -> None:
        affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
        required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
        if not pod.spec.node_selector and required is None:
            return
        self.exercised += 1
        fits = labels_match(pod.spec.node_selector, node.metadata.labels)
        if not fits or (required is not None and not node_selector_matches(required, node)):
            self.violated(pod.name, f"was put on {node.name}, which it does not ask for")


class AntiAffinity(Scheduled):
    about = Guarantee(
        name="anti-affinity",
        promise="Required anti-affinity keeps a pod away from the pods it names.",
        checks="the pod's own required terms against the pods that are bound at that time",
        does_not_check="terms with other namespaces or matchLabelKeys, and the terms of pods that are there already",
        source="pkg/scheduler/framework/plugins/interpodaffinity",
        not_kept_under={"manual edit": "labels were changed"},
    )
    edits = ("Node", "Pod")

    def bound(self, pod: Pod, node: Node) -> None:
        rule = pod.spec.affinity.pod_anti_affinity if pod.spec.affinity is not None else None
        for term in rule.required_during_scheduling_ignored_during_execution if rule is not None else ():
            value = node.metadata.labels.get(term.topology_key)
            if value is None or term.namespaces or term.namespace_selector or term.match_label_keys:
                continue
            self.exercised += 1
            for other in self.world.all("Pod"):
                place = self.world.find("Node", "", other.spec.node_name)
                near = place is not None and place.metadata.labels.get(term.topology_key) == value
                selected = other.namespace == pod.namespace and selector_matches(
                    term.label_selector, other.metadata.labels
                )
                if near and selected and other.uid != pod.uid and not is_pod_terminal(other):
                    self.violated(pod.name, f"was put on {node.name} beside {other.name}")


class ResourcesFit(Scheduled):
    about = Guarantee(
        name="resources-fit",
        promise="The requests of a node's pods do not exceed what it can give.",
        checks="the sum of requests (and the number) of the pods bound to the node, at each binding by the scheduler",
        does_not_check="pods bound by others",
        source="pkg/scheduler/framework/plugins/noderesources",
        not_kept_under={"manual edit": "the node was changed"},
    )
    edits = ("Node", "Pod")

    def bound(self, pod: Pod, node: Node) -> None:
        self.exercised += 1
        here = [p for p in self.world.all("Pod") if p.spec.node_name == node.name and not is_pod_terminal(p)]
        total: dict[str, int] = {"pods": len(here)}
        for other in here:
            for name, amount in pod_requests(other).items():
                total[name] = total.get(name, 0) + amount
        asked = {"pods", *(n for n, a in pod_requests(pod).items() if a)}
        for name, limit in amounts(node.status.allocatable).items():
            if name in asked and total.get(name, 0) > limit:
                self.violated(pod.name, f"was put on {node.name}, which has too little {name}")


class InitBeforeMain(Checker):
    about = Guarantee(
        name="init-before-main",
        promise="A main container starts after all init containers have succeeded, one after the other.",
        checks="starts and exits on the machines: init containers before this one have exited with 0, sidecars run",
        does_not_check="whether a sidecar was ready",
        source="kubernetes.io/docs/concepts/workloads/pods/init-containers; pkg/kubelet/kuberuntime",
        not_kept_under=KUBELET_GONE,
    )
    rows = ("Container",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._done: set[Place] = set()

    def row(self, row: Row, number: int) -> None:
        uid, name = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event == "Exited" and row.detail["code"] == 0:
            self._done.add((uid, name))
        pod = self.world.find("Pod", row.namespace, row.name)
        if row.event != "Started" or pod is None or pod.uid != uid or not pod.spec.init_containers:
            return
        self.exercised += 1
        for before in pod.spec.init_containers:
            if before.name == name:
                break
            begun = (uid, before.name) in self.world.processes or (uid, before.name) in self._done
            if not is_sidecar(before.restart_policy) and (uid, before.name) not in self._done:
                problem = f"{name} started before init container {before.name} had succeeded"
                self.violated(row.name, problem, number, node=row.detail["node"])
            elif is_sidecar(before.restart_policy) and not begun and row.detail["restart"] == 0:
                problem = f"{name} started before sidecar {before.name}"
                self.violated(row.name, problem, number, node=row.detail["node"])


class RestartPolicy(Checker):
    about = Guarantee(
        name="restart-policy",
        promise="Never: no container is restarted. OnFailure: none that has exited with 0.",
        checks="restarts on the machines of pods without container-level rules",
        does_not_check="init containers, and the back-off between restarts",
        source=f"{LIFECYCLE}#restart-policy; pkg/kubelet/container/helpers.go (ShouldContainerBeRestarted)",
        not_kept_under=dict.fromkeys(REBOOTS, "after a reboot the runtime has no record that the container ever ran"),
    )
    rows = ("Container",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._code: dict[Place, int] = {}

    def row(self, row: Row, number: int) -> None:
        place = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event == "Exited":
            self._code[place] = row.detail["code"]
        pod = self.world.find("Pod", row.namespace, row.name)
        if row.event != "Started" or row.detail["restart"] == 0 or pod is None or pod.uid != place[0]:
            return
        spec = next((c for c in pod.spec.containers if c.name == place[1]), None)
        if spec is None or spec.restart_policy is not None or spec.restart_policy_rules:
            return
        self.exercised += 1
        if pod.spec.restart_policy == "Never":
            problem = f"{place[1]} was restarted although restartPolicy is Never"
            self.violated(row.name, problem, number, node=row.detail["node"])
        elif pod.spec.restart_policy == "OnFailure" and self._code.get(place) == 0:
            problem = f"{place[1]} was restarted after success although restartPolicy is OnFailure"
            self.violated(row.name, problem, number, node=row.detail["node"])


class OneInstance(Checker):
    about = Guarantee(
        name="one-instance-per-container",
        promise="A container of a pod runs once at a time.",
        checks="starts and exits on the machines",
        does_not_check="processes that a container starts itself",
        source="pkg/kubelet/kuberuntime/kuberuntime_manager.go (computePodActions)",
    )
    rows = ("Container",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._running: set[Place] = set()

    def row(self, row: Row, number: int) -> None:
        place = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event in ("Exited", "Lost"):
            self._running.discard(place)
        elif row.event == "Started":
            self.exercised += 1
            if place in self._running:
                self.violated(row.name, f"{place[1]} was started while it ran", number)
            self._running.add(place)


CHECKERS: tuple[type[Checker], ...] = (
    BoundOnce, PhaseForward, SchedulableNode, RequestedNode, AntiAffinity, ResourcesFit, InitBeforeMain, RestartPolicy,
    OneInstance,
)  # fmt: skip
