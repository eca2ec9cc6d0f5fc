"""Rules of the API server about values, in its words."""

from collections.abc import Mapping, Sequence
from typing import Any

from k8sim.api.fielderror import FieldError


def validate_create(manifest: Mapping[str, Any]) -> list[FieldError]:
    """Check a new object."""
    del manifest
    return []


def validate_node_group(
    name: str, labels: Mapping[str, str], zones: Sequence[str], taints: Sequence[Mapping[str, Any]]
) -> list[FieldError]:
    """Check a group of nodes."""
    del name, labels, zones, taints
    return []
