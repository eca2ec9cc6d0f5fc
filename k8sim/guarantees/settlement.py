"""What comes true in the end, once nobody disturbs the cluster any more; and what operators hope for meanwhile.

Each finding names why the cluster is stuck, so that a known limit of Kubernetes is told from a violation.
"""

from __future__ import annotations

from typing import Any, Final

from k8sim.api.apps import StatefulSet
from k8sim.api.core import ContainerStatus, Pod
from k8sim.api.pods import claim_names, is_pod_available, is_pod_ready, is_pod_terminal, is_running_and_ready
from k8sim.api.selectors import selector_matches
from k8sim.apiserver.watch import Change
from k8sim.guarantees.budgets import is_evicted
from k8sim.guarantees.circumstances import SECOND
from k8sim.guarantees.guarantee import Checker, Due, Guarantee
from k8sim.guarantees.statefulsets import CONCEPTS, CONTROLLER, max_unavailable, ordered, range_of, revision
from k8sim.guarantees.world import LAG, World, deletion_begins, ordinal_of
from k8sim.sim.trace import NO_CAUSE, Row

STUCK: Final = {
    "stuck on a dead node": "a pod's deletion needs its kubelet's word (kubernetes/kubernetes issue 74689)",
    "unschedulable": "no node fits a pod, although all are there, and nothing in Kubernetes makes room",
    "nodes missing": "no node fits a pod, and some are cordoned, silent or deleted",
    "bad template": "the newest template's pods do not become Ready",
    "never ready": "the pod's software does not become Ready",
    "order": "the controller waits for another pod to become Ready first (#forced-rollback)",
    "max unavailable": "broken pods count, too (updateStatefulSetAfterInvariantEstablished)",
    "stale claim": "the controller makes no pod while a claim belongs to its former namesake, and changes of claims do "
    "not wake it (stateful_set_control.go, processReplica; stateful_set.go, NewStatefulSetController)",
    "name taken": "a pod of that name is not the set's",
    "quota": "the quota leaves no room",
    "apiserver-outage": "the API server is down",
    "storage-outage": "the storage system's calls fail",
    "registry-outage": "images cannot be pulled",
    "disk-loss": "the disk of a claim is gone for good, and nobody makes another",
}
LONGEST_BACKOFF: Final = 330 * SECOND
"""How long a container that has ended may wait: 5 min (MaxContainerBackOff), and the next look of its kubelet."""


def why_stuck(world: World, pod: Pod) -> str:
    """Return the word for why a pod is not Ready: a circumstance, "" if there is none to see."""
    if pod.deleting and world.node_is_silent(pod):
        return "stuck on a dead node"
    if not pod.spec.node_name:
        return "nodes missing" if world.nodes_missing() else "unschedulable"
    if world.node_is_silent(pod):
        return "stuck on a dead node"
    if any(_keeps_failing(world, s) for s in (*pod.status.init_container_statuses, *pod.status.container_statuses)):
        return "never ready"
    if any(world.fault_lasts("disk-loss", claim) for claim in claim_names(pod)):
        return "disk-loss"
    return next((w for w in ("storage-outage", "registry-outage", "apiserver-outage") if world.fault_lasts(w)), "")


def why_nobody_acts(world: World) -> str:
    """Return the word for why no controller can make or delete a pod, "" if they can."""
    return "apiserver-outage" if world.fault_lasts("apiserver-outage") else ""


def _keeps_failing(world: World, status: ContainerStatus) -> bool:
    state = status.state
    if state.waiting is not None:
        return state.waiting.reason not in ("ContainerCreating", "")
    if state.running is not None:
        return not status.ready
    ended = state.terminated
    return ended is not None and world.recently(ended.finished_at, LONGEST_BACKOFF)


def why_not_ready(world: World, sts: StatefulSet, pod: Pod) -> str:
    """Return why a pod of a set is not Ready: a broken template is told from broken software."""
    why = why_stuck(world, pod)
    if why != "never ready":
        return why
    if revision(pod) != world.update_revision(sts):
        return "order" if ordered(sts) else why
    return "bad template" if world.revisions(sts) > 1 else why


class SetsSettle(Checker):
    about = Guarantee(
        name="settles",
        promise="Once disturbances stop, every StatefulSet and Deployment gets the pods it wants, all Ready.",
        checks="at the end, if nothing was done to the cluster for the patience of the check (15 min)",
        does_not_check="how long it took",
        source=f"{CONCEPTS}; kubernetes.io/docs/concepts/architecture/controller",
        kind="liveness",
        not_kept_under=STUCK,
    )
    kinds = ("StatefulSet", "Deployment")
    rows = ("Event",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._over_quota: set[tuple[str, str]] = set()

    def row(self, row: Row, number: int) -> None:
        if row.event == "FailedCreate" and "exceeded quota" in row.detail.get("message", ""):
            self._over_quota.add((row.namespace, row.name))

    def end(self) -> None:
        if not self.world.patient_since(self.world.last_action):
            return
        for sts in self.world.all("StatefulSet"):
            if not sts.deleting:
                self.exercised += 1
                self._set(sts)
        for deployment in self.world.all("Deployment"):
            if not deployment.deleting and not deployment.spec.paused:
                self.exercised += 1
                self._deployment(deployment)

    def _set(self, sts: StatefulSet) -> None:
        pods = {ordinal_of(p.name): p for p in self.world.pods_of(sts)}
        for ordinal in range_of(sts):
            name, pod = f"{sts.name}-{ordinal}", pods.get(ordinal)
            if pod is None:
                self.violated(sts.name, f"lacks {name}", excuse=self._why_missing(sts, name, pods))
                return
            if not is_running_and_ready(pod) or pod.deleting:
                state = "terminates" if pod.deleting else "is not Ready"
                why = why_not_ready(self.world, sts, pod)
                self.violated(sts.name, f"{name} {state}", self.world.last_row_of(pod), why)
                return
        extra = sorted(set(pods) - set(range_of(sts)))
        if extra:
            pod = pods[extra[-1]]
            # An unhealthy pod that is to go waits for lower ones that are unhealthy too (processCondemned).
            waits = ordered(sts) and any(not is_running_and_ready(p) for p in pods.values() if p is not pod)
            why = why_stuck(self.world, pod) or ("order" if waits else "")
            self.violated(sts.name, f"{pod.name} is too many", self.world.last_row_of(pod), why)

    def _why_missing(self, sts: StatefulSet, name: str, pods: dict[int, Pod]) -> str:
        if self._claim_was_stale(sts, name):
            return "stale claim"
        if self.world.find("Pod", sts.namespace, name) is not None:
            return "name taken"
        if sts.key in self._over_quota:
            return "quota"
        earlier = [p for o, p in sorted(pods.items()) if not is_pod_ready(p)]
        return why_not_ready(self.world, sts, earlier[0]) if earlier else why_nobody_acts(self.world)

    def _claim_was_stale(self, sts: StatefulSet, name: str) -> bool:
        """Tell whether a claim of a former pod went, and the controller had no cause to look after that."""
        for template in sts.spec.volume_claim_templates:
            key = "PersistentVolumeClaim", sts.namespace, f"{template.name}-{name}"
            gone = self.world.gone(*key) if self.world.find(*key) is None else None
            if gone is None or self.world.stirred(sts) > gone[0] + LAG:
                continue
            if any(o.kind == "Pod" and o.name == name for o in gone[1].metadata.owner_references):
                return True
        return False

    def _deployment(self, deployment: Any) -> None:
        status = deployment.status
        if status.ready_replicas == status.updated_replicas == status.replicas == deployment.spec.replicas:
            return
        mine = [r for r in self.world.all("ReplicaSet") if self.world.controller(r, "Deployment") is deployment]
        stuck = [p for r in mine for p in self.world.pods_of(r) if not is_pod_ready(p) and not is_pod_terminal(p)]
        over_quota = any(r.key in self._over_quota for r in mine)
        excuse = why_stuck(self.world, stuck[0]) if stuck else ("quota" if over_quota else why_nobody_acts(self.world))
        if excuse == "never ready" and len(mine) > 1:
            excuse = "bad template"
        row = self.world.last_row_of(stuck[0]) if stuck else NO_CAUSE
        ready, wanted = status.ready_replicas, deployment.spec.replicas
        self.violated(deployment.name, f"{ready} of {wanted} pods are Ready", row, excuse)


class RollbackRollsBack(Checker):
    about = Guarantee(
        name="rollback-rolls-back",
        promise="A broken pod of an older template is replaced once the template is changed.",
        checks="at the end, that no pod in range and above the partition is both outdated and not Ready",
        does_not_check="sets with OnDelete",
        source=f"{CONCEPTS}#forced-rollback; kubernetes/kubernetes issue 67250",
        kind="liveness",
        not_kept_under=STUCK,
    )
    kinds = ("StatefulSet",)

    def end(self) -> None:
        if not self.world.patient_since(self.world.last_action):
            return
        for sts in self.world.all("StatefulSet"):
            strategy = sts.spec.update_strategy
            newest = self.world.update_revision(sts)
            if strategy.type == "OnDelete" or sts.deleting or not newest:
                continue
            partition = (strategy.rolling_update.partition or 0) if strategy.rolling_update is not None else 0
            for pod in self.world.pods_of(sts):
                ordinal = ordinal_of(pod.name)
                updated = ordinal not in range_of(sts) or ordinal < range_of(sts).start + partition
                if updated or pod.deleting or not pod.spec.node_name or self.world.node_is_silent(pod):
                    continue
                self.exercised += 1
                if revision(pod) != newest and not is_pod_ready(pod):
                    problem = f"{pod.name} of an older template is broken and is not replaced"
                    self.violated(sts.name, problem, self.world.last_row_of(pod), self._why(sts, pod))

    def _why(self, sts: StatefulSet, pod: Pod) -> str:
        """Return what keeps the controller from replacing a pod."""
        own = ordinal_of(pod.name)
        unready = [o for o in range_of(sts) if o != own and not self._is_ready(sts, o)]
        if ordered(sts) and (not is_pod_terminal(pod) or any(o < own for o in unready)):
            return "order"  # nothing is updated before all are Ready
        if self.world.gates("MaxUnavailableStatefulSet"):
            return "max unavailable" if len(unready) + 1 >= max_unavailable(sts) else ""
        higher = [o for o in unready if o > own]
        blocker = self.world.find("Pod", sts.namespace, f"{sts.name}-{higher[-1]}") if higher else None
        return why_not_ready(self.world, sts, blocker) if blocker is not None else ""

    def _is_ready(self, sts: StatefulSet, ordinal: int) -> bool:
        pod = self.world.find("Pod", sts.namespace, f"{sts.name}-{ordinal}")
        return (
            pod is not None and not pod.deleting and is_pod_available(pod, sts.spec.min_ready_seconds, self.world.now)
        )


class CommandsEnd(Checker):
    about = Guarantee(
        name="drain-ends",
        promise="A drain ends.",
        checks="that every kubectl drain has ended by the end of the run, if it had the patience of the check for it",
        does_not_check="whether it ended well",
        source="kubernetes.io/docs/tasks/administer-cluster/safely-drain-node",
        kind="liveness",
        not_kept_under={
            "budget": "drain tries for ever while a budget allows no eviction (kubernetes/kubernetes issue 72320)",
            "stuck on a dead node": "drain waits for pods that cannot be removed",
        },
    )
    rows = ("Step", "Command")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._open: dict[int, Due] = {}

    def row(self, row: Row, number: int) -> None:
        if row.kind == "Step" and str(row.detail.get("what", "")).startswith("kubectl drain"):
            self._open[row.detail["step"]] = Due(row.t, row.detail["what"], number)
        elif row.kind == "Command":
            self.exercised += self._open.pop(row.detail.get("step", -1), None) is not None

    def end(self) -> None:
        for drain in self._open.values():
            if self.world.patient_since(drain.t):
                self.exercised += 1
                self.violated(drain.subject, "has not ended", drain.row, self._why(drain.subject))

    def _why(self, command: str) -> str:
        """Return what keeps a drain of the nodes that the command names, or else of any, from ending."""
        named = {node.name for node in self.world.all("Node")} & set(command.split())
        pods = [pod for pod in self.world.all("Pod") if not named or pod.spec.node_name in named]
        if any(self._is_blocked(pod) for pod in pods):
            return "budget"
        return "stuck on a dead node" if any(p.deleting and self.world.node_is_silent(p) for p in pods) else ""

    def _is_blocked(self, pod: Pod) -> bool:
        budgets = (b for b in self.world.all("PodDisruptionBudget") if b.namespace == pod.namespace)
        return any(
            b.status.disruptions_allowed == 0 and selector_matches(b.spec.selector, pod.metadata.labels)
            for b in budgets
        )


class MajorityStaysReady(Checker):
    """What a replicated database needs: more than half of its members."""

    about = Guarantee(
        name="majority-stays-ready",
        promise="A StatefulSet of three or more that once had a majority of its pods Ready keeps one.",
        checks="at each change of a pod, how many pods of the set are Ready and not terminating",
        does_not_check="whether the software needs a majority; sets that were scaled within 2 s",
        source="a wish: Kubernetes does not know what a quorum is (kubernetes/kubernetes issues 96218, 91808)",
        kind="wish",
        not_kept_under={
            "a rolling update": "the StatefulSet controller deleted the pod, whatever other pods were doing",
            "an eviction": "no budget forbade it",
            "a taint": "the pod was evicted from its node",
            "a delete": "somebody deleted it",
            "a silent node": "its node does not answer",
            "a failing pod": "its software failed",
        },
    )
    kinds = ("Pod",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._had: dict[str, int] = {}
        self._sets: dict[str, tuple[str, str]] = {}

    def change(self, change: Change) -> None:
        pod = change.new
        if not isinstance(pod, Pod):
            return
        sts = self.world.controller(pod, "StatefulSet")
        if sts is None or sts.spec.replicas < 3 or sts.deleting:
            return
        wanted = sts.spec.replicas
        ready = sum(
            is_running_and_ready(p) and not p.deleting
            for p in self.world.pods_of(sts)
            if ordinal_of(p.name) in range_of(sts)
        )
        self.exercised += 1
        if 2 * ready > wanted:
            self._had[sts.uid] = wanted
        elif self._had.get(sts.uid) == wanted:
            del self._had[sts.uid]
            by = self._last_blow(change, pod)
            problem = f"lost its majority by {by}: {ready} of {wanted} pods are Ready"
            self.violated(sts.name, problem, change.row, by)

    def _last_blow(self, change: Change, pod: Pod) -> str:
        if deletion_begins(change):
            if is_evicted(pod):
                return "an eviction"
            return {CONTROLLER: "a rolling update", "tainteviction": "a taint"}.get(change.actor, "a delete")
        return "a silent node" if change.actor == "nodelifecycle" else "a failing pod"


CHECKERS: tuple[type[Checker], ...] = (SetsSettle, RollbackRollsBack, CommandsEnd, MajorityStaysReady)
