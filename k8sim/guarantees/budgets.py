"""What disruption budgets promise."""

from __future__ import annotations

from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_ready, pod_condition
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.selectors import selector_matches
from k8sim.apiserver.watch import Change
from k8sim.guarantees.guarantee import Checker, Guarantee
from k8sim.guarantees.world import World, deletion_begins

EVICTION = "pkg/registry/core/pod/storage/eviction.go"


def is_evicted(pod: Pod) -> bool:
    """Tell whether a pod was deleted by the eviction API."""
    condition = pod_condition(pod, "DisruptionTarget")
    return condition is not None and condition.status == "True" and condition.reason == "EvictionByEvictionAPI"


class Evictions(Checker):
    """Base of checkers of evictions of pods that a budget protects: running, not ended."""

    kinds = ("Pod",)

    def change(self, change: Change) -> None:
        pod = change.new
        if not isinstance(pod, Pod) or not deletion_begins(change) or not is_evicted(pod):
            return
        if pod.status.phase != "Running":
            return  # budgets do not protect it
        budgets = [
            b
            for b in self.world.all("PodDisruptionBudget")
            if b.namespace == pod.namespace and selector_matches(b.spec.selector, pod.metadata.labels)
        ]
        if budgets:
            self.exercised += 1
            self.evicted(pod, budgets)

    def evicted(self, pod: Pod, budgets: list[PodDisruptionBudget]) -> None:
        """Look at an eviction."""


class BudgetHonoured(Evictions):
    about = Guarantee(
        name="budget-honoured",
        promise="The eviction API evicts no pod if then fewer pods would be healthy than the budget wants.",
        checks="at each eviction of a Ready pod, the healthy pods that are left against status.desiredHealthy",
        does_not_check="deletes, which budgets do not restrain; readiness lost, and deletes, within the last 2 s; a "
        "node's silence",
        source=f"{EVICTION} (checkAndDecrement); kubernetes.io/docs/tasks/run-application/configure-pdb",
        not_kept_under={
            "apiserver-outage": "the budget's status is as old as the disruption controller's view",
            "controller-manager-restart": "the budget's status is as old as the view of the controller that has gone",
            "manual edit": "the budget was changed",
        },
    )
    edits = ("PodDisruptionBudget", "Pod")

    def evicted(self, pod: Pod, budgets: list[PodDisruptionBudget]) -> None:
        budget = budgets[0]
        if not is_pod_ready(pod) or self.world.spec_changed_recently(budget):
            return
        healthy = 0
        for other in self.world.all("Pod"):
            matches = other.namespace == pod.namespace and selector_matches(budget.spec.selector, other.metadata.labels)
            if matches and other.uid != pod.uid and self.world.seen_ready(other) and not is_evicted(other):
                healthy += 1
        if healthy < budget.status.desired_healthy:
            problem = (
                f"was evicted although {budget.name} wants {budget.status.desired_healthy} healthy, left {healthy}"
            )
            self.violated(pod.name, problem)


class OneBudget(Evictions):
    about = Guarantee(
        name="one-budget",
        promise="A pod that two budgets select is not evicted.",
        checks="how many budgets select an evicted pod",
        does_not_check="deletes",
        source=EVICTION,
    )

    def evicted(self, pod: Pod, budgets: list[PodDisruptionBudget]) -> None:
        if len(budgets) > 1 and is_pod_ready(pod):
            self.violated(pod.name, f"was evicted although {len(budgets)} budgets select it")


class BudgetCounts(Checker):
    """Counts anew, at the end, what a budget's status says."""

    about = Guarantee(
        name="budget-status",
        promise="A budget's status counts its healthy pods.",
        checks="currentHealthy and disruptionsAllowed at the end of a run that has come to rest",
        does_not_check="expectedPods and percentages; budgets that share pods, of which only one is told of a pod's "
        "changes (getPdbForPod)",
        source="pkg/controller/disruption/disruption.go (updatePdbStatus, countHealthyPods)",
        kind="liveness",
        not_kept_under={
            "apiserver-outage": "the controller may not have caught up",
            "controller-manager-restart": "the controller may be away, or may not have caught up",
        },
    )
    kinds = ("Pod",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._last = 0

    def change(self, change: Change) -> None:
        self._last = self.world.now

    def end(self) -> None:
        if self.world.recently(self._last, 5_000_000_000):
            return
        for budget in self.world.all("PodDisruptionBudget"):
            status = budget.status
            if self.world.spec_changed_recently(budget) or status.observed_generation == 0:
                continue
            if self._shares_pods(budget):
                continue
            self.exercised += 1
            healthy = sum(
                is_pod_ready(p) and not p.deleting and p.name not in status.disrupted_pods
                for p in self.world.all("Pod")
                if p.namespace == budget.namespace and selector_matches(budget.spec.selector, p.metadata.labels)
            )
            if status.expected_pods and status.current_healthy != healthy:
                self.violated(budget.name, f"counts {status.current_healthy} healthy pods, there are {healthy}")
            if status.expected_pods and status.disruptions_allowed != max(0, healthy - status.desired_healthy):
                self.violated(budget.name, f"allows {status.disruptions_allowed} disruptions")

    def _shares_pods(self, budget: PodDisruptionBudget) -> bool:
        others = [b for b in self.world.all("PodDisruptionBudget") if b.namespace == budget.namespace]
        labels = [p.metadata.labels for p in self.world.all("Pod") if p.namespace == budget.namespace]
        return any(sum(selector_matches(b.spec.selector, mine) for b in others) > 1 for mine in labels)


CHECKERS: tuple[type[Checker], ...] = (BudgetHonoured, OneBudget, BudgetCounts)
