"""Rules about updates: what a rollout takes down, and what stops it."""

from __future__ import annotations

from collections.abc import Iterator

from k8sim.api.apps import Deployment
from k8sim.controllers.deployment.rounding import resolve_fenceposts
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, about, command, rows, several, shortage
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.rule import Assumptions, Rule, Suspect
from k8sim.lint.workload import POD_SPEC
from k8sim.scenario.model import Step
from k8sim.sim.units import MINUTE, SECOND


def _restart(bench: Bench, *before: Step) -> Harm:
    """Restart a workload and measure when too few of its pods were Ready."""
    begin, workload = bench.begin_ns, bench.workload
    end = begin + (workload.replicas + 10) * MINUTE
    result = bench.run(end, *before, bench.kubectl(begin + MINUTE, "rollout restart"))
    short = shortage(result, bench.ref, workload.needed, begin)
    return Harm(short.ns / SECOND, short.text(workload.needed, workload.replicas))


class ParallelUpdate(Rule):
    """An update goes on although a pod is away already."""

    name = "parallel-update-takes-quorum"
    level = "warning"
    looks_for = "a StatefulSet of three pods or more with podManagementPolicy Parallel and rolling updates"
    tries = "a rolling restart while one pod is not Ready for five minutes"
    source = "https://github.com/kubernetes/kubernetes/issues/96218"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield sets whose update does not wait for all pods."""
        found = bench.workload.stateful_set
        if found is None or bench.workload.needed == bench.workload.replicas:
            return
        if found.spec.pod_management_policy != "Parallel" or found.spec.update_strategy.type != "RollingUpdate":
            return
        yield Suspect(
            bench.ref,
            ("spec", "podManagementPolicy"),
            "podManagementPolicy Parallel lets an update take a pod although another is not Ready",
            "the first pod is not Ready for five minutes; a minute into that, a rolling restart",
            self._update,
            Fix((Edit(bench.ref, ("spec", "podManagementPolicy"), "OrderedReady"),)),
        )

    def _update(self, bench: Bench) -> Harm:
        unready = Step.fault(bench.begin_ns, "unready", pod=bench.settled.pods[0].pod, **{"for": 5 * MINUTE})
        return _restart(bench, unready)


class UpdateTakesAll(Rule):
    """An update takes more pods at the same time than the workload can spare."""

    name = "update-takes-too-many"
    level = "error"
    looks_for = "strategy Recreate without shared volumes, or a maxUnavailable beyond what the workload can spare"
    tries = "a rolling restart"
    source = "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield update strategies that take the workload down."""
        workload = bench.workload
        path, limit = self._of_deployment(bench, workload.deployment) if workload.deployment else self._of_set(bench)
        if limit is None or workload.replicas - limit >= workload.needed:
            return
        one = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        edit = Edit(bench.ref, ("spec", "strategy"), one) if workload.deployment else Edit(bench.ref, path, 1)
        yield Suspect(
            bench.ref,
            path,
            f"an update may take {limit} of its {workload.replicas} pods at the same time",
            "a rolling restart",
            _restart,
            Fix((edit,)),
        )

    def _of_deployment(self, bench: Bench, found: Deployment) -> tuple[tuple[str, ...], int | None]:
        strategy, replicas = found.spec.strategy, found.spec.replicas
        if strategy.type == "Recreate":
            return ("spec", "strategy", "type"), None if bench.workload.claims else replicas
        if strategy.rolling_update is None:
            return ("spec", "strategy"), None
        _, unavailable = surge_and_unavailable(found)
        return ("spec", "strategy", "rollingUpdate", "maxUnavailable"), min(unavailable, replicas)

    def _of_set(self, bench: Bench) -> tuple[tuple[str, ...], int | None]:
        """Of a StatefulSet the field counts only with the gate MaxUnavailableStatefulSet; the experiment says so."""
        path = ("spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
        found = bench.workload.stateful_set
        rolling = found.spec.update_strategy.rolling_update if found is not None else None
        if rolling is None or rolling.max_unavailable is None:
            return path, None
        _, unavailable = resolve_fenceposts(0, rolling.max_unavailable, bench.workload.replicas)
        return path, min(unavailable, bench.workload.replicas)


def surge_and_unavailable(found: Deployment) -> tuple[int, int]:
    """How many pods more, and how many fewer, a rolling update of a Deployment may have."""
    rolling = found.spec.strategy.rolling_update
    surge, unavailable = (rolling.max_surge, rolling.max_unavailable) if rolling is not None else (None, None)
    return resolve_fenceposts(surge, unavailable, found.spec.replicas)


def _rollout(bench: Bench, event: str, what: str, *before: Step) -> Harm:
    """Restart a Deployment and see whether that ever ends; an event and words say what may hold it up."""
    begin = bench.begin_ns
    result = bench.run(
        begin + 20 * MINUTE,
        bench.kubectl(begin, "rollout restart"),
        bench.kubectl(begin + SECOND, "rollout status", "--timeout=15m"),
        *before,
    )
    status = command(result, 1)
    took = status.took_ns(result.scenario.duration_ns)
    if status.worked:
        return Harm(0, f"the rollout is done after {about(took)}")
    held = next(rows(result, "Event", event, begin), None)
    why = "" if held is None else f": {what} ({event})"
    return Harm(took / SECOND, f"the rollout has not finished after {about(took)}{why}")


class VolumeHoldsUpdate(Rule):
    """The new pod of an update waits for the volume of the old one, which waits for the new one."""

    name = "volume-blocks-rolling-update"
    level = "error"
    looks_for = "a Deployment with rolling updates and a claim that one node can have"
    tries = "a rolling restart, the node of the pod being cordoned"
    source = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield Deployments that share a volume between an old and a new pod."""
        found = bench.workload.deployment
        if found is None or found.spec.strategy.type != "RollingUpdate":
            return
        shared = {"ReadWriteMany", "ReadOnlyMany"}
        single = [claim.name for claim in bench.workload.claims if not shared & set(claim.spec.access_modes)]
        if not single or surge_and_unavailable(found)[0] == 0:
            return
        yield Suspect(
            bench.ref,
            ("spec", "strategy"),
            f"claim {single[0]} can be on one node only; a rolling update makes the new pod before the old one ends",
            "a rolling restart, the node of the old pod being cordoned",
            self._update,
            Fix((Edit(bench.ref, ("spec", "strategy"), {"type": "Recreate"}),)),
        )

    def _update(self, bench: Bench) -> Harm:
        cordon = Step.kubectl(bench.begin_ns - SECOND, f"cordon {bench.settled.pods[0].node}")
        return _rollout(bench, "FailedAttachVolume", "the new pod waits in ContainerCreating", cordon)


class NoRoomForUpdate(Rule):
    """The new pod of an update finds no node without an old one, and no old one may go before it is Ready."""

    name = "anti-affinity-blocks-rolling-update"
    level = "error"
    looks_for = "a Deployment with required anti-affinity whose rolling updates may not have a pod less"
    tries = "a rolling restart"
    source = (
        "https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity"
    )

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield Deployments that need a node more than they have pods."""
        found, affinity = bench.workload.deployment, bench.workload.pod_spec.affinity
        apart = affinity.pod_anti_affinity if affinity is not None else None
        if found is None or apart is None or not apart.required_during_scheduling_ignored_during_execution:
            return
        if found.spec.strategy.type != "RollingUpdate" or surge_and_unavailable(found)[1] > 0:
            return
        one_less = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
        yield Suspect(
            bench.ref,
            (*POD_SPEC, "affinity", "podAntiAffinity"),
            "no two of its pods may share a node, and an update has to find one for a new pod before an old one goes",
            f"a rolling restart on {several(len(bench.calm.node_manifests()), 'node')}",
            self._update,
            Fix((Edit(bench.ref, ("spec", "strategy"), one_less),)),
        )

    def _update(self, bench: Bench) -> Harm:
        return _rollout(bench, "FailedScheduling", "the new pod is Pending")
