"""Which manifests of a file are tried: those of a running cluster count as if they were applied to an empty one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from k8sim.lint.workload import KINDS, ref_of
from k8sim.scenario.loader import Loaded
from k8sim.scenario.manifests import Manifest
from k8sim.scenario.model import Scenario

_KEPT: Final = (
    *KINDS, "LimitRange", "Namespace", "Node", "PersistentVolumeClaim", "PodDisruptionBudget", "PriorityClass",
    "ResourceQuota", "Service", "StorageClass",
)  # fmt: skip
"""What of a dump is not made by controllers."""


def as_applied(loaded: Loaded) -> Scenario:
    """Return a file's scenario with all that can be applied, workloads with as many pods as they have at least."""
    scenario = loaded.scenario
    if scenario.state:
        objects = tuple(_applied(m) for m in loaded.manifests if m.data["kind"] in _KEPT)
        scenario = replace(scenario, objects=objects, object_sources=(), state=())
    return replace(scenario, objects=tuple(_scaled(scenario)))


def _applied(manifest: Manifest) -> dict[str, Any]:
    """Return an object of a dump as a client would apply it: a claim is not bound yet."""
    applied = deepcopy(manifest.new_object)
    applied["metadata"].pop("ownerReferences", None)
    if applied["kind"] == "PersistentVolumeClaim":
        applied["metadata"].pop("annotations", None)
        applied["spec"].pop("volumeName", None)
    if applied["kind"] != "Node":
        applied.pop("status", None)
    return applied


def _scaled(scenario: Scenario) -> Iterator[Mapping[str, Any]]:
    """Yield the objects; a workload that leaves the number of its pods to an autoscaler gets the least of them."""
    least: dict[tuple[str, str, str], int] = {}
    for manifest in scenario.objects:
        if manifest.get("kind") == "HorizontalPodAutoscaler":
            spec, namespace = manifest.get("spec") or {}, ref_of(manifest, scenario.namespace).namespace
            target = spec.get("scaleTargetRef") or {}
            least[str(target.get("kind")), namespace, str(target.get("name"))] = spec.get("minReplicas") or 1
    for manifest in scenario.objects:
        ref = ref_of(manifest, scenario.namespace)
        replicas = least.get((ref.kind, ref.namespace, ref.name))
        if replicas is None or (manifest.get("spec") or {}).get("replicas") is not None:
            yield manifest
        else:
            yield {**manifest, "spec": {**manifest["spec"], "replicas": replicas}}
