"""What plug-ins may look up besides nodes and pods: the scheduler's caches of the other kinds."""

from __future__ import annotations

from typing import Protocol

from k8sim.api.core import Namespace, PersistentVolume, PersistentVolumeClaim


class Listers(Protocol):
    """Read access to the scheduler's caches."""

    def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        """Return a claim, with what the scheduler has assumed of it."""

    def volume(self, name: str) -> PersistentVolume | None:
        """Return a volume, with what the scheduler has assumed of it."""

    def namespaces(self) -> list[Namespace]:
        """Return all namespaces."""
