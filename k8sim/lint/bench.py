"""Where a workload is tried: alone with what belongs to it, or beside a few others, healthy, on the file's nodes.

A rule's experiment is the bench's scenario with something done to it from `Bench.begin_ns` on, when all pods have been
Ready for a while. What the file says of nodes, images, delays and components' settings stays; what it does to its
cluster (timeline, failures, operators, clients) does not, for an experiment is about one thing.

Assumed where the file is silent: nodes if it has none, storage classes that claims name, and that software starts
within a second and stops at once, unless a rule is about just that. Configuration that is not in the file (ConfigMaps,
Secrets) is taken for there, init containers for done, readiness gates for open, and pods of other workloads for where
the affinity to them would have the workload's own.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from k8sim.api.core import PersistentVolumeClaim
from k8sim.api.scheme import kind_class
from k8sim.api.storage_classes import IS_DEFAULT
from k8sim.cluster import Cluster
from k8sim.lint.evidence import ready_pods, rows
from k8sim.lint.fix import Fix
from k8sim.lint.workload import BARE, Ref, Workload, ref_of
from k8sim.machines.image import ImageBehaviour, Images, with_tag
from k8sim.operators.model import Operators
from k8sim.result import Result
from k8sim.scenario.model import ZONE_LABEL, NodeGroup, Scenario, Step
from k8sim.sim.distributions import Constant
from k8sim.sim.units import MINUTE, SECOND
from k8sim.workload.model import Application, Traffic

ASSUMED_CLASS: Final = "assumed"
PATIENCE_NS: Final = 30 * MINUTE
"""How long a workload may take until all its pods are Ready."""
SETTLED_NS: Final = MINUTE
"""How long it is left alone then."""
MAX_NODES: Final = 20
_WITH_PODS: Final = ("StatefulSet", "Deployment", "DaemonSet", "ReplicaSet", "Pod", "Job", "CronJob")
_CONFIGURATION: Final = ("configMap", "secret", "projected")
_ZONES: Final = ("a", "b", "c")
_BIG: Final = {"cpu": "256", "memory": "2Ti", "pods": "110", "ephemeral-storage": "2Ti"}


class NeverReady(Exception):
    """A workload whose pods never are all Ready, though nothing happens to it."""


@dataclass(frozen=True)
class Placed:
    """A pod and its node."""

    pod: str
    node: str


@dataclass(frozen=True)
class Settled:
    """A workload when all its pods are Ready: since when, and where they are (in the order in which they were made)."""

    ready_ns: int
    pods: tuple[Placed, ...]


class Bench:
    """One workload of a scenario, alone or in company.

    Parameters
    ----------
    scenario
        As the file has it, or corrected by a `Fix`.
    bare
        The file has no Scenario, so its nodes are for the bench to choose.
    company
        Other workloads that are there as well.
    """

    def __init__(self, scenario: Scenario, ref: Ref, bare: bool, company: tuple[Ref, ...] = ()) -> None:
        self._file = scenario
        self._bare = bare
        self._assumes_nodes = bare and bool(scenario.nodes)  # those that the loader assumed
        self.ref = ref
        self.company = tuple(Workload(scenario, other) for other in company)

    @cached_property
    def workload(self) -> Workload:
        """The workload, as the file has it."""
        return Workload(self._file, self.ref)

    def corrected(self, fix: Fix) -> Bench:
        """Return the bench with the corrected manifests; of a workload that is removed with what replaces it."""
        ref = ref_of(fix.added[0], self._file.namespace) if self.ref in fix.removed else self.ref
        return Bench(fix.apply(self._file), ref, self._bare)

    def beside(self, company: tuple[Ref, ...]) -> Bench:
        """Return the bench with other workloads."""
        return Bench(self._file, self.ref, self._bare, company)

    @cached_property
    def calm(self) -> Scenario:
        """The workload and its company, with nothing happening to them."""
        file, everybody = self._file, (self.workload, *self.company)
        refs = [workload.ref for workload in everybody]
        mine = [m for m in file.objects if _belongs(m, refs, file.namespace) and not self._counts_others(m)]
        priorities = {m["metadata"]["name"] for m in mine if m.get("kind") == "PriorityClass"}
        objects = [
            _prepared(m, priorities, self._assumes_nodes) if ref_of(m, file.namespace) in refs else m for m in mine
        ]
        return replace(
            file,
            nodes=_nodes(everybody) if self._assumes_nodes else file.nodes,
            images=tuple(_healthy(image, file.images) for image in _images(everybody)),
            namespace=self.ref.namespace,
            objects=(*_missing_classes(everybody), *objects),
            object_sources=(),
            timeline=(),
            failures=(),
            node_upgrades=(),
            operators=Operators(),
            applications=(),
            traffic=(),
            objectives=(),
        )

    def _counts_others(self, manifest: Mapping[str, Any]) -> bool:
        """Whether an object is a budget that counts pods that are not there."""
        if manifest.get("kind") != "PodDisruptionBudget":
            return False
        budgets = [b for b in self.workload.budgets if b.name == manifest["metadata"].get("name")]
        there = {workload.ref for workload in self.company}
        return any(other.ref not in there for budget in budgets for other in self.workload.sharers(budget))

    @property
    def settled(self) -> Settled:
        """When it has started, and where.

        Raises
        ------
        NeverReady
            It does not, within `PATIENCE_NS`.
        """
        if self._start is None:
            raise NeverReady
        return self._start

    @cached_property
    def _start(self) -> Settled | None:
        result = self.run(PATIENCE_NS)
        nodes = {row.name: row.detail["node"] for row in rows(result, "Pod", "Scheduled")}
        since, placed = 0, list[Placed]()
        for workload in (self.workload, *self.company):
            complete = (step for step in ready_pods(result, workload.ref) if len(step[1]) == workload.replicas)
            all_ready = next(complete, None)
            if all_ready is None:
                return None
            since = max(since, all_ready[0])
            if workload is self.workload:
                placed = [Placed(pod, node) for pod, node in nodes.items() if pod in all_ready[1]]
        return Settled(since, tuple(placed))

    @property
    def begin_ns(self) -> int:
        """When an experiment may begin: on a full minute, when it has been Ready for a while."""
        return -(-(self.settled.ready_ns + SETTLED_NS) // MINUTE) * MINUTE

    def kubectl(self, at_ns: int, verb: str, arguments: str = "") -> Step:
        """Return a command about the workload."""
        return Step.kubectl(at_ns, f"{verb} {self.ref.kind.lower()}/{self.ref.name} {arguments}".strip())

    def run(
        self,
        duration_ns: int,
        *steps: Step,
        images: Mapping[str, ImageBehaviour] | None = None,
        traffic: tuple[Traffic, ...] = (),
        applications: tuple[Application, ...] = (),
    ) -> Result:
        """Simulate; ``images`` replaces what single images behave like."""
        behaviours = tuple((images or {}).get(b.pattern, b) for b in self.calm.images)
        scenario = replace(
            self.calm,
            duration_ns=duration_ns,
            timeline=steps,
            images=behaviours,
            traffic=traffic,
            applications=applications,
        )
        return Cluster(scenario, keep_history=False).run()

    def behaviour(self, image: str) -> ImageBehaviour:
        """Return how an image behaves while it is healthy."""
        return next(b for b in self.calm.images if b.pattern == with_tag(image))

    def told(self, image: str) -> ImageBehaviour | None:
        """Return what the file itself says of an image; None: nothing."""
        found = Images(self._file.images).of(image)
        return found if found in self._file.images else None


def _belongs(manifest: Mapping[str, Any], refs: Sequence[Ref], namespace: str) -> bool:
    """Whether an object may matter to workloads: none beside them that makes pods, nothing of another namespace."""
    ref = ref_of(manifest, namespace)
    if ref.kind in _WITH_PODS:
        return ref in refs
    kind = kind_class(ref.kind)
    return kind is None or not kind.namespaced or ref.namespace == refs[0].namespace


def _nodes(workloads: Sequence[Workload]) -> tuple[NodeGroup, ...]:
    """Big nodes that take any of their pods, two more than there are pods; in zones if anybody asks for any."""
    count = min(sum(workload.replicas for workload in workloads), MAX_NODES) + 2
    labels = {key: value for workload in workloads for key, value in workload.pod_spec.node_selector.items()}
    if ZONE_LABEL in labels or not any(ZONE_LABEL in workload.topology_keys for workload in workloads):
        return (NodeGroup("node", count, _BIG, labels),)
    return (NodeGroup("node", max(count, 2 * len(_ZONES)), _BIG, labels, _ZONES),)


def _images(workloads: Sequence[Workload]) -> list[str]:
    """The images that their pods run, in the order of the manifests."""
    specs = (workload.pod_spec for workload in workloads)
    containers = (c for spec in specs for c in (*spec.init_containers, *spec.containers))
    return list(dict.fromkeys(with_tag(container.image) for container in containers))


def _healthy(image: str, known: tuple[ImageBehaviour, ...]) -> ImageBehaviour:
    """How an image behaves when nothing is wrong with it: as the file says, without hanging or ending."""
    told = Images(known).of(image)
    quick = Constant(SECOND)
    if told not in known:
        return ImageBehaviour(image, started=quick, ready=quick)
    healthy = replace(told, pattern=image, hang=None, exit_after=None, missing=False)
    return replace(
        healthy, started=healthy.started or quick, ready=healthy.ready or quick, alive=healthy.alive or quick
    )


def _prepared(manifest: Mapping[str, Any], priorities: Container[str], any_node: bool) -> dict[str, Any]:
    """Return a workload without what its pods would wait for that has nothing to do with the experiment."""
    prepared: dict[str, Any] = deepcopy(dict(manifest))
    spec = prepared["spec"] if prepared["kind"] == BARE else prepared["spec"]["template"]["spec"]
    affinity = spec.get("affinity") or {}
    affinity.pop("podAffinity", None)
    spec.pop("readinessGates", None)
    spec.pop("schedulerName", None)
    if any_node:
        affinity.pop("nodeAffinity", None)
    if spec.get("priorityClassName") not in priorities:
        spec.pop("priorityClassName", None)
    spec["initContainers"] = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in (*spec["initContainers"], *spec["containers"]):
        container.pop("env", None)
        container.pop("envFrom", None)
    for volume in spec.get("volumes") or ():
        if any(volume.get(kind) is not None for kind in _CONFIGURATION):
            for kind in _CONFIGURATION:
                volume.pop(kind, None)
            volume["emptyDir"] = {}
    return prepared


def _missing_classes(workloads: Sequence[Workload]) -> Iterator[dict[str, Any]]:
    """Yield the storage classes that their claims need and that the file does not have."""
    manifests = workloads[0].scenario.objects
    classes = {m["metadata"]["name"] for m in manifests if m.get("kind") == "StorageClass"}
    volumes = {(m.get("spec") or {}).get("storageClassName") for m in manifests if m.get("kind") == "PersistentVolume"}
    wanted = {_class_of(claim) for workload in workloads for claim in (*workload.claim_templates, *workload.claims)}
    for name in sorted(wanted - classes - volumes - {""}, key=str):
        if name is not None:
            yield _storage_class(name, default=False)
        elif not any(_is_default(m) for m in manifests):
            yield _storage_class(ASSUMED_CLASS, default=True)


def _class_of(claim: PersistentVolumeClaim) -> str | None:
    return claim.spec.storage_class_name


def _is_default(manifest: Mapping[str, Any]) -> bool:
    annotations = manifest["metadata"].get("annotations") or {}
    return manifest.get("kind") == "StorageClass" and annotations.get(IS_DEFAULT) == "true"


def _storage_class(name: str, default: bool) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {IS_DEFAULT: str(default).lower()}},
        "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
