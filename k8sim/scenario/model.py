"""What a scenario says, after it has been read: plain frozen data that programs may also build without YAML.

    from k8sim.scenario.model import NodeGroup, Scenario, Step

    Scenario(
        name="node-loss",
        duration_ns=3600 * SECOND,
        nodes=(NodeGroup("node", count=3),),
        objects=({"apiVersion": "apps/v1", "kind": "StatefulSet", ...},),
        timeline=(Step.fault(20 * SECOND, "node-crash", node="node-1"),),
    )

The loader checks files; what a program builds is checked when the API server sees it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from k8sim.api.core import Node
from k8sim.faults.failures import FailureProcess
from k8sim.machines.image import ImageBehaviour
from k8sim.network.settings import NetworkSettings
from k8sim.operators.model import NodeUpgrade, Operators
from k8sim.scenario.objectives import Objective
from k8sim.scenario.readynodes import ready_node
from k8sim.scenario.settings import ClusterSettings
from k8sim.sim.units import HOUR
from k8sim.workload.model import Application, Traffic

DEFAULT_CAPACITY: Final[Mapping[str, str]] = {"cpu": "4", "memory": "16Gi", "pods": "110"}
HOSTNAME_LABEL: Final = "kubernetes.io/hostname"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True)
class Source:
    """A place in a file."""

    file: str = "<program>"
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class NodeGroup:
    """Nodes ``name-0`` to ``name-(count-1)`` that are alike but for their zone.

    Parameters
    ----------
    zones
        Given to the nodes in turn, as the label topology.kubernetes.io/zone.
    taints
        As in a Node's spec.
    static_pods
        Manifests of pods that their kubelets run by themselves.
    allocatable
        What they have to give to pods; None: all their capacity.
    """

    name: str
    count: int = 1
    capacity: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_CAPACITY))
    labels: Mapping[str, str] = field(default_factory=dict)
    zones: tuple[str, ...] = ()
    taints: tuple[Mapping[str, Any], ...] = ()
    static_pods: tuple[Mapping[str, Any], ...] = ()
    allocatable: Mapping[str, str] | None = None

    def has(self, node: str) -> bool:
        """Tell whether a node is of the group, or on a machine that has taken the place of one that was."""
        return re.fullmatch(rf"{re.escape(self.name)}-\d+(-r\d+)?", node) is not None

    def manifests(self) -> list[dict[str, Any]]:
        """The Node objects."""
        return [self._manifest(index) for index in range(self.count)]

    def _manifest(self, index: int) -> dict[str, Any]:
        name = f"{self.name}-{index}"
        labels = {HOSTNAME_LABEL: name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        if self.zones:
            labels[ZONE_LABEL] = self.zones[index % len(self.zones)]
        node: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {**labels, **self.labels}},
            "spec": {"taints": [dict(taint) for taint in self.taints]} if self.taints else {},
            "status": {
                "capacity": dict(self.capacity),
                "allocatable": dict(self.capacity if self.allocatable is None else self.allocatable),
            },
        }
        return node


Action = Literal["kubectl", "apply", "evict", "fault"]


@dataclass(frozen=True)
class Step:
    """Something that is done at a time, whether or not earlier steps have finished.

    Parameters
    ----------
    at_ns
        When.
    action
        Which of the following fields counts.
    command
        kubectl: the text after "kubectl".
    objects
        apply: manifests, in order.
    pod
        evict: the pod's name.
    name, arguments
        fault: its name and arguments; durations are in ns (`for` is then None for "for ever").
    """

    at_ns: int
    action: Action
    command: str = ""
    objects: tuple[Mapping[str, Any], ...] = ()
    pod: str = ""
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    source: Source = Source()

    @classmethod
    def kubectl(cls, at_ns: int, command: str) -> Step:
        """One kubectl command, without the word kubectl."""
        return cls(at_ns, "kubectl", command=command)

    @classmethod
    def apply(cls, at_ns: int, *objects: Mapping[str, Any]) -> Step:
        """Objects that are applied."""
        return cls(at_ns, "apply", objects=objects)

    @classmethod
    def evict(cls, at_ns: int, pod: str) -> Step:
        """One eviction, tried once."""
        return cls(at_ns, "evict", pod=pod)

    @classmethod
    def fault(cls, at_ns: int, name: str, /, **arguments: Any) -> Step:
        """A fault; ``for`` is a keyword of Python, so give durations as ``**{"for": 5 * SECOND}``."""
        return cls(at_ns, "fault", name=name, arguments=arguments)

    @property
    def label(self) -> str:
        """What the trace calls the step: the action, or the fault's name."""
        return self.name if self.action == "fault" else self.action


@dataclass(frozen=True)
class NotSimulated:
    """Something the scenario says that has no effect in the simulation."""

    what: str
    why: str
    source: Source = Source()


@dataclass(frozen=True)
class Scenario:
    """One experiment: a cluster, what is applied to it, and what happens to it.

    Parameters
    ----------
    objects, object_sources
        Manifests in file order, as plain dicts, and where each stands (may be left out by programs).
    state
        Objects that are there before t = 0, as they were read from a running cluster: with UIDs, status and times.
    nodes
        Groups that make Node objects, before those among the manifests.
    namespace
        For kubectl steps and objects that name none.
    cluster
        Settings of the components.
    network
        Settings of DNS and kube-proxy.
    traffic
        Streams of requests.
    failures
        Faults that strike at random.
    node_upgrades, operators
        What people and programs do to nodes and stuck pods by themselves.
    applications
        Replicated data in pods.
    objectives
        What it promises.
    not_simulated
        What was accepted without effect.
    path
        The file, when it came from one.
    """

    name: str
    description: str = ""
    duration_ns: int = HOUR
    seed: int = 0
    replicates: int = 1
    namespace: str = "default"
    nodes: tuple[NodeGroup, ...] = ()
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    images: tuple[ImageBehaviour, ...] = ()
    timeline: tuple[Step, ...] = ()
    objects: tuple[Mapping[str, Any], ...] = ()
    object_sources: tuple[Source, ...] = ()
    state: tuple[Mapping[str, Any], ...] = ()
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    latencies: Mapping[str, Any] = field(default_factory=dict)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    failures: tuple[FailureProcess, ...] = ()
    node_upgrades: tuple[NodeUpgrade, ...] = ()
    operators: Operators = field(default_factory=Operators)
    applications: tuple[Application, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    objectives: tuple[Objective, ...] = ()
    not_simulated: tuple[NotSimulated, ...] = ()
    path: str | None = None

    @property
    def manifests(self) -> tuple[Mapping[str, Any], ...]:
        """All objects that there are at first: what was there, and what is applied at t = 0."""
        return (*self.state, *self.objects)

    def static_pods(self, node: str) -> tuple[Mapping[str, Any], ...]:
        """Manifests of pods that lie on the machine of a node."""
        return next((group.static_pods for group in self.nodes if group.static_pods and group.has(node)), ())

    def node_manifests(self) -> list[Mapping[str, Any]]:
        """All Node objects: those of the groups, then those among the manifests."""
        made = [manifest for group in self.nodes for manifest in group.manifests()]
        return [*made, *(manifest for manifest in self.manifests if manifest.get("kind") == "Node")]

    @cached_property
    def ready_nodes(self) -> tuple[Node, ...]:
        """All Node objects as they are when the simulation begins; made once for all replicates."""
        return tuple(ready_node(manifest) for manifest in self.node_manifests())
