"""What probes promise, judged by the kubelet's verdicts."""

from __future__ import annotations

from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_ready
from k8sim.apiserver.watch import Change
from k8sim.guarantees.circumstances import SECOND
from k8sim.guarantees.guarantee import Checker, Due, Guarantee
from k8sim.guarantees.pods import Place, container_of
from k8sim.guarantees.world import LAG, World
from k8sim.sim.trace import Row

PROBES = "kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes"
INITIAL = {"readiness": False, "liveness": True}
"""Verdicts on a new container before it is asked (pkg/kubelet/prober/worker.go, newWorker)."""


class Verdicts(Checker):
    """Base: keeps the last verdict of each probe of each running instance."""

    rows = ("Container",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.verdict: dict[tuple[str, str, str], bool | None] = {}

    def row(self, row: Row, number: int) -> None:
        uid, name = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event == "Probe":
            pod = self.world.find("Pod", row.namespace, row.name)
            self.verdict[uid, name, row.detail["probe"]] = row.detail["passes"]
            if pod is not None and pod.uid == uid:
                self.verdict_given(pod, name, row, number)
        elif row.event == "Started":
            for kind in ("startup", "readiness", "liveness"):
                self.verdict.pop((uid, name, kind), None)

    def verdict_given(self, pod: Pod, name: str, row: Row, number: int) -> None:
        """Look at a verdict of a pod that exists."""


class StartupFirst(Verdicts):
    about = Guarantee(
        name="liveness-after-startup",
        promise="Liveness and readiness probes begin when the startup probe has succeeded.",
        checks="that no container with a startup probe gets another verdict before the startup probe's success",
        does_not_check="attempts that change no verdict; containers that have ended: all their probes count as failed",
        source=f"{PROBES}#startup-probe; pkg/kubelet/prober/worker.go (doProbe)",
        not_kept_under={
            "former instance": "it counts as started until the startup probe's next turn (since Kubernetes 1.35; "
            "kubernetes/kubernetes issue 141155)",
            "kubelet-restart": "a new kubelet takes over from the status that a container has started",
        },
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._inherited: dict[Place, int] = {}

    def row(self, row: Row, number: int) -> None:
        if row.event == "Started":
            place = row.detail.get("uid", ""), row.detail.get("container", "")
            pod = self.world.find("Pod", row.namespace, row.name)
            if pod is not None and pod.uid == place[0] and _is_started(pod, place[1]):
                self._inherited[place] = row.t
            else:
                self._inherited.pop(place, None)
        super().row(row, number)

    def verdict_given(self, pod: Pod, name: str, row: Row, number: int) -> None:
        spec, place = container_of(pod, name), (pod.uid, name)
        if spec is None or spec.startup_probe is None or row.detail["probe"] == "startup":
            return
        if row.detail["passes"] in (None, INITIAL.get(row.detail["probe"])) or place not in self.world.processes:
            return
        self.exercised += 1
        if self.verdict.get((pod.uid, name, "startup")) is not True:
            problem = f"the {row.detail['probe']} probe of {name} spoke before the startup probe"
            inherits = self._inherits(place, spec.startup_probe.period_seconds * SECOND)
            self.violated(pod.name, problem, number, "former instance" if inherits else None, pod.spec.node_name)

    def _inherits(self, place: Place, period_ns: int) -> bool:
        """Tell whether a container was taken for started when it began, and its startup probe has had no turn since."""
        since = self._inherited.get(place)
        asked = (*place, "startup") in self.verdict
        return since is not None and not asked and self.world.recently(since, period_ns + LAG)


def _is_started(pod: Pod, container: str) -> bool:
    """Tell whether a pod's status says that a container has started, whichever instance that was."""
    return any(s.name == container and s.started for s in pod.status.container_statuses)


class ReadyNeedsProbe(Verdicts):
    about = Guarantee(
        name="ready-needs-probe",
        promise="A pod becomes Ready only when the readiness probes of all its containers pass.",
        checks="the kubelet's verdicts when condition Ready becomes True",
        does_not_check="readiness gates",
        source=f"{PROBES}#readiness-probe; pkg/kubelet/status/generate.go (GeneratePodReadyCondition)",
        not_kept_under={"kubelet-restart": "a new kubelet keeps the readiness of containers that run"},
    )
    kinds = ("Pod",)

    def change(self, change: Change) -> None:
        pod, old = change.new, change.old
        if not isinstance(pod, Pod) or not is_pod_ready(pod) or (isinstance(old, Pod) and is_pod_ready(old)):
            return
        for container in pod.spec.containers:
            if container.readiness_probe is not None:
                self.exercised += 1
                if self.verdict.get((pod.uid, container.name, "readiness")) is not True:
                    problem = f"became Ready although {container.name}'s readiness probe does not pass"
                    self.violated(pod.name, problem, node=pod.spec.node_name)


class FailedProbeTurnsUnready(Verdicts):
    about = Guarantee(
        name="failed-probe-turns-unready",
        promise="When a readiness probe fails for failureThreshold times the pod is no longer Ready.",
        checks="that condition Ready follows the verdict within 2 s",
        does_not_check="pods of nodes that cannot reach the API server",
        source=f"{PROBES}#readiness-probe; pkg/kubelet/prober/prober_manager.go",
        not_kept_under={
            "node-partition": "the kubelet cannot tell",
            "node-isolation": "the kubelet cannot tell",
            "zone-partition": "the kubelet cannot tell",
            "zone-isolation": "the kubelet cannot tell",
            "apiserver-outage": "the kubelet cannot tell",
            "node-crash": "the kubelet is gone",
            "zone-outage": "the kubelet is gone",
            "spot-reclaim": "the kubelet is gone",
            "runtime-outage": "a kubelet syncs no pods while its runtime is down, and looks again every 5 s (syncLoop)",
            "kubelet-restart": "the kubelet is away for a while",
        },
    )
    kinds = ("Pod",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._due: dict[str, Due] = {}

    def verdict_given(self, pod: Pod, name: str, row: Row, number: int) -> None:
        if row.detail["probe"] != "readiness":
            return
        if row.detail["passes"]:
            self._settle(pod.uid)
        elif is_pod_ready(pod):
            self.exercised += 1
            self._due.setdefault(pod.uid, Due(row.t, pod.name, number, pod.spec.node_name))

    def change(self, change: Change) -> None:
        pod = change.new
        if isinstance(pod, Pod) and (change.type == "DELETED" or not is_pod_ready(pod)):
            self._settle(pod.uid)

    def _settle(self, uid: str) -> None:
        due = self._due.pop(uid, None)
        if due is not None and self.world.now - due.t > LAG:
            problem = f"stayed Ready for {(self.world.now - due.t) / SECOND:.1f} s"
            self.violated(due.subject, problem, due.row, node=due.node)

    def end(self) -> None:
        for uid in list(self._due):
            self._settle(uid)


class LivenessKills(Verdicts):
    about = Guarantee(
        name="failed-liveness-restarts",
        promise="A container whose liveness (or startup) probe has failed for good is stopped.",
        checks="that such a container stops within its grace period, or the pod is gone",
        does_not_check="the back-off before its restart",
        source=f"{PROBES}#liveness-probe; pkg/kubelet/kuberuntime/kuberuntime_manager.go (computePodActions)",
        not_kept_under={
            "kubelet-restart": "a new kubelet asks anew",
            "runtime-outage": "nobody can stop a container",
            "network-plugin-outage": "pods that need a network are not synced",
        },
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._due: dict[Place, Due] = {}

    def row(self, row: Row, number: int) -> None:
        super().row(row, number)
        place = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event in ("Exited", "Lost"):
            self._settle(place)

    def verdict_given(self, pod: Pod, name: str, row: Row, number: int) -> None:
        if row.detail["probe"] in ("liveness", "startup") and row.detail["passes"] is False:
            if (pod.uid, name) in self.world.processes and not pod.deleting:
                self.exercised += 1
                grace = pod.spec.termination_grace_period_seconds
                latest = row.t + max(2, grace) * SECOND + LAG
                self._due.setdefault((pod.uid, name), Due(latest, pod.name, number, pod.spec.node_name))
        elif row.detail["passes"]:
            self._due.pop((pod.uid, name), None)

    def _settle(self, place: Place) -> None:
        due = self._due.pop(place, None)
        if due is not None and self.world.now > due.t:
            self.violated(due.subject, f"{place[1]} went on in spite of its failed probe", due.row, node=due.node)

    def end(self) -> None:
        for place in list(self._due):
            self._settle(place)


CHECKERS: tuple[type[Checker], ...] = (StartupFirst, ReadyNeedsProbe, FailedProbeTurnsUnready, LivenessKills)
