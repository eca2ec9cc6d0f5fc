"""Names and properties of volumes that the attach/detach controller, kubelets and drivers agree on.

Source: pkg/volume/csi/{csi_plugin,csi_attacher}.go, pkg/volume/util/util.go; storage.md 3.1-3.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from k8sim.api.core import PersistentVolume
from k8sim.api.storage import CSIDriver, CSINode, VolumeAttachment

OUT_OF_SERVICE_TAINT: Final = "node.kubernetes.io/out-of-service"
ATTACH_LIMIT_EXCEEDED: Final = "VolumeAttachmentLimitExceeded"
"""Why a kubelet rejects a pod whose volumes find no place on its node."""
RESOURCE_EXHAUSTED: Final = 8
"""The number of the gRPC code with which a driver says that a node takes no more volumes."""
MULTI_NODE_MODES: Final = frozenset({"ReadWriteMany", "ReadOnlyMany"})


def attach_required(driver: CSIDriver | None) -> bool:
    """Tell whether volumes of a CSI driver are attached: yes, unless its CSIDriver object says no."""
    return driver is None or driver.spec.attach_required


def attachable_name(volume: PersistentVolume, get_driver: Callable[[str], CSIDriver | None]) -> str | None:
    """Return the unique name of a volume that has to be attached to a node, or None if it needs no attaching.

    NFS, hostPath and local volumes need none, so nothing keeps two nodes from using them at once.
    """
    spec = volume.spec
    if spec.csi is not None:
        if not attach_required(get_driver(spec.csi.driver)):
            return None
        return f"kubernetes.io/csi/{spec.csi.driver}^{spec.csi.volume_handle}"
    if spec.flex_volume is not None:
        return f"flexvolume-{spec.flex_volume.driver}/{volume.name}"
    for source in ("fc", "iscsi"):
        if source in (spec.extra or {}):
            return f"kubernetes.io/{source}/{volume.name}"
    return None


def attachment_name(handle: str, driver: str, node: str) -> str:
    """Return the name of the VolumeAttachment of a volume and a node: the same whenever it is made."""
    return "csi-" + hashlib.sha256(f"{handle}{driver}{node}".encode()).hexdigest()


def is_multi_attach_allowed(volume: PersistentVolume) -> bool:
    """Tell whether a volume may be attached to several nodes: the volume's modes decide, not the claim's."""
    modes = volume.spec.access_modes
    return not modes or not MULTI_NODE_MODES.isdisjoint(modes)


def volume_limits(node: CSINode | None) -> dict[str, int]:
    """Return how many volumes a node takes of each driver that has a limit there."""
    drivers = node.spec.drivers if node is not None else ()
    return {d.name: d.allocatable.count for d in drivers if d.allocatable and d.allocatable.count is not None}


def is_attach_limit_exceeded(attachment: VolumeAttachment | None, driver: CSIDriver | None) -> bool:
    """Tell whether an attachment fails because its node is full, and the driver wants pods to learn that.

    Source: pkg/volume/csi/csi_plugin.go (VerifyExhaustedResource); storage.md 3.6.
    """
    if attachment is None or driver is None or driver.spec.node_allocatable_update_period_seconds is None:
        return False
    error = attachment.status.attach_error
    return error is not None and error.error_code == RESOURCE_EXHAUSTED
