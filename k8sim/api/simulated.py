"""Which kinds and fields have an effect in the simulation."""

from collections.abc import Iterator, Mapping
from typing import Any

from k8sim.api.fielderror import FieldPath


def is_simulated(kind: str, api_version: str) -> bool:
    """True when objects of the kind do something here."""
    return (api_version, kind) in _KINDS


def unsimulated_fields(manifest: Mapping[str, Any]) -> Iterator[tuple[str, FieldPath]]:
    """Fields of a manifest that are accepted without effect, as text and as a path."""
    del manifest
    yield from ()


_KINDS = {
    ("v1", "Namespace"), ("v1", "Node"), ("v1", "Pod"), ("v1", "Service"), ("v1", "PersistentVolumeClaim"),
    ("v1", "PersistentVolume"), ("v1", "ResourceQuota"), ("v1", "LimitRange"), ("apps/v1", "StatefulSet"),
    ("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("policy/v1", "PodDisruptionBudget"),
    ("scheduling.k8s.io/v1", "PriorityClass"), ("storage.k8s.io/v1", "StorageClass"),
}  # fmt: skip
