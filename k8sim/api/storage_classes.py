"""Which StorageClass is the default (pkg/volume/util/storageclass.go; storage.md 1.7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from k8sim.api.storage import StorageClass

IS_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"
BETA_IS_DEFAULT: Final = "storageclass.beta.kubernetes.io/is-default-class"


def is_default_class(storage_class: StorageClass) -> bool:
    """Tell whether the class is marked as default, in either spelling."""
    annotations = storage_class.metadata.annotations
    return annotations.get(IS_DEFAULT) == "true" or annotations.get(BETA_IS_DEFAULT) == "true"


def default_storage_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """Return the class for claims that say nothing: of several defaults the newest, then the first by name."""
    marked = [c for c in classes if is_default_class(c)]
    return min(marked, key=lambda c: (-(c.metadata.creation_timestamp or 0), c.name), default=None)
