"""What StatefulSets promise about identity, order and updates."""

from __future__ import annotations

from typing import Any

from k8sim.api.apps import StatefulSet
from k8sim.api.core import Pod
from k8sim.api.meta import controller_of
from k8sim.api.pods import is_pod_available, is_pod_terminal
from k8sim.apiserver.watch import Change
from k8sim.guarantees.guarantee import Checker, Guarantee
from k8sim.guarantees.world import World, deletion_begins, ordinal_of
from k8sim.sim.trace import Row

CONTROLLER = "statefulset-controller"
CONCEPTS = "kubernetes.io/docs/concepts/workloads/controllers/statefulset"
CONTROL = "pkg/controller/statefulset/stateful_set_control.go"
STALE = {
    "apiserver-outage": "controllers act on the caches they have",
    "manual edit": "a pod was made or changed by hand",
}


def range_of(sts: StatefulSet) -> range:
    """Return the ordinals that a set wants."""
    start = sts.spec.ordinals.start if sts.spec.ordinals is not None else 0
    return range(start, start + sts.spec.replicas)


def ordered(sts: StatefulSet) -> bool:
    """Tell whether the set makes and ends its pods one at a time."""
    return sts.spec.pod_management_policy != "Parallel"


def revision(pod: Pod) -> str:
    """Return the revision that a pod was made from."""
    return pod.metadata.labels.get("controller-revision-hash", "")


def max_unavailable(sts: StatefulSet) -> int:
    """Return how many pods an update may make unavailable (feature gate MaxUnavailableStatefulSet)."""
    rolling = sts.spec.update_strategy.rolling_update
    value = rolling.max_unavailable if rolling is not None else None
    if isinstance(value, str):
        value = int(value.rstrip("%")) * sts.spec.replicas // 100
    return max(1, value if value is not None else 1)


class SetPods(Checker):
    """Base of checkers of what the StatefulSet controller does to pods."""

    kinds = ("Pod",)

    def change(self, change: Change) -> None:
        pod = change.new
        assert isinstance(pod, Pod)
        if change.actor != CONTROLLER:
            return
        sts = self.world.controller(pod, "StatefulSet")
        if sts is None or self.world.spec_changed_recently(sts):
            return
        if change.type == "ADDED":
            self.created(sts, pod)
        elif deletion_begins(change):
            self.deleted(sts, pod)

    def created(self, sts: StatefulSet, pod: Pod) -> None:
        """Look at a pod that the controller has made."""

    def deleted(self, sts: StatefulSet, pod: Pod) -> None:
        """Look at a pod that the controller has begun to delete."""

    def is_update(self, sts: StatefulSet, pod: Pod) -> bool:
        """Tell whether a delete is one of the rolling update."""
        newest = self.world.update_revision(sts)
        in_range = ordinal_of(pod.name) in range_of(sts)
        return in_range and not is_pod_terminal(pod) and newest != "" and revision(pod) != newest

    def pod(self, sts: StatefulSet, ordinal: int) -> Any:
        """Return the set's pod of an ordinal, or None."""
        return self.world.find("Pod", sts.namespace, f"{sts.name}-{ordinal}")


class UniqueIdentity(Checker):
    """Processes are counted on the machines, whatever the API server believes."""

    about = Guarantee(
        name="unique-identity",
        promise="At any time at most one pod with a given identity of a StatefulSet runs.",
        checks="on the machines: no container of a pod starts while one of another pod of that name runs",
        does_not_check="what the processes do to their storage (see one-writer)",
        source=f"{CONCEPTS} (at most one semantics); {CONTROL}",
        not_kept_under={
            "forced deletion": "the name is free before anybody knows that the old process has ended",
            "forced deletion on a silent node": "nobody can tell whether the old process still runs",
            "pod garbage collection": "the Node is gone or out of service; its machine may still run",
            "final phase": "the object of a pod with a final phase goes at once",
        },
    )
    rows = ("Container",)

    def row(self, row: Row, number: int) -> None:
        if row.event != "Started":
            return
        key, uid = (row.namespace, row.name), row.detail["uid"]
        pod = self.world.find("Pod", *key)
        owner = controller_of(pod) if pod is not None else None
        if owner is None or owner.kind != "StatefulSet":
            return
        self.exercised += 1
        for process in self.world.processes.values():
            if process.key == key and process.uid != uid:
                how = self.world.removed.get(process.uid) or self.world.removed.get(uid, "")
                problem = f"runs on {row.detail['node']} while the former pod of that name runs on {process.node}"
                self.violated(row.name, problem, number, how)


class StableName(SetPods):
    about = Guarantee(
        name="stable-name",
        promise="Pods are named SET-ORDINAL, with that hostname and the labels that carry the name and the ordinal.",
        checks="name, hostname, subdomain and both labels of every pod the controller makes",
        does_not_check="DNS records",
        source="pkg/controller/statefulset/stateful_set_utils.go (newStatefulSetPod, initIdentity)",
        not_kept_under=STALE,
    )

    def created(self, sts: StatefulSet, pod: Pod) -> None:
        self.exercised += 1
        ordinal = ordinal_of(pod.name)
        labels = pod.metadata.labels
        if pod.name != f"{sts.name}-{ordinal}":
            self.violated(pod.name, f"is not named {sts.name}-ORDINAL")
        if pod.spec.hostname != pod.name or pod.spec.subdomain != sts.spec.service_name:
            self.violated(pod.name, f"has hostname {pod.spec.hostname!r}, subdomain {pod.spec.subdomain!r}")
        if labels.get("statefulset.kubernetes.io/pod-name") != pod.name:
            self.violated(pod.name, "lacks the label with its name")
        if labels.get("apps.kubernetes.io/pod-index") != str(ordinal):
            self.violated(pod.name, "lacks the label with its ordinal")


class OrdinalRange(SetPods):
    about = Guarantee(
        name="ordinal-range",
        promise="The controller makes pods with the ordinals start to start + replicas - 1 only.",
        checks="the ordinal of every pod it makes",
        does_not_check="pods made within 2 s of a change of the set",
        source="pkg/controller/statefulset/stateful_set_utils.go (podInOrdinalRange)",
        not_kept_under=STALE,
    )

    def created(self, sts: StatefulSet, pod: Pod) -> None:
        self.exercised += 1
        if ordinal_of(pod.name) not in range_of(sts):
            self.violated(pod.name, f"is outside {range_of(sts)}")


class OrderedStart(SetPods):
    about = Guarantee(
        name="ordered-start",
        promise="OrderedReady: before a pod is made, all its predecessors are Running and Ready.",
        checks="at each pod the controller makes, that all lower ordinals exist and were Ready within the last 2 s",
        does_not_check="races shorter than 2 s with a predecessor that has just become unready",
        source=f"{CONCEPTS}#deployment-and-scaling-guarantees; {CONTROL} (processReplica)",
        not_kept_under=STALE,
    )

    def created(self, sts: StatefulSet, pod: Pod) -> None:
        if not ordered(sts):
            return
        self.exercised += 1
        for ordinal in range(range_of(sts).start, ordinal_of(pod.name)):
            before = self.pod(sts, ordinal)
            name = f"{sts.name}-{ordinal}"
            if before is None:
                if self.world.gone_recently("Pod", sts.namespace, name) is None:
                    self.violated(pod.name, f"was made although {name} does not exist")
            elif not self.world.seen_ready(before):
                self.violated(pod.name, f"was made although {name} is not Ready")


class ReverseStop(SetPods):
    about = Guarantee(
        name="reverse-ordered-stop",
        promise="OrderedReady: before a pod is ended by scaling down, all its successors are gone.",
        checks="at each delete of a pod out of range, that no pod of a higher ordinal exists",
        does_not_check="Parallel sets; pods that others delete",
        source=f"{CONCEPTS}#deployment-and-scaling-guarantees; {CONTROL} (processCondemned)",
        not_kept_under=STALE,
    )

    def deleted(self, sts: StatefulSet, pod: Pod) -> None:
        if not ordered(sts) or ordinal_of(pod.name) in range_of(sts):
            return
        self.exercised += 1
        for other in self.world.pods_of(sts):
            if ordinal_of(other.name) > ordinal_of(pod.name) and ordinal_of(other.name) not in range_of(sts):
                self.violated(pod.name, f"was deleted before its successor {other.name} was gone")


class UpdateOrder(SetPods):
    about = Guarantee(
        name="update-order",
        promise="A rolling update replaces pods from the highest ordinal to the lowest.",
        checks="at each delete for the update, that no higher ordinal still runs an older revision",
        does_not_check="pods that others delete meanwhile",
        source=f"{CONCEPTS}#rolling-updates; {CONTROL} (updateStatefulSet)",
        not_kept_under=STALE,
    )

    def deleted(self, sts: StatefulSet, pod: Pod) -> None:
        if not self.is_update(sts, pod):
            return
        self.exercised += 1
        newest = self.world.update_revision(sts)
        for other in self.world.pods_of(sts):
            later = ordinal_of(other.name) > ordinal_of(pod.name) and ordinal_of(other.name) in range_of(sts)
            if later and not other.deleting and revision(other) != newest:
                self.violated(pod.name, f"was updated before {other.name}")


class Partition(SetPods):
    about = Guarantee(
        name="partition",
        promise="Pods with an ordinal below the partition are not updated; with OnDelete, none is.",
        checks="that the controller deletes for an update no pod below the partition, and none with OnDelete",
        does_not_check="which revision a pod below the partition gets when it is made again (see revision-of-new-pods)",
        source=f"{CONCEPTS}#partitions; {CONTROL}",
        not_kept_under=STALE,
    )

    def deleted(self, sts: StatefulSet, pod: Pod) -> None:
        if not self.is_update(sts, pod):
            return
        self.exercised += 1
        strategy = sts.spec.update_strategy
        if strategy.type == "OnDelete":
            self.violated(pod.name, "was deleted for an update although the strategy is OnDelete")
            return
        partition = (strategy.rolling_update.partition or 0) if strategy.rolling_update is not None else 0
        if ordinal_of(pod.name) < range_of(sts).start + partition:
            self.violated(pod.name, f"was deleted for an update although the partition is {partition}")


class RevisionOfNewPods(SetPods):
    about = Guarantee(
        name="revision-of-new-pods",
        promise="A pod made at or above the partition has the newest template.",
        checks="the revision label of pods that the controller makes under RollingUpdate, at or above the partition",
        does_not_check="pods below the partition (they get the current revision), OnDelete",
        source="pkg/controller/statefulset/stateful_set_utils.go (newVersionedStatefulSetPod)",
        not_kept_under=STALE,
    )

    def created(self, sts: StatefulSet, pod: Pod) -> None:
        strategy = sts.spec.update_strategy
        if strategy.type == "OnDelete" or strategy.rolling_update is None:
            return
        partition = strategy.rolling_update.partition or 0
        if ordinal_of(pod.name) < range_of(sts).start + partition:
            return
        newest = self.world.update_revision(sts)
        if not newest:
            return  # the set is being orphaned: its revisions are not its own any more
        self.exercised += 1
        if revision(pod) != newest:
            self.violated(pod.name, f"was made from {revision(pod)}, not from the newest revision")


class AvailabilityDuringRollout(SetPods):
    about = Guarantee(
        name="availability-during-rollout",
        promise="A rolling update deletes a pod only if then at most maxUnavailable (1) pods are unavailable.",
        checks="at each delete for the update, the pods in range that are missing, terminating or unavailable",
        does_not_check="pods that became unavailable within the last 2 s",
        source=f"{CONCEPTS}#rolling-updates; {CONTROL} (updateStatefulSet, getMaxUnavailable)",
        not_kept_under={
            "parallel": "the update looks only at higher ordinals (kubernetes/kubernetes issue 96218)",
            **STALE,
        },
    )

    def deleted(self, sts: StatefulSet, pod: Pod) -> None:
        if not self.is_update(sts, pod):
            return
        self.exercised += 1
        gate = self.world.gates("MaxUnavailableStatefulSet")
        limit = max_unavailable(sts) if gate else 1
        away = [o for o in range_of(sts) if f"{sts.name}-{o}" != pod.name and not self._available(sts, o)]
        if len(away) + 1 > limit and self._available(sts, ordinal_of(pod.name), being_deleted=True):
            excuse = "parallel" if not ordered(sts) and not gate else None
            names = ", ".join(f"{sts.name}-{o}" for o in away)
            self.violated(pod.name, f"was deleted for an update while {names} were unavailable", excuse=excuse)

    def _available(self, sts: StatefulSet, ordinal: int, being_deleted: bool = False) -> bool:
        pod = self.pod(sts, ordinal)
        if pod is None:
            return self.world.gone_recently("Pod", sts.namespace, f"{sts.name}-{ordinal}") is not None
        if pod.deleting and not being_deleted and not self.world.recently(self.world.deleting_since(pod)):
            return False
        return is_pod_available(pod, sts.spec.min_ready_seconds, self.world.now) or (
            self.world.seen_ready(pod) and sts.spec.min_ready_seconds == 0
        )


class StickyStorage(Checker):
    """A pod of an identity and its claims, one incarnation after the other."""

    about = Guarantee(
        name="sticky-storage",
        promise="A pod of a StatefulSet uses the claims TEMPLATE-POD, and so does whoever replaces it.",
        checks="claims named by each pod; that a replacement finds the same claim unless somebody deleted that claim",
        does_not_check="the content of the volume",
        source="pkg/controller/statefulset/stateful_set_utils.go (getPersistentVolumeClaims, updateStorage)",
        not_kept_under=STALE,
    )
    kinds = ("Pod", "PersistentVolumeClaim")
    edits = ("Pod", "PersistentVolumeClaim")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._claims: dict[tuple[str, str], str] = {}
        self._deleted: set[str] = set()

    def change(self, change: Change) -> None:
        obj = change.new
        if obj.kind == "PersistentVolumeClaim":
            if deletion_begins(change):
                self._deleted.add(obj.uid)
            return
        assert isinstance(obj, Pod)
        sts = self.world.controller(obj, "StatefulSet")
        if change.type != "ADDED" or sts is None or change.actor != CONTROLLER:
            return
        used = {v.persistent_volume_claim.claim_name for v in obj.spec.volumes if v.persistent_volume_claim}
        for template in sts.spec.volume_claim_templates:
            self.exercised += 1
            name = f"{template.name}-{obj.name}"
            if name not in used:
                self.violated(obj.name, f"does not use its claim {name}")
                continue
            claim = self.world.find("PersistentVolumeClaim", obj.namespace, name)
            before = self._claims.get((obj.namespace, name))
            if claim is None:
                continue
            if before is not None and before != claim.uid and before not in self._deleted:
                self.violated(obj.name, f"got another claim {name} than the pod before it")
            self._claims[obj.namespace, name] = claim.uid


class ClaimsSurvive(Checker):
    about = Guarantee(
        name="claims-survive",
        promise="Claims of a set outlive pods, scaling and the set, unless the retention policy says Delete.",
        checks="that no controller deletes a claim of a claim template against the retention policy",
        does_not_check="claims that people delete, or that go with their namespace",
        source=f"{CONCEPTS}#persistentvolumeclaim-retention; pkg/controller/statefulset/stateful_set_utils.go",
        not_kept_under={"manual edit": "owner references were set by hand"},
    )
    kinds = ("PersistentVolumeClaim", "StatefulSet")
    edits = ("PersistentVolumeClaim",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._sets: dict[tuple[str, str], StatefulSet] = {}

    def change(self, change: Change) -> None:
        obj = change.new
        if isinstance(obj, StatefulSet):
            self._sets[obj.key] = obj
            return
        if not deletion_begins(change) or change.actor == "kubectl" or change.actor.startswith("namespace"):
            return
        for sts in self._sets.values():
            for template in sts.spec.volume_claim_templates:
                prefix = f"{template.name}-{sts.name}-"
                if obj.namespace == sts.namespace and obj.name.startswith(prefix) and ordinal_of(obj.name) >= 0:
                    self.exercised += 1
                    self._check(sts, change)

    def _check(self, sts: StatefulSet, change: Change) -> None:
        policy = sts.spec.persistent_volume_claim_retention_policy
        owners = {o.kind for o in change.new.metadata.owner_references}
        if policy.when_deleted != "Delete" and "StatefulSet" in owners:
            self.violated(change.new.name, "was deleted with its set although whenDeleted is Retain")
        elif policy.when_scaled != "Delete" and "Pod" in owners:
            self.violated(change.new.name, "was deleted by scaling although whenScaled is Retain")
        elif not owners:
            self.violated(change.new.name, f"was deleted by {change.actor} although nothing owns it")


CHECKERS: tuple[type[Checker], ...] = (
    UniqueIdentity, StableName, OrdinalRange, OrderedStart, ReverseStop, UpdateOrder, Partition, RevisionOfNewPods,
    AvailabilityDuringRollout, StickyStorage, ClaimsSurvive,
)  # fmt: skip
