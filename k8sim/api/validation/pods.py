"""Pods and pod templates.

Source: pkg/apis/core/validation/validation.go.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, duplicate, forbidden, invalid, required
from k8sim.api.validation.containers import check_containers
from k8sim.api.validation.metadata import check_annotations
from k8sim.api.validation.names import check_labels, dns_label, dns_subdomain, each, non_negative, one_of
from k8sim.api.validation.scheduling import check_affinity, check_spread_constraints, check_tolerations

_MAX_INT32: Final = 2**31 - 1


def check_pod(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a new pod."""
    spec = manifest.get("spec")
    if spec is None:
        yield required(("spec", "containers"))
    else:
        yield from check_pod_spec(spec, ("spec",))


def check_pod_template(
    template: Mapping[str, Any], path: FieldPath, claims: Collection[str] = ()
) -> Iterator[FieldError]:
    """Check a pod template.

    Parameters
    ----------
    claims
        Names of volumes that come with the pods (a StatefulSet's claim templates).
    """
    metadata = template.get("metadata") or {}
    yield from check_labels(metadata.get("labels"), (*path, "metadata", "labels"))
    yield from check_annotations(metadata.get("annotations"), (*path, "metadata", "annotations"))
    spec = template.get("spec") or {}
    yield from check_pod_spec(spec, (*path, "spec"), claims)
    if spec.get("ephemeralContainers"):
        yield forbidden((*path, "spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template")


def check_pod_spec(spec: Mapping[str, Any], path: FieldPath, claims: Collection[str] = ()) -> Iterator[FieldError]:
    """Check a pod's spec."""
    volumes = {*claims}
    yield from _check_volumes(spec, volumes, path)
    yield from check_containers(spec, volumes, path)
    yield from one_of(spec.get("restartPolicy"), (*path, "restartPolicy"), "Always", "OnFailure", "Never")
    yield from one_of(
        spec.get("dnsPolicy"), (*path, "dnsPolicy"), "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"
    )
    yield from non_negative(spec, path, "terminationGracePeriodSeconds")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        yield invalid((*path, "activeDeadlineSeconds"), deadline, f"must be between 1 and {_MAX_INT32}, inclusive")
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            yield from each((*path, field), spec[field], dns_label(spec[field]))
    for field in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        if spec.get(field):
            yield from each((*path, field), spec[field], dns_subdomain(spec[field]))
    yield from check_labels(spec.get("nodeSelector"), (*path, "nodeSelector"))
    yield from check_tolerations(spec.get("tolerations"), (*path, "tolerations"))
    yield from check_affinity(spec.get("affinity"), (*path, "affinity"))
    yield from check_spread_constraints(spec.get("topologySpreadConstraints"), (*path, "topologySpreadConstraints"))


def _check_volumes(spec: Mapping[str, Any], names: set[str], path: FieldPath) -> Iterator[FieldError]:
    own: set[str] = set()
    for i, volume in enumerate(spec.get("volumes") or ()):
        here: FieldPath = (*path, "volumes", i)
        name = volume.get("name") or ""
        if not name:
            yield required((*here, "name"))
        else:
            yield from each((*here, "name"), name, dns_label(name))
            if name in own:
                yield duplicate((*here, "name"), name)
            own.add(name)
        sources = [field for field, value in volume.items() if field != "name" and value is not None]
        for extra in sources[1:]:
            yield forbidden((*here, extra), "may not specify more than 1 volume type")
        yield from _check_volume_source(volume, here)
    names |= own


def _check_volume_source(volume: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    for source, field in (
        ("persistentVolumeClaim", "claimName"),
        ("configMap", "name"),
        ("secret", "secretName"),
        ("hostPath", "path"),
    ):
        if volume.get(source) is not None and not volume[source].get(field):
            yield required((*path, source, field))
    if volume.get("ephemeral") is not None and volume["ephemeral"].get("volumeClaimTemplate") is None:
        yield required((*path, "ephemeral", "volumeClaimTemplate"))
    medium = (volume.get("emptyDir") or {}).get("medium")
    if medium and medium != "Memory" and not medium.startswith("HugePages"):
        yield invalid((*path, "emptyDir", "medium"), medium, "must be Memory, HugePages or empty")
