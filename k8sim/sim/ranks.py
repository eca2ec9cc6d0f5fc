"""Ranks: which of two things that fall on the same instant comes first."""

from __future__ import annotations

import zlib
from functools import lru_cache

_COMPONENTS = (
    "world", "apiserver", "watch", "kubectl", "kube-controller-manager", "kube-scheduler", "csi", "kubelet", "network",
    "application", "observer",
)  # fmt: skip


@lru_cache(maxsize=1 << 16)  # the replicates of a scenario have the same names
def rank(component: str, entity: str = "") -> int:
    """Return the tie rank of a component's entity: components in a fixed order, entities by a hash of their name."""
    return (_COMPONENTS.index(component) << 33) | (zlib.crc32(entity.encode()) << 1)
