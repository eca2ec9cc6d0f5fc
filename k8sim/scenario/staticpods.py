"""`nodes[].staticPods`: manifests that lie on the machines of a group, for their kubelets to run.

Like a kubelet's `staticPodPath`: files and folders of pod manifests; or a manifest itself, in its place.
Source: pkg/kubelet/config/common.go (tryDecodeSinglePod), pkg/api/pod/util.go (HasAPIObjectReference).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from k8sim.api.fielderror import FieldPath
from k8sim.scenario.include import matching_files
from k8sim.scenario.manifests import Manifest, flatten
from k8sim.scenario.part import Part
from k8sim.scenario.yamlsource import read_file

_WITH_REFERENCES: Final = (
    "containers", "initContainers", "volumes", "imagePullSecrets", "resourceClaims", "serviceAccountName",
    "serviceAccount",
)  # fmt: skip
"""The fields of a pod's spec that may name other objects."""
_REFERENCES: Final[Mapping[str, str]] = {
    "serviceAccountName": "serviceaccounts", "serviceAccount": "serviceaccounts",
    "serviceAccountToken": "serviceaccounts",
    "imagePullSecrets": "secrets", "secret": "secrets", "secretRef": "secrets", "secretKeyRef": "secrets",
    "configMap": "configmaps", "configMapRef": "configmaps", "configMapKeyRef": "configmaps",
    "persistentVolumeClaim": "persistentvolumeclaims", "ephemeral": "persistentvolumeclaims",
    "resourceClaims": "resourceclaims", "clusterTrustBundle": "clustertrustbundles",
}  # fmt: skip
"""What a field refers to."""


def static_manifests(nodes: Part | None, folder: Path) -> dict[str, list[Manifest]]:
    """Return the manifests of each node group by its name, not checked yet.

    Raises
    ------
    ScenarioError
        There is no such file, or something in it is no pod.
    """
    groups = nodes.items() if nodes is not None else ()
    return {group.require("name").word(): list(_of_group(group, folder)) for group in groups}


def _of_group(group: Part, folder: Path) -> Iterator[Manifest]:
    listed = group.child("staticPods")
    for entry in listed.items() if listed is not None else ():
        if isinstance(entry.value, str):
            documents = [document for path in matching_files(entry, folder, None) for document in read_file(path)]
        else:
            documents = [entry.document.part(entry.path)]
        for manifest in (m for document in documents for m in flatten(document)):
            if (manifest.data["apiVersion"], manifest.data["kind"]) != ("v1", "Pod"):
                hint = "a kubelet runs pods and nothing else; put other objects behind the scenario"
                raise manifest.document.error((), f"{manifest.label} is not a pod", hint)
            yield manifest


def check_references(manifest: Manifest) -> None:
    """Refuse a static pod that needs the API server (PreventStaticPodAPIReferences, on by default since 1.34).

    Raises
    ------
    ScenarioError
        Where it refers to another object.
    """
    spec = manifest.data.get("spec") or {}
    for field in _WITH_REFERENCES:
        for path, resource in _references(field, spec.get(field), ("spec",)):
            problem = f"{manifest.label}: static pods may not reference {resource}"
            raise manifest.document.error(path, problem, "a kubelet would not run it; hostPath and emptyDir are fine")


def _references(key: str | int, value: Any, above: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    path = (*above, key)
    if value and key in _REFERENCES:
        yield path, _REFERENCES[str(key)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for inner, item in items:
        yield from _references(inner, item, path)
