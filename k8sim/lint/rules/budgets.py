"""Rules about disruption budgets: what drains may take, and what they can never take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from k8sim.api.policy import PodDisruptionBudget
from k8sim.controllers.disruption.control import expected_and_desired
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, about, command, several, shortage
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.rule import Assumptions, Rule, Suspect
from k8sim.lint.workload import Ref, Workload
from k8sim.machines.image import ImageBehaviour
from k8sim.scenario.model import Step
from k8sim.sim.distributions import Constant
from k8sim.sim.units import MINUTE, SECOND

DRAIN_FOR: Final = 10 * MINUTE
_DRAIN: Final = "drain {} --ignore-daemonsets --delete-emptydir-data --timeout=10m"
_CRASH: Final = Constant(5 * SECOND)


def drain(at_ns: int, node: str) -> Step:
    """Return the drain of a node, given up after ten minutes."""
    return Step.kubectl(at_ns, _DRAIN.format(node))


def allowed(budget: PodDisruptionBudget, workload: Workload) -> int:
    """How many evictions a budget allows while all pods are healthy."""
    _, desired = expected_and_desired(budget, workload.replicas, workload.replicas)
    return workload.replicas - desired


def _ref(budget: PodDisruptionBudget, workload: Workload) -> Ref:
    return Ref("PodDisruptionBudget", workload.ref.namespace, budget.name)


def _drained(bench: Bench, begin_ns: int, node: str, **run: Any) -> Harm:
    result = bench.run(begin_ns + DRAIN_FOR + MINUTE, drain(begin_ns, node), **run)
    done = command(result, 0)
    took = done.took_ns(result.scenario.duration_ns)
    if done.worked:
        return Harm(0, f"{node} is drained in {about(took)}")
    return Harm(took / SECOND, f"every eviction is refused, every 5s, until the drain of {node} gives up after 10m")


class BudgetAllowsNothing(Rule):
    """No pod can ever be evicted."""

    name = "budget-allows-no-eviction"
    level = "error"
    looks_for = "a disruption budget that allows no eviction even when all pods are healthy"
    tries = "drains the node of a pod"
    source = "https://kubernetes.io/docs/tasks/run-application/configure-pdb/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield budgets that want all pods."""
        workload = bench.workload
        for budget in workload.own_budgets:
            if allowed(budget, workload) > 0:
                continue
            field = "minAvailable" if budget.spec.min_available is not None else "maxUnavailable"
            value = budget.spec.min_available if field == "minAvailable" else budget.spec.max_unavailable
            ref = _ref(budget, workload)
            edits = (Edit(ref, ("spec", "minAvailable"), None), Edit(ref, ("spec", "maxUnavailable"), 1))
            yield Suspect(
                ref,
                ("spec", field),
                f"{field} {value} of {several(workload.replicas, 'pod')} of {bench.ref} allows no eviction, ever",
                "the node of a pod is drained",
                self._drain,
                Fix(edits if field == "minAvailable" else edits[1:]),
            )

    def _drain(self, bench: Bench) -> Harm:
        return _drained(bench, bench.begin_ns, bench.settled.pods[0].node)


class NoBudget(Rule):
    """Drains take as many pods at the same time as they like."""

    name = "no-budget"
    level = "warning"
    looks_for = "a workload of several pods without a disruption budget"
    tries = "drains two of its nodes at the same time"
    source = "https://kubernetes.io/docs/concepts/workloads/pods/disruptions/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield workloads that nothing protects from drains."""
        workload = bench.workload
        if (
            workload.budgets
            or workload.replicas < 2
            or (workload.stateful_set and workload.needed == workload.replicas)
        ):
            return
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": dict(workload.selector)}}
        yield Suspect(
            bench.ref,
            ("spec", "replicas"),
            f"no PodDisruptionBudget counts its {workload.replicas} pods",
            "two of its nodes are drained at the same time",
            _two_drains,
            Fix(added=(_budget(workload, spec),)),
        )


class BudgetGuardsCrashLoop(Rule):
    """A budget keeps pods that do not work from being evicted."""

    name = "budget-guards-crash-loop"
    level = "warning"
    looks_for = "a disruption budget without unhealthyPodEvictionPolicy AlwaysAllow"
    tries = "drains the node of a pod while all pods crash"
    source = "https://kubernetes.io/docs/tasks/run-application/configure-pdb/#unhealthy-pod-eviction-policy"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield budgets that hold up the repair."""
        for budget in bench.workload.own_budgets:
            if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" or allowed(budget, bench.workload) <= 0:
                continue
            ref = _ref(budget, bench.workload)
            edit = Edit(ref, ("spec", "unhealthyPodEvictionPolicy"), "AlwaysAllow")
            yield Suspect(
                ref,
                ("spec",),
                f"pods of {bench.ref} that do not work are protected like those that do",
                "all containers end with an error 5s after each start, and the node of a pod is drained",
                partial(self._drain),
                Fix((edit,)),
            )

    def _drain(self, bench: Bench) -> Harm:
        crashing = {b.pattern: _crashing(b) for b in bench.calm.images}
        return _drained(bench, bench.begin_ns, bench.settled.pods[0].node, images=crashing)


class SharedBudget(Rule):
    """A budget of several workloads: one that is broken holds up the drains of all, or all that may go are of one."""

    name = "budget-of-several-workloads"
    level = "warning"
    looks_for = "a disruption budget that counts pods of several workloads"
    tries = "drains the node of a pod while the others crash, and two nodes of one at the same time"
    source = "https://kubernetes.io/docs/tasks/run-application/configure-pdb/#identify-an-application-to-protect"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield budgets that the workload shares with others whose pods can be told from its own."""
        for budget in bench.workload.budgets:
            others = bench.workload.sharers(budget)
            if not others or not all(separable(bench.workload, other) for other in others):
                continue
            company = tuple(other.ref for other in others)
            names = " and ".join(str(ref) for ref in (bench.ref, *company))
            problem, fix = f"it counts the pods of {names} together", _one_each(budget, (bench.workload, *others))
            crash = f"all containers of {company[0]} end with an error 5s after each start, and a node is drained"
            drains = f"two nodes of {bench.ref} are drained at the same time"
            for tried, experiment in ((crash, self._drain), (drains, self._drains)):
                ref = _ref(budget, bench.workload)
                yield Suspect(ref, ("spec", "selector"), problem, tried, partial(experiment, company), fix)

    def _drain(self, company: tuple[Ref, ...], bench: Bench) -> Harm:
        together = bench.beside(company)
        its_own = {image.pattern for image in bench.calm.images}
        broken = {image.pattern for image in bench.beside(company[:1]).calm.images} - its_own
        crashing = {b.pattern: _crashing(b) for b in together.calm.images if b.pattern in broken}
        return _drained(together, together.begin_ns, together.settled.pods[0].node, images=crashing)

    def _drains(self, company: tuple[Ref, ...], bench: Bench) -> Harm:
        return _two_drains(bench.beside(company))


def separable(workload: Workload, other: Workload) -> bool:
    """Tell whether each of two workloads can have a budget of its own."""
    return workload.told_from(other) and other.told_from(workload)


def _one_each(budget: PodDisruptionBudget, workloads: Sequence[Workload]) -> Fix:
    """Leave the budget to the first of some workloads, and add one for each of the others."""
    first, *others = workloads
    ref, spec = _ref(budget, first), _alone(first)
    cleared = Edit(ref, ("spec", "minAvailable"), None)
    edits = (cleared, *(Edit(ref, ("spec", key), value) for key, value in spec.items()))
    return Fix(edits, tuple(_budget(other, _alone(other)) for other in others))


def _alone(workload: Workload) -> dict[str, Any]:
    """Return what a budget for one workload alone says."""
    return {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": dict(workload.selector)},
    }


def _budget(workload: Workload, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a new budget for a workload, under its name unless another one has that."""
    objects = workload.scenario.objects
    taken = {m["metadata"].get("name") for m in objects if m.get("kind") == "PodDisruptionBudget"}
    name = workload.ref.name
    while name in taken:
        name += "-pods"
    metadata = {"name": name, "namespace": workload.ref.namespace}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}


def _crashing(behaviour: ImageBehaviour) -> ImageBehaviour:
    return replace(behaviour, exit_after=_CRASH, exit_code=1)


def _two_drains(bench: Bench) -> Harm:
    begin, workload = bench.begin_ns, bench.workload
    nodes = list(dict.fromkeys(placed.node for placed in bench.settled.pods))[:2]
    result = bench.run(begin + DRAIN_FOR + MINUTE, *(drain(begin, node) for node in nodes))
    short = shortage(result, bench.ref, workload.needed, begin)
    return Harm(short.ns / SECOND, short.text(workload.needed, workload.replicas))
