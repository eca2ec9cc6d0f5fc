"""What plug-ins and the scheduler have in common: statuses, cluster events, the plug-in interface.

Three kinds of rules, by what they cost:

* *local* ones depend on the pod and on one node with what is on it. Their results are remembered for all pods that are
  alike until the node changes, so that most pods cost one look at what has changed.
* *counting* ones (topology spread, pod affinity) judge all nodes at once from counts that are kept up to date.
* those that look objects up for each node (volumes) are asked node by node, only for pods that have such needs.

Source: staging/src/k8s.io/kube-scheduler/framework/interface.go, pkg/scheduler/framework/runtime/framework.go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from k8sim.api.core import Pod, PodSpec
from k8sim.api.meta import Object
from k8sim.api.resources import pod_non_zero_requests, pod_requests

if TYPE_CHECKING:
    from k8sim.scheduler.listers import Listers
    from k8sim.scheduler.nodes import NodeInfo, NodeTable

Slots = list[int]
Scores = Sequence[int]
"""In the order of the slots that were asked for."""

MAX_NODE_SCORE: Final = 100


class Code(IntEnum):
    """How a rejection is to be understood."""

    ERROR = 1
    UNSCHEDULABLE = 2
    """Removing pods might help: the node is a candidate for preemption."""
    UNRESOLVABLE = 3
    """UnschedulableAndUnresolvable: removing pods does not help."""


class Status(NamedTuple):
    """Why a plug-in rejects a node or a pod."""

    code: Code
    reasons: tuple[str, ...]
    plugin: str


class Screen(NamedTuple):
    """What a counting filter says of nodes by one number that each of them has: its domain, or whether it matches.

    ``values`` has the number of each slot, ``rejected`` the numbers that do not pass.
    """

    values: Sequence[int]
    rejected: Mapping[int, Status]


class Event(NamedTuple):
    """Something that happened in the cluster, by what kind of object and how it changed."""

    resource: str
    action: str


ADD: Final = "Add"
DELETE: Final = "Delete"
UPDATE: Final = "Update"

NODE_ADD: Final = Event("Node", ADD)
NODE_DELETE: Final = Event("Node", DELETE)
NODE_ALLOCATABLE: Final = Event("Node", "UpdateNodeAllocatable")
NODE_LABEL: Final = Event("Node", "UpdateNodeLabel")
NODE_TAINT: Final = Event("Node", "UpdateNodeTaint")
ASSIGNED_POD_ADD: Final = Event("AssignedPod", ADD)
ASSIGNED_POD_DELETE: Final = Event("AssignedPod", DELETE)
ASSIGNED_POD_LABEL: Final = Event("AssignedPod", "UpdatePodLabel")
POD_LABEL: Final = Event("PendingPod", "UpdatePodLabel")
POD_TOLERATION: Final = Event("PendingPod", "UpdatePodToleration")
POD_GATES_ELIMINATED: Final = Event("PendingPod", "UpdatePodSchedulingGatesEliminated")
WILDCARD: Final = Event("*", "*")

Hint = Callable[[Pod, Any, Any], bool]
"""(pending pod, old object or None, new object or None) -> might the event make the pod schedulable?"""


def always(pod: Pod, old: Object | None, new: Object | None) -> bool:
    """Hint of a plug-in that any such event may help."""
    return True


class Cycle:
    """One pod's scheduling cycle: what plug-ins may look at and where they keep their state.

    Attributes
    ----------
    requests, non_zero_requests
        What the pod requests, and what the scores take it to use.
    """

    __slots__ = ("listers", "nodes", "non_zero_requests", "pod", "requests", "state")

    def __init__(self, pod: Pod, nodes: NodeTable, listers: Listers) -> None:
        self.pod = pod
        self.nodes = nodes
        self.listers = listers
        self.requests = pod_requests(pod)
        self.non_zero_requests = pod_non_zero_requests(pod)
        self.state: dict[str, Any] = {}


class Skip:
    """A plug-in's answer that this pod does not concern its filter."""


SKIP: Final = Skip()


class Plugin:
    """A rule. Every method has a default that lets all pods and nodes pass, so a plug-in declares only what it does.

    ``defined`` names the methods of its own: a default need not be asked.
    """

    name: ClassVar[str]
    weight: ClassVar[int] = 0
    local: ClassVar[bool] = False
    defined: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls.defined = cls.defined | {name for name in vars(cls) if hasattr(Plugin, name)}

    def events(self) -> Mapping[Event, Hint]:
        """Events after which a pod that this plug-in rejected may be tried again (EventsToRegister)."""
        return {}

    def concerns(self, spec: PodSpec) -> bool:
        """Tell whether the filter may reject pods with a spec; asked once for all pods of a `Shape`."""
        return True

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """Look at the pod before any node: reject it, or say that the filter need not be asked."""
        return None

    def filter(self, cycle: Cycle) -> Sequence[Screen]:
        """Counting plug-ins: judge all slots; a node has to pass every screen, the first that rejects it counts."""
        return ()

    def judges_nodes(self, cycle: Cycle) -> bool:
        """Tell whether a plug-in that is not local has to be asked node by node."""
        return False

    def signature(self, pod: Pod) -> Hashable:
        """Local plug-ins: what of a pod the results depend on; nothing that a `Shape` does not tell apart."""
        return None

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """Local and node-by-node plug-ins: judge one node; None passes."""
        return None

    def score_node(self, cycle: Cycle, info: NodeInfo) -> int:
        """Local plug-ins: score one node from 0 to 100."""
        return 0

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """Score nodes that passed, from 0 to 100, normalised; None if all are equal to this plug-in."""
        return None


def numbers_of(slots: Slots, values: Sequence[int]) -> Sequence[int]:
    """Return the numbers of some slots; without a step of the interpreter for each of what may be hundreds of nodes."""
    return itemgetter(*slots)(values) if len(slots) > 1 else [values[slot] for slot in slots]


def normalize(raw: Scores, reverse: bool = False) -> Scores:
    """Scale scores so that the highest becomes 100 (helper.DefaultNormalizeScore); reversed, 0 becomes 100."""
    highest = max(raw, default=0)
    if highest <= 0:
        return [MAX_NODE_SCORE if reverse else 0] * len(raw)
    scaled = [MAX_NODE_SCORE * score // highest for score in raw]
    return [MAX_NODE_SCORE - score for score in scaled] if reverse else scaled


@dataclass(frozen=True)
class Diagnosis:
    """Why no node fits: statuses with the slots that they hold for, in the order of the plug-ins."""

    statuses: Sequence[tuple[Status, Sequence[int]]] = ()
    pre_filter: Status | None = None
    nodes: int = 0

    @property
    def plugins(self) -> tuple[str, ...]:
        """Names of the plug-ins that rejected the pod somewhere."""
        if self.pre_filter is not None:
            return (self.pre_filter.plugin,)
        return tuple(dict.fromkeys(status.plugin for status, _ in self.statuses))

    def message(self) -> str:
        """Return Kubernetes' text: "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."."""
        if self.nodes == 0:
            return "no nodes available to schedule pods"
        head = f"0/{self.nodes} nodes are available"
        if self.pre_filter is not None:
            return f"{head}: {', '.join(self.pre_filter.reasons)}."
        return f"{head}: {count_reasons((s.reasons, len(slots)) for s, slots in self.statuses)}."


def count_reasons(reasons: Any) -> str:
    """Return reasons with how often each holds, sorted as text (FitError.Error)."""
    counts: dict[str, int] = {}
    for texts, n in reasons:
        for text in texts:
            counts[text] = counts.get(text, 0) + n
    return ", ".join(sorted(f"{n} {text}" for text, n in counts.items()))
