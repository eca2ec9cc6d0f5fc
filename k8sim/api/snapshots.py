"""Names and small rules of snapshots that the snapshot controller and the drivers' sidecars share.

Source: kubernetes-csi/external-snapshotter pkg/utils/util.go; storage.md 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from k8sim.api.meta import Object, with_meta
from k8sim.api.storage import VolumeSnapshot, VolumeSnapshotClass, VolumeSnapshotContent

T = TypeVar("T", bound=Object)

GROUP: Final = "snapshot.storage.k8s.io"
_PREFIX: Final = "snapshot.storage.kubernetes.io"
SOURCE_FINALIZER: Final = f"{_PREFIX}/volumesnapshot-as-source-protection"
BOUND_FINALIZER: Final = f"{_PREFIX}/volumesnapshot-bound-protection"
CONTENT_FINALIZER: Final = f"{_PREFIX}/volumesnapshotcontent-bound-protection"
CLAIM_FINALIZER: Final = f"{_PREFIX}/pvc-as-source-protection"
BEING_DELETED: Final = f"{_PREFIX}/volumesnapshot-being-deleted"
BEING_CREATED: Final = f"{_PREFIX}/volumesnapshot-being-created"
ALLOW_MODE_CHANGE: Final = f"{_PREFIX}/allow-volume-mode-change"
IS_DEFAULT_CLASS: Final = f"{_PREFIX}/is-default-class"
CONSISTENCY: Final = "k8sim.dev/consistency"
"""Ours: "application" says that the application had been brought to rest before the snapshot was taken."""


def content_name(snapshot: VolumeSnapshot) -> str:
    """Return the name of the content that is made for a snapshot."""
    return f"snapcontent-{snapshot.uid}"


def default_snapshot_class(classes: Iterable[VolumeSnapshotClass], driver: str) -> VolumeSnapshotClass | str:
    """Return the driver's default class, or why there is none: it must be exactly one, the newest does not win."""
    marked = [c for c in classes if c.metadata.annotations.get(IS_DEFAULT_CLASS) == "true" and c.driver == driver]
    if len(marked) == 1:
        return marked[0]
    return "cannot find default snapshot class" if not marked else f"{len(marked)} default snapshot classes"


def is_bound_to(content: VolumeSnapshotContent, snapshot: VolumeSnapshot) -> bool:
    """Tell whether a content points at the snapshot, by UID too if it gives one."""
    ref = content.spec.volume_snapshot_ref
    return (ref.namespace, ref.name) == snapshot.key and ref.uid in ("", snapshot.uid)


def with_finalizer(obj: T, *finalizers: str) -> T:
    """Return the object with finalizers; the very object if it has them."""
    missing = tuple(f for f in finalizers if f not in obj.metadata.finalizers)
    return with_meta(obj, finalizers=(*obj.metadata.finalizers, *missing)) if missing else obj


def without_finalizer(obj: T, *finalizers: str) -> T:
    """Return the object without finalizers; the very object if it has none of them."""
    kept = tuple(f for f in obj.metadata.finalizers if f not in finalizers)
    return with_meta(obj, finalizers=kept) if kept != obj.metadata.finalizers else obj
