"""What may have happened in a run that excuses a guarantee: words for it, faults in time and space, edits by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from k8sim.api.core import Node
from k8sim.api.meta import Object

SECOND: Final = 1_000_000_000

CIRCUMSTANCES: Final[Mapping[str, str]] = {
    "forced deletion": "a pod was deleted with grace 0 without its kubelet's word",
    "forced deletion on a silent node": "the same, while that kubelet cannot be asked: the process may run for ever",
    "final phase": "a pod whose phase is final was deleted: its object goes at once, whatever its machine knows",
    "pod garbage collection": "a pod was removed because its node was gone, out of service or its phase final",
    "deletion not heard": "a kubelet that was cut off has not heard that its pod is being deleted",
    "former instance": "a container was restarted in one go, and its kubelet takes the new instance for the old one",
    "forced detach": "a volume was taken from a node that could not say whether it still used it",
    "node deleted": "a Node object was deleted",
    "finalizers removed": "somebody removed an object's finalizers by hand",
    "manual edit": "somebody changed by hand an object that the guarantee is about, or that controllers own",
    "bad template": "a pod of the newest revision cannot become Ready",
    "stale claim": "a claim belonged to a pod's former namesake when the controller looked, and nothing woke it since",
    "name taken": "a pod of that name belongs to nobody, or to somebody else",
    "stuck on a dead node": "a pod terminates on a node whose kubelet does not answer",
    "order": "the controller waits for another pod, or for a pod of the old template",
    "max unavailable": "as many pods are unavailable as the update allows",
    "budget": "a disruption budget allows no eviction",
    "uncounted pods": "pods were there before their quota was counted, by a controller that did not know of them yet",
    "quota": "a pod was refused because of a quota",
    "unschedulable": "no node fits a pod, although all are there",
    "nodes missing": "no node fits a pod, and some are cordoned, silent or deleted",
    "never ready": "a pod's software does not become Ready",
    "parallel": "podManagementPolicy Parallel does not wait for pods that were unavailable before",
    "failed detach": "a detach of the volume failed before",
    "not attachable": "the volume's driver attaches nothing, so nobody enforces its access mode",
}
"""Words for what may have happened in a run, besides the names of faults."""

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
CUTS: Final = frozenset({"node-partition", "node-isolation", "zone-partition", "zone-isolation", "apiserver-outage"})
"""Faults that keep kubelets from hearing of changes."""
ENDS_BY_ITSELF: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("kubelet-restart", "container-exit", "oom-kill", "node-oom", "static-pod-change"), (0, 0)),
    "controller-manager-restart": (13 * SECOND, 24 * SECOND),  # until another instance has the Lease
}
"""Faults that end although they are given no duration, and how long they last, at least and at most; all others then
last for ever. A Lease is taken 15 s after its last renewal was seen, at looks 2 to 4.4 s apart
(client-go/tools/leaderelection/leaderelection.go)."""
LEADERSHIP_LOST: Final = 10 * SECOND
"""After how long without the API server the controllers' process ends (--leader-elect-renew-deadline)."""
NODE_FAULTS: Final = frozenset(
    {
        "node-crash", "node-partition", "node-isolation", "kubelet-restart", "runtime-outage",
        "network-plugin-outage", "node-shutdown", "node-slow", "node-oom", "memory-pressure", "disk-pressure",
        "spot-reclaim", "static-pod-change", "zone-outage", "zone-partition", "zone-isolation",
    }
)  # fmt: skip
"""Faults of one node, or of all of a zone."""
RELIST: Final = 60 * SECOND
"""How long after a cut a kubelet may still not have heard: its reflector tries again after 0.8 s doubling to 30 s, each
drawn out by up to its own length (client-go/tools/cache/reflector.go)."""
CONTROLLED: Final = ("Pod", "ReplicaSet", "ControllerRevision", "EndpointSlice")
"""Kinds of objects that controllers make and change."""
_ANNOTATED: Final = frozenset({"PersistentVolume", "PersistentVolumeClaim", "StorageClass"})
"""Kinds whose annotations steer controllers."""


class Fault(NamedTuple):
    """A fault that has begun. ``target``: what breaks, "" for the whole cluster.

    It goes on until ``not_before`` for certain and is over at ``until`` for certain; None: it lasts for ever.
    """

    name: str
    target: str
    since: int
    not_before: int | None
    until: int | None

    def lasts(self, now: int, longer: int = 0) -> bool:
        """Tell whether it goes on, or has ended only so much time ago."""
        return self.until is None or now < self.until + longer

    @property
    def controllers_anew(self) -> int | None:
        """When other instances of the controllers begin to work because of it, at the earliest; None: never."""
        if self.name == "controller-manager-restart":
            return self.not_before
        lost = self.name == "apiserver-outage" and self.until is not None and self.until - self.since > LEADERSHIP_LOST
        return self.not_before if lost else None


def is_edited(old: Object, new: Object) -> bool:
    """Tell whether somebody gave an object another shape.

    Deletions, evictions, cordons and taints do not: they are requests that Kubernetes has for the purpose.
    """
    return _shape(old) != _shape(new)


def _shape(obj: Object) -> tuple[object, ...]:
    about = obj.metadata
    own = {name: getattr(obj, name) for name in obj.__struct_fields__ if name not in ("metadata", "status", "extra")}
    if isinstance(obj, Node):
        own = {"allocatable": obj.status.allocatable}
    annotations = about.annotations if obj.kind in _ANNOTATED else None
    phase = getattr(getattr(obj, "status", None), "phase", "")
    return own, phase, about.labels, about.owner_references, annotations
