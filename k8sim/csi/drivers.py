"""Storage drivers as data: abilities by family, and the provisioner names that belong to each.

How long each call takes is a named latency (`k8sim.sim.latencies`), which a scenario may set.

Sources of the abilities are given with each family; storage.md 3.1, 5.4, appendix C4 and D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from k8sim.api.csi_migration import MIGRATED
from k8sim.sim.distributions import Distribution

Topology = Literal["", "zone", "region", "node"]
Expansion = Literal["online", "offline", "none"]
Source = Literal["csi", "hostPath", "local", "nfs"]

SINGLE_NODE: Final = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})
ALL_MODES: Final = SINGLE_NODE | {"ReadOnlyMany", "ReadWriteMany"}
IN_TREE: Final = "kubernetes.io/"


@dataclass(frozen=True)
class Driver:
    """What a driver can do.

    Parameters
    ----------
    source
        The kind of volume that it makes; only "csi" is a CSI driver with all its sidecars.
    attach
        Volumes have to be attached to a node (CSIDriver.spec.attachRequired), and the driver does it.
    topology
        From where a volume can be reached: its zone, two zones of its region, its node, or anywhere.
    access_modes
        CreateVolume refuses a claim with any other mode.
    expansion, node_expansion
        Whether volumes grow (offline: only while no pod uses them), and whether the node has to grow the file system.
    modification
        Volumes can be given the attributes of another VolumeAttributesClass.
    volumes_per_node
        Limit of attachments of one node as it is first reported (CSINode); None: no limit.
    slots_taken
        How many of these places something else takes on every node: network interfaces, volumes attached by hand.
    node_allocatable_update_period_s
        How often nodes report their limits anew (CSIDriver.spec.nodeAllocatableUpdatePeriodSeconds), which then count
        the places that are taken; None: never, and a pod for which there is no place waits.
    fs_type, fs_group_policy
        File system of new volumes, and whether kubelets give their files a pod's group (CSIDriver.spec.fsGroupPolicy).
    second_publish
        A volume for one node can be attached to another one while it is still attached: the driver does not refuse.
    fences
        Detaching takes the old node's access away, even if that node still has the volume mounted.
    snapshots_survive_volume
        A snapshot outlives the volume that it was taken from.
    capacity_bytes
        Free space of each topology segment when the run begins; None: no limit.
    size_enforced
        A volume cannot hold more than its size, which is set aside for it; else its neighbours can fill it.
    max_volume_bytes
        Size of the largest volume; None: no limit.
    storage_capacity
        It tells the scheduler how much is free (CSIDriver.spec.storageCapacity).
    known
        The name is one of a driver that we know; else its abilities are assumed.
    laws
        How long its calls take, by the names of latencies, where that differs from the latencies of all drivers.
    """

    name: str
    family: str
    source: Source = "csi"
    attach: bool = True
    topology: Topology = "zone"
    access_modes: frozenset[str] = SINGLE_NODE
    expansion: Expansion = "online"
    node_expansion: bool = True
    modification: bool = False
    snapshots: bool = True
    clones: bool = True
    volumes_per_node: int | None = None
    slots_taken: int = 0
    node_allocatable_update_period_s: int | None = None
    fs_type: str = "ext4"
    fs_group_policy: str = "ReadWriteOnceWithFSType"
    second_publish: bool = False
    fences: bool = True
    snapshots_survive_volume: bool = True
    capacity_bytes: int | None = None
    size_enforced: bool = True
    max_volume_bytes: int | None = None
    storage_capacity: bool = False
    known: bool = True
    laws: Mapping[str, Distribution] = field(default_factory=dict)

    @property
    def attachment_limit(self) -> int | None:
        """How many volumes a node really takes."""
        return None if self.volumes_per_node is None else self.volumes_per_node - self.slots_taken


# A block device in one zone: Amazon EBS, Google persistent disk, Azure managed disk, Cinder, vSphere.
# docs: kubernetes.io, "Storage Classes" (topology, expansion), "Volume Snapshots"; the drivers' README files.
ZONAL_DISK: Final = Driver("", "zonal-disk")
# A block device in two zones: Google regional persistent disk, Azure disk with zone-redundant storage.
# docs: cloud.google.com "About regional Persistent Disk"; learn.microsoft.com "Redundancy options for managed disks".
REGIONAL_DISK: Final = Driver("", "regional-disk", topology="region")
# A disk of the node itself: local-path and TopoLVM kinds of provisioner. Never attached, dies with its node.
LOCAL_VOLUME: Final = Driver(
    "",
    "local-volume",
    attach=False,
    topology="node",
    expansion="none",
    node_expansion=False,
    snapshots=False,
    clones=False,
    size_enforced=False,
)
# A file server: NFS, Amazon EFS, Azure Files, Filestore. Never attached, so one node does not shut out another.
SHARED_FILES: Final = Driver(
    "",
    "shared-files",
    attach=False,
    topology="",
    access_modes=ALL_MODES,
    node_expansion=False,
    clones=False,
    fs_type="",
)
# A FlexVolume-like legacy driver: attaches, and does nothing newer than that.
FLEX_LEGACY: Final = Driver(
    "", "flex-legacy", topology="", expansion="none", node_expansion=False, snapshots=False, clones=False
)
# A replicated block store inside the cluster: Ceph RBD, Longhorn. Reached from every node.
CLUSTER_BLOCK: Final = Driver("", "cluster-block", topology="", access_modes=SINGLE_NODE | {"ReadOnlyMany"})

FAMILIES: Final[Mapping[str, Driver]] = {
    d.family: d for d in (ZONAL_DISK, REGIONAL_DISK, LOCAL_VOLUME, SHARED_FILES, FLEX_LEGACY, CLUSTER_BLOCK)
}
DEFAULT_FAMILY: Final = ZONAL_DISK
"""What an unknown provisioner is taken for (and the report says so)."""

# Abilities: kubernetes-csi.github.io/docs/drivers.html (modes, snapshots, expansion, cloning), corrected by the
# drivers' own pages: docs/README.md and docs/modify-volume.md of aws-ebs-csi-driver (clones since v1.51),
# learn.microsoft.com "azure-disk-csi" and "azure-files-csi" (clones), docs.portworx.com "CSI: supported features" and
# longhorn.io "RWX volumes" (shared volumes), README files of csi-driver-nfs, csi-digitalocean, csi-driver (Hetzner) and
# topolvm (storage capacity). Limits of attachments: kubernetes.io, "Node-specific Volume Limits" (EBS 39, GCE PD 16,
# Azure Disk 16), and the providers' for the others.
WELL_KNOWN: Final[Mapping[str, Driver]] = {
    d.name: d
    for d in (
        replace(ZONAL_DISK, name="ebs.csi.aws.com", modification=True, volumes_per_node=39),
        replace(ZONAL_DISK, name="pd.csi.storage.gke.io", modification=True, volumes_per_node=16),
        replace(ZONAL_DISK, name="disk.csi.azure.com", modification=True, volumes_per_node=16),
        replace(ZONAL_DISK, name="cinder.csi.openstack.org"),
        replace(ZONAL_DISK, name="csi.vsphere.vmware.com"),
        replace(ZONAL_DISK, name="dobs.csi.digitalocean.com", topology="region", clones=False, volumes_per_node=7),
        replace(ZONAL_DISK, name="csi.hetzner.cloud", snapshots=False, clones=False, volumes_per_node=16),
        replace(ZONAL_DISK, name="linodebs.csi.linode.com", snapshots=False, volumes_per_node=7),
        replace(CLUSTER_BLOCK, name="rbd.csi.ceph.com"),
        replace(CLUSTER_BLOCK, name="driver.longhorn.io", access_modes=ALL_MODES),
        replace(CLUSTER_BLOCK, name="pxd.portworx.com", access_modes=ALL_MODES),
        replace(CLUSTER_BLOCK, name="linstor.csi.linbit.com"),
        replace(SHARED_FILES, name="efs.csi.aws.com", expansion="none", snapshots=False, size_enforced=False),
        replace(SHARED_FILES, name="filestore.csi.storage.gke.io"),
        replace(SHARED_FILES, name="file.csi.azure.com", clones=True),
        replace(SHARED_FILES, name="nfs.csi.k8s.io", clones=True, size_enforced=False),
        replace(SHARED_FILES, name="cephfs.csi.ceph.com", clones=True),
        replace(
            SHARED_FILES,
            name="cluster.local/nfs-subdir-external-provisioner", source="nfs", snapshots=False, expansion="none",
            size_enforced=False,
        ),
        replace(LOCAL_VOLUME, name="rancher.io/local-path", source="hostPath"),
        replace(LOCAL_VOLUME, name="openebs.io/local", source="local"),
        replace(
            LOCAL_VOLUME,
            name="topolvm.io",
            expansion="online", node_expansion=True, snapshots=True, clones=True, storage_capacity=True,
            size_enforced=True,
        ),
        replace(LOCAL_VOLUME, name="k8s.io/minikube-hostpath", source="hostPath", topology=""),
        replace(LOCAL_VOLUME, name="docker.io/hostpath", source="hostPath", topology=""),
        replace(
            LOCAL_VOLUME,
            name="hostpath.csi.k8s.io", snapshots=True, clones=True, expansion="online", storage_capacity=True,
        ),
    )
}  # fmt: skip

_REGIONAL_PARAMETERS: Final[Mapping[str, tuple[str, str]]] = {
    "pd.csi.storage.gke.io": ("replication-type", "regional-pd"),
    "disk.csi.azure.com": ("skuName", "_ZRS"),
}


def in_tree(provisioner: str) -> bool:
    """Tell whether Kubernetes itself does the work of a provisioner, and no driver."""
    return MIGRATED.get(provisioner, provisioner).startswith(IN_TREE)


def find_driver(name: str, overrides: Mapping[str, Driver] = {}) -> Driver:
    """Return the driver of a provisioner's name; an unknown name gets the default family, marked as not known."""
    driver = overrides.get(name) or WELL_KNOWN.get(name)
    return driver or replace(DEFAULT_FAMILY, name=name, known=False)


def with_parameters(driver: Driver, parameters: Mapping[str, str]) -> Driver:
    """Return the driver as a class with these parameters uses it: some make regional volumes on request."""
    key, value = _REGIONAL_PARAMETERS.get(driver.name, ("", ""))
    if key and any(k.lower() == key.lower() and v.endswith(value) for k, v in parameters.items()):
        return replace(driver, family=REGIONAL_DISK.family, topology="region")
    return driver
