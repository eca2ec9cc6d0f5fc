"""Where data is lost or out of reach: one row per path, as storage.md section 9.2 numbers them.

A row of the trace of kind "Volume" that says ``path`` names one of these. What decides a path lies in the component
that acts (``decided``); what is an application's own business is marked so, and counted where it is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Fate = Literal["lost", "inaccessible", "divergent", "orphaned", "safe"]


@dataclass(frozen=True)
class LossPath:
    """One path.

    Parameters
    ----------
    fate
        The worst that becomes of content on this path.
    event
        The row of the trace that tells of it ("": the application's rows do).
    decided
        Where in the simulator.
    """

    number: str
    act: str
    fate: Fate
    event: str
    decided: str


_TABLE: Final = (
    ("L1", "a process ends without flushing its buffers", "lost", "", "application"),
    ("L2", "a machine loses power with pages not written back", "lost", "CacheLost", "machines.disks.power_lost"),
    ("L3", "a container is restarted: its writable layer is new", "lost", "Destroyed", "kubelet"),
    ("L4", "a pod ends or is deleted: its emptyDir volumes go", "lost", "Destroyed", "kubelet.volumes"),
    ("L5", "a machine reboots: emptyDir volumes in memory are empty", "lost", "Destroyed", "machines.disks"),
    ("L6", "a pod is evicted for its use of disk: its emptyDir volumes go", "lost", "Destroyed", "kubelet.volumes"),
    ("L7", "a pod is deleted: the claims of its ephemeral volumes go", "lost", "Destroyed", "csi.fates"),
    ("L8", "the node of a local volume is away, or its disk is gone", "inaccessible", "Inaccessible", "csi.fates"),
    ("L9", "a pod with hostPath starts on another node", "inaccessible", "Inaccessible", "kubelet.volumes"),
    ("L10", "a claim is deleted, policy Delete", "lost", "Destroyed", "csi.fates"),
    ("L11", "a volume made for a claim that took another one", "lost", "Destroyed", "csi.fates"),
    ("L12", "a volume is recycled", "lost", "Destroyed", "controllers.persistentvolume.reclaim"),
    ("L13", "a namespace is deleted", "lost", "Destroyed", "csi.fates"),
    ("L14", "a StatefulSet's retention policy deletes a claim", "lost", "Destroyed", "csi.fates"),
    ("L15", "the garbage collector deletes a claim with its owner", "lost", "Destroyed", "csi.fates"),
    ("L16", "a claim is deleted and made again: an empty volume", "inaccessible", "Replaced", "csi.fates"),
    ("L17", "a volume object is deleted", "orphaned", "Orphaned", "csi.fates, csi.attacher"),
    ("L18", "finalizers are stripped", "orphaned", "Orphaned", "csi.fates"),
    ("L19", "a claim is deleted, policy Retain", "inaccessible", "Inaccessible", "csi.fates"),
    ("L20", "a pod is replaced, and the old one goes on unseen", "divergent", "SecondWriter", "machines.disks"),
    ("L21", "a volume is taken from a node after six minutes", "lost", "PulledAway", "csi.attacher"),
    ("L22", "a volume is taken from a node said to be out of service", "lost", "PulledAway", "csi.attacher"),
    ("L23", "a volume is attached to two nodes", "divergent", "SharedByNodes", "csi.attacher"),
    ("L24", "a VolumeAttachment is deleted by hand", "lost", "PulledAway", "csi.attacher"),
    ("L25", "two pods of one node share an exclusive volume", "divergent", "SecondWriter", "machines.disks"),
    ("L26", "two pods on two nodes write to a shared volume", "divergent", "SecondWriter", "machines.disks"),
    ("L27", "two members with one identity", "divergent", "", "application"),
    ("L28", "a volume is restored from an older moment", "lost", "Made", "csi.provisioner"),
    ("L29", "a snapshot lacks what was not written back", "lost", "SnapshotCut", "machines.disks"),
    ("L30", "volumes of one pod are restored from different moments", "divergent", "SnapshotCut", "machines.disks"),
    ("L31", "a snapshot is deleted", "lost", "SnapshotDestroyed", "csi.snapshotter"),
    ("L32", "a data source of unknown kind is dropped: an empty volume", "inaccessible", "SourceDropped", "admission"),
    ("L33", "a snapshot never became ready", "lost", "", "VolumeSnapshot.status"),
    ("L34", "a volume points at a claim that was never restored", "lost", "Destroyed", "csi.fates"),
    ("L35", "two clusters use one volume", "divergent", "", "not simulated: there is one cluster"),
    ("L36", "a volume is full", "inaccessible", "Full", "machines.disks"),
    ("L37", "a file system cannot be grown at the mount", "inaccessible", "Inaccessible", "kubelet.volumes"),
    ("L38", "a walk through all files holds the pod back", "inaccessible", "Inaccessible", "kubelet.volumes"),
    ("L39", "a volume cannot be reached from the node", "inaccessible", "Inaccessible", "kubelet.volumes, attacher"),
    ("L40", "no plug-in handles the volume", "inaccessible", "Inaccessible", "kubelet.volumes"),
    ("L41", "a raw volume is mounted as a file system", "safe", "", "refused: volumeMode is immutable (csi.sources)"),
    ("L42", "a mount hides another", "inaccessible", "", "not simulated: paths inside a container"),
)  # fmt: skip

LOSS_PATHS: Final = {row[0]: LossPath(*row) for row in _TABLE}
