"""What two versions of an object have in common: what a write does not change is one object, so a glance can tell."""

from __future__ import annotations

from typing import Any


def same_but_for_status(a: Any, b: Any) -> bool:
    """Tell at a glance that two versions differ in nothing but their status; True is certain, False is not.

    Parameters
    ----------
    a, b
        Objects of one kind, which has a spec.
    """
    if a is b:
        return True
    meta, other = a.metadata, b.metadata
    return (
        a.spec is b.spec
        and meta.labels is other.labels
        and meta.annotations is other.annotations
        and meta.owner_references is other.owner_references
        and meta.uid == other.uid
        and meta.generation == other.generation
        and meta.deletion_timestamp == other.deletion_timestamp
    )
