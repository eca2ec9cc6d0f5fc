"""Who owns a StatefulSet's claims: the retention policy as owner references.

The controller deletes no claim; the garbage collector does, when the owner that the policy names is gone.

Source: pkg/controller/statefulset/stateful_set_utils.go; workloads.md 1.11.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sim.api.apps import StatefulSet
from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import Object, OwnerReference, controller_ref, with_meta
from k8sim.controllers.statefulset.identity import claim_name, pod_in_ordinal_range

ClaimLookup = Callable[[str], PersistentVolumeClaim | None]
"""A claim of the set's namespace by name."""


def deletes_on_set_deletion(sts: StatefulSet) -> bool:
    """Tell whether claims go with the set (whenDeleted: Delete)."""
    return sts.spec.persistent_volume_claim_retention_policy.when_deleted == "Delete"


def deletes_on_scaling(sts: StatefulSet) -> bool:
    """Tell whether claims go with pods that are scaled away (whenScaled: Delete)."""
    return sts.spec.persistent_volume_claim_retention_policy.when_scaled == "Delete"


def refers_to(ref: OwnerReference, obj: Object) -> bool:
    """Tell whether a reference names an object, whatever its UID (matchesRef)."""
    return (
        ref.name == obj.name
        and ref.kind == obj.kind
        and ref.api_version.rpartition("/")[0] == obj.api_version.rpartition("/")[0]
    )


def has_owner_ref(claim: PersistentVolumeClaim, obj: Object) -> bool:
    """Tell whether an object, by UID, is among a claim's owners."""
    return any(ref.uid == obj.uid for ref in claim.metadata.owner_references)


def has_stale_owner_ref(claim: PersistentVolumeClaim, obj: Object) -> bool:
    """Tell whether a claim's owner has the object's name and another UID: a former set or pod."""
    for ref in claim.metadata.owner_references:
        if refers_to(ref, obj):
            return ref.uid != obj.uid
    return False


def has_unexpected_controller(claim: PersistentVolumeClaim, sts: StatefulSet, pod: Pod) -> bool:
    """Tell whether somebody else controls the claim, which matters only if the policy deletes at all."""
    if not deletes_on_scaling(sts) and not deletes_on_set_deletion(sts):
        return False
    for ref in claim.metadata.owner_references:
        if refers_to(ref, sts):
            if ref.uid != sts.uid:
                return True
        elif refers_to(ref, pod):
            if ref.uid != pod.uid:
                return True
        elif ref.controller:
            return True
    return False


def has_non_controller_owner(claim: PersistentVolumeClaim, sts: StatefulSet, pod: Pod) -> bool:
    """Tell whether set or pod owns the claim without controlling it."""
    for ref in claim.metadata.owner_references:
        if ref.uid in (sts.uid, pod.uid):
            return not ref.controller
    return False


def wanted_owner(sts: StatefulSet, pod: Pod, ordinal: int) -> Object | None:
    """Return who is to own the claims of a pod by the retention policy, None for nobody."""
    if deletes_on_scaling(sts) and not pod_in_ordinal_range(ordinal, sts):
        return pod
    return sts if deletes_on_set_deletion(sts) else None


def is_claim_owner_up_to_date(claim: PersistentVolumeClaim, sts: StatefulSet, pod: Pod, ordinal: int) -> bool:
    """Tell whether a claim's owners are as the policy wants them, or are to be left alone."""
    if not claim.metadata.owner_references and wanted_owner(sts, pod, ordinal) is None:
        return True  # the common case, of nothing to compare
    if has_stale_owner_ref(claim, sts) or has_stale_owner_ref(claim, pod):
        return True  # managed by a former set or pod: not to be touched
    if has_unexpected_controller(claim, sts, pod):
        return not has_owner_ref(claim, sts) and not has_owner_ref(claim, pod)
    if has_non_controller_owner(claim, sts, pod):
        return False
    owner = wanted_owner(sts, pod, ordinal)
    return has_owner_ref(claim, sts) == (owner is sts) and has_owner_ref(claim, pod) == (owner is pod)


def with_claim_owner(claim: PersistentVolumeClaim, sts: StatefulSet, pod: Pod, ordinal: int) -> PersistentVolumeClaim:
    """Return a claim with the owners that the policy wants (updateClaimOwnerRefForSetAndPod)."""
    kept = tuple(r for r in claim.metadata.owner_references if not refers_to(r, sts) and not refers_to(r, pod))
    owner = None if has_unexpected_controller(claim, sts, pod) else wanted_owner(sts, pod, ordinal)
    if owner is not None:
        kept = (*kept, controller_ref(owner))
    return with_meta(claim, owner_references=kept)


def claims_match_retention_policy(sts: StatefulSet, pod: Pod, ordinal: int, claims: ClaimLookup) -> bool:
    """Tell whether all of a pod's claims that exist have the owners that the policy wants."""
    for template in sts.spec.volume_claim_templates:
        claim = claims(claim_name(sts, template, ordinal))
        if claim is not None and not is_claim_owner_up_to_date(claim, sts, pod, ordinal):
            return False
    return True


def missing_claims(sts: StatefulSet, ordinal: int, claims: ClaimLookup) -> bool:
    """Tell whether a claim that a pod needs is not there, or is on its way out."""
    for template in sts.spec.volume_claim_templates:
        claim = claims(claim_name(sts, template, ordinal))
        if claim is None or claim.deleting:
            return True
    return False


def pod_claim_is_stale(sts: StatefulSet, ordinal: int, claims: ClaimLookup) -> bool:
    """Tell whether a claim of a missing pod still belongs to the pod's predecessor, and will go with it."""
    if not deletes_on_scaling(sts):
        return False
    for template in sts.spec.volume_claim_templates:
        claim = claims(claim_name(sts, template, ordinal))
        if claim is None:
            continue
        for ref in claim.metadata.owner_references:
            if ref.kind == "Pod" and ref.api_version == "v1" and ref.name == f"{sts.name}-{ordinal}":
                return True  # a pod that does not exist has no UID: any reference to its name is stale
    return False
