"""The choice of a node: filter, sample, score, pick (pkg/scheduler/schedule_one.go, node.md 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from k8sim.api.core import Pod
from k8sim.scheduler.framework import SKIP, Cycle, Diagnosis, Plugin, Scores, Screen, Slots, Status, numbers_of
from k8sim.scheduler.listers import Listers
from k8sim.scheduler.nodes import NodeInfo, NodeTable
from k8sim.scheduler.nominator import Nominator
from k8sim.scheduler.preemption import priority_of
from k8sim.scheduler.profile import Profile, Shape
from k8sim.sim.streams import Streams

PERCENTAGE_OF_NODES_TO_SCORE: Final = 0  # adaptive
MIN_FEASIBLE_NODES_TO_FIND: Final = 100
MIN_FEASIBLE_NODES_PERCENTAGE: Final = 5
_LEAST_CHUNK: Final = 128


class Found(NamedTuple):
    """A node for a pod; how many were looked at and how many would do."""

    node: str
    examined: int
    feasible: int
    cycle: Cycle


class NotFound(NamedTuple):
    """No node for a pod."""

    diagnosis: Diagnosis
    cycle: Cycle
    asked: Sequence[Plugin]


def num_feasible_nodes_to_find(nodes: int, percentage: int = PERCENTAGE_OF_NODES_TO_SCORE) -> int:
    """Return after how many feasible nodes the search stops (numFeasibleNodesToFind); 0 %: by the cluster's size."""
    if nodes < MIN_FEASIBLE_NODES_TO_FIND:
        return nodes
    if percentage == 0:
        percentage = max(50 - nodes // 125, MIN_FEASIBLE_NODES_PERCENTAGE)
    return max(nodes * percentage // 100, MIN_FEASIBLE_NODES_TO_FIND)


class Algorithm:
    """Chooses nodes."""

    def __init__(
        self,
        profile: Profile,
        nodes: NodeTable,
        listers: Listers,
        streams: Streams,
        nominator: Nominator | None = None,
        percentage_of_nodes_to_score: int = PERCENTAGE_OF_NODES_TO_SCORE,
    ) -> None:
        self._percentage = percentage_of_nodes_to_score
        self._profile = profile
        self.nominator = nominator if nominator is not None else Nominator()
        self.nodes = nodes
        self._listers = listers
        self._streams = streams
        self._numbers: dict[Status, int] = {}
        self._statuses: list[Status] = []
        self._next_start = 0

    def schedule(self, pod: Pod) -> Found | NotFound:
        """Return the node for a pod, or why there is none."""
        cycle = Cycle(pod, self.nodes, self._listers)
        order = self.nodes.order()
        if not order:
            return NotFound(Diagnosis(), cycle, ())
        shape = self._profile.shape_of(pod)
        skipped = _pre_filter(cycle, shape)
        if isinstance(skipped, Status):
            return NotFound(Diagnosis(pre_filter=skipped, nodes=len(order)), cycle, ())
        asked = [plugin for plugin in shape.filters if plugin not in skipped] if skipped else shape.filters
        if pod.status.nominated_node_name:
            info = self.nodes.by_name.get(pod.status.nominated_node_name)
            if info is not None and info.node is not None and self.why_not(cycle, asked, info) is None:
                return Found(info.name, 1, 1, cycle)
        start = self._next_start % len(order)
        slots, scores, examined = self._find_feasible(cycle, shape, asked, order, start)
        self._next_start = (start + examined) % len(order)
        if not slots:
            diagnosis = self._diagnose(cycle, shape, asked, order[start:] + order[:start])
            return NotFound(Diagnosis(diagnosis, nodes=len(order)), cycle, asked)
        best = slots[0] if len(slots) == 1 else self._select_host(pod, slots, self._score(cycle, slots, scores))
        return Found(self.nodes.infos[best].name, examined, len(slots), cycle)

    # ---- filter ---------------------------------------------------------------------------------------------

    def _find_feasible(
        self, cycle: Cycle, shape: Shape, asked: Sequence[Plugin], order: Slots, start: int
    ) -> tuple[Slots, list[int], int]:
        """Look at nodes in order until enough pass; return those, their local scores, and how many were looked at."""
        wanted = num_feasible_nodes_to_find(len(order), self._percentage)
        screens = [screen for p in shape.counting if p in asked for screen in p.filter(cycle)]
        nodewise = [p for p in shape.nodewise if p in asked and p.judges_nodes(cycle)]
        found: Slots = []
        scores: list[int] = []
        examined = 0
        while examined < len(order) and wanted > 0:
            begin = (start + examined) % len(order)
            chunk = order[begin : begin + min(max(wanted, _LEAST_CHUNK), len(order) - examined)]
            values = self._local_verdicts(cycle, shape, chunk)
            local = numbers_of(chunk, values)
            passed = chunk if min(local) >= 0 else [s for s, score in zip(chunk, local, strict=True) if score >= 0]
            for places, rejected in screens:
                numbers = numbers_of(passed, places)
                if not rejected.keys().isdisjoint(numbers):
                    passed = [s for s, number in zip(passed, numbers, strict=True) if number not in rejected]
            if nodewise or self.nominator:
                passed = self._ask_one_by_one(cycle, asked, nodewise, passed, wanted)
            passed = passed[:wanted]
            found += passed
            scores += local if len(passed) == len(chunk) else numbers_of(passed, values)
            wanted -= len(passed)
            examined += len(chunk) if wanted else chunk.index(passed[-1]) + 1
        return found, scores, examined

    def _local_verdicts(self, cycle: Cycle, shape: Shape, slots: Slots) -> list[int]:
        """Return, by slot, the weighted local scores; a negative number stands for the status that rejects a node."""
        memo = self.nodes.memo(shape.signature)
        values = memo.values
        for slot in memo.stale(slots):
            values[slot] = self._local_verdict(cycle, shape, self.nodes.infos[slot])
        return values

    def _local_verdict(self, cycle: Cycle, shape: Shape, info: NodeInfo) -> int:
        for plugin in shape.local:
            status = plugin.filter_node(cycle, info)
            if status is not None:
                return -self._number_of(status)
        score = 0
        for plugin in self._profile.scoring_nodes:
            score += plugin.weight * plugin.score_node(cycle, info)
        return score

    def _number_of(self, status: Status) -> int:
        """Return a number, from 1, that stands for a status."""
        number = self._numbers.get(status)
        if number is None:
            self._statuses.append(status)
            number = self._numbers[status] = len(self._statuses)
        return number

    def _ask_one_by_one(
        self, cycle: Cycle, asked: Sequence[Plugin], nodewise: list[Plugin], slots: Slots, wanted: int
    ) -> Slots:
        """Ask what cannot be judged for all nodes at once, until enough nodes have passed; return those."""
        passed: Slots = []
        for slot in slots:
            info = self.nodes.infos[slot]
            if all(plugin.filter_node(cycle, info) is None for plugin in nodewise):
                others = self._nominated(cycle.pod, info.name)
                if not others or self._why_not_with(cycle, asked, info, others) is None:
                    passed.append(slot)
                    if len(passed) == wanted:
                        break
        return passed

    def _nominated(self, pod: Pod, node: str) -> list[Pod]:
        """Return the pods that have been promised a place on the node and are no less important."""
        others = self.nominator.pods_of(node)
        return [o for o in others if o.uid != pod.uid and priority_of(o) >= priority_of(pod)]

    def _why_not_with(
        self, cycle: Cycle, asked: Sequence[Plugin], info: NodeInfo, others: Sequence[Pod]
    ) -> Status | None:
        """Judge a node as if the nominated pods were on it."""
        for other in others:
            self.nodes.add_pod(other, info.name)
        try:
            return self._why_not_now(cycle, asked, info)
        finally:
            for other in others:
                self.nodes.remove_pod(other.uid, info.name)

    def why_not(self, cycle: Cycle, asked: Sequence[Plugin], info: NodeInfo) -> Status | None:
        """Judge a node as the table has it now, with nominated pods and without (RunFilterPluginsWithNominatedPods)."""
        others = self._nominated(cycle.pod, info.name)
        if others:
            status = self._why_not_with(cycle, asked, info, others)
            if status is not None:
                return status
        return self._why_not_now(cycle, asked, info)

    def _why_not_now(self, cycle: Cycle, asked: Sequence[Plugin], info: NodeInfo) -> Status | None:
        for plugin in asked:
            status = _first_rejection(cycle, plugin, plugin.filter(cycle), info)
            if status is not None:
                return status
        return None

    def _diagnose(
        self, cycle: Cycle, shape: Shape, asked: Sequence[Plugin], rotated: Slots
    ) -> list[tuple[Status, list[int]]]:
        """Find out for every node which plug-in is the first to reject it, and why; local ones come first."""
        values = self._local_verdicts(cycle, shape, rotated)
        by_number: dict[int, Slots] = {}
        for slot in rotated:
            by_number.setdefault(max(-values[slot], 0), []).append(slot)
        remaining = by_number.pop(0, [])
        found = [(self._statuses[number - 1], by_number[number]) for number in sorted(by_number)]
        for plugin in asked:
            if plugin.local or not remaining:
                continue
            screens = plugin.filter(cycle)
            by_status: dict[Status, list[int]] = {}
            passed = []
            for slot in remaining:
                status = _first_rejection(cycle, plugin, screens, self.nodes.infos[slot])
                if status is None:
                    passed.append(slot)
                else:
                    by_status.setdefault(status, []).append(slot)
            found += by_status.items()
            remaining = passed
        for slot in remaining:  # only nominated pods stand in the way
            status = self.why_not(cycle, asked, self.nodes.infos[slot])
            if status is not None:
                found.append((status, [slot]))
        return found

    # ---- score ----------------------------------------------------------------------------------------------

    def _score(self, cycle: Cycle, slots: Slots, local: Scores) -> Scores:
        total = local
        for plugin in self._profile.scoring:
            scores = plugin.score(cycle, slots)
            if scores is not None:
                weight = plugin.weight
                total = [so_far + weight * score for so_far, score in zip(total, scores, strict=True)]
        return total

    def _select_host(self, pod: Pod, slots: Slots, scores: Scores) -> int:
        """Pick one of the best at random, whatever the order in which they were found.

        Kubernetes 1.35 and 1.36 leave ties to the order in which parallel workers report the nodes: the random number
        meant for them is drawn for extenders only (kubernetes/kubernetes#141024). Uniform is what is documented.
        """
        highest = max(scores)
        best = [slot for slot, score in zip(slots, scores, strict=True) if score == highest]
        if len(best) == 1:
            return best[0]
        return sorted(best)[self._streams.choice(pod.metadata.uid, "selectHost", len(best))]


def _pre_filter(cycle: Cycle, shape: Shape) -> list[Plugin] | Status:
    """Return the plug-ins that this pod does not concern, or why it cannot be scheduled anywhere."""
    skipped = []
    for plugin in shape.pre_filters:
        answer = plugin.pre_filter(cycle)
        if isinstance(answer, Status):
            return answer
        if answer is SKIP:
            skipped.append(plugin)
    return skipped


def _first_rejection(cycle: Cycle, plugin: Plugin, screens: Sequence[Screen], info: NodeInfo) -> Status | None:
    for values, rejected in screens:
        if values[info.slot] in rejected:
            return rejected[values[info.slot]]
    if plugin.local or plugin.judges_nodes(cycle):
        return plugin.filter_node(cycle, info)
    return None
