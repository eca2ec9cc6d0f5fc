"""The scheduler's cache: pods placed on nodes, those it has placed itself ahead of the API server's confirmation.

A pod is *assumed* on its node at the end of its scheduling cycle, so that the next cycle reckons with it, *confirmed*
when the informer shows it bound, and if binding fails it is *forgotten*.

Source: pkg/scheduler/backend/cache/cache.go.
"""

from __future__ import annotations

from k8sim.api.core import Node, Pod
from k8sim.scheduler.nodes import NodeTable


class Cache:
    """The nodes that pods count on, by the pods' UIDs; the pods themselves and the sums are the node table's."""

    def __init__(self) -> None:
        self.nodes = NodeTable()
        self._node_of: dict[str, str] = {}
        self._assumed: set[str] = set()

    def assume_pod(self, pod: Pod, node: str) -> None:
        """Count a pod on the node that was chosen for it."""
        self._put(pod, node)
        self._assumed.add(pod.metadata.uid)

    def is_assumed(self, uid: str) -> bool:
        """Tell whether the pod counts on a node without the API server having confirmed it."""
        return uid in self._assumed

    def forget_pod(self, uid: str) -> bool:
        """Take back an assumption; False if there is none (any more)."""
        if uid not in self._assumed:
            return False
        self.remove_pod(uid)
        return True

    def add_pod(self, pod: Pod) -> None:
        """Count a bound pod, or confirm an assumed one (on whatever node it really is)."""
        self._assumed.discard(pod.metadata.uid)
        self._put(pod, pod.spec.node_name)

    def remove_pod(self, uid: str) -> None:
        """Stop counting a pod; unknown ones are fine."""
        node = self._node_of.pop(uid, None)
        self._assumed.discard(uid)
        if node is not None:
            self.nodes.remove_pod(uid, node)

    def _put(self, pod: Pod, node: str) -> None:
        uid = pod.metadata.uid
        known = self._node_of.get(uid)
        if known == node:
            self.nodes.replace_pod(pod, node)
            return
        if known is not None:
            self.nodes.remove_pod(uid, known)
        self._node_of[uid] = node
        self.nodes.add_pod(pod, node)

    def set_node(self, node: Node) -> None:
        """Add or update a node."""
        self.nodes.set_node(node)

    def remove_node(self, node: Node) -> None:
        """Forget a node."""
        self.nodes.remove_node(node.name)
