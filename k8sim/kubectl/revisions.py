"""The revisions of a workload, as kubectl rollout history and undo see them.

A StatefulSet's or DaemonSet's are its ControllerRevisions, a Deployment's are its ReplicaSets. Source:
staging/src/k8s.io/kubectl/pkg/polymorphichelpers/{history,rollback}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from k8sim.api.apps import ControllerRevision, ReplicaSet
from k8sim.api.core import PodTemplateSpec
from k8sim.api.meta import Object, controller_of
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import replace
from k8sim.kubectl.rollout_status import REVISION

CHANGE_CAUSE = "kubernetes.io/change-cause"
POD_TEMPLATE_HASH = "pod-template-hash"


class Revision(NamedTuple):
    """One template that a workload has had."""

    number: int
    template: PodTemplateSpec
    cause: str


def revisions_of(owner: Object, history: Iterable[Object]) -> list[Revision]:
    """Return the revisions that an owner controls, by number."""
    found = []
    for obj in history:
        ref = controller_of(obj)
        if ref is None or ref.uid != owner.uid:
            continue
        if not selector_matches(owner.spec.selector, obj.metadata.labels):  # type: ignore[attr-defined]
            continue
        revision = _revision(obj)
        if revision is not None:
            found.append(revision)
    return sorted(found, key=lambda r: r.number)


def _revision(obj: Object) -> Revision | None:
    cause = obj.metadata.annotations.get(CHANGE_CAUSE, "")
    if isinstance(obj, ControllerRevision):
        return Revision(obj.revision, obj.data, cause)
    assert isinstance(obj, ReplicaSet)
    number = obj.metadata.annotations.get(REVISION, "")
    return Revision(int(number), without_hash(obj.spec.template), cause) if number.isdigit() else None


def without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    """Return a ReplicaSet's template as the Deployment had it."""
    labels = {k: v for k, v in template.metadata.labels.items() if k != POD_TEMPLATE_HASH}
    return replace(template, metadata=replace(template.metadata, labels=labels))


def choose_revision(revisions: Sequence[Revision], number: int) -> Revision | None:
    """Return the revision of a number; of 0 the one before the last. None if there is none."""
    if number == 0:
        return revisions[-2] if len(revisions) > 1 else None
    return next((r for r in revisions if r.number == number), None)
