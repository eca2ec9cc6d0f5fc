"""What becomes of an object that has owners.

Source: pkg/controller/garbagecollector/garbagecollector.go (attemptToDeleteItem, classifyReferences); workloads.md 5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from k8sim.api.meta import Object, OwnerReference, with_meta
from k8sim.api.struct import replace
from k8sim.controllers.garbagecollector.graph import FOREGROUND, ORPHAN, uids

OwnerState = Literal["solid", "dangling", "waiting"]
Propagation = Literal["Background", "Foreground", "Orphan"]


class References(NamedTuple):
    """Owner references by the state of their owner."""

    solid: tuple[OwnerReference, ...]
    dangling: tuple[OwnerReference, ...]
    waiting: tuple[OwnerReference, ...]


@dataclass(frozen=True)
class Keep:
    """Leave the object alone."""


@dataclass(frozen=True)
class StripReferences:
    """Keep the object, and remove the references to these owners."""

    uids: frozenset[str]


@dataclass(frozen=True)
class Delete:
    """Delete the object. ``unblock``: first let it hold up no owner any more, for it is in a circle of owners."""

    propagation: Propagation
    unblock: bool = False


def owner_state(owner: Object | None, uid: str) -> OwnerState:
    """Return what an owner is to its dependents: there, not there (or another of that name), or waiting for them."""
    if owner is None or owner.uid != uid:
        return "dangling"
    if owner.deleting and FOREGROUND in owner.metadata.finalizers:
        return "waiting"
    return "solid"


def classify_references(refs: tuple[OwnerReference, ...], state: Callable[[OwnerReference], OwnerState]) -> References:
    """Sort references by the state of their owner."""
    states = [(ref, state(ref)) for ref in refs]
    return References(
        tuple(r for r, s in states if s == "solid"),
        tuple(r for r, s in states if s == "dangling"),
        tuple(r for r, s in states if s == "waiting"),
    )


def attempt_to_delete_item(
    obj: Object, references: References, has_dependents: bool, dependent_waits: bool = False
) -> Keep | StripReferences | Delete:
    """Decide on an object from the state of its owners.

    Parameters
    ----------
    has_dependents
        Something names the object as its owner.
    dependent_waits
        One of those is itself being deleted in the foreground: owners in a circle.
    """
    if not obj.metadata.owner_references:
        return Keep()
    if references.solid:
        gone = uids(references.dangling + references.waiting)
        return StripReferences(gone) if gone else Keep()
    if references.waiting and has_dependents:
        return Delete("Foreground", unblock=dependent_waits)
    if ORPHAN in obj.metadata.finalizers:
        return Delete("Orphan")
    if FOREGROUND in obj.metadata.finalizers:
        return Delete("Foreground")
    return Delete("Background")


def without_owners(obj: Object, gone: frozenset[str]) -> Object:
    """Return the object without references to these owners."""
    kept = tuple(ref for ref in obj.metadata.owner_references if ref.uid not in gone)
    return with_meta(obj, owner_references=kept) if len(kept) != len(obj.metadata.owner_references) else obj


def without_blocking(obj: Object) -> Object:
    """Return the object with references that hold up no owner."""
    refs = tuple(
        replace(ref, block_owner_deletion=False) if ref.block_owner_deletion else ref
        for ref in obj.metadata.owner_references
    )
    return with_meta(obj, owner_references=refs)


def without_finalizer(obj: Object, finalizer: str) -> Object:
    """Return the object without a finalizer."""
    return with_meta(obj, finalizers=tuple(f for f in obj.metadata.finalizers if f != finalizer))
