"""Garbage collector: deletes what has lost its owners, and finishes foreground and orphan deletions.

Source: pkg/controller/garbagecollector/garbagecollector.go; workloads.md 5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from k8sim.api.meta import Object, OwnerReference
from k8sim.api.scheme import KINDS, kind_class
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import Conflict, InternalError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.garbagecollector.control import (
    Delete,
    Keep,
    OwnerState,
    Propagation,
    StripReferences,
    attempt_to_delete_item,
    classify_references,
    owner_state,
    without_blocking,
    without_finalizer,
    without_owners,
)
from k8sim.controllers.garbagecollector.graph import ATTEMPT_TO_ORPHAN, FOREGROUND, ORPHAN, Node, OwnerGraph, Work
from k8sim.sim.clock import Event


class GarbageCollector(Controller):
    """Works on UIDs: a key is (action, UID). Whatever it decides, it has read live first."""

    name = "garbagecollector"
    workers = 20

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.graph = OwnerGraph()
        for cls in KINDS:
            if self.server.in_use(cls):
                self._watch(cls)
        self.informers.on_first_use(self._watch)

    def _watch(self, cls: type[Object]) -> None:
        self.informers.of(cls).add_handler(self._on_change, of_status=False)

    def _on_change(self, change: Change) -> None:
        new, old = change.new, change.old
        if change.type == "DELETED":
            self._enqueue(self.graph.forget(new.uid), change.row)
            return
        meta = new.metadata
        if (
            old is not None
            and meta.owner_references is old.metadata.owner_references
            and meta.deletion_timestamp == old.metadata.deletion_timestamp
            and meta.finalizers is old.metadata.finalizers
        ):
            return  # nothing that the graph shows
        self._enqueue(self.graph.observe(new), change.row)

    def _enqueue(self, work: list[Work], cause: int) -> None:
        for key in work:
            self.queue.add(key, cause)

    def sync(self, key: Key, client: Client) -> Sync:
        """Look at one object."""
        action, uid = key
        node = self.graph.nodes.get(uid)
        if node is None or node.cls is None:
            return
        if action == ATTEMPT_TO_ORPHAN:
            yield from self._orphan_dependents(node, client)
        else:
            yield from self._attempt_to_delete(node, client)

    # ---- background and foreground --------------------------------------------------------------------------

    def _attempt_to_delete(self, node: Node, client: Client) -> Sync:
        if node.being_deleted and not node.deleting_dependents:
            return
        assert node.cls is not None
        try:
            latest = yield from client.get(node.cls, node.namespace, node.name)
        except NotFound:
            latest = None
        if latest is None or latest.uid != node.uid:
            self._enqueue(self.graph.forget(node.uid), client.cause)
            return
        if node.deleting_dependents:
            yield from self._process_deleting_dependents(node, client)
            return
        states: dict[str, OwnerState] = {}
        for ref in latest.metadata.owner_references:
            states[ref.uid] = yield from self._owner_state(ref, latest.namespace, client)
        references = classify_references(latest.metadata.owner_references, lambda ref: states[ref.uid])
        dependents = node.dependents.values()
        decision = attempt_to_delete_item(
            latest, references, bool(dependents), any(d.deleting_dependents for d in dependents)
        )
        match decision:
            case StripReferences(gone):
                yield from _patch(node, client, lambda obj: without_owners(obj, gone))
            case Delete(propagation, unblock):
                if unblock:
                    latest = yield from client.patch(node.cls, node.namespace, node.name, without_blocking)
                yield from self._delete(latest, propagation, client)
            case Keep():
                if not node.observed:
                    raise InternalError(f"{node.name} has not been seen by the watch yet")

    def _owner_state(self, ref: OwnerReference, namespace: str, client: Client) -> Generator[Event, Any, OwnerState]:
        """Ask the API server for an owner, unless it is known to be gone."""
        if ref.uid in self.graph.absent:
            return "dangling"
        cls = kind_class(ref.kind)
        if cls is None:
            return "solid"  # of a kind that is not simulated: nothing ever deletes it
        try:
            owner = yield from client.get(cls, namespace if cls.namespaced else "", ref.name)
        except NotFound:
            owner = None
        state = owner_state(owner, ref.uid)
        if state == "dangling":
            self.graph.absent[ref.uid] = None
        return state

    def _delete(self, latest: Object, propagation: Propagation, client: Client) -> Sync:
        """Delete what was read; if only something else than its owners has changed since, delete it all the same."""
        cls, namespace, name = type(latest), latest.namespace, latest.name
        version = latest.metadata.resource_version
        try:
            yield from client.delete(
                cls, namespace, name, uid=latest.uid, resource_version=version, propagation=propagation
            )
        except Conflict:
            live = yield from client.get(cls, namespace, name)
            if live.uid != latest.uid or live.metadata.owner_references != latest.metadata.owner_references:
                raise
            yield from client.delete(cls, namespace, name, uid=latest.uid, propagation=propagation)

    def _process_deleting_dependents(self, node: Node, client: Client) -> Sync:
        """Let an owner go when nothing holds it up any more; else see to what does."""
        blocking = node.blocking_dependents()
        if not blocking:
            yield from _patch(node, client, lambda obj: without_finalizer(obj, FOREGROUND))
            return
        for dependent in blocking:
            if not dependent.deleting_dependents:
                self.queue.add(("delete", dependent.uid), client.cause)

    # ---- orphans --------------------------------------------------------------------------------------------

    def _orphan_dependents(self, node: Node, client: Client) -> Sync:
        """Take the owner out of all its dependents' references, then let it go."""
        owner = frozenset((node.uid,))
        for dependent in list(node.dependents.values()):
            if dependent.cls is not None:
                yield from _patch(dependent, client, lambda obj: without_owners(obj, owner))
        yield from _patch(node, client, lambda obj: without_finalizer(obj, ORPHAN))


def _patch(node: Node, client: Client, change: Callable[[Object], Object]) -> Generator[Event, Any, None]:
    """Patch an object if it is still the same; that it is gone is as good."""
    assert node.cls is not None

    def checked(obj: Object) -> Object:
        if obj.uid != node.uid:
            raise NotFound(f"{node.name} is another one now")
        return change(obj)

    try:
        yield from client.patch(node.cls, node.namespace, node.name, checked)
    except NotFound:
        return
