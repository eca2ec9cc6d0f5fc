"""Pods that have preempted others and wait for their place: they count on their node when others are judged.

Source: pkg/scheduler/backend/queue/nominator.go.
"""

from __future__ import annotations

from k8sim.api.core import Pod


class Nominator:
    """Nominated pods by node."""

    def __init__(self) -> None:
        self._node: dict[str, str] = {}
        self._pods: dict[str, dict[str, Pod]] = {}

    def __bool__(self) -> bool:
        return bool(self._node)

    def add(self, pod: Pod, node: str) -> None:
        """Nominate a pod for a node, instead of any other."""
        self.delete(pod.uid)
        self._node[pod.uid] = node
        self._pods.setdefault(node, {})[pod.uid] = pod

    def delete(self, uid: str) -> None:
        """Forget a nomination; unknown ones are fine."""
        node = self._node.pop(uid, None)
        if node is not None:
            del self._pods[node][uid]
            if not self._pods[node]:
                del self._pods[node]

    def node_of(self, uid: str) -> str:
        """Return the node that a pod is nominated for, "" if none."""
        return self._node.get(uid, "")

    def pods_of(self, node: str) -> list[Pod]:
        """Return the pods nominated for a node."""
        return list(self._pods.get(node, {}).values())

    def update(self, pod: Pod) -> None:
        """Take a new version of a waiting pod: its status may name a node, or no longer."""
        node = pod.status.nominated_node_name or self.node_of(pod.metadata.uid)
        if node:
            self.add(pod, node)
