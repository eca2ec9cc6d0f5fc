"""A set's pods, filed by what the control loop asks about them, and kept up to date pod by pod.

The control loop of Kubernetes walks over all pods in each sync. Here a pod is looked at when it (or one of its claims)
has changed, and the answers to the loop's questions (how many are ready, which ordinal is the first that is not
settled, which is the last that is outdated) are kept. So a sync costs what has changed, not what there is. Two rules:

* What is filed depends only on the pods put in, their claims, the set's spec, the update revision and the time of the
  last `advance`: filing step by step gives the same as filing all at once.
* Nothing here decides; `control` does.

Source: pkg/controller/statefulset/stateful_set_utils.go (the predicates), stateful_set_control.go (updateStatus).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from k8sim.api.apps import StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy
from k8sim.api.core import Pod
from k8sim.api.meta import Condition, condition_of
from k8sim.controllers.statefulset.claims import ClaimLookup, claims_match_retention_policy, missing_claims
from k8sim.controllers.statefulset.identity import (
    REVISION_LABEL,
    identity_matches,
    parent_and_ordinal,
    start_ordinal,
    storage_matches,
)
from k8sim.controllers.statefulset.ordinals import Ordinals

SECOND_NS = 1_000_000_000
Shape = tuple[str, int, int, int, StatefulSetPersistentVolumeClaimRetentionPolicy]


class Replica:
    """What the control loop asks about one pod.

    ``condition`` is Ready if it is True. ``available_ns`` is the time from which the pod counts as available, None
    while it is not Ready. ``available`` is that answer at the time of filing. ``known`` is a former version with the
    `same_identity`: most new versions of a pod differ in their status alone.
    """

    __slots__ = (
        "available",
        "available_ns",
        "claims_match",
        "condition",
        "has_identity",
        "matches",
        "needs_claims",
        "ordinal",
        "pending",
        "pod",
        "ready",
        "revision",
        "terminal",
        "terminating",
    )

    def __init__(
        self, pod: Pod, sts: StatefulSet, claims: ClaimLookup, ordinal: int, known: Replica | None = None
    ) -> None:
        self.pod = pod
        self.ordinal = ordinal
        self.revision: str
        self.has_identity: bool
        if known is not None:
            self.revision, self.has_identity = known.revision, known.has_identity
        else:
            self.revision = pod.metadata.labels.get(REVISION_LABEL, "")
            self.has_identity = identity_matches(sts, pod, ordinal) and storage_matches(sts, pod, ordinal)
        self.terminating = pod.metadata.deletion_timestamp is not None
        phase = pod.status.phase
        self.terminal = phase in ("Failed", "Succeeded")
        self.pending = phase == "Pending"
        self.ready = False
        self.available_ns: int | None = None
        self.available = False
        self.condition = condition = _true_ready_condition(pod)
        if condition is not None:
            self.ready = phase == "Running"
            self.available_ns = _available_from(condition.last_transition_time, sts.spec.min_ready_seconds)
        if sts.spec.volume_claim_templates:
            self.claims_match = claims_match_retention_policy(sts, pod, ordinal, claims)
            self.needs_claims = self.pending and (not self.claims_match or missing_claims(sts, ordinal, claims))
        else:
            self.claims_match = True
            self.needs_claims = False
        self.matches = self.claims_match and self.has_identity

    def stays_for(self, pod: Pod) -> bool:
        """Tell at a glance that a version of the pod with the `same_identity` changes nothing while claims do not.

        So it is with most: another condition than Ready, why it is not Ready, an address are all the same here.
        """
        was = self.pod
        return (
            pod.status.phase == was.status.phase
            and pod.metadata.deletion_timestamp == was.metadata.deletion_timestamp
            and _true_ready_condition(pod) == self.condition
        )

    def answers_like(self, other: Replica) -> bool:
        """Tell whether the control loop would see no difference: most new versions of a pod are of this kind."""
        return (
            self.terminating == other.terminating
            and self.terminal == other.terminal
            and self.pending == other.pending
            and self.ready == other.ready
            and self.available_ns == other.available_ns
            and self.revision == other.revision
            and self.matches == other.matches
            and self.claims_match == other.claims_match
            and self.needs_claims == other.needs_claims
        )


def same_identity(pod: Pod, known: Pod) -> bool:
    """Tell at a glance that a version of a pod has the labels, owners and spec of another one.

    What a write does not change is the same object.
    """
    meta, was = pod.metadata, known.metadata
    return (
        pod.spec is known.spec
        and meta.labels is was.labels
        and meta.owner_references is was.owner_references
        and meta.uid == was.uid
    )


def _true_ready_condition(pod: Pod) -> Condition | None:
    condition = condition_of(pod.status.conditions, "Ready")
    return condition if condition is not None and condition.status == "True" else None


def _available_from(ready_since: int | None, min_ready_seconds: int) -> int | None:
    """Return from when a Ready pod is available (podutil.IsPodAvailable)."""
    if min_ready_seconds == 0:
        return 0
    return None if ready_since is None else ready_since + min_ready_seconds * SECOND_NS


def shape_of(sts: StatefulSet) -> Shape:
    """Return what of the set the filing depends on; if it changes, all is filed anew."""
    spec = sts.spec
    policy = spec.persistent_volume_claim_retention_policy
    return (sts.uid, spec.replicas, start_ordinal(sts), spec.min_ready_seconds, policy)


class Replicas:
    """The pods that a set has claimed.

    Attributes
    ----------
    claims
        How to find one of the set's claims.
    created, ready, available
        Counts over all pods (updateStatus).
    empty
        Ordinals in range without a pod.
    unsettled
        Ordinals in range that an ordered pass cannot go past: empty, or not running, ready and available, or ending.
    acting
        Ordinals in range whose pod needs a request: it has ended, lacks claims, or does not match its identity.
    unavailable, outdated
        Ordinals in range (the latter without those that are being deleted).
    filings
        How often something was filed: while it stays the same, so do all answers.
    settled
        For which version of the set, which revisions and which ``filings`` a sync has found that nothing is to be done.
    condemned, condemned_alive, condemned_unavailable, condemned_claims
        Ordinals out of range: all; not being deleted; unavailable; with claims to be given another owner.
    """

    def __init__(
        self, sts: StatefulSet, update_revision: str, claims: ClaimLookup, pods: Iterable[Pod] = (), now_ns: int = 0
    ) -> None:
        self.sts = sts
        self.shape = shape_of(sts)
        self.update_revision = update_revision
        self.now_ns = now_ns
        self.claims = claims
        start, stop = start_ordinal(sts), start_ordinal(sts) + sts.spec.replicas
        self.range = range(start, stop)
        self.created = self.ready = self.available = 0
        self._revisions: dict[str, int] = {}
        self._alive: dict[str, int] = {}
        self._by_ordinal: dict[int, Replica] = {}
        self._maturing: list[tuple[int, int]] = []
        self.filings = 0
        self.settled: tuple[StatefulSet, object, int] | None = None
        self.empty = Ordinals(self.range)
        self.unsettled = Ordinals(self.range)
        self.unavailable = Ordinals(self.range)
        self.acting = Ordinals()
        self.outdated = Ordinals()
        self.condemned = Ordinals()
        self.condemned_alive = Ordinals()
        self.condemned_unavailable = Ordinals()
        self.condemned_claims = Ordinals()
        for pod in pods:
            self.put(pod)

    # ---- questions ------------------------------------------------------------------------------------------

    def __getitem__(self, ordinal: int) -> Replica:
        return self._by_ordinal[ordinal]

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self._by_ordinal

    def pods(self) -> Iterator[Pod]:
        """All pods."""
        return (r.pod for r in self._by_ordinal.values())

    def find(self, name: str) -> Replica | None:
        """Return what is filed of the pod of a name."""
        replica = self._by_ordinal.get(parent_and_ordinal(name)[1])
        return replica if replica is not None and replica.pod.metadata.name == name else None

    def alive_at(self, revision: str) -> int:
        """Return how many pods of a revision are not being deleted."""
        return self._alive.get(revision, 0)

    def revisions(self) -> list[str]:
        """Return the revisions that pods name."""
        return [name for name, count in self._revisions.items() if count]

    def next_available_ns(self) -> int | None:
        """Return when the next Ready pod becomes available, None if none waits for that."""
        maturing = self._maturing
        while maturing:
            due, ordinal = maturing[0]
            replica = self._by_ordinal.get(ordinal)
            if replica is not None and not replica.available and replica.available_ns == due:
                return due
            heappop(maturing)
        return None

    # ---- changes --------------------------------------------------------------------------------------------

    def refitted(self, sts: StatefulSet, update_revision: str) -> Replicas:
        """Return the view for another version of the set: itself, unless something that matters has changed."""
        if sts.spec is not self.sts.spec and shape_of(sts) != self.shape:
            return Replicas(sts, update_revision, self.claims, self.pods(), self.now_ns)
        self.sts = sts
        if update_revision != self.update_revision:
            self.filings += 1
            self.update_revision = update_revision
            self.outdated = Ordinals(o for o, r in self._by_ordinal.items() if o in self.range and self._is_outdated(r))
        return self

    def advance(self, now_ns: int) -> None:
        """Let time pass: Ready pods become available after minReadySeconds."""
        self.now_ns = now_ns
        if not self._maturing:
            return
        while (due := self.next_available_ns()) is not None and due <= now_ns:
            _, ordinal = heappop(self._maturing)
            replica = self._by_ordinal[ordinal]
            self._unfile(replica)
            self._file(replica)

    def put(self, pod: Pod, known: Replica | None = None) -> None:
        """Take a pod in, or a new version of it.

        Parameters
        ----------
        known
            What is filed of a former version with the `same_identity`, if the caller knows of one.
        """
        ordinal = known.ordinal if known is not None else parent_and_ordinal(pod.metadata.name)[1]
        if ordinal < 0:
            return
        old = self._by_ordinal.get(ordinal)
        if known is None and old is not None and same_identity(pod, old.pod):
            known = old
        if known is not None and known.stays_for(pod):
            known.pod = pod
            return
        self._look_at(pod, ordinal, old, known)

    def claims_changed(self, ordinal: int) -> None:
        """Look at the claims of an ordinal again."""
        self.filings += 1  # whether a pod can be made depends on the claims of its predecessor
        old = self._by_ordinal.get(ordinal)
        if old is not None:
            self._look_at(old.pod, ordinal, old, old)

    def _look_at(self, pod: Pod, ordinal: int, old: Replica | None, known: Replica | None) -> None:
        replica = Replica(pod, self.sts, self.claims, ordinal, known)
        if old is not None:
            if old.answers_like(replica):
                old.pod, old.condition = pod, replica.condition
                return
            self._unfile(old)
        self._file(replica)

    def remove(self, name: str) -> None:
        """Let a pod go."""
        ordinal = parent_and_ordinal(name)[1]
        replica = self._by_ordinal.get(ordinal)
        if replica is None or replica.pod.metadata.name != name:
            return
        self._unfile(replica)
        if ordinal in self.range:
            for ordinals in (self.empty, self.unsettled, self.unavailable):
                ordinals.add(ordinal)

    def _file(self, replica: Replica) -> None:
        self.filings += 1
        ordinal = replica.ordinal
        self._by_ordinal[ordinal] = replica
        due = replica.available_ns
        replica.available = due is not None and due <= self.now_ns
        if due is not None and not replica.available:
            heappush(self._maturing, (due, ordinal))
        self._count(replica, 1)
        unavailable = replica.terminating or not replica.available
        if ordinal in self.range:
            self.empty.discard(ordinal)
            _hold(self.unsettled, ordinal, replica.terminal or unavailable or not replica.ready)
            _hold(self.unavailable, ordinal, unavailable)
            if (replica.terminal and not replica.terminating) or replica.needs_claims or not replica.matches:
                self.acting.add(ordinal)
            if self._is_outdated(replica):
                self.outdated.add(ordinal)
        else:
            self.condemned.add(ordinal)
            if not replica.terminating:
                self.condemned_alive.add(ordinal)
            if unavailable:
                self.condemned_unavailable.add(ordinal)
            if not replica.claims_match:
                self.condemned_claims.add(ordinal)

    def _unfile(self, replica: Replica) -> None:
        self.filings += 1
        ordinal = replica.ordinal
        del self._by_ordinal[ordinal]
        self._count(replica, -1)
        if ordinal in self.range:
            self.acting.discard(ordinal)
            self.outdated.discard(ordinal)
        else:
            self.condemned.discard(ordinal)
            self.condemned_alive.discard(ordinal)
            self.condemned_unavailable.discard(ordinal)
            self.condemned_claims.discard(ordinal)

    def _is_outdated(self, replica: Replica) -> bool:
        return not replica.terminating and replica.revision != self.update_revision

    def _count(self, replica: Replica, step: int) -> None:
        self.created += step
        revision = replica.revision
        self._revisions[revision] = self._revisions.get(revision, 0) + step
        if not replica.terminating:
            self._alive[revision] = self._alive.get(revision, 0) + step
        if replica.ready:
            self.ready += step
            if replica.available:
                self.available += step


def _hold(ordinals: Ordinals, ordinal: int, held: bool) -> None:
    if held:
        ordinals.add(ordinal)
    else:
        ordinals.discard(ordinal)
