"""Content that is intact while nobody gets at it, because of nodes: local and attached volumes, pods with no place.

An observer that changes nothing.

Source: storage.md 9.2, L8, L21, L39.
"""

from __future__ import annotations

from typing import Final

from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import condition_of
from k8sim.api.pods import claim_names
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.machines.disks import Storage, location

HOSTNAME: Final = "kubernetes.io/hostname"
UNREACHABLE: Final = "didn't match PersistentVolume's node affinity"
"""What the scheduler says of a pod whose volumes cannot be reached from any node that it may go to."""


def is_ready(node: Node) -> bool:
    """Tell whether a node is Ready."""
    ready = condition_of(node.status.conditions, "Ready")
    return ready is not None and ready.status == "True"


def names_host(volume: PersistentVolume, node: Node) -> bool:
    """Tell whether a volume can be reached from this node only."""
    affinity = volume.spec.node_affinity
    terms = affinity.required.node_selector_terms if affinity is not None and affinity.required is not None else ()
    hostname = node.metadata.labels.get(HOSTNAME, node.name)
    return any(r.key == HOSTNAME and r.values == (hostname,) for t in terms for r in t.match_expressions)


def has_no_place(pod: Pod) -> bool:
    """Tell whether a pod is not scheduled because of where its volumes are."""
    scheduled = condition_of(pod.status.conditions, "PodScheduled")
    return scheduled is not None and scheduled.status == "False" and UNREACHABLE in scheduled.message


class VolumeReach:
    """Watches nodes and pods."""

    def __init__(self, server: APIServer, storage: Storage) -> None:
        self.server = server
        self.storage = storage

    def start(self) -> None:
        """Begin to watch."""
        self.server.watch(Node, self._on_node)
        self.server.watch(Pod, self._on_pod)

    def _on_node(self, change: Change) -> None:
        """Note the volumes that only a node can reach, when it goes and when it comes back; and those it holds."""
        node, old = change.new, change.old
        assert isinstance(node, Node)
        was = isinstance(old, Node) and is_ready(old)
        ready = is_ready(node) and change.type != "DELETED"
        if was == ready and change.type == "MODIFIED":
            return
        for volume in self.server.list(PersistentVolume):
            if volume.spec.host_path is None and names_host(volume, node):
                self._turn(location(volume, node.name), ready, "L8", change.row)
        for name, disk in list(self.storage.disks.items()):
            if node.name in disk.attached:
                self._turn(name, ready, "L21", change.row)

    def _turn(self, name: str, ready: bool, path: str, cause: int) -> None:
        if not ready:
            self.storage.beyond_reach(name, path, cause)
        elif self.storage.disk(name).out_of_reach == path:
            self.storage.within_reach(name, cause)

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        if pod.spec.node_name or not has_no_place(pod) or (isinstance(old, Pod) and has_no_place(old)):
            return
        for claim_name in claim_names(pod):
            claim = self.server.find(PersistentVolumeClaim, pod.namespace, claim_name)
            volume = self.server.find(PersistentVolume, "", claim.spec.volume_name) if claim is not None else None
            if volume is not None and not self.storage.disk(location(volume)).out_of_reach:
                self.storage.beyond_reach(location(volume), "L39", change.row)
