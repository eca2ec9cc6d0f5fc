"""Which revisions a set is at and is going to.

Source: pkg/controller/statefulset/stateful_set_control.go (getStatefulSetRevisions, truncateHistory); workloads.md 1.5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from k8sim.api.apps import ControllerRevision, StatefulSet
from k8sim.controllers.history import new_controller_revision, next_revision, sort_controller_revisions


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


class History:
    """The revisions that a set finds in the cache, and which of them stands for its template.

    Most syncs find both as the last one did, so a history is kept until `still_holds` says no.

    Attributes
    ----------
    revisions
        Those that the set owns and the orphans that it would adopt, sorted.
    has_orphans
        Whether there are any of the latter.
    update
        What to do to have the revision of the template.
    """

    def __init__(
        self, sts: StatefulSet, owned: Iterable[ControllerRevision], orphans: Sequence[ControllerRevision], version: int
    ) -> None:
        self._template = sts.spec.template
        self._version = version
        self.has_orphans = bool(orphans)
        self.revisions = sort_controller_revisions([*owned, *orphans])
        self.update = choose_update_revision(sts, self.revisions)

    def is_complete(self, sts: StatefulSet) -> bool:
        """Tell whether no revision is to be made, renumbered or trimmed."""
        return self.update.how == "use" and len(self.revisions) <= sts.spec.revision_history_limit

    def still_holds(self, sts: StatefulSet, version: int) -> bool:
        """Tell whether it is still so for a version of the set and of the cache; a name to be made depends on more."""
        return self._version == version and self._template is sts.spec.template and self.update.how != "create"


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
