"""Which revisions a set is at and is going to.

Source: pkg/controller/statefulset/stateful_set_control.go (getStatefulSetRevisions, truncateHistory); workloads.md 1.5.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple

from k8sim.api.apps import ControllerRevision, StatefulSet
from k8sim.controllers.history import new_controller_revision, next_revision


class UpdateRevision(NamedTuple):
    """What to do to have the revision of the set's template: use one, give an old one a new number, or create one."""

    how: Literal["use", "renumber", "create"]
    revision: ControllerRevision
    number: int


def choose_update_revision(sts: StatefulSet, revisions: Sequence[ControllerRevision]) -> UpdateRevision:
    """Decide which revision stands for the set's template; ``revisions`` are sorted."""
    template = sts.spec.template
    number = next_revision(revisions)
    equal = [r for r in revisions if r.data == template]
    if not equal:
        return UpdateRevision(
            "create", new_controller_revision(sts, template, number, sts.status.collision_count), number
        )
    if revisions[-1] is equal[-1]:
        return UpdateRevision("use", equal[-1], equal[-1].revision)
    return UpdateRevision("renumber", equal[-1], number)


def current_revision_of(
    sts: StatefulSet, revisions: Sequence[ControllerRevision], update: ControllerRevision
) -> ControllerRevision:
    """Return the revision that the set's status names, or the update revision for a new set."""
    for revision in revisions:
        if revision.metadata.name == sts.status.current_revision:
            return revision
    return update


def surplus_revisions(
    sts: StatefulSet, revisions: Sequence[ControllerRevision], live: Collection[str]
) -> list[ControllerRevision]:
    """Return the revisions to delete: the oldest of those that are not live, beyond the history limit."""
    limit = sts.spec.revision_history_limit
    if limit < 0 or len(revisions) <= limit:
        return []
    old = [r for r in revisions if r.name not in live]
    return old[: max(0, len(old) - limit)]
