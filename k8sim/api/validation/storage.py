"""Claims, volumes and their classes.

Source: pkg/apis/core/validation/validation.go, pkg/apis/storage/validation/validation.go.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, forbidden, invalid, required
from k8sim.api.quantity import parse_milli
from k8sim.api.validation.metadata import check_label_selector
from k8sim.api.validation.names import dns_subdomain, each, one_of, qualified_name
from k8sim.api.validation.scheduling import check_node_selector

ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
#: Fields of a volume's spec that are not its source.
_NOT_SOURCES: Final = frozenset((
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeAttributesClassName", "volumeMode",
))  # fmt: skip


def check_claim(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a PersistentVolumeClaim."""
    yield from check_claim_spec(manifest.get("spec") or {}, ("spec",))


def check_claim_spec(spec: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    """Check a claim's spec, or that of a claim template."""
    yield from check_label_selector(spec.get("selector"), (*path, "selector"))
    yield from _check_access_modes(spec, path, "at least 1 access mode is required")
    requests = (spec.get("resources") or {}).get("requests") or {}
    at: FieldPath = (*path, "resources", "requests", "storage")
    if requests.get("storage") is None:
        yield required((*path, "resources", "requests", "storage"))
    elif parse_milli(requests["storage"]) <= 0:
        yield invalid(at, str(requests["storage"]), "must be greater than zero")
    if spec.get("storageClassName"):
        name = spec["storageClassName"]
        yield from each((*path, "storageClassName"), name, dns_subdomain(name))
    yield from one_of(spec.get("volumeMode"), (*path, "volumeMode"), "Block", "Filesystem")


def _check_access_modes(spec: Mapping[str, Any], path: FieldPath, say: str) -> Iterator[FieldError]:
    modes = spec.get("accessModes") or ()
    at: FieldPath = (*path, "accessModes")
    if not modes:
        yield required(at, say)
    for i, mode in enumerate(modes):
        for error in one_of(mode, at, *ACCESS_MODES):
            yield FieldError(error.path, error.reason, error.detail, error.value, key=i)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden(at, "may not use ReadWriteOncePod with other access modes")


def volume_source(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The source fields of a PersistentVolume's spec: one in a valid one."""
    return {key: value for key, value in spec.items() if key not in _NOT_SOURCES and value is not None}


def check_volume(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a PersistentVolume."""
    spec = manifest.get("spec") or {}
    path: FieldPath = ("spec",)
    yield from _check_access_modes(spec, path, "")
    capacity = spec.get("capacity") or {}
    if capacity.get("storage") is None:
        yield required((*path, "capacity"))
    elif parse_milli(capacity["storage"]) <= 0:
        yield invalid((*path, "capacity", "storage"), str(capacity["storage"]), "must be greater than zero")
    policy = spec.get("persistentVolumeReclaimPolicy")
    yield from one_of(policy, (*path, "persistentVolumeReclaimPolicy"), "Delete", "Recycle", "Retain")
    yield from one_of(spec.get("volumeMode"), (*path, "volumeMode"), "Block", "Filesystem")
    affinity = (spec.get("nodeAffinity") or {}).get("required")
    if spec.get("nodeAffinity") is not None and affinity is None:
        yield required((*path, "nodeAffinity", "required"), "must specify required node constraints")
    elif affinity is not None:
        yield from check_node_selector(affinity, (*path, "nodeAffinity", "required"))
    sources = volume_source(spec)
    if not sources:
        yield required(path, "must specify a volume type")
    for extra in [field for field in sources if field != "extra"][1:]:
        yield forbidden((*path, extra), "may not specify more than 1 volume type")
    if "local" in sources and affinity is None:
        yield required((*path, "nodeAffinity"), "Local volume requires node affinity")
    host_path = (sources.get("hostPath") or {}).get("path") or ""
    if "hostPath" in sources and not host_path:
        yield required((*path, "hostPath", "path"))
    elif host_path.rstrip("/") == "" and host_path and policy == "Recycle":
        yield forbidden((*path, "persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'")
    if spec.get("storageClassName"):
        name = spec["storageClassName"]
        yield from each((*path, "storageClassName"), name, dns_subdomain(name))


def check_attributes_class(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a VolumeAttributesClass."""
    if not manifest.get("driverName"):
        yield required(("driverName",))
    if not manifest.get("parameters"):
        yield required(("parameters",), "must contain at least one key/value pair")


def check_storage_class(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a StorageClass."""
    provisioner = manifest.get("provisioner") or ""
    if not provisioner:
        yield required(("provisioner",))
    else:
        yield from each(("provisioner",), provisioner, qualified_name(provisioner.lower()))
    yield from one_of(manifest.get("reclaimPolicy"), ("reclaimPolicy",), "Delete", "Retain")
    yield from one_of(manifest.get("volumeBindingMode"), ("volumeBindingMode",), "Immediate", "WaitForFirstConsumer")
    if "" in (manifest.get("parameters") or {}):
        yield invalid(("parameters",), "", "field can not be empty.")
