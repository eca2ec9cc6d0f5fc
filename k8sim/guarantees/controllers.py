"""What Deployments, tolerations, quotas and the garbage collector promise."""

from __future__ import annotations

from k8sim.api.apps import Deployment, ReplicaSet
from k8sim.api.core import Node, Pod, ResourceQuota, Taint
from k8sim.api.meta import Object
from k8sim.api.pods import is_pod_terminal
from k8sim.api.quantity import parse_quantity
from k8sim.api.taints import tolerates
from k8sim.apiserver.watch import Change
from k8sim.guarantees.circumstances import SECOND
from k8sim.guarantees.guarantee import Checker, Guarantee
from k8sim.guarantees.world import LAG, World, deletion_begins

QUOTA_SYNC = 300 * SECOND
DEPLOYMENT = "kubernetes.io/docs/concepts/workloads/controllers/deployment"


def rounded_up(value: int | str | None, whole: int) -> int:
    """Return a number of pods, or a share of all: maxSurge (by default 25 %)."""
    value = "25%" if value is None else value
    return -(-int(value.rstrip("%")) * whole // 100) if isinstance(value, str) else value


def rounded_down(value: int | str | None, whole: int) -> int:
    """Return a number of pods, or a share of all: maxUnavailable (by default 25 %)."""
    value = "25%" if value is None else value
    return int(value.rstrip("%")) * whole // 100 if isinstance(value, str) else value


class Rollouts(Checker):
    """Base of checkers of what the Deployment controller writes into ReplicaSets."""

    kinds = ("ReplicaSet",)

    def change(self, change: Change) -> None:
        new, old = change.new, change.old
        assert isinstance(new, ReplicaSet)
        deployment = self.world.controller(new, "Deployment")
        if deployment is None or change.actor != "deployment-controller" or change.type == "DELETED":
            return
        if self.world.spec_changed_recently(deployment) or deployment.spec.strategy.type != "RollingUpdate":
            return
        before = old.spec.replicas if isinstance(old, ReplicaSet) else 0
        if new.spec.replicas != before:
            self.scaled(deployment, new, new.spec.replicas - before)

    def scaled(self, deployment: Deployment, replica_set: ReplicaSet, by: int) -> None:
        """Look at a change of a ReplicaSet's size."""

    def sets_of(self, deployment: Deployment) -> list[ReplicaSet]:
        """Return the ReplicaSets of a Deployment."""
        return [r for r in self.world.all("ReplicaSet") if self.world.controller(r, "Deployment") is deployment]


class MaxSurge(Rollouts):
    about = Guarantee(
        name="max-surge",
        promise="A rollout wants at most replicas + maxSurge pods.",
        checks="the sum of the ReplicaSets' sizes whenever the controller makes one bigger",
        does_not_check="terminating pods, which do not count",
        source=f"{DEPLOYMENT}#max-surge; pkg/controller/deployment/util/deployment_util.go (NewRSNewReplicas)",
        not_kept_under={"manual edit": "a ReplicaSet was scaled by hand"},
    )
    edits = ("ReplicaSet",)

    def scaled(self, deployment: Deployment, replica_set: ReplicaSet, by: int) -> None:
        if by < 0:
            return
        self.exercised += 1
        rolling = deployment.spec.strategy.rolling_update
        surge = rounded_up(rolling.max_surge if rolling is not None else None, deployment.spec.replicas)
        total = sum(r.spec.replicas for r in self.sets_of(deployment))
        if total > deployment.spec.replicas + surge:
            self.violated(deployment.name, f"wants {total} pods, more than {deployment.spec.replicas} + {surge}")


class MaxUnavailable(Rollouts):
    about = Guarantee(
        name="max-unavailable",
        promise="A rollout scales down only while at least replicas - maxUnavailable pods stay available.",
        checks="Ready pods left whenever the controller makes an old ReplicaSet smaller (unready ones go first)",
        does_not_check="readiness lost within the last 2 s, minReadySeconds",
        source=f"{DEPLOYMENT}#max-unavailable; pkg/controller/deployment/rolling.go (reconcileOldReplicaSets)",
        not_kept_under={"apiserver-outage": "the controller acts on the cache it has"},
    )

    def scaled(self, deployment: Deployment, replica_set: ReplicaSet, by: int) -> None:
        sets = self.sets_of(deployment)
        rolling = deployment.spec.strategy.rolling_update
        if by > 0 or len(sets) < 2 or rolling is None or deployment.spec.min_ready_seconds:
            return
        self.exercised += 1
        wanted = deployment.spec.replicas
        away, surge = rounded_down(rolling.max_unavailable, wanted), rounded_up(rolling.max_surge, wanted)
        least = wanted - (away or not surge)  # where both resolve to 0, ResolveFenceposts makes it 1
        ready = sum(self.world.seen_ready(p) for r in sets for p in self.world.pods_of(r))
        own = self.world.pods_of(replica_set)
        unready = sum(not self.world.seen_ready(p) and not p.deleting for p in own)
        lost = max(0, -by - unready)
        if lost and ready - lost < least:
            self.violated(deployment.name, f"scales down to {ready - lost} available pods, fewer than {least}")


class Recreate(Checker):
    about = Guarantee(
        name="recreate-does-not-overlap",
        promise="With the strategy Recreate, pods of the new template are made when all old ones are gone.",
        checks="at each new pod, that no pod of another ReplicaSet of the Deployment runs or terminates",
        does_not_check="pods deleted by hand, which their ReplicaSet replaces at once",
        source=f"{DEPLOYMENT}#recreate-deployment; pkg/controller/deployment/recreate.go",
        not_kept_under={"manual edit": "a ReplicaSet was scaled by hand", "apiserver-outage": "caches are old"},
    )
    edits = ("ReplicaSet", "Pod")
    kinds = ("Pod",)

    def change(self, change: Change) -> None:
        pod = change.new
        if change.type != "ADDED" or not isinstance(pod, Pod):
            return
        own = self.world.controller(pod, "ReplicaSet")
        deployment = self.world.controller(own, "Deployment") if own is not None else None
        if deployment is None or deployment.spec.strategy.type != "Recreate":
            return
        self.exercised += 1
        if self.world.spec_changed_recently(deployment):
            return
        for other in self.world.all("ReplicaSet"):
            if other.uid == own.uid or self.world.controller(other, "Deployment") is not deployment:
                continue
            for old in self.world.pods_of(other):
                if not is_pod_terminal(old):
                    self.violated(pod.name, f"was made while {old.name} of the old template existed")


class TolerationHonoured(Checker):
    about = Guarantee(
        name="toleration-honoured",
        promise="A pod that tolerates a NoExecute taint for a time is not evicted before that time is over.",
        checks="at each deletion by the taint eviction controller, the age of the node's taints, and of those whose "
        "places they took: a countdown goes on when its taint makes way for another (taint_eviction.go, "
        "processPodOnNode)",
        does_not_check="how long after that time the eviction comes; nodes whose taints changed within 2 s",
        source="kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration; pkg/controller/tainteviction",
        not_kept_under={
            "node deleted": "countdowns outlive the Node, and a new Node of that name without taints is no change of "
            "taints that would end them (taint_eviction.go, handleNodeUpdate and NodeUpdated)",
        },
    )
    kinds = ("Node", "Pod")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._taints: dict[str, tuple[Taint, ...]] = {}

    def change(self, change: Change) -> None:
        new = change.new
        if isinstance(new, Node):
            self._tainted(new)
        elif isinstance(new, Pod) and change.actor == "tainteviction" and deletion_begins(change):
            self._evicted(new)

    def _tainted(self, node: Node) -> None:
        """Note the NoExecute taints of a node, with all that it has had since it was last without any."""
        taints = tuple(t for t in node.spec.taints if t.effect == "NoExecute")
        earlier = self._taints.get(node.uid, ()) if taints else ()
        self._taints[node.uid] = (*(t for t in earlier if t not in taints), *taints)

    def _evicted(self, pod: Pod) -> None:
        node = self.world.find("Node", "", pod.spec.node_name)
        if node is None or self.world.spec_changed_recently(node):
            return
        self.exercised += 1
        if not any(self._is_over(pod, taint) for taint in self._taints.get(node.uid, ())):
            problem = "was evicted although it tolerates all taints of its node at that time"
            self.violated(pod.name, problem, node=node.name)

    def _is_over(self, pod: Pod, taint: Taint) -> bool:
        """Tell whether a pod has borne a taint for as long as it tolerates it."""
        fitting = [t for t in pod.spec.tolerations if tolerates(t, taint)]
        limits = [t.toleration_seconds for t in fitting if t.toleration_seconds is not None]
        if fitting and not limits:
            return False
        due = (taint.time_added or 0) + max(0, min(limits, default=0)) * SECOND
        return self.world.now >= due - SECOND  # times are truncated to seconds


class QuotaHonoured(Checker):
    about = Guarantee(
        name="quota-honoured",
        promise="No pod is accepted that would exceed its namespace's quota of pods.",
        checks="the number of pods that have not ended when a pod is made, against quotas older than 2 s",
        does_not_check="quotas of other resources, and scopes",
        source="kubernetes.io/docs/concepts/policy/resource-quotas; plugin/pkg/admission/resourcequota",
        not_kept_under={
            "uncounted pods": "its controller counts anew after 5 min; meanwhile only what is made later is added "
            "(--resource-quota-sync-period; pkg/controller/resourcequota)",
            "manual edit": "the quota was lowered",
        },
    )
    edits = ("ResourceQuota",)
    kinds = ("Pod", "ResourceQuota")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._counted: dict[str, int] = {}

    def change(self, change: Change) -> None:
        new = change.new
        if isinstance(new, ResourceQuota):
            if "pods" in new.status.hard:
                self._counted.setdefault(new.uid, self.world.now)
        elif change.type == "ADDED" and isinstance(new, Pod):
            for quota in self.world.all("ResourceQuota"):
                self._judge(new, quota)

    def _judge(self, pod: Pod, quota: ResourceQuota) -> None:
        limit = quota.spec.hard.get("pods")
        if quota.namespace != pod.namespace or limit is None or quota.spec.scopes or quota.spec.scope_selector:
            return
        if self.world.spec_changed_recently(quota):
            return
        self.exercised += 1
        pods = [p for p in self.world.all("Pod") if p.namespace == pod.namespace and not is_pod_terminal(p)]
        if len(pods) > parse_quantity(limit):
            uncounted = len(pods) - self._uncounted(quota, pods) <= parse_quantity(limit)
            problem = f"is pod number {len(pods)}, the quota allows {limit}"
            self.violated(pod.name, problem, excuse="uncounted pods" if uncounted else None)

    def _uncounted(self, quota: ResourceQuota, pods: list[Pod]) -> int:
        """Return how many pods a quota may not know of: those made before it was counted, until the next count."""
        counted = self._counted.get(quota.uid)
        if counted is None or not self.world.recently(counted, QUOTA_SYNC + LAG):
            return 0
        return sum((p.metadata.creation_timestamp or 0) <= counted for p in pods)


class OrphansCollected(Checker):
    about = Guarantee(
        name="garbage-collected",
        promise="What has only owners that are gone is deleted, unless it was orphaned.",
        checks="pods, claims, ReplicaSets and revisions whose owners have been gone for the patience of the check",
        does_not_check="other kinds; pods whose grace period is not over",
        source="kubernetes.io/docs/concepts/architecture/garbage-collection; pkg/controller/garbagecollector",
        kind="liveness",
        not_kept_under={
            "stuck on a dead node": "a pod's deletion needs its kubelet's word",
            "node-crash": "a pod's deletion needs its kubelet's word",
            "node-partition": "a pod's deletion needs its kubelet's word",
            "node-isolation": "a pod's deletion needs its kubelet's word",
            "zone-outage": "a pod's deletion needs its kubelet's word",
            "zone-partition": "a pod's deletion needs its kubelet's word",
            "zone-isolation": "a pod's deletion needs its kubelet's word",
            "spot-reclaim": "a pod's deletion needs its kubelet's word",
        },
    )
    _dependents = ("Pod", "PersistentVolumeClaim", "ReplicaSet", "ControllerRevision")
    kinds = ("StatefulSet", "Deployment", "DaemonSet", "Job", *_dependents)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._gone: dict[str, int] = {}

    def change(self, change: Change) -> None:
        if change.type == "DELETED":
            self._gone[change.new.uid] = self.world.now
            self.exercised += change.actor == "garbagecollector"

    def end(self) -> None:
        for kind in self._dependents:
            for obj in self.world.all(kind):
                gone = [self._gone.get(owner.uid) for owner in obj.metadata.owner_references]
                if not gone or None in gone or self._may_take_longer(obj):
                    continue
                self.exercised += 1
                if self.world.patient_since(max(t for t in gone if t is not None)):
                    excuse = "stuck on a dead node" if self.world.node_is_silent(obj) else None
                    node = obj.spec.node_name if isinstance(obj, Pod) else ""
                    problem = f"outlives its owner {obj.metadata.owner_references[0].name}"
                    self.violated(f"{kind} {obj.name}", problem, excuse=excuse, node=node)

    def _may_take_longer(self, obj: Object) -> bool:
        due = obj.metadata.deletion_timestamp
        return isinstance(obj, Pod) and due is not None and self.world.now < due


CHECKERS: tuple[type[Checker], ...] = (
    MaxSurge, MaxUnavailable, Recreate, TolerationHonoured, QuotaHonoured, OrphansCollected,
)  # fmt: skip
