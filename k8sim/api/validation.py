"""Validation of API objects (placeholder until the real rules land)."""

from __future__ import annotations

from k8sim.api.fielderror import FieldError
from k8sim.api.meta import Object


def validate_create(obj: Object) -> list[FieldError]:
    """Return what is wrong with a new object."""
    return []


def validate_update(obj: Object, old: Object) -> list[FieldError]:
    """Return what is wrong with an update."""
    return []
