"""What an update may not change.

Both objects are complete (defaulted) manifests. Source: pkg/apis/{core,apps,batch,storage,scheduling}/validation,
pkg/registry/*/strategy.go.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, forbidden, invalid
from k8sim.api.quantity import parse_milli
from k8sim.api.validation.storage import volume_source

Manifest = Mapping[str, Any]

STATEFUL_SET_FORBIDDEN: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_SET_MUTABLE: Final = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip
POD_FORBIDDEN: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
CLAIM_FORBIDDEN: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
RESIZE_FORBIDDEN: Final = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def same(a: Any, b: Any) -> bool:
    """True for parts that mean the same: null and empty are absent (apiequality.Semantic.DeepEqual)."""
    return bool(_pruned(a) == _pruned(b))


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        pruned = {k: _pruned(v) for k, v in value.items()}
        return {k: v for k, v in pruned.items() if v is not None} or None
    if isinstance(value, list | tuple):
        return [_pruned(item) for item in value] or None
    return value


def without(spec: Manifest, *fields: str) -> dict[str, Any]:
    """A mapping without some keys."""
    return {key: value for key, value in spec.items() if key not in fields}


def check_metadata_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """An object keeps its name, namespace and UID, and gets no new finalizers once it is being deleted."""
    ours, theirs = new.get("metadata") or {}, old.get("metadata") or {}
    for field in ("name", "namespace", "uid"):
        if ours.get(field) and theirs.get(field) and ours[field] != theirs[field]:
            yield invalid(("metadata", field), ours[field], "field is immutable")
    if theirs.get("deletionTimestamp"):
        added = sorted(set(ours.get("finalizers") or ()) - set(theirs.get("finalizers") or ()))
        if added:
            listed = ", ".join(f'"{name}"' for name in added)
            yield forbidden(
                ("metadata", "finalizers"),
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}",
            )


def _spec(manifest: Manifest) -> Manifest:
    spec: Manifest = manifest.get("spec") or {}
    return spec


def _immutable(new: Manifest, old: Manifest, path: FieldPath, *fields: str) -> Iterator[FieldError]:
    for field in fields:
        if not same(new.get(field), old.get(field)):
            yield invalid((*path, field), new.get(field), "field is immutable")


def stateful_set_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """Only seven fields of a StatefulSet's spec may change."""
    if not same(without(_spec(new), *_STATEFUL_SET_MUTABLE), without(_spec(old), *_STATEFUL_SET_MUTABLE)):
        yield forbidden(("spec",), STATEFUL_SET_FORBIDDEN)


def selector_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """Deployments, ReplicaSets and DaemonSets keep their selector."""
    yield from _immutable(_spec(new), _spec(old), ("spec",), "selector")


def job_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """A Job keeps its selector, completion mode and template."""
    yield from _immutable(_spec(new), _spec(old), ("spec",), "selector", "template", "completionMode")


def pod_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """Check a pod's update: images, a few times, and additional tolerations."""
    ours, theirs = _spec(new), _spec(old)
    for field in ("containers", "initContainers"):
        if len(ours.get(field) or ()) != len(theirs.get(field) or ()):
            yield forbidden(("spec", field), "pod updates may not add or remove containers")
            return
    yield from _deadline_update(ours, theirs)
    if not _only_added(ours.get("tolerations") or (), theirs.get("tolerations") or ()):
        yield forbidden(("spec", "tolerations"), "existing toleration can not be modified except its tolerationSeconds")
    if not same(_fixed_part(ours, theirs), _fixed_part(theirs, theirs)):
        yield forbidden(("spec",), POD_FORBIDDEN)


def _fixed_part(spec: Manifest, old: Manifest) -> dict[str, Any]:
    fixed = without(spec, "activeDeadlineSeconds", "tolerations", "containers", "initContainers")
    for field in ("containers", "initContainers"):
        fixed[field] = [without(container, "image") for container in spec.get(field) or ()]
    if spec.get("terminationGracePeriodSeconds") == 1 and (old.get("terminationGracePeriodSeconds") or 0) < 0:
        fixed["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    gates = [gate["name"] for gate in spec.get("schedulingGates") or ()]
    before = [gate["name"] for gate in old.get("schedulingGates") or ()]
    if set(gates) <= set(before):  # gates may be removed
        fixed["schedulingGates"] = old.get("schedulingGates")
    return fixed


def _deadline_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    path: FieldPath = ("spec", "activeDeadlineSeconds")
    ours, theirs = new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if theirs is None:
        return
    if ours is None:
        yield invalid(path, None, "must not update from a positive integer to nil value")
    elif ours > theirs:
        yield invalid(path, ours, "must be less than or equal to previous value")


def _only_added(new: Any, old: Any) -> bool:
    kept = [without(toleration, "tolerationSeconds") for toleration in new]
    return all(any(same(without(o, "tolerationSeconds"), n) for n in kept) for o in old)


def claim_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """Check a claim's update: bound once, classed once, resized when bound.

    Source: ValidatePersistentVolumeClaimUpdate. Which classes allow growing is admission's: `resize_refusal`.
    """
    ours, theirs = dict(_spec(new)), dict(_spec(old))
    if not theirs.get("volumeName"):
        ours.pop("volumeName", None)
        theirs.pop("volumeName", None)
    if theirs.get("storageClassName") is None:
        ours.pop("storageClassName", None)
    if (old.get("status") or {}).get("phase") == "Bound":
        shrunk = _storage(ours) < _storage(theirs)
        status = (old["status"].get("capacity") or {}).get("storage")
        if shrunk and (status is None or _storage(ours) <= parse_milli(status)):
            yield forbidden(("spec", "resources", "requests", "storage"), "field can not be less than status.capacity")
        if theirs.get("volumeAttributesClassName") and not ours.get("volumeAttributesClassName"):
            say = "update from non-nil value to nil is forbidden"
            yield forbidden(("spec", "volumeAttributesClassName"), say)
        for spec in (ours, theirs):
            spec.pop("volumeAttributesClassName", None)
            resources = dict(spec.get("resources") or {})
            resources["requests"] = without(resources.get("requests") or {}, "storage")
            spec["resources"] = resources
    if not same(ours, theirs):
        yield forbidden(("spec",), CLAIM_FORBIDDEN)


def _storage(spec: Manifest) -> int:
    return parse_milli(((spec.get("resources") or {}).get("requests") or {}).get("storage") or 0)


def resize_refusal(new: Manifest, old: Manifest, storage_class: Manifest | None) -> str | None:
    """Why admission refuses (403) to let a claim grow; None if it does not.

    Parameters
    ----------
    storage_class
        The class the claim names, as it is now; None if it names none or there is none.

    Source: plugin/pkg/admission/storage/persistentvolume/resize/admission.go.
    """
    if _storage(_spec(new)) <= _storage(_spec(old)):
        return None
    if (old.get("status") or {}).get("phase") != "Bound":
        return "Only bound persistent volume claims can be expanded"
    if storage_class is None or not storage_class.get("allowVolumeExpansion"):
        return RESIZE_FORBIDDEN
    return None


def volume_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """A volume keeps its source, its mode, and its node affinity once it has one."""
    if not same(volume_source(_spec(new)), volume_source(_spec(old))):
        yield forbidden(("spec", "persistentvolumesource"), "spec.persistentvolumesource is immutable after creation")
    yield from _immutable(_spec(new), _spec(old), (), "volumeMode")
    if _spec(old).get("nodeAffinity") is not None:
        yield from _immutable(_spec(new), _spec(old), ("spec",), "nodeAffinity")


def storage_class_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """A class keeps what its volumes were made with."""
    for field in ("parameters", "provisioner", "reclaimPolicy"):
        if not same(new.get(field), old.get(field)):
            yield forbidden((field,), f"updates to {field} are forbidden.")
    yield from _immutable(new, old, (), "volumeBindingMode")


def attributes_class_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """A class of attributes never changes."""
    yield from _immutable(new, old, (), "driverName", "parameters")


def service_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """A Service keeps its cluster IP, unless it becomes or was an ExternalName."""
    ours, theirs = _spec(new), _spec(old)
    if "ExternalName" in (ours.get("type"), theirs.get("type")):
        return
    before, after = theirs.get("clusterIP") or "", ours.get("clusterIP") or ""
    if before and after != before:
        yield invalid(("spec", "clusterIPs", 0), after, "may not change once set")


def priority_class_update(new: Manifest, old: Manifest) -> Iterator[FieldError]:
    """A priority keeps its value."""
    for field in ("value", "preemptionPolicy"):
        if not same(new.get(field), old.get(field)):
            yield forbidden((field,), "may not be changed in an update.")


UPDATE_RULES: Final[Mapping[str, Callable[[Manifest, Manifest], Iterator[FieldError]]]] = {
    "StatefulSet": stateful_set_update,
    "Deployment": selector_update,
    "ReplicaSet": selector_update,
    "DaemonSet": selector_update,
    "Job": job_update,
    "Pod": pod_update,
    "PersistentVolumeClaim": claim_update,
    "PersistentVolume": volume_update,
    "StorageClass": storage_class_update,
    "VolumeAttributesClass": attributes_class_update,
    "Service": service_update,
    "PriorityClass": priority_class_update,
}
