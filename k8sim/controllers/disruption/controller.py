"""Disruption controller: keeps the status of every budget, one after the other.

Source: pkg/controller/disruption/disruption.go; workloads.md 3.1.
"""

from __future__ import annotations

from k8sim.api.apps import Deployment, ReplicaSet, StatefulSet
from k8sim.api.core import Pod
from k8sim.api.meta import Condition, Object, OwnerReference, condition_of, controller_of, set_condition
from k8sim.api.pods import is_pod_terminal, pod_condition
from k8sim.api.policy import PodDisruptionBudget, PodDisruptionBudgetStatus
from k8sim.api.selector_index import SelectorIndex
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.disruption.control import (
    DELETION_TIMEOUT_NS,
    Seen,
    Tally,
    budget_status,
    build_disrupted_pod_map,
    expected_and_desired,
    fail_safe,
    needs_scale,
)
from k8sim.sim.workqueue import Worker, WorkQueue

_Scaled = StatefulSet | ReplicaSet | Deployment
_SCALED = (StatefulSet, ReplicaSet, Deployment)


class UnknownScale(Exception):
    """The expected number of pods cannot be told; the budget then allows nothing."""


class DisruptionController(Controller):
    """One worker: budgets are synced strictly one after the other.

    A pod event syncs the budget that selects the pod; of several only the first by name. Workloads' changes sync none,
    they are noticed at the next pod or budget event. An event after which every count is the same is not queued.
    """

    name = "disruption"
    workers = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._selectors = SelectorIndex()
        self._tallies: dict[Key, Tally] = {}
        self._budgets_of: dict[Key, list[Key]] = {}
        self._scale_version: dict[str, int] = {}
        self._scale_seen: dict[Key, int] = {}
        self._settled: dict[Key, Seen] = {}
        self._events = Client(self.server, self.name, self.rank)
        self._stale: WorkQueue[Key] = WorkQueue(self.clock, self.rank)
        self._budgets = self.informers.of(PodDisruptionBudget)
        self._pods = self.informers.of(Pod)
        self._workloads = {cls.kind: self.informers.of(cls) for cls in _SCALED}
        for informer in self._workloads.values():
            informer.add_handler(self._on_workload, of_status=False)
        # Selectors before pods: each pod that is there already then asks the index, and no budget asks all pods.
        self._watches_pods = False
        self._budgets.add_handler(self._on_budget)
        self._watches_pods = True
        self._pods.add_handler(self._on_pod)

    def start(self) -> None:
        """Start the worker of budgets and that of stale DisruptionTarget conditions."""
        super().start()
        self.employ(
            Worker(self._stale, self.client("stale"), self._reset_stale_condition, (ApiError,), self._stay_stale)
        )

    # ---- observe --------------------------------------------------------------------------------------------

    def _on_workload(self, change: Change) -> None:
        """Remember that a scale may have changed: the next pod event counts anew."""
        old, new = change.old, change.new
        if (
            change.type == "MODIFIED"
            and isinstance(old, _SCALED)
            and isinstance(new, _SCALED)
            and old.spec.replicas == new.spec.replicas
            and old.metadata.owner_references == new.metadata.owner_references
        ):
            return
        self._scale_version[new.namespace] = self._scale_version.get(new.namespace, 0) + 1

    def _on_budget(self, change: Change) -> None:
        pdb, old = change.new, change.old
        assert isinstance(pdb, PodDisruptionBudget)
        key = (pdb.metadata.namespace, pdb.metadata.name)
        if change.type == "DELETED":
            self._select(key, None)
        elif not isinstance(old, PodDisruptionBudget) or old.spec.selector != pdb.spec.selector:
            self._select(key, pdb)
        self.queue.add(key, change.row)

    def _select(self, key: Key, pdb: PodDisruptionBudget | None) -> None:
        """Count the pods of a budget whose selector is new; forget those of one that is gone."""
        tally = self._tallies.pop(key, None)
        for name in tally.pods if tally is not None else ():
            self._budgets_of[key[0], name].remove(key)
        self._selectors.discard(key)
        self._scale_seen.pop(key, None)
        self._settled.pop(key, None)
        if pdb is None:
            return
        self._selectors.put(key, pdb.spec.selector)
        self._tallies[key] = tally = Tally()
        for pod in self._pods.by_index("namespace", key[0]) if self._watches_pods else ():
            if selector_matches(pdb.spec.selector, pod.metadata.labels):
                tally.put(pod)
                budgets = self._budgets_of.setdefault(pod.key, [])
                budgets.append(key)
                budgets.sort()

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        target = condition_of(pod.status.conditions, "DisruptionTarget")
        if target is not None:
            self._watch_disruption_target(pod, target, change)
        pod_key = (pod.metadata.namespace, pod.metadata.name)
        if old is not None and change.type == "MODIFIED" and old.metadata.labels == pod.metadata.labels:
            budgets = self._budgets_of.get(pod_key)
            if not budgets:
                return
            counted = False
            for key in budgets:
                counted = self._tallies[key].put(pod) or counted
            if counted or self._may_differ(budgets[0]):
                self._enqueue(budgets, pod, change.row)
            return
        before = self._budgets_of.pop(pod_key, [])
        after = self._selectors.matching(pod.metadata.namespace, pod.metadata.labels)
        for key in before:
            self._tallies[key].remove(pod.name)
        if change.type != "DELETED" and after:
            self._budgets_of[pod_key] = after
            for key in after:
                self._tallies[key].put(pod)
        self._enqueue(after, pod, change.row)

    def _may_differ(self, key: Key) -> bool:
        """Tell whether a sync could find something else than the last one, though no pod counts differently."""
        pdb = self._budgets.find(key)
        if pdb is None:
            return False
        if pdb.status.disrupted_pods:
            return True
        return self._scale_seen.get(key) != self._scale_version.get(key[0], 0)

    def _enqueue(self, budgets: list[Key], pod: Pod, cause: int) -> None:
        if not budgets:
            return
        if len(budgets) > 1:
            names = ", ".join(f'"{name}"' for _, name in budgets)
            message = f"Pod {pod.namespace}/{pod.name} matches multiple PodDisruptionBudgets: {names}"
            self._event(pod, "Warning", "MultiplePodDisruptionBudgets", message, cause)
        self.queue.add(budgets[0], cause)

    def _event(self, obj: Object, type_: str, reason: str, message: str, cause: int) -> None:
        self._events.cause = cause
        self._events.event(obj, type_, reason, message)

    # ---- decide and act -------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Count a budget's pods and write what it allows."""
        pdb = self._budgets.find(key)
        if pdb is None:
            return
        tally = self._tallies[key]
        scales = self._scale_version.get(key[0], 0)
        counts_scale = needs_scale(pdb)
        seen = Seen(pdb.spec, pdb.metadata.generation, scales, tally.counts(not counts_scale), pdb.status)
        if self._settled.get(key) == seen:
            return
        if not tally.pods:
            client.event(pdb, "Normal", "NoPods", "No matching pods found")
        now = self.clock.now
        self._scale_seen[key] = scales
        disrupted = build_disrupted_pod_map(pdb, tally.pods, now)
        try:
            scale = self._expected_scale(tally, key[0]) if counts_scale else 0
        except UnknownScale as error:
            self._scale_seen.pop(key, None)
            client.event(pdb, "Warning", "CalculateExpectedPodCountFailed", f"Failed to calculate the number: {error}")
            yield from self._write(pdb, fail_safe(pdb, str(error), Time(self.clock.truncated())), client)
            return
        unmanaged = counts_scale and tally.has_unmanaged()
        if unmanaged:
            client.event(pdb, "Warning", "UnmanagedPods", "Pods selected by this PodDisruptionBudget are not managed")
        for name in disrupted.expired:
            client.event(
                tally.pods[name], "Warning", "NotDeleted", "Pod was expected by PDB to be deleted but it wasn't"
            )
        expected, desired = expected_and_desired(pdb, len(tally.pods), scale)
        healthy = tally.current_healthy(disrupted.keep)
        status = budget_status(pdb, healthy, desired, expected, disrupted.keep, Time(self.clock.truncated()))
        yield from self._write(pdb, status, client)
        if tally.pods and not unmanaged and not pdb.status.disrupted_pods:
            self._settled[key] = seen._replace(status=status)  # nothing to say, and no time to wait for
        if disrupted.recheck_at_ns is not None:
            self.queue.add_after(key, disrupted.recheck_at_ns + 1 - now, client.cause)

    def _write(self, pdb: PodDisruptionBudget, status: PodDisruptionBudgetStatus, client: Client) -> Sync:
        if status == pdb.status:
            return
        try:
            yield from client.update_status(replace(pdb, status=status))
        except NotFound:
            return

    def _expected_scale(self, tally: Tally, namespace: str) -> int:
        """Sum the replicas that the distinct controllers of the pods want.

        A Deployment counts once, whatever its ReplicaSets; what has no scale, or is gone, makes the sum unknown.
        """
        scales: dict[str, int] = {}
        for ref in tally.owners():
            found = self._find_scale(ref, namespace)
            scales[found.metadata.uid] = found.spec.replicas
        return sum(scales.values())

    def _find_scale(self, ref: OwnerReference, namespace: str) -> _Scaled:
        informer = self._workloads.get(ref.kind)
        if informer is None:
            raise UnknownScale(f"{ref.kind.lower()}s does not implement the scale subresource")
        workload: _Scaled | None = informer.get(namespace, ref.name)  # type: ignore[assignment]
        if workload is None or workload.metadata.uid != ref.uid:
            raise UnknownScale(f"found no controllers for pods of {ref.kind} {ref.name}")
        parent = controller_of(workload) if ref.kind == "ReplicaSet" else None
        if parent is not None and parent.kind == "Deployment":
            return self._find_scale(parent, namespace)
        return workload

    # ---- stale DisruptionTarget conditions --------------------------------------------------------------------

    def _watch_disruption_target(self, pod: Pod, target: Condition, change: Change) -> None:
        if target.status != "True" or target.reason == "TerminationByKubelet":
            return
        if change.type == "DELETED" or pod.deleting or is_pod_terminal(pod):
            return
        since = target.last_transition_time or 0
        self._stale.add_after(pod.key, since + DELETION_TIMEOUT_NS - self.clock.now, change.row)

    def _reset_stale_condition(self, key: Key, client: Client) -> Sync:
        """Withdraw DisruptionTarget from a pod that has not become terminating within two minutes."""
        pod = self._pods.find(key)
        target = pod_condition(pod, "DisruptionTarget") if pod is not None and not pod.deleting else None
        if pod is None or target is None or target.status != "True" or is_pod_terminal(pod):
            return
        left = (target.last_transition_time or 0) + DELETION_TIMEOUT_NS - self.clock.now
        if left > 0:
            self._stale.add_after(key, left, client.cause)
            return
        reset = replace(target, status="False", last_transition_time=Time(self.clock.truncated()))
        conditions = set_condition(pod.status.conditions, reset)
        yield from client.update_status(replace(pod, status=replace(pod.status, conditions=conditions)))

    def _stay_stale(self, key: Key, error: ApiError, client: Client) -> None:
        self._stale.add_rate_limited(key, client.cause)
