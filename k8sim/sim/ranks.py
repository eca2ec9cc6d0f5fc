"""Ranks: which of two things that fall on the same instant comes first."""

from __future__ import annotations

import zlib

_COMPONENTS = (
    "world", "apiserver", "watch", "kubectl", "kube-controller-manager", "kube-scheduler", "csi", "kubelet", "network",
    "application", "observer",
)  # fmt: skip


def rank(component: str, entity: str = "") -> int:
    """Return the tie rank of a component's entity: components in a fixed order, entities by a hash of their name."""
    return (_COMPONENTS.index(component) << 33) | (zlib.crc32(entity.encode()) << 1)
