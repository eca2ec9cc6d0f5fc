"""What pods promise about their end: time to stop, hooks, and an object for as long as anything runs."""

from __future__ import annotations

from typing import ClassVar

from k8sim.api.core import Pod
from k8sim.apiserver.watch import Change
from k8sim.guarantees.circumstances import SECOND
from k8sim.guarantees.guarantee import Checker, Guarantee
from k8sim.guarantees.pods import KUBELET_GONE, LIFECYCLE, Place, container_of
from k8sim.guarantees.world import World
from k8sim.sim.trace import Row

LESS_TIME = {
    "memory-pressure": "the kubelet gives what it evicts 1 s (pkg/kubelet/eviction: immediateEvictionGracePeriod)",
    "disk-pressure": "the kubelet gives what it evicts 1 s (pkg/kubelet/eviction: immediateEvictionGracePeriod)",
    "node-shutdown": "the machine gives less time",
    "spot-reclaim": "the machine gives less time",
}


class Stops(Checker):
    """Base of checkers of how containers are stopped; knows which of them a liveness or startup probe has condemned."""

    rows: ClassVar[tuple[str, ...]] = ("Container",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._failed: dict[Place, str] = {}

    def row(self, row: Row, number: int) -> None:
        place = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event == "Started":
            self._failed.pop(place, None)
            self.started(place)
        elif row.event == "Probe":
            self._probed(place, row.detail["probe"], row.detail["passes"])
        else:
            pod = self.world.find("Pod", row.namespace, row.name)
            self.happened(row, number, place, pod if pod is not None and pod.uid == place[0] else None)

    def _probed(self, place: Place, probe: str, passes: bool | None) -> None:
        if passes is False and probe in ("liveness", "startup"):
            self._failed[place] = probe
        elif self._failed.get(place) == probe:
            del self._failed[place]

    def grace_of_failed_probe(self, pod: Pod, place: Place) -> int | None:
        """Return the seconds that a probe which has failed gives a container, None if none has failed."""
        if place not in self._failed:
            return None
        probe = getattr(container_of(pod, place[1]), f"{self._failed[place]}_probe", None)
        own = probe.termination_grace_period_seconds if probe is not None else None
        return own if own is not None else pod.spec.termination_grace_period_seconds

    def started(self, place: Place) -> None:
        """Forget what was known of the instance before."""

    def happened(self, row: Row, number: int, place: Place, pod: Pod | None) -> None:
        """Look at a signal, a hook or an exit; ``pod`` None: its object is gone."""


class GraceHonoured(Stops):
    """Judges SIGKILLs of pods that are being deleted, by the shortest grace that anybody has asked for."""

    about = Guarantee(
        name="grace-honoured",
        promise="A container of a pod that is deleted is not killed before the grace period is over.",
        checks="exits with code 137 after SIGTERM, against the beginning of the deletion and the shortest grace asked",
        does_not_check="containers stopped for another reason before the deletion (probes, eviction, shutdown, memory)",
        source=f"{LIFECYCLE}#pod-termination; pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainer)",
        not_kept_under={
            "kubelet-restart": "a new kubelet counts anew, or finds an orphan and gives it 1 s",
            "container-exit": "the fault may have killed it",
            "oom-kill": "the kernel kills at once",
            "node-oom": "the kernel kills at once",
            **LESS_TIME,
            "deletion not heard": "it stops what its probe condemns, with the probe's own grace "
            "(pkg/kubelet/kuberuntime/kuberuntime_container.go, killContainer)",
        },
    )
    kinds = ("Pod",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._grace: dict[str, int] = {}
        self._term: dict[Place, int] = {}
        self._unheard: dict[Place, int] = {}

    def change(self, change: Change) -> None:
        pod = change.new
        grace = pod.metadata.deletion_grace_period_seconds
        if pod.deleting and grace is not None and not change.actor.startswith("kubelet"):
            self._grace[pod.uid] = min(grace, self._grace.get(pod.uid, grace))

    def started(self, place: Place) -> None:
        self._term.pop(place, None)
        self._unheard.pop(place, None)

    def happened(self, row: Row, number: int, place: Place, pod: Pod | None) -> None:
        if pod is None:
            return
        if row.event == "SIGTERM":
            self._term[place] = row.t
            grace = self.grace_of_failed_probe(pod, place)
            if grace is not None and self.world.is_cut_off(row.detail["node"]):
                self._unheard[place] = grace
        elif row.event == "Exited" and row.detail["code"] == 137 and place[0] in self._grace and place in self._term:
            self._killed(row, number, place, pod)

    def _killed(self, row: Row, number: int, place: Place, pod: Pod) -> None:
        since, term, grace = self.world.deleting_since(pod), self._term[place], self._grace[place[0]]
        if since is None or term < since:
            return
        self.exercised += 1
        if row.t < since + grace * SECOND:
            unheard = place in self._unheard and row.t >= term + self._unheard[place] * SECOND
            problem = f"was killed after {(row.t - since) / SECOND:.3f} s of {grace} s"
            self.violated(row.name, problem, number, "deletion not heard" if unheard else None, row.detail["node"])


class PreStopFirst(Stops):
    about = Guarantee(
        name="prestop-before-sigterm",
        promise="SIGTERM is sent after the preStop hook has ended, or the grace period is over.",
        checks="at each SIGTERM, the hook that began before it; at the latest when the grace of the pod, or of the "
        "probe that has failed, is over",
        does_not_check="what the hook did; containers whose pod is gone from the API",
        source="kubernetes.io/docs/concepts/containers/container-lifecycle-hooks; pkg/kubelet/kuberuntime",
        not_kept_under={**KUBELET_GONE, **LESS_TIME},
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._began: dict[Place, int] = {}
        self._ended: set[Place] = set()

    def started(self, place: Place) -> None:
        self._began.pop(place, None)
        self._ended.discard(place)

    def happened(self, row: Row, number: int, place: Place, pod: Pod | None) -> None:
        if row.event == "HookBegan" and row.detail["hook"] == "preStop":
            self._began[place] = row.t
        elif row.event == "HookEnded" and row.detail["hook"] == "preStop":
            self._ended.add(place)
        elif row.event == "SIGTERM" and pod is not None and place not in self._ended:
            self._judge(row, number, place, pod)

    def _judge(self, row: Row, number: int, place: Place, pod: Pod) -> None:
        spec = container_of(pod, place[1])
        if spec is None or spec.lifecycle is None or spec.lifecycle.pre_stop is None:
            return
        self.exercised += 1
        asked, probe = pod.metadata.deletion_grace_period_seconds, self.grace_of_failed_probe(pod, place)
        grace = asked if asked is not None else pod.spec.termination_grace_period_seconds
        grace = min(grace, probe) if probe is not None else grace
        began = self._began.get(place)
        problem = ""
        if began is None and grace > 0:
            problem = f"SIGTERM reached {place[1]} without its preStop hook"
        elif began is not None and row.t < began + grace * SECOND:
            problem = f"SIGTERM reached {place[1]} during its preStop hook"
        if problem:
            self.violated(row.name, problem, number, node=row.detail["node"])


class GoneAfterStop(Checker):
    about = Guarantee(
        name="object-outlives-processes",
        promise="A pod's object is removed only when its containers have stopped.",
        checks="at each removal of a pod, that none of its containers runs on any machine",
        does_not_check="what processes left behind",
        source=f"{LIFECYCLE}#pod-termination; pkg/kubelet/status/status_manager.go",
        not_kept_under={
            "forced deletion": "grace 0 removes the object at once (#pod-termination-forced)",
            "forced deletion on a silent node": "nobody can tell whether the old process still runs",
            "pod garbage collection": "the Node is gone or out of service",
            "final phase": "the object of a pod with a final phase goes at once",
        },
    )
    kinds = ("Pod",)

    def change(self, change: Change) -> None:
        pod = change.new
        if change.type != "DELETED" or not isinstance(pod, Pod) or not pod.spec.node_name:
            return
        self.exercised += 1
        running = self.world.running(pod.uid)
        if running:
            how = self.world.removed.get(pod.uid, "")
            problem = f"was removed by {change.actor} while {running[0].container} ran on {running[0].node}"
            self.violated(pod.name, problem, excuse=how)


CHECKERS: tuple[type[Checker], ...] = (GraceHonoured, PreStopFirst, GoneAfterStop)
