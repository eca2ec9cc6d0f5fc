"""Where a volume is made: zones, nodes, and how claims of a StatefulSet spread over them.

Source: kubernetes-csi/external-provisioner pkg/controller/topology.go; storage.md 1.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from k8sim.api.core import Node, NodeSelector, NodeSelectorTerm, VolumeNodeAffinity
from k8sim.api.meta import LabelSelectorRequirement
from k8sim.api.storage import StorageClass
from k8sim.csi.drivers import Driver

ZONE: Final = "topology.kubernetes.io/zone"
HOSTNAME: Final = "kubernetes.io/hostname"
_FNV_OFFSET: Final = 2166136261
_FNV_PRIME: Final = 16777619


def topology_key(driver: Driver) -> str:
    """Return the node label that says from where a driver's volume can be reached, "" if from anywhere."""
    return {"": "", "zone": ZONE, "region": ZONE, "node": HOSTNAME}[driver.topology]


def segment_of(node: Node, driver: Driver) -> str:
    """Return the segment that a node lies in, "" if it has none."""
    return node.metadata.labels.get(topology_key(driver), "")


def segments(nodes: Iterable[Node], driver: Driver) -> list[str]:
    """Return all segments of a cluster, sorted."""
    return sorted({s for s in (segment_of(n, driver) for n in nodes) if s})


def allowed_segments(storage_class: StorageClass, driver: Driver) -> list[str] | None:
    """Return the segments that the class allows (None: any)."""
    if not storage_class.allowed_topologies:
        return None
    key = topology_key(driver)
    found: list[str] = []
    for term in storage_class.allowed_topologies:
        for expression in term.match_label_expressions:
            if expression.key == key:
                found += [v for v in expression.values if v not in found]
    return sorted(found) or None


def fnv32a(text: str) -> int:
    """Return the FNV-1a hash of a text in 32 bits."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return value


def name_hash_and_offset(claim_name: str) -> tuple[int, int]:
    """Return the hash of a claim's name and its ordinal: the claims of one StatefulSet spread, and stay put."""
    base, dash, ordinal = claim_name.rpartition("-")
    if dash and ordinal.isdigit():
        return fnv32a(base), int(ordinal)
    return fnv32a(claim_name), 0


def choose_segments(
    driver: Driver,
    available: Sequence[str],
    allowed: Sequence[str] | None,
    selected: str,
    claim_name: str,
) -> tuple[str, ...]:
    """Return the segments of a new volume: the selected node's, else by the claim's name; two for a regional volume.

    Parameters
    ----------
    available
        All segments of the cluster, sorted.
    allowed
        What the class allows; None: all.
    selected
        The segment of the node that the scheduler chose, "" for none (Immediate binding).
    """
    if not driver.topology:
        return ()
    candidates = list(available if allowed is None else allowed)
    if selected:
        ordered = [selected, *(s for s in candidates if s != selected)]
    elif candidates:
        number, offset = name_hash_and_offset(claim_name)
        shift = (number + offset) % len(candidates)
        ordered = candidates[shift:] + candidates[:shift]
    else:
        return ()
    return tuple(ordered[: 2 if driver.topology == "region" else 1])


def node_affinity(driver: Driver, chosen: Sequence[str]) -> VolumeNodeAffinity | None:
    """Return the node affinity of a volume in these segments."""
    if not chosen:
        return None
    requirement = LabelSelectorRequirement(key=topology_key(driver), operator="In", values=tuple(chosen))
    term = NodeSelectorTerm(match_expressions=(requirement,))
    return VolumeNodeAffinity(required=NodeSelector(node_selector_terms=(term,)))
