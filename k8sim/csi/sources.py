"""What a new volume begins with: nothing, a snapshot, or another claim's volume.

Source: kubernetes-csi/external-provisioner pkg/controller/{controller,clone_controller}.go; storage.md 6.5, 6.6.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from k8sim.api.core import PersistentVolumeClaim
from k8sim.api.storage import StorageClass
from k8sim.apiserver.client import Client
from k8sim.apiserver.watch import Change
from k8sim.machines.disks import Prefix
from k8sim.sim.clock import Event

if TYPE_CHECKING:
    from k8sim.csi.provisioner import Provisioner


class DataSources:
    """Checks a claim's data source."""

    def __init__(self, provisioner: Provisioner) -> None:
        self.provisioner = provisioner

    def claim_changed(self, claim: PersistentVolumeClaim, change: Change) -> None:
        """Look at what a claim was cloned from."""

    def check(
        self, claim: PersistentVolumeClaim, storage_class: StorageClass, client: Client
    ) -> Generator[Event, Any, Prefix]:
        """Return the content to begin with; empty for an empty volume."""
        yield from ()
        return ()
