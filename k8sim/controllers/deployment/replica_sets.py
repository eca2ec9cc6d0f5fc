"""A Deployment's ReplicaSets: which is the new one, their names, and the annotations that keep the history.

Source: pkg/controller/deployment/sync.go (getNewReplicaSet, cleanupDeployment), util/deployment_util.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from k8sim.api.apps import Deployment, ReplicaSet, ReplicaSetSpec
from k8sim.api.core import PodTemplateSpec
from k8sim.api.meta import LabelSelector, ObjectMeta, controller_ref, share_all_but_status, with_meta
from k8sim.api.scheme import encode_part
from k8sim.api.struct import replace
from k8sim.controllers.deployment.rounding import max_surge
from k8sim.controllers.hashing import fnv1a_32, safe_encode_string

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
}
_HISTORY_MAX_CHARS = 2000
_NAME_MAX_CHARS = 253


class ReplicaSets(NamedTuple):
    """The new ReplicaSet, if it exists, and all others."""

    new: ReplicaSet | None
    old: tuple[ReplicaSet, ...]

    @property
    def all(self) -> tuple[ReplicaSet, ...]:
        """Old ones and the new one."""
        return (*self.old, self.new) if self.new is not None else self.old


def by_creation(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Return the oldest first (ReplicaSetsByCreationTimestamp)."""
    return sorted(sets, key=lambda rs: (rs.metadata.creation_timestamp or 0, rs.metadata.name))


def active(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Return those that want pods (FilterActiveReplicaSets)."""
    return [rs for rs in sets if rs.spec.replicas > 0]


def wanted(sets: Iterable[ReplicaSet]) -> int:
    """Return how many pods the ReplicaSets want together (GetReplicaCountForReplicaSets)."""
    return sum(rs.spec.replicas for rs in sets)


def equal_ignore_hash(a: PodTemplateSpec, b: PodTemplateSpec) -> bool:
    """Tell whether two templates are equal but for the pod-template-hash label."""
    if a.spec is not b.spec and a.spec != b.spec:
        return False
    return _without_hash(a.metadata) == _without_hash(b.metadata)


def _without_hash(meta: ObjectMeta) -> ObjectMeta:
    if HASH_LABEL not in meta.labels:
        return meta
    return replace(meta, labels={k: v for k, v in meta.labels.items() if k != HASH_LABEL})


def split(deployment: Deployment, sets: Sequence[ReplicaSet]) -> ReplicaSets:
    """Find the new ReplicaSet: the oldest one with the Deployment's template."""
    ordered = by_creation(sets)
    new = next((rs for rs in ordered if equal_ignore_hash(rs.spec.template, deployment.spec.template)), None)
    return ReplicaSets(new, tuple(rs for rs in ordered if rs is not new))


class Settled(NamedTuple):
    """A Deployment whose ReplicaSets were all as they should be, but for what follows from statuses.

    While only statuses change, which is what most syncs are about, it owns the same ReplicaSets in the same roles, and
    their sizes, revisions and annotations need nothing.

    Attributes
    ----------
    cached
        The ReplicaSets as the cache gave them.
    roles
        Their UIDs: that of the new one, then those of the others, the oldest first.
    """

    deployment: Deployment
    cached: Sequence[ReplicaSet]
    roles: Sequence[str]

    def found_again(self, deployment: Deployment, cached: Sequence[ReplicaSet]) -> ReplicaSets | None:
        """Return the ReplicaSets' present versions in their roles, None if more than statuses may have changed."""
        was = self.deployment
        if deployment is not was and not (
            share_all_but_status(deployment, was) and deployment.status.conditions is was.status.conditions
        ):
            return None
        if len(cached) != len(self.cached) or not all(map(share_all_but_status, cached, self.cached)):
            return None
        now = {rs.metadata.uid: rs for rs in cached}
        new, *old = [now[uid] for uid in self.roles]
        return ReplicaSets(new, tuple(old))


def revision(obj: ReplicaSet | Deployment) -> int:
    """Return the revision number in the annotation, 0 if there is none."""
    text = obj.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdigit() else 0


def next_revision(old: Iterable[ReplicaSet]) -> int:
    """Return the number of the revision after all old ones."""
    return max((revision(rs) for rs in old), default=0) + 1


def template_hash(template: PodTemplateSpec, collision_count: int) -> str:
    """Return the pod-template-hash (controller.ComputeHash; the bytes that are hashed are our own)."""
    data = json.dumps(encode_part(template), sort_keys=True, separators=(",", ":"), default=str)
    return safe_encode_string(str(fnv1a_32(data.encode() + (str(collision_count) if collision_count else "").encode())))


def new_replica_set(deployment: Deployment, old: Sequence[ReplicaSet], replicas: int) -> ReplicaSet:
    """Return the ReplicaSet of the Deployment's template, not stored yet."""
    hash_ = template_hash(deployment.spec.template, deployment.status.collision_count)
    template = deployment.spec.template
    labels = {**template.metadata.labels, HASH_LABEL: hash_}
    selector = deployment.spec.selector or LabelSelector()
    rs = ReplicaSet(
        metadata=ObjectMeta(
            name=f"{deployment.name[: _NAME_MAX_CHARS - len(hash_) - 1]}-{hash_}",
            namespace=deployment.namespace,
            labels=labels,
            owner_references=(controller_ref(deployment),),
        ),
        spec=ReplicaSetSpec(
            replicas=replicas,
            min_ready_seconds=deployment.spec.min_ready_seconds,
            selector=replace(selector, match_labels={**selector.match_labels, HASH_LABEL: hash_}),
            template=replace(template, metadata=replace(template.metadata, labels=labels)),
        ),
    )
    annotations = annotations_of_new(deployment, rs, next_revision(old))
    return with_meta(rs, annotations={**annotations, **size_annotations(deployment)})


def size_annotations(deployment: Deployment) -> dict[str, str]:
    """Return the annotations that say for which size of the Deployment a ReplicaSet was last scaled."""
    desired = deployment.spec.replicas
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + max_surge(deployment))}


def annotations_of_new(deployment: Deployment, rs: ReplicaSet, number: int) -> Mapping[str, str]:
    """Return the new ReplicaSet's annotations: the Deployment's, its revision, and the revisions it had before.

    A ReplicaSet that becomes the newest again (a rollback) gets the next number and remembers its old ones
    (SetNewReplicaSetAnnotations).
    """
    copied = {k: v for k, v in deployment.metadata.annotations.items() if k not in _NOT_COPIED}
    annotations = {**rs.metadata.annotations, **copied}
    had = rs.metadata.annotations.get(REVISION)
    if revision(rs) < number:
        annotations[REVISION] = str(number)
        if had is not None:
            annotations[REVISION_HISTORY] = _with_history(annotations.get(REVISION_HISTORY, ""), had)
    return annotations


def _with_history(history: str, number: str) -> str:
    """Append a revision, dropping the oldest ones beyond 2000 characters."""
    numbers = [*history.split(","), number] if history else [number]
    while len(",".join(numbers)) > _HISTORY_MAX_CHARS:
        numbers.pop(0)
    return ",".join(numbers)


def surplus(deployment: Deployment, old: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Return the old ReplicaSets beyond revisionHistoryLimit that are empty (cleanupDeployment)."""
    limit = deployment.spec.revision_history_limit
    cleanable = sorted((rs for rs in old if not rs.deleting), key=revision)
    oldest = cleanable[: max(0, len(cleanable) - limit)]
    return [
        rs
        for rs in oldest
        if rs.status.replicas == 0 and rs.spec.replicas == 0 and rs.metadata.generation <= rs.status.observed_generation
    ]
