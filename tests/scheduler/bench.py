"""A node table with plug-ins on it, without a clock or a server: what one plug-in says of a pod."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from k8sim.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service
from k8sim.api.defaults import default_object
from k8sim.api.meta import LabelSelector, with_meta
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.selectors import labels_match
from k8sim.api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from k8sim.api.struct import replace
from k8sim.api.volume_matching import claim_class, is_volume_bound_to_claim, volume_class
from k8sim.scheduler.algorithm import Algorithm, _first_rejection
from k8sim.scheduler.framework import SKIP, Cycle, Plugin, Status
from k8sim.scheduler.nodes import NodeTable
from k8sim.scheduler.plugins.registry import default_plugins
from k8sim.scheduler.profile import Profile
from k8sim.sim.streams import Streams
from tests.scheduler.world import make_pod


@dataclass
class FakeListers:
    """Whatever a test puts in."""

    claims: dict[tuple[str, str], PersistentVolumeClaim] = field(default_factory=dict)
    volumes: dict[str, PersistentVolume] = field(default_factory=dict)
    classes: dict[str, StorageClass] = field(default_factory=dict)
    spaces: list[Namespace] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    owners: dict[str, LabelSelector] = field(default_factory=dict)

    def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        return self.claims.get((namespace, name))

    def volume(self, name: str) -> PersistentVolume | None:
        return self.volumes.get(name)

    def free_volumes(self, claim: PersistentVolumeClaim, host: str) -> Iterable[PersistentVolume]:
        return [v for v in self.volumes.values() if not host and volume_class(v) == claim_class(claim)]

    def volumes_of(self, claim: PersistentVolumeClaim) -> Iterable[PersistentVolume]:
        return [v for v in self.volumes.values() if is_volume_bound_to_claim(v, claim)]

    def has_volumes_for(self, claim: PersistentVolumeClaim) -> bool:
        return bool([*self.free_volumes(claim, ""), *self.volumes_of(claim)])

    def storage_class(self, name: str) -> StorageClass | None:
        return self.classes.get(name)

    def csi_node(self, name: str) -> CSINode | None:
        return None

    def is_limited(self, driver: str) -> bool:
        return False

    def csi_driver(self, name: str) -> CSIDriver | None:
        return None

    def storage_capacities(self) -> Iterable[CSIStorageCapacity]:
        return ()

    def attachments_of_node(self, node: str) -> Iterable[VolumeAttachment]:
        return ()

    def namespaces(self) -> list[Namespace]:
        return self.spaces

    def services_of(self, pod: Pod) -> list[Service]:
        return [s for s in self.services if labels_match(s.spec.selector, pod.metadata.labels)]

    def disruption_budgets(self) -> list[PodDisruptionBudget]:
        return []

    def owner_selector(self, kind: str, namespace: str, name: str) -> LabelSelector | None:
        return self.owners.get(name)


class Bench:
    """Nodes with pods on them."""

    def __init__(self, *nodes: Node) -> None:
        self.table = NodeTable()
        self.listers = FakeListers()
        self.plugins = {p.name: p for p in default_plugins()}
        self.algorithm = Algorithm(Profile(tuple(self.plugins.values())), self.table, self.listers, Streams(1))
        self.nodes: dict[str, Node] = {}
        for node in nodes:
            self.set(node)

    def set(self, node: Node) -> None:
        self.nodes[node.name] = default_object(node)
        self.table.set_node(self.nodes[node.name])

    def put(self, node: str, name: str, **spec: Any) -> Pod:
        """Place a pod on a node."""
        pod = self.placed(name, **spec)
        self.table.add_pod(pod, node)
        return pod

    @staticmethod
    def placed(name: str, terminating: bool = False, namespace: str = "default", **spec: Any) -> Pod:
        pod = with_meta(make_pod(name, **spec), uid=name, namespace=namespace)
        return with_meta(pod, deletion_timestamp=0) if terminating else pod

    def pod(self, name: str = "new", **spec: Any) -> Pod:
        return self.placed(name, **spec)

    def verdicts(self, plugin: str, pod: Pod) -> dict[str, str]:
        """What a filter says of each node: "" if it passes."""
        rule = self.plugins[plugin]
        cycle = Cycle(pod, self.table, self.listers)
        answer = rule.pre_filter(cycle) if rule.concerns(pod.spec) else SKIP
        if answer is SKIP:
            return dict.fromkeys(self.nodes, "")
        if isinstance(answer, Status):
            return dict.fromkeys(self.nodes, ", ".join(answer.reasons))
        return {name: self._verdict(rule, cycle, name) for name in self.nodes}

    def _verdict(self, rule: Plugin, cycle: Cycle, name: str) -> str:
        status = _first_rejection(cycle, rule, rule.filter(cycle), self.table.by_name[name])
        return ", ".join(status.reasons) if status is not None else ""

    def scores(self, plugin: str, pod: Pod) -> dict[str, int]:
        """What a plug-in scores each node; all 0 if it has nothing to say."""
        rule = self.plugins[plugin]
        cycle = Cycle(pod, self.table, self.listers)
        rule.pre_filter(cycle)
        if rule.local and type(rule).score is Plugin.score:
            return {n: rule.score_node(cycle, self.table.by_name[n]) for n in self.nodes}
        scores = rule.score(cycle, [self.table.by_name[n].slot for n in self.nodes])
        return dict(zip(self.nodes, scores if scores is not None else [0] * len(self.nodes), strict=True))


def with_status(node: Node, **fields: Any) -> Node:
    return replace(node, status=replace(node.status, **fields))
