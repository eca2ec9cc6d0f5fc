"""The choice of a node: filter, sample, score, pick (pkg/scheduler/schedule_one.go, node.md 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from k8sim.api.core import Pod
from k8sim.scheduler.framework import SKIP, Cycle, Diagnosis, Plugin, Slots, Status
from k8sim.scheduler.nodes import NodeTable
from k8sim.sim.streams import Streams

MIN_FEASIBLE_NODES_TO_FIND = 100
MIN_FEASIBLE_NODES_PERCENTAGE = 5


class Found(NamedTuple):
    """A node for a pod, after looking at so many."""

    node: str
    evaluated: int
    feasible: int


def num_feasible_nodes_to_find(nodes: int) -> int:
    """Return after how many feasible nodes the search stops (numFeasibleNodesToFind)."""
    if nodes < MIN_FEASIBLE_NODES_TO_FIND:
        return nodes
    percentage = max(50 - nodes // 125, MIN_FEASIBLE_NODES_PERCENTAGE)
    return max(nodes * percentage // 100, MIN_FEASIBLE_NODES_TO_FIND)


class Algorithm:
    """Chooses nodes. ``plugins`` are in the order in which Kubernetes asks them."""

    def __init__(self, plugins: Sequence[Plugin], nodes: NodeTable, streams: Streams) -> None:
        self.plugins = plugins
        self.nodes = nodes
        self._streams = streams
        self._next_start = 0

    def schedule(self, pod: Pod) -> Found | Diagnosis:
        """Return the node for a pod, or why there is none."""
        cycle = Cycle(pod, self.nodes, None)  # type: ignore[arg-type]
        feasible = self._find_feasible(cycle)
        if isinstance(feasible, Diagnosis):
            return feasible
        slots, examined = feasible
        if len(slots) == 1:
            best = int(slots[0])
        else:
            best = self._select(pod, slots, self._scores(cycle, slots))
        return Found(self.nodes.infos[best].name, examined, len(slots))

    # ---- filter ---------------------------------------------------------------------------------------------

    def _find_feasible(self, cycle: Cycle) -> tuple[Slots, int] | Diagnosis:
        order = self.nodes.order()
        count = len(order)
        if count == 0:
            return Diagnosis()
        asked: list[Plugin] = []
        for plugin in self.plugins:
            answer = plugin.pre_filter(cycle)
            if isinstance(answer, Status):
                return Diagnosis(pre_filter=answer, nodes=count)
            if answer is not SKIP:
                asked.append(plugin)
        alive = self.nodes.present[: self.nodes.size].copy()
        for plugin in asked:
            verdicts = plugin.filter(cycle)
            if verdicts is not None:
                alive &= verdicts.codes == 0
        start = self._next_start % count
        rotated = np.concatenate([order[start:], order[:start]]) if start else order
        positions = np.flatnonzero(alive[rotated])
        wanted = num_feasible_nodes_to_find(count)
        nodewise = [p for p in asked if p.judges_nodes(cycle)]
        if nodewise:
            positions = self._judge_one_by_one(cycle, nodewise, rotated, positions, wanted)
        examined = count
        if len(positions) >= wanted:
            positions = positions[:wanted]
            examined = int(positions[-1]) + 1
        self._next_start = (start + examined) % count
        if len(positions) == 0:
            return self._diagnose(cycle, asked)
        return rotated[positions], examined

    def _judge_one_by_one(
        self, cycle: Cycle, plugins: list[Plugin], rotated: Slots, positions: Slots, wanted: int
    ) -> Slots:
        passed: list[int] = []
        for position in positions.tolist():
            info = self.nodes.infos[rotated[position]]
            if all(plugin.filter_node(cycle, info) is None for plugin in plugins):
                passed.append(position)
                if len(passed) == wanted:
                    break
        return np.array(passed, dtype=np.intp)

    def _diagnose(self, cycle: Cycle, asked: list[Plugin]) -> Diagnosis:
        """Find out for every node which plug-in is the first to reject it, and why."""
        remaining = self.nodes.present[: self.nodes.size].copy()
        statuses: list[tuple[Status, Slots]] = []
        for plugin in asked:
            verdicts = plugin.filter(cycle)
            if verdicts is not None:
                hit = remaining & (verdicts.codes != 0)
                remaining &= ~hit
                slots = np.flatnonzero(hit)
                grouped: dict[Status, list[int]] = {}
                for slot in slots.tolist():
                    grouped.setdefault(verdicts.explain(int(verdicts.codes[slot]), slot), []).append(slot)
                statuses += [(status, np.array(group, dtype=np.intp)) for status, group in grouped.items()]
            if plugin.judges_nodes(cycle):
                grouped = {}
                for slot in np.flatnonzero(remaining).tolist():
                    status = plugin.filter_node(cycle, self.nodes.infos[slot])
                    if status is not None:
                        remaining[slot] = False
                        grouped.setdefault(status, []).append(slot)
                statuses += [(status, np.array(group, dtype=np.intp)) for status, group in grouped.items()]
        return Diagnosis(statuses, nodes=self.nodes.node_count())

    # ---- score ----------------------------------------------------------------------------------------------

    def _scores(self, cycle: Cycle, slots: Slots) -> np.ndarray:  # type: ignore[type-arg]
        total = np.zeros(len(slots), dtype=np.int64)
        for plugin in self.plugins:
            if plugin.weight:
                scores = plugin.score(cycle, slots)
                if scores is not None:
                    total += plugin.weight * scores
        return total

    def _select(self, pod: Pod, slots: Slots, scores: np.ndarray) -> int:  # type: ignore[type-arg]
        """Pick one of the best at random; in the order of slots, so that where the search began does not matter."""
        best = np.sort(slots[scores == scores.max()])
        if len(best) == 1:
            return int(best[0])
        return int(best[self._streams.choice(pod.uid, "selectHost", len(best))])
