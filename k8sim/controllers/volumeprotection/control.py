"""Who uses a claim, and whether a finalizer is to come or go.

Source: pkg/controller/volume/{pvcprotection,pvprotection,protectionutil}, component-helpers/storage/ephemeral;
storage.md 1.10.
"""

from __future__ import annotations

from typing import Final

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import Object, controller_of
from k8sim.api.pods import is_volume_pod_terminated

PVC_PROTECTION: Final = "kubernetes.io/pvc-protection"
PV_PROTECTION: Final = "kubernetes.io/pv-protection"
VAC_PROTECTION: Final = "kubernetes.io/vac-protection"


def is_deletion_candidate(obj: Object, finalizer: str) -> bool:
    """Tell whether the object is being deleted and our finalizer holds it."""
    return obj.deleting and finalizer in obj.metadata.finalizers


def needs_finalizer(obj: Object, finalizer: str) -> bool:
    """Tell whether an object that is not being deleted lacks our finalizer."""
    return not obj.deleting and finalizer not in obj.metadata.finalizers


def is_pod_shut_down(pod: Pod) -> bool:
    """Tell whether the pod's grace period is 0: its kubelet has finished with it, or it was force-deleted."""
    return pod.deleting and pod.metadata.deletion_grace_period_seconds == 0


def pod_uses_claim(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """Tell whether a pod holds a claim back: it must be scheduled; its phase does not matter.

    The claim of a generic ephemeral volume is free as soon as its pod has been shut down.
    """
    if not pod.spec.node_name:
        return False
    for volume in pod.spec.volumes:
        source = volume.persistent_volume_claim
        if source is not None and source.claim_name == claim.name:
            return True
        if volume.ephemeral is not None and f"{pod.name}-{volume.name}" == claim.name and not is_pod_shut_down(pod):
            owner = controller_of(claim)
            if owner is not None and owner.uid == pod.uid:
                return True
    return False


def can_free_claims(pod: Pod, deleted: bool) -> bool:
    """Tell whether news of a pod can lift a claim's protection."""
    return deleted or is_volume_pod_terminated(pod) or not pod.spec.node_name


def is_volume_in_use(volume: PersistentVolume) -> bool:
    """Tell whether a volume is held back: its phase is Bound, nothing else counts."""
    return volume.status.phase == "Bound"
