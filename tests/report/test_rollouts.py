"""From a change of the template until `kubectl rollout status` would say done."""

from __future__ import annotations

from typing import Any

from k8sim.api.apps import (
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulSetUpdateStrategy,
)
from k8sim.api.core import Container, PodSpec, PodTemplateSpec
from k8sim.api.meta import Object, ObjectMeta
from k8sim.apiserver.watch import Change
from k8sim.report.rollouts import rollouts


def template(tag: str) -> PodTemplateSpec:
    return PodTemplateSpec(spec=PodSpec(containers=(Container(name="app", image=f"app:{tag}"),)))


def strategy(partition: int) -> StatefulSetUpdateStrategy:
    return StatefulSetUpdateStrategy("RollingUpdate", RollingUpdateStatefulSetStrategy(partition=partition))


def stateful_set(generation: int, tag: str, partition: int = 0, **status: Any) -> StatefulSet:
    return StatefulSet(
        metadata=ObjectMeta(name="web", namespace="default", generation=generation),
        spec=StatefulSetSpec(replicas=3, template=template(tag), update_strategy=strategy(partition)),
        status=StatefulSetStatus(**status),
    )


def history(*versions: Object) -> list[tuple[int, Change]]:
    """Version i is stored at time i."""
    return [
        (t, Change("MODIFIED" if t else "ADDED", versions[t - 1] if t else None, new)) for t, new in enumerate(versions)
    ]


def test_finished_when_all_are_ready_and_the_revision_is_current() -> None:
    steady = {"observed_generation": 1, "ready_replicas": 3, "update_revision": "1", "current_revision": "1"}
    busy = {"observed_generation": 2, "update_revision": "2", "current_revision": "1"}
    done = {"observed_generation": 2, "ready_replicas": 3, "update_revision": "2", "current_revision": "2"}
    (rollout,) = rollouts(
        history(
            stateful_set(1, "v1", **steady),
            stateful_set(2, "v2", **steady),
            stateful_set(2, "v2", **busy, ready_replicas=2),
            stateful_set(2, "v2", **busy, ready_replicas=3),
            stateful_set(2, "v2", **done),
        )
    )
    assert (rollout.what, rollout.start_ns, rollout.end_ns) == ("image app:v2", 1, 4)


def test_a_canary_is_done_above_the_partition_and_goes_on_when_it_is_lowered() -> None:
    half = {"observed_generation": 2, "ready_replicas": 3, "update_revision": "2", "current_revision": "1"}
    canary, rest = rollouts(
        history(
            stateful_set(1, "v1", 2, observed_generation=1, ready_replicas=3),
            stateful_set(2, "v2", 2, observed_generation=1, ready_replicas=3),
            stateful_set(2, "v2", 2, **half, updated_replicas=1),
            stateful_set(3, "v2", 0, **half, updated_replicas=1),
        )
    )
    assert (canary.start_ns, canary.end_ns, canary.superseded) == (1, 2, False)
    assert (rest.what, rest.start_ns, rest.end_ns) == ("partition 0", 3, None)


def test_overtaken_by_the_next() -> None:
    first, second = rollouts(history(stateful_set(1, "v1"), stateful_set(2, "v2"), stateful_set(3, "v1")))
    assert (first.end_ns, first.superseded) == (2, True)
    assert second.end_ns is None


def test_a_deployment_is_done_when_only_updated_pods_are_left() -> None:
    def deployment(generation: int, tag: str, replicas: int, updated: int, available: int) -> Deployment:
        return Deployment(
            metadata=ObjectMeta(name="web", namespace="default", generation=generation),
            spec=DeploymentSpec(replicas=2, template=template(tag)),
            status=DeploymentStatus(
                observed_generation=generation,
                replicas=replicas,
                updated_replicas=updated,
                available_replicas=available,
            ),
        )

    (rollout,) = rollouts(
        history(
            deployment(1, "v1", 2, 2, 2), deployment(2, "v2", 2, 0, 2), deployment(2, "v2", 3, 2, 2),
            deployment(2, "v2", 2, 2, 2),
        )
    )  # fmt: skip
    assert (rollout.start_ns, rollout.end_ns) == (1, 3)
