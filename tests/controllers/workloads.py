"""Workloads for controllers' tests, and kubelets that start and end their pods after fixed times."""

from __future__ import annotations

from collections.abc import Callable

from k8sim.api.apps import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    RollingUpdateDeployment,
)
from k8sim.api.core import Container, Pod, PodSpec, PodTemplateSpec
from k8sim.api.meta import LabelSelector, ObjectMeta
from k8sim.api.struct import IntOrString
from k8sim.apiserver.watch import Change
from tests.controllers.manager import Manager

LABELS = {"app": "web"}
SELECTOR = LabelSelector(match_labels=LABELS)


def template(image: str = "app:v1", node: str = "node-0") -> PodTemplateSpec:
    """A pod's template; already on a node, so that a delete is graceful."""
    spec = PodSpec(containers=(Container(name="app", image=image),), node_name=node)
    return PodTemplateSpec(metadata=ObjectMeta(labels=LABELS), spec=spec)


def meta(name: str = "web") -> ObjectMeta:
    return ObjectMeta(name=name, namespace="default")


def replica_set(replicas: int, min_ready_seconds: int = 0) -> ReplicaSet:
    spec = ReplicaSetSpec(
        replicas=replicas, selector=SELECTOR, template=template(), min_ready_seconds=min_ready_seconds
    )
    return ReplicaSet(metadata=meta(), spec=spec)


def deployment(
    replicas: int = 1,
    surge: IntOrString | None = None,
    unavailable: IntOrString | None = None,
    *,
    recreate: bool = False,
    min_ready_seconds: int = 0,
    deadline: int = 600,
    history: int = 10,
) -> Deployment:
    rolling = RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    strategy = (
        DeploymentStrategy(type="Recreate")
        if recreate
        else DeploymentStrategy(type="RollingUpdate", rolling_update=rolling)
    )
    spec = DeploymentSpec(
        replicas=replicas,
        selector=SELECTOR,
        template=template(),
        strategy=strategy,
        min_ready_seconds=min_ready_seconds,
        progress_deadline_seconds=deadline,
        revision_history_limit=history,
    )
    return Deployment(metadata=meta(), spec=spec)


class Pods:
    """Stands in for scheduler and kubelets: pods become Ready, and end when they are deleted, after fixed times.

    ``ready_s`` maps an image to seconds (None: never); a pod for which ``stuck`` says so never ends.
    """

    def __init__(self, manager: Manager, ready_s: dict[str, float | None] | None = None, stop_s: float = 1.0) -> None:
        self.manager = manager
        self.ready_s = ready_s or {}
        self.stop_s = stop_s
        self.stuck: Callable[[Pod], bool] = lambda pod: False
        manager.server.watch(Pod, self._seen)

    def _seen(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        if change.type == "ADDED":
            after = self.ready_s.get(pod.spec.containers[0].image, 1.0)
            self.manager.at(self.manager.now + 0.5, self._run, pod, False)
            if after is not None:
                self.manager.at(self.manager.now + 0.5 + after, self._run, pod, True)
        elif change.type == "MODIFIED" and pod.deleting and old is not None and not old.deleting:
            self.manager.at(self.manager.now + self.stop_s, self._end, pod)

    def _run(self, pod: Pod, ready: bool) -> None:
        stored = self.manager.server.find(Pod, *pod.key)
        if stored is not None and stored.uid == pod.uid and stored.status.phase in ("Pending", "Running"):
            self.manager.set_pod(pod, ready=ready, phase="Running")

    def _end(self, pod: Pod) -> None:
        if not self.stuck(pod) and self.manager.server.find(Pod, *pod.key) is not None:
            self.manager.server.delete(Pod, *pod.key, grace_period_seconds=0, uid=pod.uid)
