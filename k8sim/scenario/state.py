"""Which of the manifests were there before t = 0: those that were read from a running cluster, with its UIDs.

    kubectl get nodes,pods,statefulsets,... -A -o yaml > cluster.yaml

Without a Pod or a Node among them they are exported manifests, to be applied like any others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from k8sim.api.scheme import kind_class
from k8sim.scenario.manifests import Manifest
from k8sim.scenario.model import NotSimulated

_RUNNING: Final = ("Pod", "Node")


class Split(NamedTuple):
    """Manifests to be applied, and those of a running cluster."""

    new: list[Manifest]
    state: list[Manifest]


def split(manifests: Iterable[Manifest]) -> Split:
    """Tell what a cluster already had from what is to be applied to it."""
    new: list[Manifest] = []
    stored: list[Manifest] = []
    for manifest in manifests:
        (stored if (manifest.data.get("metadata") or {}).get("uid") else new).append(manifest)
    if not any(manifest.data["kind"] in _RUNNING for manifest in stored):
        return Split([*manifests], [])
    return Split(new, [manifest for manifest in stored if kind_class(manifest.data["kind"]) is not None])


def stored_objects(state: Iterable[Manifest], namespace: str) -> Iterator[dict[str, Any]]:
    """Yield a dump's objects without owners that are not in the dump, each with its namespace.

    The garbage collector would take those owners for deleted, and delete what they own.

    Parameters
    ----------
    namespace
        That of objects from which it was taken out.
    """
    state = list(state)
    there = {manifest.data["metadata"]["uid"] for manifest in state}
    for manifest in state:
        metadata = manifest.data["metadata"]
        owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("uid") in there]
        kind = kind_class(manifest.data["kind"])
        if kind is not None and kind.namespaced:
            metadata = {**metadata, "namespace": metadata.get("namespace") or namespace}
        yield {**manifest.data, "metadata": {**metadata, "ownerReferences": owners}}


def absent_owners(state: Iterable[Manifest]) -> Iterator[NotSimulated]:
    """Yield the owners of kinds that we simulate and that a dump lacks: their dependents count as having none."""
    state = list(state)
    there = {manifest.data["metadata"]["uid"] for manifest in state}
    for manifest in state:
        for owner in manifest.data["metadata"].get("ownerReferences") or []:
            if owner.get("uid") not in there and kind_class(str(owner.get("kind"))) is not None:
                why = f"owns {manifest.label}, but is not in the dump: nothing replaces what it owns"
                yield NotSimulated(f"{owner['kind']} {owner.get('name')}", why, manifest.source)
