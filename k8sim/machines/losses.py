"""Where data is lost or out of reach: one row per path, as storage.md section 9.2 numbers them.

A row of the trace that says ``path`` names one of these. What decides a path lies in the component that acts.
docs/loss-paths.md shows the table with the tests that provoke each path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Fate = Literal["lost", "inaccessible", "divergent", "orphaned", "unacknowledged"]


@dataclass(frozen=True)
class LossPath:
    """One path.

    Parameters
    ----------
    fate
        The worst that becomes of content on this path.
    events
        The rows of the trace that tell of it: of kind Volume, or "Lost" of kind Application.
    decided
        Where in the simulator.
    gap
        What of the path is not simulated, or only stands for it.
    """

    number: str
    act: str
    fate: Fate
    events: str
    decided: str
    gap: str = ""


_TABLE: Final = (
    (
        "L1", "a process ends without flushing its buffers", "lost", "Lost", "workload.copies",
        "only applications have buffers: what a pod without one writes is in the kernel at once",
    ),
    ("L2", "a machine loses power with pages not written back", "lost", "CacheLost, Lost", "machines.disks"),
    (
        "L3", "a container is restarted: its writable layer is new", "lost", "Lost", "workload.application",
        "only applications write to their container's layer",
    ),
    ("L4", "a pod ends or is deleted: its emptyDir volumes go", "lost", "Destroyed, Lost", "kubelet.volumes"),
    (
        "L5", "a machine reboots: emptyDir volumes in memory are empty", "lost", "Destroyed, Lost", "machines.disks",
        "tmpfs is not charged to the pod's memory",
    ),
    (
        "L6", "a pod is evicted for its use of disk: its emptyDir volumes go", "lost", "Destroyed", "kubelet.volumes",
        "pressure is a fault of the timeline; nothing measures what pods write against sizeLimit",
    ),
    (
        "L7", "a pod is deleted: the claims of its ephemeral volumes go", "lost", "Destroyed", "csi.fates",
        "CSI inline volumes are not simulated",
    ),
    (
        "L8", "the node of a local volume is away, or its disk is gone", "inaccessible", "Inaccessible, Destroyed",
        "csi.reach, faults.storage, machines.disks",
    ),
    (
        "L9", "a pod with hostPath starts on another node", "inaccessible", "Inaccessible", "kubelet.volumes",
        "divergence after a return shows only in an application's writes",
    ),
    ("L10", "a claim is deleted, policy Delete", "lost", "Destroyed", "csi.fates"),
    ("L11", "a volume made for a claim that took another one", "lost", "Destroyed", "csi.fates"),
    ("L12", "a volume is recycled", "lost", "Destroyed", "controllers.persistentvolume.reclaim"),
    ("L13", "a namespace is deleted", "lost", "Destroyed", "csi.fates"),
    ("L14", "a StatefulSet's retention policy deletes a claim", "lost", "Destroyed", "csi.fates"),
    ("L15", "the garbage collector deletes a claim with its owner", "lost", "Destroyed", "csi.fates"),
    ("L16", "a claim is deleted and made again: an empty volume", "inaccessible", "Replaced", "csi.fates"),
    (
        "L17", "a volume object is deleted", "orphaned", "Orphaned, Inaccessible", "csi.fates, csi.attacher",
    ),
    ("L18", "finalizers are stripped", "orphaned", "Orphaned, Destroyed", "csi.fates"),
    ("L19", "a claim is deleted, policy Retain", "inaccessible", "Inaccessible", "csi.fates"),
    ("L20", "a pod is replaced, and the old one goes on unseen", "divergent", "SecondWriter", "csi.fates"),
    (
        "L21", "a volume is taken from a node after six minutes", "lost", "CacheLost, SecondWriter, Inaccessible",
        "csi.attacher, csi.reach",
    ),
    ("L22", "a volume is taken from a node said to be out of service", "lost", "CacheLost", "csi.attacher"),
    (
        "L23", "a volume is attached to two nodes", "divergent", "SharedByNodes, SecondWriter", "csi.attacher",
        "two machines with one file system always count as all of it divergent: no probability of damage is drawn",
    ),
    ("L24", "a VolumeAttachment is deleted by hand", "lost", "CacheLost, Inaccessible", "csi.fates, csi.attacher"),
    (
        "L25", "two pods of one node share an exclusive volume", "divergent", "SecondWriter", "csi.fates",
        "told as a risk, without bytes; what an application makes of it are its own rows",
    ),
    (
        "L26", "two versions, or two nodes, write to shared files", "divergent", "SecondWriter", "csi.fates",
        "told as a risk, without bytes",
    ),
    (
        "L27", "two members with one identity", "divergent", "Lost", "workload.group",
        "that a quorum counts one member twice is not simulated: what the replaced one wrote is lost",
    ),
    ("L28", "a volume is restored from an older moment", "lost", "Behind, Lost", "machines.disks, workload.group"),
    (
        "L29", "a snapshot lacks what was not written back", "divergent", "Torn, Lost", "machines.disks",
    ),
    (
        "L30", "volumes of one pod are restored from different moments", "divergent", "Skewed", "csi.backups",
        "VolumeGroupSnapshot is not simulated: one moment for several volumes needs an application at rest",
    ),
    ("L31", "a snapshot is deleted", "lost", "SnapshotDestroyed, SnapshotOrphaned", "csi.snapshotter, csi.backups"),
    (
        "L32", "a data source of unknown kind is dropped: an empty volume", "inaccessible", "SourceDropped",
        "apiserver.admission_storage",
        "a restore to a claim that exists is refused as in a cluster, and no row of its own tells of it",
    ),
    ("L33", "a snapshot never became ready", "lost", "BackupMissing", "csi.backups"),
    (
        "L34", "a volume points at a claim that was never restored", "lost", "Destroyed", "csi.fates",
        "objects are restored by hand; the API server's own state cannot be set back to an earlier one",
    ),
    (
        "L35", "two clusters use one volume", "divergent", "SharedByNodes, SecondWriter, Destroyed", "machines.disks",
        "in scenarios there is one cluster; in Python Cluster(..., beside=another) shares the storage of a first one",
    ),
    ("L36", "a volume is full", "unacknowledged", "Full", "machines.disks"),
    ("L37", "a file system cannot be grown at the mount", "inaccessible", "Inaccessible", "kubelet.volumes"),
    (
        "L38", "a walk through all files holds the pod back", "inaccessible", "Inaccessible", "kubelet.volumes",
        "files that another user cannot read any more are not simulated",
    ),
    (
        "L39", "a volume cannot be reached from the node", "inaccessible", "Inaccessible",
        "csi.reach, csi.attacher, kubelet.volumes",
    ),
    ("L40", "no plug-in handles the volume", "inaccessible", "Inaccessible", "kubelet.volumes"),
    (
        "L41", "a raw volume is mounted as a file system, or with another file system", "lost",
        "Destroyed, Inaccessible", "machines.disks",
        "a file system that a raw device's writes destroy is not simulated",
    ),
    (
        "L42", "a mount or another subPath hides what was written", "inaccessible", "Inaccessible",
        "kubelet.volumespecs",
        "content has no paths: a mount over a directory counts as hiding something of the volume",
    ),
)  # fmt: skip

LOSS_PATHS: Final = {row[0]: LossPath(*row) for row in _TABLE}
