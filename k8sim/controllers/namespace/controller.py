"""Namespace controller: empties a namespace that is being deleted, pods first, and lets it go.

Source: pkg/controller/namespace/namespace_controller.go, deletion/namespaced_resources_deleter.go.
"""

from __future__ import annotations

from typing import Final

from k8sim.api.core import Namespace, Pod
from k8sim.api.meta import Object
from k8sim.api.scheme import KINDS
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import InternalError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.namespace.control import (
    KUBERNETES,
    estimate_graceful_termination_seconds,
    needs_content_deleted,
)
from k8sim.sim.units import SECOND

DELETION_GRACE_NS: Final = 5 * SECOND
"""So that all API servers have seen that the namespace is being deleted, and refuse new content."""

_CONTENT: Final[tuple[type[Object], ...]] = (Pod, *(cls for cls in KINDS if cls.namespaced and cls is not Pod))


class NamespaceController(Controller):
    """Level-triggered per namespace; while content is left it comes back after half of the estimated time."""

    name = "namespace"
    workers = 10
    max_delay_ns = 60 * SECOND

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._namespaces = self.informers.of(Namespace)
        self._namespaces.add_handler(self._on_namespace)

    def _on_namespace(self, change: Change) -> None:
        if change.type != "DELETED" and change.new.deleting:
            self.queue.add_after(change.new.key, DELETION_GRACE_NS, change.row)

    def sync(self, key: Key, client: Client) -> Sync:
        """Delete the content of one namespace; when nothing is left, take the finalizer off."""
        name = key[1]
        namespace = self._namespaces.find(key)
        if namespace is None or not needs_content_deleted(namespace):
            return
        for cls in _CONTENT:
            yield from self._delete_all(cls, name, client)
            if cls is Pod:
                pods = yield from client.list(Pod, name)
                if pods:
                    self._come_back(namespace, pods, client)
                    return
        left: list[Object] = []
        for cls in _CONTENT:
            left += self.server.list(cls, name)
        if left:
            raise InternalError(f"unexpected items still remain in namespace: {name}")
        try:
            yield from client.patch(Namespace, "", name, _without_finalizer)
        except NotFound:
            return

    def _delete_all(self, cls: type[Object], namespace: str, client: Client) -> Sync:
        """Delete all objects of a kind in the background."""
        if not self.server.list(cls, namespace):
            return
        for obj in (yield from client.list(cls, namespace)):
            try:
                yield from client.delete(cls, namespace, obj.name, propagation="Background")
            except NotFound:
                continue

    def _come_back(self, namespace: Namespace, pods: list[Pod], client: Client) -> None:
        deleted_at = namespace.metadata.deletion_timestamp or 0
        estimate = estimate_graceful_termination_seconds(pods, deleted_at, self.clock.now)
        if not estimate:
            raise InternalError(f"unexpected items still remain in namespace: {namespace.name}")
        self.queue.add_after(namespace.key, (estimate // 2 + 1) * SECOND, client.cause)


def _without_finalizer(namespace: Namespace) -> Namespace:
    finalizers = tuple(f for f in namespace.spec.finalizers if f != KUBERNETES)
    return replace(namespace, spec=replace(namespace.spec, finalizers=finalizers))
