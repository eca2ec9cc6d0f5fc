"""What pods promise: where they run, how they start, how they end."""

from __future__ import annotations

from typing import ClassVar

from k8sim.api.core import Container, Node, Pod, Taint
from k8sim.api.pods import claim_names, is_pod_terminal, is_sidecar
from k8sim.api.resources import amounts, pod_requests
from k8sim.api.selectors import labels_match, node_selector_matches, selector_matches
from k8sim.api.taints import tolerates
from k8sim.apiserver.watch import Change
from k8sim.guarantees.circumstances import SECOND
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
LESS_TIME = {
    "memory-pressure": "the kubelet gives what it evicts 1 s (pkg/kubelet/eviction: immediateEvictionGracePeriod)",
    "disk-pressure": "the kubelet gives what it evicts 1 s (pkg/kubelet/eviction: immediateEvictionGracePeriod)",
    "node-shutdown": "the machine gives less time",
    "spot-reclaim": "the machine gives less time",
}


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
            self.violated(pod.name, f"went from {old.status.phase} to {pod.status.phase}")


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


class GraceHonoured(Checker):
    """Judges SIGKILLs of pods that are being deleted, by the shortest grace that anybody has asked for."""

    about = Guarantee(
        name="grace-honoured",
        promise="A container of a pod that is deleted is not killed before the grace period is over.",
        checks="exits with code 137 after SIGTERM, against the beginning of the deletion and the shortest grace asked",
        does_not_check="containers stopped for another reason before the deletion (probes, eviction, shutdown, memory)",
        source=f"{LIFECYCLE}#pod-termination; pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainer)",
        not_kept_under={
            "kubelet-restart": "a new kubelet counts anew, or finds an orphan and gives it 1 s",
            "container-exit": "the fault may have killed it",
            "oom-kill": "the kernel kills at once",
            **LESS_TIME,
            "deletion not heard": "it stops what its probe condemns, with the probe's own grace "
            "(pkg/kubelet/kuberuntime/kuberuntime_container.go, killContainer)",
            "forced deletion": "an orphan is killed with a grace of 1 s",
            "forced deletion on a silent node": "an orphan is killed with a grace of 1 s",
            "pod garbage collection": "an orphan is killed with a grace of 1 s",
            "node deleted": "an orphan is killed with a grace of 1 s",
        },
    )
    kinds = ("Pod",)
    rows = ("Container",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._grace: dict[str, int] = {}
        self._term: dict[Place, int] = {}
        self._condemned: dict[Place, str] = {}
        self._unheard: dict[Place, int] = {}

    def change(self, change: Change) -> None:
        pod = change.new
        grace = pod.metadata.deletion_grace_period_seconds
        if pod.deleting and grace is not None and not change.actor.startswith("kubelet"):
            self._grace[pod.uid] = min(grace, self._grace.get(pod.uid, grace))

    def row(self, row: Row, number: int) -> None:
        place = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event == "Started":
            for known in (self._term, self._condemned, self._unheard):
                known.pop(place, None)
        elif row.event == "Probe":
            self._probed(place, row.detail["probe"], row.detail["passes"])
        elif row.event == "SIGTERM":
            self._term[place] = row.t
            self._unheard_by_probe(row, place)
        elif row.event == "Exited" and row.detail["code"] == 137 and place[0] in self._grace and place in self._term:
            self._killed(row, place, number)

    def _probed(self, place: Place, probe: str, passes: bool | None) -> None:
        if passes is False and probe in ("liveness", "startup"):
            self._condemned[place] = probe
        elif self._condemned.get(place) == probe:
            del self._condemned[place]

    def _unheard_by_probe(self, row: Row, place: Place) -> None:
        """Note the least time that a failed probe gives a container whose kubelet cannot have heard of the deletion."""
        pod = self.world.find("Pod", row.namespace, row.name)
        probe = self._condemned.get(place)
        if pod is None or pod.uid != place[0] or probe is None or not self.world.is_cut_off(row.detail["node"]):
            return
        spec = container_of(pod, place[1])
        asked = getattr(spec, f"{probe}_probe", None)
        own = asked.termination_grace_period_seconds if asked is not None else None
        self._unheard[place] = own if own is not None else pod.spec.termination_grace_period_seconds

    def _killed(self, row: Row, place: Place, number: int) -> None:
        pod = self.world.find("Pod", row.namespace, row.name)
        since = self.world.deleting_since(pod) if pod is not None and pod.uid == place[0] else None
        term, grace = self._term[place], self._grace[place[0]]
        if since is None or term < since:
            return
        self.exercised += 1
        if row.t < since + grace * SECOND:
            unheard = place in self._unheard and row.t >= term + self._unheard[place] * SECOND
            problem = f"was killed after {(row.t - since) / SECOND:.3f} s of {grace} s"
            self.violated(row.name, problem, number, "deletion not heard" if unheard else None)


class PreStopFirst(Checker):
    about = Guarantee(
        name="prestop-before-sigterm",
        promise="SIGTERM is sent after the preStop hook has ended, or the grace period is over.",
        checks="at each SIGTERM, the hook that began before it; at the latest when the pod's grace is over",
        does_not_check="what the hook did",
        source="kubernetes.io/docs/concepts/containers/container-lifecycle-hooks; pkg/kubelet/kuberuntime",
        not_kept_under={
            **KUBELET_GONE,
            "forced deletion": "an orphan's spec is lost, and its hooks with it",
            "forced deletion on a silent node": "an orphan's spec is lost, and its hooks with it",
            "pod garbage collection": "an orphan's spec is lost, and its hooks with it",
            "node-partition": "an orphan's spec is lost, and its hooks with it",
            "node-isolation": "an orphan's spec is lost, and its hooks with it",
            "zone-partition": "an orphan's spec is lost, and its hooks with it",
            "zone-isolation": "an orphan's spec is lost, and its hooks with it",
            **LESS_TIME,
        },
    )
    rows = ("Container",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._began: dict[Place, int] = {}
        self._ended: set[Place] = set()

    def row(self, row: Row, number: int) -> None:
        place = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event == "Started":
            self._began.pop(place, None)
            self._ended.discard(place)
        elif row.event == "HookBegan" and row.detail["hook"] == "preStop":
            self._began[place] = row.t
        elif row.event == "HookEnded" and row.detail["hook"] == "preStop":
            self._ended.add(place)
        elif row.event == "SIGTERM":
            self._judge(row, place, number)

    def _judge(self, row: Row, place: Place, number: int) -> None:
        pod = self.world.find("Pod", row.namespace, row.name)
        if pod is None or pod.uid != place[0]:
            return
        spec = container_of(pod, place[1])
        if spec is None or spec.lifecycle is None or spec.lifecycle.pre_stop is None or place in self._ended:
            return
        self.exercised += 1
        began = self._began.get(place)
        grace = pod.metadata.deletion_grace_period_seconds
        if grace is None:
            grace = pod.spec.termination_grace_period_seconds
        probes = (p for p in (spec.liveness_probe, spec.startup_probe) if p is not None)
        grace = min((grace, *(p.termination_grace_period_seconds or grace for p in probes)))
        if began is None:
            if grace > 0:
                self.violated(row.name, f"SIGTERM reached {place[1]} without its preStop hook", number)
        elif row.t < began + grace * SECOND:
            self.violated(row.name, f"SIGTERM reached {place[1]} during its preStop hook", number)


class GoneAfterStop(Checker):
    about = Guarantee(
        name="object-outlives-processes",
        promise="A pod's object is removed only when its containers have stopped.",
        checks="at each removal of a pod, that none of its containers runs on any machine",
        does_not_check="what processes left behind",
        source=f"{LIFECYCLE}#pod-termination; pkg/kubelet/status/status_manager.go",
        not_kept_under={
            "forced deletion": "grace 0 removes the object at once (#pod-termination-forced)",
            "forced deletion on a silent node": "nobody can tell whether the old process still runs",
            "pod garbage collection": "the Node is gone or out of service",
            "final phase": "the object of a pod with a final phase goes at once",
        },
    )
    kinds = ("Pod",)

    def change(self, change: Change) -> None:
        pod = change.new
        if change.type != "DELETED" or not isinstance(pod, Pod) or not pod.spec.node_name:
            return
        self.exercised += 1
        running = self.world.running(pod.uid)
        if running:
            how = self.world.removed.get(pod.uid, "")
            problem = f"was removed by {change.actor} while {running[0].container} ran on {running[0].node}"
            self.violated(pod.name, problem, excuse=how)


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
                self.violated(row.name, f"{name} started before init container {before.name} had succeeded", number)
            elif is_sidecar(before.restart_policy) and not begun and row.detail["restart"] == 0:
                self.violated(row.name, f"{name} started before sidecar {before.name}", number)


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
            self.violated(row.name, f"{place[1]} was restarted although restartPolicy is Never", number)
        elif pod.spec.restart_policy == "OnFailure" and self._code.get(place) == 0:
            self.violated(
                row.name, f"{place[1]} was restarted after success although restartPolicy is OnFailure", number
            )


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
    BoundOnce, PhaseForward, SchedulableNode, RequestedNode, AntiAffinity, ResourcesFit, GraceHonoured, PreStopFirst,
    GoneAfterStop, InitBeforeMain, RestartPolicy, OneInstance,
)  # fmt: skip
