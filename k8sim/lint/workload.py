"""A StatefulSet or Deployment of a scenario, with what belongs to it, as the API server would complete it.

A pod that nobody would make anew is looked at as the Deployment that would make it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from k8sim.api.apps import Deployment, StatefulSet
from k8sim.api.core import Container, PersistentVolumeClaim, PodSpec, Service
from k8sim.api.defaults import default_object
from k8sim.api.meta import Object
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.scheme import decode, kind_class
from k8sim.api.selectors import labels_match, selector_matches
from k8sim.api.storage import StorageClass
from k8sim.scenario.model import Scenario

Path = tuple[str | int, ...]
POD_SPEC: Final[Path] = ("spec", "template", "spec")
KINDS: Final = ("StatefulSet", "Deployment")
BARE: Final = "Pod"
"""The kind of a workload that is a pod without a controller."""


@dataclass(frozen=True)
class Ref:
    """Which object."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def names(self, manifest: Mapping[str, Any], namespace: str) -> bool:
        """Tell whether a manifest is of this object; ``namespace`` is that of objects that name none."""
        return ref_of(manifest, namespace) == self


def ref_of(manifest: Mapping[str, Any], namespace: str) -> Ref:
    """Return which object a manifest is of; ``namespace`` is that of objects that name none."""
    kind, metadata = str(manifest.get("kind")), manifest.get("metadata") or {}
    known = kind_class(kind)
    where = metadata.get("namespace") or namespace if known is None or known.namespaced else ""
    return Ref(kind, where, str(metadata.get("name")))


def manifest_of(scenario: Scenario, ref: Ref) -> Mapping[str, Any]:
    """Return the manifest of an object that is there."""
    return next(m for m in scenario.objects if ref.names(m, scenario.namespace))


def workloads(scenario: Scenario) -> list[Ref]:
    """Return the StatefulSets and Deployments that want pods."""
    refs = [ref_of(m, scenario.namespace) for m in scenario.objects if m.get("kind") in KINDS]
    return [ref for ref in refs if Workload(scenario, ref).replicas > 0]


def bare_pods(scenario: Scenario) -> list[Ref]:
    """Return the pods that nobody has made and that are to run for good."""
    pods = [m for m in scenario.objects if m.get("kind") == BARE and not m["metadata"].get("ownerReferences")]
    lasting = [m for m in pods if m["spec"].get("restartPolicy", "Always") == "Always"]
    return [ref_of(m, scenario.namespace) for m in lasting]


def as_deployment(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Deployment that would make a pod."""
    metadata = pod["metadata"]
    labels = dict(metadata.get("labels") or {"app": metadata["name"]})
    template = {"metadata": {**metadata, "labels": labels}, "spec": pod["spec"]}
    for key in ("name", "namespace"):
        template["metadata"].pop(key, None)
    place = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": place, "spec": spec}


@dataclass(frozen=True)
class Workload:
    """One workload of a scenario; what is asked of it is looked up in the scenario's manifests."""

    scenario: Scenario
    ref: Ref

    @cached_property
    def obj(self) -> StatefulSet | Deployment:
        """The object with its defaults."""
        manifest = manifest_of(self.scenario, self.ref)
        obj = default_object(decode(as_deployment(manifest) if self.ref.kind == BARE else manifest))
        assert isinstance(obj, StatefulSet | Deployment)
        return obj

    @property
    def kind(self) -> Literal["StatefulSet", "Deployment"]:
        """Its kind."""
        return "StatefulSet" if isinstance(self.obj, StatefulSet) else "Deployment"

    @property
    def pod_manifest(self) -> Mapping[str, Any]:
        """What its pods are, as the manifest has it."""
        spec: Mapping[str, Any] = manifest_of(self.scenario, self.ref)["spec"]["template"]["spec"]
        return spec

    @property
    def stateful_set(self) -> StatefulSet | None:
        """The object if it is a StatefulSet."""
        return self.obj if isinstance(self.obj, StatefulSet) else None

    @property
    def deployment(self) -> Deployment | None:
        """The object if it is a Deployment."""
        return self.obj if isinstance(self.obj, Deployment) else None

    @property
    def replicas(self) -> int:
        """How many pods it wants."""
        return self.obj.spec.replicas

    @property
    def needed(self) -> int:
        """How many Ready pods it needs to do its work: a StatefulSet a majority, a Deployment one."""
        return self.replicas // 2 + 1 if isinstance(self.obj, StatefulSet) else 1

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        return self.obj.spec.template.metadata.labels

    @property
    def selector(self) -> Mapping[str, str]:
        """Labels by which its pods can be told from others."""
        selector = self.obj.spec.selector
        return selector.match_labels if selector is not None and selector.match_labels else self.labels

    @property
    def pod_spec(self) -> PodSpec:
        """What its pods are."""
        return self.obj.spec.template.spec

    @property
    def containers(self) -> tuple[tuple[Path, Container], ...]:
        """The containers that serve, and where each stands in the manifest."""
        return tuple(((*POD_SPEC, "containers", i), c) for i, c in enumerate(self.pod_spec.containers))

    @property
    def lasting_containers(self) -> tuple[tuple[Path, Container], ...]:
        """Those and the sidecars, which restart and are probed like them."""
        inits = enumerate(self.pod_spec.init_containers)
        sidecars = (((*POD_SPEC, "initContainers", i), c) for i, c in inits if c.restart_policy == "Always")
        return (*self.containers, *sidecars)

    @property
    def topology_keys(self) -> set[str]:
        """The node labels by which its pods are kept apart, strictly or if possible."""
        spec = self.pod_spec
        keys = {constraint.topology_key for constraint in spec.topology_spread_constraints}
        apart = spec.affinity.pod_anti_affinity if spec.affinity is not None else None
        if apart is not None:
            preferred = apart.preferred_during_scheduling_ignored_during_execution
            keys |= {term.topology_key for term in apart.required_during_scheduling_ignored_during_execution}
            keys |= {term.pod_affinity_term.topology_key for term in preferred}
        return keys

    @property
    def services(self) -> list[Service]:
        """The Services with an address of their own that lead to its pods."""
        found = [obj for obj in self._objects("Service") if isinstance(obj, Service)]
        return [s for s in found if s.spec.cluster_ip != "None" and s.spec.selector and self._selected(s.spec.selector)]

    @property
    def serves(self) -> str:
        """The name of the first of these Services."""
        return self.services[0].name

    @property
    def budgets(self) -> list[PodDisruptionBudget]:
        """The PodDisruptionBudgets that count its pods."""
        found = [obj for obj in self._objects("PodDisruptionBudget") if isinstance(obj, PodDisruptionBudget)]
        return [b for b in found if selector_matches(b.spec.selector, self.labels)]

    @property
    def own_budgets(self) -> list[PodDisruptionBudget]:
        """Those of them that count no other workload's pods."""
        return [budget for budget in self.budgets if not self.sharers(budget)]

    def sharers(self, budget: PodDisruptionBudget) -> list[Workload]:
        """Return the other workloads whose pods a budget of this one counts, too."""
        others = [ref for ref in workloads(self.scenario) if ref.namespace == self.ref.namespace and ref != self.ref]
        found = [Workload(self.scenario, ref) for ref in others]
        return [other for other in found if selector_matches(budget.spec.selector, other.labels)]

    def told_from(self, other: Workload) -> bool:
        """Tell whether no pod of another workload has the labels by which this one's are told."""
        return not labels_match(self.selector, other.labels)

    @property
    def claims(self) -> list[PersistentVolumeClaim]:
        """The claims that its pods share."""
        names = {v.persistent_volume_claim.claim_name for v in self.pod_spec.volumes if v.persistent_volume_claim}
        found = [obj for obj in self._objects("PersistentVolumeClaim") if isinstance(obj, PersistentVolumeClaim)]
        return [claim for claim in found if claim.name in names]

    @property
    def keeps_data(self) -> bool:
        """Whether its pods have claims."""
        return bool(self.claim_templates or self.claims)

    def has_data(self, container: Container) -> bool:
        """Tell whether a container has one of these claims."""
        claimed = {claim.name for claim in self.claim_templates}
        claimed |= {volume.name for volume in self.pod_spec.volumes if volume.persistent_volume_claim is not None}
        return not claimed.isdisjoint(
            {mount.name for mount in container.volume_mounts} | {device.name for device in container.volume_devices}
        )

    @property
    def claim_templates(self) -> tuple[PersistentVolumeClaim, ...]:
        """The claims that each of its pods gets."""
        return self.obj.spec.volume_claim_templates if isinstance(self.obj, StatefulSet) else ()

    def storage_class(self, name: str) -> StorageClass | None:
        """Return a storage class of the manifests."""
        found = [decode(m) for m in self.scenario.objects if m.get("kind") == "StorageClass"]
        return next((c for c in found if isinstance(c, StorageClass) and c.name == name), None)

    def _objects(self, kind: str) -> Iterator[Object]:
        """Objects of a kind in the workload's namespace."""
        for manifest in self.scenario.objects:
            if (
                manifest.get("kind") == kind
                and ref_of(manifest, self.scenario.namespace).namespace == self.ref.namespace
            ):
                yield default_object(decode(manifest))

    def _selected(self, selector: Mapping[str, str]) -> bool:
        return labels_match(selector, self.labels)
