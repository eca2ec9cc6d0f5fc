"""VolumeBinding: claims and the nodes from which their volumes can be had (plugins/volumebinding; storage.md 2.2).

Bound claims must be reachable from the node. Claims that wait for their first consumer are matched with volumes that
exist, or it is checked that one can be provisioned for the node. The decisions for the chosen node are *assumed*, then
written by the binding cycle, which waits until the volume controller has completed all bindings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec
from k8sim.api.meta import with_meta
from k8sim.api.pods import claim_names
from k8sim.api.quantity import parse_quantity
from k8sim.api.selectors import node_selector_matches, selector_matches
from k8sim.api.storage import CSIDriver, CSIStorageCapacity, StorageClass, TopologySelectorTerm
from k8sim.api.volume_matching import (
    SELECTED_NODE,
    bind_volume_to_claim,
    candidates,
    claim_class,
    find_matching_volume,
    is_claim_bound,
    is_delay_binding,
    node_affinity_fits,
    storage_request,
)
from k8sim.scheduler.framework import (
    NODE_ADD,
    NODE_LABEL,
    SKIP,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Screen,
    Skip,
    Status,
    always,
)
from k8sim.scheduler.listers import Listers
from k8sim.scheduler.nodes import HOSTNAME, NodeInfo, NodeTable, named_hosts

NAME: Final = "VolumeBinding"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"

NODE_CONFLICT: Final = "node(s) didn't match PersistentVolume's node affinity"
BIND_CONFLICT: Final = "node(s) didn't find available persistent volumes to bind"
NOT_ENOUGH_SPACE: Final = "node(s) did not have enough free storage"
NO_VOLUME: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
UNBOUND_IMMEDIATE: Final = "pod has unbound immediate PersistentVolumeClaims"


def rejected(*reasons: str) -> Status:
    """Return this plug-in's only kind of status: preemption never helps."""
    return Status(Code.UNRESOLVABLE, reasons, NAME)


class PodVolumes(NamedTuple):
    """What would be done about a pod's unbound claims on one node."""

    static: tuple[tuple[PersistentVolumeClaim, PersistentVolume], ...] = ()
    """Claims with the volumes they would get."""
    provision: tuple[PersistentVolumeClaim, ...] = ()
    """Claims for which a volume would be made."""


@dataclass
class PodClaims:
    """A pod's claims by what has to be done about them, and what was found for each node (by name).

    ``alike``: no volume that exists could serve the delayed claims, and nobody reports free space, so that what would
    be done is the same for every node, and allowed or not by its labels alone.
    """

    bound: list[PersistentVolumeClaim] = field(default_factory=list)
    delayed: list[PersistentVolumeClaim] = field(default_factory=list)
    by_node: dict[str, PodVolumes] = field(default_factory=dict)
    alike: bool = False
    anywhere: dict[str, list[PersistentVolume]] = field(default_factory=dict)
    """By claim: the volumes that name no host and would do on a node that can reach them, the best first."""

    def found_for(self, node: str) -> PodVolumes:
        """Return what would be done on a node that has passed."""
        return PodVolumes(provision=tuple(self.delayed)) if self.alike else self.by_node[node]


# ---- before any node ------------------------------------------------------------------------------------------------


def unusable_claim(pod: Pod, listers: Listers) -> Status | None:
    """Reject a pod with a claim that is missing, lost, being deleted, or another pod's (podHasPVCs)."""
    ephemeral = {f"{pod.name}-{v.name}" for v in pod.spec.volumes if v.ephemeral is not None}
    for name in claim_names(pod):
        claim = listers.claim(pod.namespace, name)
        if claim is None:
            if name in ephemeral:
                return rejected(f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"')
            return rejected(f'persistentvolumeclaim "{name}" not found')
        if claim.status.phase == "Lost":
            volume = claim.spec.volume_name
            return rejected(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"')
        if claim.deleting:
            return rejected(f'persistentvolumeclaim "{name}" is being deleted')
        if name in ephemeral and not any(r.controller and r.uid == pod.uid for r in claim.metadata.owner_references):
            return rejected(f"PVC {pod.namespace}/{name} was not created for pod {pod.key} (pod is not owner)")
    return None


def sort_claims(pod: Pod, listers: Listers) -> PodClaims | Status:
    """Tell bound claims from those that wait for a node; others must be bound first (GetPodVolumeClaims)."""
    claims = PodClaims()
    for name in claim_names(pod):
        claim = listers.claim(pod.namespace, name)
        assert claim is not None  # unusable_claim has seen to that
        if is_claim_bound(claim):
            claims.bound.append(claim)
        elif is_delay_binding(claim, listers.storage_class) and not claim.spec.volume_name:
            claims.delayed.append(claim)
        else:
            return rejected(UNBOUND_IMMEDIATE)
    claims.delayed.sort(key=lambda c: (SELECTED_NODE not in c.metadata.annotations, storage_request(c)))
    claims.alike = not any(_depends_on_node(c, listers) for c in claims.delayed)
    if not claims.alike:
        claims.anywhere = {c.name: candidates(c, listers.free_volumes(c, "")) for c in claims.delayed}
    return claims


def _depends_on_node(claim: PersistentVolumeClaim, listers: Listers) -> bool:
    """Tell whether more than a node's labels decides what can be done about a delayed claim there."""
    if listers.has_volumes_for(claim):
        return True
    storage_class = listers.storage_class(claim_class(claim))
    driver = listers.csi_driver(storage_class.provisioner) if storage_class is not None else None
    return driver is not None and driver.spec.storage_capacity


# ---- one node -------------------------------------------------------------------------------------------------------


def find_delayed_volumes(claims: PodClaims, node: Node, listers: Listers) -> PodVolumes | Status:
    """Find volumes, or the means to make them, for claims that wait for a node (FindPodVolumes, unbound part)."""
    to_match = []
    to_provision = []
    for claim in claims.delayed:
        selected = claim.metadata.annotations.get(SELECTED_NODE)
        if selected is None:
            to_match.append(claim)
        elif selected == node.name:
            to_provision.append(claim)
        else:
            return rejected(BIND_CONFLICT)
    static = []
    taken: set[str] = set()
    for claim in to_match:
        host = node.metadata.labels.get(HOSTNAME, "")
        here = [*listers.volumes_of(claim), *(listers.free_volumes(claim, host) if host else ())]
        best = (v for v in claims.anywhere[claim.name] if v.name not in taken and node_affinity_fits(v, node))
        volume = find_matching_volume(claim, [*here, *islice(best, 1)], node=node, excluded=taken)
        if volume is None:
            to_provision.append(claim)
        else:
            taken.add(volume.name)
            static.append((claim, volume))
    for claim in to_provision:
        problem = cannot_provision(claim, node, listers)
        if problem is not None:
            return rejected(problem)
    return PodVolumes(tuple(static), tuple(to_provision))


def cannot_provision(claim: PersistentVolumeClaim, node: Node, listers: Listers) -> str | None:
    """Return why no volume can be made for a claim on a node, or None (checkVolumeProvisions)."""
    storage_class = provisioning_class(claim, listers)
    if storage_class is None or not topology_allowed(storage_class.allowed_topologies, node):
        return BIND_CONFLICT
    driver = listers.csi_driver(storage_class.provisioner)
    if not has_enough_capacity(claim, storage_class, driver, node, listers.storage_capacities()):
        return NOT_ENOUGH_SPACE
    return None


def provisioning_class(claim: PersistentVolumeClaim, listers: Listers) -> StorageClass | None:
    """Return the claim's class if it has volumes made."""
    found = listers.storage_class(claim_class(claim))
    return None if found is None or found.provisioner in ("", NO_PROVISIONER) else found


def topology_allowed(terms: Sequence[TopologySelectorTerm], node: Node) -> bool:
    """Tell whether a node meets any of a class' allowed topologies (none: anywhere)."""
    labels = node.metadata.labels
    return not terms or any(all(labels.get(e.key) in e.values for e in t.match_label_expressions) for t in terms)


def has_enough_capacity(
    claim: PersistentVolumeClaim,
    storage_class: StorageClass,
    driver: CSIDriver | None,
    node: Node,
    capacities: Iterable[CSIStorageCapacity],
) -> bool:
    """Tell whether some report of free space covers the claim, if the driver reports space at all (hasEnoughCapacity).

    Each claim is looked at alone and nothing is reserved: two claims may pass against the same space.
    """
    if driver is None or not driver.spec.storage_capacity:
        return True
    size = storage_request(claim)
    for report in capacities:
        limit = report.maximum_volume_size or report.capacity
        if report.storage_class_name == storage_class.name and limit is not None and parse_quantity(limit) >= size:
            if selector_matches(report.node_topology, node.metadata.labels):
                return True
    return False


# ---- binding --------------------------------------------------------------------------------------------------------


def assume_volumes(volumes: PodVolumes, node: str) -> PodVolumes:
    """Return the objects as they are to be written for the chosen node (AssumePodVolumes)."""
    static = tuple((claim, bind_volume_to_claim(volume, claim)) for claim, volume in volumes.static)
    provision = tuple(
        with_meta(claim, annotations={**claim.metadata.annotations, SELECTED_NODE: node}) for claim in volumes.provision
    )
    return PodVolumes(static, provision)


class BindingFailed(Exception):
    """The bindings that the scheduler began cannot come about; the pod has to be scheduled again."""


def bindings_complete(
    written: PodVolumes, node: Node, latest: Mapping[tuple[str, str, str], PersistentVolume | PersistentVolumeClaim]
) -> bool:
    """Tell whether all bindings are complete; raise `BindingFailed` if one never will be (checkBindings).

    Parameters
    ----------
    written
        Volumes and claims as the API server returned them.
    latest
        What the scheduler's informers have, without assumptions, by (kind, namespace, name).
    """
    for claim, volume in written.static:
        now, now_claim = latest.get(("PersistentVolume", "", volume.name)), latest.get(_claim_key(claim))
        if not isinstance(now, PersistentVolume) or not isinstance(now_claim, PersistentVolumeClaim):
            raise BindingFailed("failed to check binding: could not find object")
        if _is_older(now, volume):
            return False
        if not node_affinity_fits(now, node):
            raise BindingFailed(f'pv "{now.name}" node affinity doesn\'t match node "{node.name}"')
        if now.spec.claim_ref is None or not now.spec.claim_ref.uid:
            raise BindingFailed(f'ClaimRef got reset for pv "{now.name}"')
        if not is_claim_bound(now_claim):
            return False
    for claim in written.provision:
        now_claim = latest.get(_claim_key(claim))
        if not isinstance(now_claim, PersistentVolumeClaim):
            raise BindingFailed("failed to check provisioning pvc: could not find object")
        if _is_older(now_claim, claim):
            return False
        if now_claim.metadata.annotations.get(SELECTED_NODE) != node.name:
            raise BindingFailed(f'provisioning failed for PVC "{claim.name}"')
        if now_claim.spec.volume_name:
            now = latest.get(("PersistentVolume", "", now_claim.spec.volume_name))
            if not isinstance(now, PersistentVolume):
                return False  # not seen yet; if it is gone, the claim will be unbound
            if not node_affinity_fits(now, node):
                raise BindingFailed(f'pv "{now.name}" node affinity doesn\'t match node "{node.name}"')
        if not is_claim_bound(now_claim):
            return False
    return True


def _claim_key(claim: PersistentVolumeClaim) -> tuple[str, str, str]:
    return ("PersistentVolumeClaim", claim.namespace, claim.name)


def _is_older(now: PersistentVolume | PersistentVolumeClaim, written: PersistentVolume | PersistentVolumeClaim) -> bool:
    return now.metadata.resource_version < written.metadata.resource_version


# ---- hints ----------------------------------------------------------------------------------------------------------


def after_claim_change(pod: Pod, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim) -> bool:
    """Hint: a claim that the pod names was made or changed."""
    return new.namespace == pod.namespace and new.name in claim_names(pod)


def after_volume_change(pod: Pod, old: PersistentVolume | None, new: PersistentVolume) -> bool:
    """Hint: any volume, for a pod with claims."""
    return bool(claim_names(pod))


def after_class_change(pod: Pod, old: StorageClass | None, new: StorageClass) -> bool:
    """Hint: a new class, or one that allows other topologies."""
    return old is None or old.allowed_topologies != new.allowed_topologies


def after_capacity_change(pod: Pod, old: CSIStorageCapacity | None, new: CSIStorageCapacity) -> bool:
    """Hint: more space was reported."""
    if old is None:
        return True
    return _grew(old.capacity, new.capacity) or _grew(old.maximum_volume_size, new.maximum_volume_size)


def _grew(old: str | None, new: str | None) -> bool:
    return parse_quantity(new or "0") > parse_quantity(old or "0")


def after_driver_change(pod: Pod, old: CSIDriver, new: CSIDriver) -> bool:
    """Hint: a driver has stopped to report space."""
    return old.spec.storage_capacity and not new.spec.storage_capacity


class VolumeBinding(Plugin):
    """See the module."""

    name = NAME

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {
            Event("StorageClass", "Add"): after_class_change,
            Event("StorageClass", "Update"): after_class_change,
            Event("PersistentVolumeClaim", "Add"): after_claim_change,
            Event("PersistentVolumeClaim", "Update"): after_claim_change,
            Event("PersistentVolume", "Add"): after_volume_change,
            Event("PersistentVolume", "Update"): after_volume_change,
            NODE_ADD: always,
            NODE_LABEL: always,
            Event("CSINode", "Add"): always,
            Event("CSIStorageCapacity", "Add"): after_capacity_change,
            Event("CSIStorageCapacity", "Update"): after_capacity_change,
            Event("CSIDriver", "Update"): after_driver_change,
        }

    def concerns(self, spec: PodSpec) -> bool:
        """See `Plugin`."""
        return bool(spec.volumes)

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`."""
        if not claim_names(cycle.pod):
            return SKIP
        problem = unusable_claim(cycle.pod, cycle.listers)
        if problem is not None:
            return problem
        claims = sort_claims(cycle.pod, cycle.listers)
        if isinstance(claims, Status):
            return claims
        cycle.state[NAME] = claims
        return None

    def filter(self, cycle: Cycle) -> Sequence[Screen]:
        """Judge nodes by the bound claims, and by the delayed ones if labels are all that counts for them."""
        claims: PodClaims = cycle.state[NAME]
        screens = []
        for claim in claims.bound:
            volume = cycle.listers.volume(claim.spec.volume_name)
            if volume is None:
                screens.append(cycle.nodes.all_rejected(rejected(NO_VOLUME)))
            elif volume.spec.node_affinity is not None and volume.spec.node_affinity.required is not None:
                screens.append(Screen(reachable(volume, cycle.nodes), {0: rejected(NODE_CONFLICT)}))
        for claim in claims.delayed if claims.alike else ():
            possible = provisionable(claim, cycle.listers, cycle.nodes)
            screens.append(Screen(possible, {0: rejected(BIND_CONFLICT)}))
        return screens

    def judges_nodes(self, cycle: Cycle) -> bool:
        """See `Plugin`."""
        claims: PodClaims = cycle.state[NAME]
        return bool(claims.delayed) and not claims.alike

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """Judge a node by the claims that wait for one."""
        claims: PodClaims = cycle.state[NAME]
        assert info.node is not None
        found = find_delayed_volumes(claims, info.node, cycle.listers)
        if isinstance(found, Status):
            return found
        claims.by_node[info.name] = found
        return None


def provisionable(claim: PersistentVolumeClaim, listers: Listers, nodes: NodeTable) -> list[int]:
    """Return 1 for every slot for which a volume can be made, by the labels of its node."""
    storage_class = provisioning_class(claim, listers)
    allowed = [0] * len(nodes.infos)
    if storage_class is None:
        return allowed
    terms = storage_class.allowed_topologies
    key = (NAME, "topologies", msgspec.msgpack.encode(terms))
    everywhere = nodes.column(key, lambda node: int(topology_allowed(terms, node)))
    selected = claim.metadata.annotations.get(SELECTED_NODE)
    if selected is None:
        return everywhere
    info = nodes.by_name.get(selected)
    if info is not None:
        allowed[info.slot] = everywhere[info.slot]
    return allowed


def reachable(volume: PersistentVolume, nodes: NodeTable) -> list[int]:
    """Return 1 for every slot from which the volume can be reached.

    A volume that names its hosts is looked up there; for others the answer is remembered by what they require, which
    all volumes of a zone have in common.
    """
    affinity = volume.spec.node_affinity
    assert affinity is not None
    required = affinity.required
    hosts = named_hosts(required)
    if hosts is None:
        key = (NAME, msgspec.msgpack.encode(required))
        return nodes.column(key, lambda node: int(node_selector_matches(required, node)))
    found = [0] * len(nodes.infos)
    for info in nodes.named(hosts):
        assert info.node is not None
        found[info.slot] = int(node_selector_matches(required, info.node))
    return found
