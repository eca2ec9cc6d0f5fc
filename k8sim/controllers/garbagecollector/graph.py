"""Who owns whom: a graph of all objects by UID, kept up to date by one change at a time.

Each change names the objects that it makes worth a look. An owner that nobody has seen yet is in the graph as a virtual
node, so that somebody checks whether it exists at all.

Source: pkg/controller/garbagecollector/graph_builder.go, graph.go; workloads.md 5.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8sim.api.meta import Object, OwnerReference
from k8sim.api.scheme import kind_class

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"

ATTEMPT_TO_DELETE = "delete"
ATTEMPT_TO_ORPHAN = "orphan"
Work = tuple[str, str]
"""What is to be looked at: (action, UID)."""


class Node:
    """An object as the garbage collector knows it; ``cls`` None stands for a kind that is not simulated."""

    __slots__ = (
        "being_deleted", "cls", "deleting_dependents", "dependents", "name", "namespace", "observed", "orphaning",
        "owners", "uid",
    )  # fmt: skip

    def __init__(self, uid: str, cls: type[Object] | None, namespace: str, name: str) -> None:
        self.uid = uid
        self.cls = cls
        self.namespace = namespace
        self.name = name
        self.owners: tuple[OwnerReference, ...] = ()
        self.dependents: dict[str, Node] = {}
        self.observed = False
        self.being_deleted = False
        self.deleting_dependents = False
        self.orphaning = False

    def blocking_dependents(self) -> list[Node]:
        """Return the dependents that hold up a foreground deletion."""
        return [
            dependent
            for dependent in self.dependents.values()
            if any(ref.uid == self.uid and ref.block_owner_deletion for ref in dependent.owners)
        ]


class OwnerGraph:
    """All objects seen, and the owners they name. ``absent`` holds UIDs of owners that are known not to exist."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.absent: dict[str, None] = {}

    def observe(self, obj: Object) -> list[Work]:
        """Take in an object that was added or changed."""
        work: list[Work] = []
        refs = obj.metadata.owner_references
        node = self.nodes.get(obj.metadata.uid)
        if node is None:
            node = self.nodes[obj.metadata.uid] = Node(
                obj.metadata.uid, type(obj), obj.metadata.namespace, obj.metadata.name
            )
        if not node.observed:
            node.observed = True
            node.cls, node.namespace, node.name = type(obj), obj.metadata.namespace, obj.metadata.name
        if refs != node.owners:
            work += self._change_owners(node, refs)
        if obj.metadata.deletion_timestamp is not None:
            node.being_deleted = True
            finalizers = obj.metadata.finalizers
            if ORPHAN in finalizers and not node.orphaning:
                node.orphaning = True
                work.append((ATTEMPT_TO_ORPHAN, node.uid))
            elif FOREGROUND in finalizers and not node.deleting_dependents:
                node.deleting_dependents = True
                work += [(ATTEMPT_TO_DELETE, uid) for uid in node.dependents]
                work.append((ATTEMPT_TO_DELETE, node.uid))
        return work

    def forget(self, uid: str) -> list[Work]:
        """Take in that an object is gone, seen by a watch or by a live read that did not find it."""
        node = self.nodes.pop(uid, None)
        if node is None:
            return []
        for ref in node.owners:
            self._drop_dependent(ref.uid, uid)
        work = [(ATTEMPT_TO_DELETE, dependent) for dependent in node.dependents]
        if node.dependents:
            self.absent[uid] = None
        for ref in node.owners:
            owner = self.nodes.get(ref.uid)
            if owner is not None and owner.deleting_dependents:
                work.append((ATTEMPT_TO_DELETE, owner.uid))
        return work

    def _change_owners(self, node: Node, refs: tuple[OwnerReference, ...]) -> Iterator[Work]:
        before = {ref.uid: ref for ref in node.owners}
        after = {ref.uid: ref for ref in refs}
        node.owners = refs
        for uid, old in before.items():
            new = after.get(uid)
            if old.block_owner_deletion and (new is None or not new.block_owner_deletion):
                yield (ATTEMPT_TO_DELETE, uid)  # an owner that waits may have waited for this one
            if new is None:
                self._drop_dependent(uid, node.uid)
        for uid, ref in after.items():
            if uid in before:
                continue
            owner = self.nodes.get(uid)
            if owner is None:
                cls = kind_class(ref.kind)
                namespace = node.namespace if cls is None or cls.namespaced else ""
                owner = self.nodes[uid] = Node(uid, cls, namespace, ref.name)
                yield (ATTEMPT_TO_DELETE, uid)
            owner.dependents[node.uid] = node

    def _drop_dependent(self, owner_uid: str, uid: str) -> None:
        owner = self.nodes.get(owner_uid)
        if owner is not None:
            owner.dependents.pop(uid, None)


def uids(refs: Iterable[OwnerReference]) -> frozenset[str]:
    """Return the UIDs of references."""
    return frozenset(ref.uid for ref in refs)
