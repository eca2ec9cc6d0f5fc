"""In-tree volume plug-ins whose work CSI drivers do now, and how their volumes are called there.

Kubernetes' components translate such a volume each time they look at it. Here it is translated once, when it is stored:
what is shown of it is the CSI volume.

Source: staging/src/k8s.io/csi-translation-lib/plugins; storage.md 1.2, 5.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from k8sim.api.core import CSIPersistentVolumeSource, PersistentVolume
from k8sim.api.struct import replace
from k8sim.api.volume_matching import (
    BETA_STORAGE_PROVISIONER,
    MIGRATED_TO,
    PROVISIONED_BY,
    STORAGE_PROVISIONER,
)

UNSPECIFIED: Final = "UNSPECIFIED"


@dataclass(frozen=True)
class MigratedPlugin:
    """A plug-in, the driver that has taken over, and the field that says which volume is meant.

    ``handle`` is the pattern of the driver's volume handle, with the field's value for ``{}``.
    """

    name: str
    driver: str
    source: str
    field: str
    handle: str = "{}"


PLUGINS: Final = (
    MigratedPlugin("kubernetes.io/aws-ebs", "ebs.csi.aws.com", "awsElasticBlockStore", "volumeID"),
    MigratedPlugin(
        "kubernetes.io/gce-pd", "pd.csi.storage.gke.io", "gcePersistentDisk", "pdName",
        f"projects/{UNSPECIFIED}/zones/{UNSPECIFIED}/disks/{{}}",
    ),
    MigratedPlugin("kubernetes.io/azure-disk", "disk.csi.azure.com", "azureDisk", "diskURI"),
    MigratedPlugin("kubernetes.io/azure-file", "file.csi.azure.com", "azureFile", "shareName"),
    MigratedPlugin("kubernetes.io/cinder", "cinder.csi.openstack.org", "cinder", "volumeID"),
    MigratedPlugin("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com", "vsphereVolume", "volumePath"),
    MigratedPlugin("kubernetes.io/portworx-volume", "pxd.portworx.com", "portworxVolume", "volumeID"),
)  # fmt: skip
MIGRATED: Final[Mapping[str, str]] = {plugin.name: plugin.driver for plugin in PLUGINS}
"""In-tree provisioners, and the CSI drivers that do their work. The gates for this are locked on, where any is left."""


def translated(volume: PersistentVolume) -> PersistentVolume:
    """Return a volume of a migrated plug-in as the CSI volume that it is; the very object if it is none."""
    sources = volume.spec.extra or {}
    for plugin in PLUGINS:
        source: Mapping[str, Any] | None = sources.get(plugin.source)
        if source is not None:
            csi = CSIPersistentVolumeSource(
                driver=plugin.driver,
                volume_handle=plugin.handle.format(source.get(plugin.field, "")),
                fs_type=source.get("fsType") or "ext4",
            )
            others = {k: v for k, v in sources.items() if k != plugin.source}
            return replace(volume, spec=replace(volume.spec, csi=csi, extra=others or None))
    return volume


def migration_annotations(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """Return annotations with ``migrated-to`` as the provisioner that they name asks for (updateMigrationAnnotations).

    Without a provisioner nothing is known, and nothing changed.

    Source: pkg/controller/volume/persistentvolume/pv_controller.go.
    """
    keys = (STORAGE_PROVISIONER, BETA_STORAGE_PROVISIONER, PROVISIONED_BY)
    provisioner = next((annotations[key] for key in keys if key in annotations), None)
    if provisioner is None or annotations.get(MIGRATED_TO) == MIGRATED.get(provisioner):
        return annotations
    others = {k: v for k, v in annotations.items() if k != MIGRATED_TO}
    return {**others, MIGRATED_TO: MIGRATED[provisioner]} if provisioner in MIGRATED else others
