"""Rules about who makes pods anew."""

from __future__ import annotations

from collections.abc import Iterator

from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, rows
from k8sim.lint.fix import Fix
from k8sim.lint.rule import Assumptions, Rule, Suspect
from k8sim.lint.rules.budgets import DRAIN_FOR, drain
from k8sim.lint.workload import BARE, as_deployment, manifest_of
from k8sim.sim.units import MINUTE


class BarePod(Rule):
    """A pod that nobody makes anew holds up every drain of its node."""

    name = "bare-pod-blocks-drain"
    level = "warning"
    kinds = (BARE,)
    looks_for = "a pod without a controller that is to run for good"
    tries = "drains its node"
    source = "https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield the pod."""
        deployment = as_deployment(manifest_of(bench.workload.scenario, bench.ref))
        yield Suspect(
            bench.ref,
            ("kind",),
            "no controller makes it anew when its node is drained, or dies",
            "its node is drained",
            self._drain,
            Fix(added=(deployment,), removed=(bench.ref,)),
        )

    def _drain(self, bench: Bench) -> Harm:
        begin, node = bench.begin_ns, bench.settled.pods[0].node
        result = bench.run(begin + DRAIN_FOR + MINUTE, drain(begin, node))
        done = next(rows(result, "Command", "Done"))
        if done.detail["code"] == 0:
            return Harm(0, f"{node} is drained, and the pod is made anew on another one")
        why = done.detail["out"].rpartition("error: ")[2].partition(" (use")[0]
        return Harm(1, f"the drain of {node} is refused: {why}")
