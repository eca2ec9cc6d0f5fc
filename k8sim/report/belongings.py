"""Which claims, volumes, nodes and owners the pods of a run have: what rows of a trace are about."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from k8sim.api.apps import StatefulSet
from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import OwnerReference, controller_of
from k8sim.api.pods import claim_names

if TYPE_CHECKING:
    from k8sim.result import Result

Key = tuple[str, str]
"""Namespace and name."""


class Belongings:
    """An index over the history of a run.

    Attributes
    ----------
    users
        Claim -> the pods that use it.
    claims_of
        Pod -> its claims.
    claim_of_volume
        Volume name -> the claim it is bound to.
    pod_of_uid
        UID -> pod.
    owner_of
        Pod -> its controller, for those that have one.
    containers, init_containers
        Pod -> names.
    """

    def __init__(self, result: Result) -> None:
        self.users: dict[Key, dict[Key, None]] = defaultdict(dict)
        self.claims_of: dict[Key, list[Key]] = {}
        self.claim_of_volume: dict[str, Key] = {}
        self.pod_of_uid: dict[str, Key] = {}
        self.owner_of: dict[Key, OwnerReference] = {}
        self.containers: dict[Key, tuple[str, ...]] = {}
        self.init_containers: dict[Key, tuple[str, ...]] = {}
        self._sets: dict[Key, list[tuple[int, int, int]]] = defaultdict(list)
        for t, change in result.history:
            obj = change.new
            if isinstance(obj, Pod):
                if change.type == "ADDED":
                    self._pod(obj)
            elif isinstance(obj, PersistentVolumeClaim):
                if obj.spec.volume_name:
                    self.claim_of_volume[obj.spec.volume_name] = obj.key
            elif isinstance(obj, PersistentVolume):
                ref = obj.spec.claim_ref
                if ref is not None:
                    self.claim_of_volume.setdefault(obj.name, (ref.namespace, ref.name))
            elif isinstance(obj, StatefulSet):
                start = obj.spec.ordinals.start if obj.spec.ordinals is not None else 0
                gone = change.type == "DELETED" or obj.deleting
                self._sets[obj.key].append((t, start, 0 if gone else obj.spec.replicas))

    def _pod(self, pod: Pod) -> None:
        self.pod_of_uid[pod.uid] = pod.key
        self.claims_of[pod.key] = [(pod.namespace, name) for name in claim_names(pod)]
        for claim in self.claims_of[pod.key]:
            self.users[claim][pod.key] = None
        owner = controller_of(pod)
        if owner is not None:
            self.owner_of[pod.key] = owner
        self.containers[pod.key] = tuple(c.name for c in pod.spec.containers)
        self.init_containers[pod.key] = tuple(c.name for c in pod.spec.init_containers)

    def users_of_volume(self, volume: str) -> list[Key]:
        """Return the pods that use a volume."""
        claim = self.claim_of_volume.get(volume)
        return list(self.users[claim]) if claim in self.users else []

    def volume_words(self, volume: str) -> str:
        """Return how people call a volume: after its claim."""
        claim = self.claim_of_volume.get(volume)
        return f"of {claim[1]}" if claim is not None else volume

    def comes_back(self, pod: Key) -> bool:
        """Tell whether a pod is replaced by one of the same name."""
        owner = self.owner_of.get(pod)
        return owner is None or owner.kind == "StatefulSet"

    def is_wanted(self, pod: Key, t: int) -> bool:
        """Tell whether the StatefulSet of a pod asks for it at a moment; of other pods nobody knows."""
        owner = self.owner_of.get(pod)
        if owner is None or owner.kind != "StatefulSet":
            return True
        ordinal = pod[1].removeprefix(f"{owner.name}-")
        wanted = False
        for since, start, replicas in self._sets.get((pod[0], owner.name), ()):
            if since > t:
                break
            wanted = ordinal.isdigit() and start <= int(ordinal) < start + replicas
        return wanted
