"""Metadata that all API objects share (apimachinery/pkg/apis/meta/v1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeVar

import msgspec

from k8sim.api.struct import Struct, Time, replace


class OwnerReference(Struct, frozen=True):
    """A pointer to an owner in the same namespace (or to a cluster-scoped one), identified by its UID."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Struct, frozen=True):
    """Standard metadata. ``resource_version`` is a number here; 0 means not stored yet."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: int = 0
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


class LabelSelectorRequirement(Struct, frozen=True):
    """One expression of a selector; operator is In, NotIn, Exists, DoesNotExist (node selectors: Gt, Lt too)."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(Struct, frozen=True):
    """Labels an object must have; empty matches everything, and None (where allowed) matches nothing."""

    match_labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class Condition(Struct, frozen=True):
    """A status condition; ``status`` is "True", "False" or "Unknown"."""

    type: str = ""
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: Time | None = None
    last_probe_time: Time | None = None
    last_heartbeat_time: Time | None = None
    last_update_time: Time | None = None
    observed_generation: int | None = None


class Object(Struct, frozen=True):
    """A top-level API object: what the store keeps.

    Its properties are short for fields of ``metadata``. What runs at every write names the field: a property takes
    several times as long, and a run of a small cluster asks for ten thousand.
    """

    api_version: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    plural: ClassVar[str] = ""
    namespaced: ClassVar[bool] = True

    metadata: ObjectMeta = ObjectMeta()

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The object's namespace, "" for a cluster-scoped object."""
        return self.metadata.namespace

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name), as work queues and caches use it."""
        return (self.metadata.namespace, self.metadata.name)

    @property
    def uid(self) -> str:
        """The identity that a successor of the same name does not share."""
        return self.metadata.uid

    @property
    def deleting(self) -> bool:
        """Whether the object carries a deletionTimestamp."""
        return self.metadata.deletion_timestamp is not None


T = TypeVar("T", bound=Object)


def with_meta(obj: T, **changes: object) -> T:
    """Return the object with changed metadata fields."""
    return replace(obj, metadata=replace(obj.metadata, **changes))


def share_all_but_status(a: Object, b: Object) -> bool:
    """Tell at a glance that two versions have the same metadata and spec; True is certain, False is not.

    What a write does not change is the same object in both.
    """
    if getattr(a, "spec", None) is not getattr(b, "spec", None):
        return False
    meta, other = a.metadata, b.metadata
    return (
        meta.labels is other.labels
        and meta.annotations is other.annotations
        and meta.owner_references is other.owner_references
        and meta.finalizers is other.finalizers
        and meta.deletion_timestamp == other.deletion_timestamp
        and meta.deletion_grace_period_seconds == other.deletion_grace_period_seconds
        and meta.generation == other.generation
        and meta.uid == other.uid
    )


def controller_of(obj: Object) -> OwnerReference | None:
    """Return the owner reference with controller = true, if any (metav1.GetControllerOf)."""
    for ref in obj.metadata.owner_references:
        if ref.controller:
            return ref
    return None


def controller_ref(owner: Object) -> OwnerReference:
    """Return a controller reference to the owner (metav1.NewControllerRef)."""
    return OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.name,
        uid=owner.uid,
        controller=True,
        block_owner_deletion=True,
    )


def condition_of(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    """Return the condition of that type, if present."""
    for condition in conditions:
        if condition.type == type_:
            return condition
    return None


def set_condition(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """Return the conditions with ``new`` in place of the one of its type (appended if absent).

    The last transition time of an unchanged status is kept (apimachinery/pkg/api/meta SetStatusCondition).
    """
    for i, old in enumerate(conditions):
        if old.type == new.type:
            if old.status == new.status:
                new = replace(new, last_transition_time=old.last_transition_time)
            return (*conditions[:i], new, *conditions[i + 1 :])
    return (*conditions, new)
