"""Which volume fits a claim: the pure rules that the volume controller and the scheduler share.

`find_matching_volume` is Kubernetes' function on a list; `VolumeIndex` gives the volume controller the same answer
without looking at every volume. Of volumes equal in all that counts Kubernetes takes whichever its map yields first;
here it is the first by name.

Source: staging/src/k8s.io/component-helpers/storage/volume/{pv_helpers,helpers}.go,
pkg/controller/volume/persistentvolume/index.go; storage.md 1.6.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Set
from typing import Final

from k8sim.api.core import Node, ObjectReference, PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import with_meta
from k8sim.api.quantity import parse_quantity
from k8sim.api.selectors import node_selector_matches, selector_matches
from k8sim.api.storage import StorageClass
from k8sim.api.struct import replace

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO: Final = "pv.kubernetes.io/migrated-to"
BETA_STORAGE_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
PRE_RESIZE_CAPACITY: Final = "volume.alpha.kubernetes.io/pre-resize-capacity"

WAIT_FOR_FIRST_CONSUMER: Final = "WaitForFirstConsumer"


def claim_class(claim: PersistentVolumeClaim) -> str:
    """Return the name of the claim's class; the beta annotation wins even if empty, no class counts as ""."""
    beta = claim.metadata.annotations.get(BETA_STORAGE_CLASS)
    return beta if beta is not None else claim.spec.storage_class_name or ""


def claim_has_class(claim: PersistentVolumeClaim) -> bool:
    """Tell whether the claim says anything about its class ("" does: it opts out of the default class)."""
    return BETA_STORAGE_CLASS in claim.metadata.annotations or claim.spec.storage_class_name is not None


def volume_class(volume: PersistentVolume) -> str:
    """Return the name of the volume's class, "" for none."""
    beta = volume.metadata.annotations.get(BETA_STORAGE_CLASS)
    return beta if beta is not None else volume.spec.storage_class_name


def storage_request(claim: PersistentVolumeClaim) -> int:
    """Return how many bytes the claim asks for."""
    return parse_quantity(claim.spec.resources.requests.get("storage", "0"))


def storage_capacity(volume: PersistentVolume) -> int:
    """Return how many bytes the volume says it has."""
    return parse_quantity(volume.spec.capacity.get("storage", "0"))


def is_claim_bound(claim: PersistentVolumeClaim) -> bool:
    """Tell whether the claim is fully bound: it names a volume and its binding was completed."""
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.metadata.annotations


def is_volume_bound_to_claim(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Tell whether the volume points at this claim, by name and, if it gives one, by UID."""
    ref = volume.spec.claim_ref
    if ref is None or ref.name != claim.name or ref.namespace != claim.namespace:
        return False
    return not ref.uid or ref.uid == claim.uid


def is_delay_binding(claim: PersistentVolumeClaim, get_class: Callable[[str], StorageClass | None]) -> bool:
    """Tell whether the claim's binding waits for a pod; a class that does not exist waits for nobody."""
    name = claim_class(claim)
    found = get_class(name) if name else None
    return found is not None and found.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER


def access_modes_fit(claim: PersistentVolumeClaim, volume: PersistentVolume) -> bool:
    """Tell whether the volume offers all access modes of the claim."""
    return set(claim.spec.access_modes) <= set(volume.spec.access_modes)


def node_affinity_fits(volume: PersistentVolume, node: Node) -> bool:
    """Tell whether the volume can be reached from the node."""
    affinity = volume.spec.node_affinity
    return affinity is None or node_selector_matches(affinity.required, node)


def _attributes_class(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    return obj.spec.volume_attributes_class_name or ""


def check_volume_satisfies_claim(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str | None:
    """Return why a volume that a user names cannot serve a claim, or None (checkVolumeSatisfyClaim).

    Neither the selector nor the node affinity is asked (pkg/controller/volume/persistentvolume/pv_controller.go).
    """
    if volume.deleting:
        return f'the volume is marked for deletion "{volume.name}"'
    if storage_capacity(volume) < storage_request(claim):
        return "requested PV is too small"
    if volume_class(volume) != claim_class(claim):
        return "storageClassName does not match"
    if _attributes_class(volume) != _attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if volume.spec.volume_mode != claim.spec.volume_mode:
        return "incompatible volumeMode"
    if not access_modes_fit(claim, volume):
        return "incompatible accessMode"
    return None


def _could_serve(volume: PersistentVolume, claim: PersistentVolumeClaim, request: int) -> bool:
    """Tell whether size, mode and attributes fit; a volume that is being deleted never does."""
    return (
        storage_capacity(volume) >= request
        and volume.spec.volume_mode == claim.spec.volume_mode
        and _attributes_class(volume) == _attributes_class(claim)
        and not volume.deleting
    )


def find_matching_volume(
    claim: PersistentVolumeClaim,
    volumes: Iterable[PersistentVolume],
    *,
    node: Node | None = None,
    excluded: Set[str] = frozenset(),
    delay_binding: bool = False,
) -> PersistentVolume | None:
    """Return the best volume for a claim: one that already points at it, else the smallest that fits.

    Parameters
    ----------
    node
        The scheduler's path: the node that the pod is to run on. None is the controller's path, in which the access
        modes are not asked (its index has seen to that) and, with ``delay_binding``, only pre-bound volumes count.
    excluded
        Names of volumes that the pod's other claims have taken.
    """
    request, wanted = storage_request(claim), claim_class(claim)
    best: PersistentVolume | None = None
    best_key = (0, "")
    for volume in volumes:
        if volume.name in excluded:
            continue
        bound = is_volume_bound_to_claim(volume, claim)
        if (volume.spec.claim_ref is not None and not bound) or not _could_serve(volume, claim, request):
            continue
        reachable = node is None or node_affinity_fits(volume, node)
        if bound:
            return volume if reachable else None
        if node is None and delay_binding:
            continue
        if volume.status.phase != "Available" or not reachable or volume_class(volume) != wanted:
            continue
        selector = claim.spec.selector
        if selector is not None and not selector_matches(selector, volume.metadata.labels):
            continue
        if node is not None and not access_modes_fit(claim, volume):
            continue
        key = (storage_capacity(volume), volume.name)
        if best is None or key < best_key:
            best, best_key = volume, key
    return best


def candidates(claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume]) -> list[PersistentVolume]:
    """Return the volumes that `find_matching_volume` would take on a node that can reach them, the best first.

    Volumes that point at the claim are not among them.
    """
    free = (v for v in volumes if v.spec.claim_ref is None and access_modes_fit(claim, v))
    fitting = [v for v in free if find_matching_volume(claim, (v,)) is not None]
    return sorted(fitting, key=lambda v: (storage_capacity(v), v.name))


def claim_reference(claim: PersistentVolumeClaim) -> ObjectReference:
    """Return a full reference to a claim."""
    return ObjectReference(
        api_version=claim.api_version, kind=claim.kind, namespace=claim.namespace, name=claim.name, uid=claim.uid
    )


def bind_volume_to_claim(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    """Return the volume pointing at the claim; the very object if it already does (GetBindVolumeToClaim)."""
    ref = volume.spec.claim_ref
    if is_volume_bound_to_claim(volume, claim) and ref is not None and ref.uid == claim.uid:
        return volume
    if not is_volume_bound_to_claim(volume, claim):
        annotations = {**volume.metadata.annotations, BOUND_BY_CONTROLLER: "yes"}
        volume = with_meta(volume, annotations=annotations)
    return replace(volume, spec=replace(volume.spec, claim_ref=claim_reference(claim)))


Modes = frozenset[str]
Shelf = tuple[str, str, str]
"""What must be equal: class, volume mode, attributes class."""


class _Group:
    """Volumes with the same set of access modes."""

    def __init__(self) -> None:
        self.pointing: dict[tuple[str, str], dict[str, PersistentVolume]] = {}
        self.available: dict[Shelf, list[tuple[int, str]]] = {}


class VolumeIndex:
    """Volumes by access modes, and within those by class and size, kept up to date one volume at a time.

    Groups of modes are tried from the fewest modes on, so a large volume of a poor group beats a small one of a richer
    group; ties between groups go by the modes' names.
    """

    def __init__(self) -> None:
        self._volumes: dict[str, PersistentVolume] = {}
        self._groups: dict[Modes, _Group] = {}

    def get(self, name: str) -> PersistentVolume | None:
        """Return the volume of that name."""
        return self._volumes.get(name)

    def __iter__(self) -> Iterator[PersistentVolume]:
        return iter(self._volumes.values())

    def __len__(self) -> int:
        return len(self._volumes)

    def put(self, volume: PersistentVolume) -> None:
        """Add a volume or a new version of it."""
        self.remove(volume.name)
        self._volumes[volume.name] = volume
        group = self._groups.setdefault(frozenset(volume.spec.access_modes), _Group())
        ref = volume.spec.claim_ref
        if ref is not None:
            group.pointing.setdefault(_claim_key(ref), {})[volume.name] = volume
        elif _is_free(volume):
            insort(group.available.setdefault(_shelf(volume), []), (storage_capacity(volume), volume.name))

    def remove(self, name: str) -> None:
        """Forget a volume; unknown names are fine."""
        volume = self._volumes.pop(name, None)
        if volume is None:
            return
        group = self._groups[frozenset(volume.spec.access_modes)]
        ref = volume.spec.claim_ref
        if ref is not None:
            pointing = group.pointing[_claim_key(ref)]
            del pointing[name]
            if not pointing:
                del group.pointing[_claim_key(ref)]
        elif _is_free(volume):
            shelf = group.available[_shelf(volume)]
            del shelf[bisect_left(shelf, (storage_capacity(volume), name))]

    def pointing_at(self, claim_key: tuple[str, str]) -> list[PersistentVolume]:
        """Return the volumes whose claimRef names a claim, by name."""
        found = {n: v for g in self._groups.values() for n, v in g.pointing.get(claim_key, {}).items()}
        return [found[name] for name in sorted(found)]

    def find_best_match(self, claim: PersistentVolumeClaim, delay_binding: bool) -> PersistentVolume | None:
        """Return the volume that the controller binds to the claim (findBestMatchForClaim), or None."""
        wanted = frozenset(claim.spec.access_modes)
        fitting = [m for m in self._groups if wanted <= m]
        for modes in sorted(fitting, key=lambda m: (len(m), sorted(m))):
            found = self._best_in_group(self._groups[modes], claim, delay_binding)
            if found is not None:
                return found
        return None

    def _best_in_group(
        self, group: _Group, claim: PersistentVolumeClaim, delay_binding: bool
    ) -> PersistentVolume | None:
        request = storage_request(claim)
        pointing = group.pointing.get(claim.key, {})
        for name in sorted(pointing):
            volume = pointing[name]
            if is_volume_bound_to_claim(volume, claim) and _could_serve(volume, claim, request):
                return volume
        if delay_binding:
            return None
        shelf = group.available.get((claim_class(claim), claim.spec.volume_mode, _attributes_class(claim)), [])
        for i in range(bisect_left(shelf, (request, "")), len(shelf)):
            volume = self._volumes[shelf[i][1]]
            selector = claim.spec.selector
            if selector is None or selector_matches(selector, volume.metadata.labels):
                return volume
        return None


def _claim_key(ref: ObjectReference) -> tuple[str, str]:
    return (ref.namespace, ref.name)


def _shelf(volume: PersistentVolume) -> Shelf:
    return (volume_class(volume), volume.spec.volume_mode, _attributes_class(volume))


def _is_free(volume: PersistentVolume) -> bool:
    return volume.status.phase == "Available" and not volume.deleting
