"""The eviction decision table (workloads 3.2, 3.5)."""

from __future__ import annotations

import pytest

from k8sim.api.core import Pod
from k8sim.api.meta import LabelSelector, ObjectMeta, with_meta
from k8sim.api.pods import pod_condition
from k8sim.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from k8sim.api.struct import Time, replace
from k8sim.apiserver.errors import ApiError, Forbidden, InternalError, NotFound, TooManyRequests
from k8sim.apiserver.eviction import eviction_verdict, refusal_cause
from tests.apiserver.world import make_pod, make_server
from tests.controllers.manager import pod_status


def budget(name: str = "web", policy: str | None = None, generation: int = 1, **status: int) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name=name, namespace="default", generation=generation),
        spec=PodDisruptionBudgetSpec(selector=LabelSelector(), unhealthy_pod_eviction_policy=policy),
        status=PodDisruptionBudgetStatus(**{"observed_generation": 1, **status}),  # type: ignore[arg-type]
    )


def pod(ready: bool = True, phase: str = "Running") -> Pod:
    return replace(make_pod(node="node-0"), status=pod_status(ready=ready, phase=phase))


FULL = budget(current_healthy=2, desired_healthy=2, disruptions_allowed=0)
FREE = budget(current_healthy=3, desired_healthy=2, disruptions_allowed=1)


@pytest.mark.parametrize(
    "free_to_go",
    [
        pod(phase="Pending", ready=False),  # 3.5 (4)
        pod(phase="Failed"),
        pod(phase="Succeeded"),
        with_meta(pod(), deletion_timestamp=Time(1)),
    ],
)
def test_budgets_do_not_protect_pods_that_do_not_run(free_to_go: Pod) -> None:
    assert eviction_verdict(free_to_go, [FULL, FREE]) == "delete"


def test_a_ready_pod_needs_a_disruption_that_is_allowed() -> None:
    assert eviction_verdict(pod(), []) == "delete"
    assert eviction_verdict(pod(), [FREE]) == "use budget"
    with pytest.raises(TooManyRequests) as refused:
        eviction_verdict(pod(), [FULL])
    assert refused.value.retry_after_s is None
    assert refusal_cause(refused.value, FULL) == "The disruption budget web needs 2 healthy pods and has 2 currently"


def test_an_unready_pod_needs_no_budget_while_the_budget_is_met() -> None:  # 3.5 (5)
    unready = pod(ready=False)
    assert eviction_verdict(unready, [FULL]) == "delete"
    with pytest.raises(TooManyRequests):
        eviction_verdict(unready, [budget(current_healthy=1, desired_healthy=2)])


def test_with_nothing_desired_an_unready_pod_is_refused_unless_always_allowed() -> None:  # 3.5 (6)
    with pytest.raises(TooManyRequests):
        eviction_verdict(pod(ready=False), [budget(current_healthy=0, desired_healthy=0)])
    assert eviction_verdict(pod(ready=False), [budget(policy="AlwaysAllow")]) == "delete"


def test_two_budgets_are_an_error_even_if_both_allow_it() -> None:  # 3.5 (7)
    with pytest.raises(InternalError, match="more than one PodDisruptionBudget"):
        eviction_verdict(pod(), [FREE, FREE])


def test_a_budget_that_was_just_changed_refuses_for_ten_seconds() -> None:  # 3.5 (8)
    changed = with_meta(FREE, generation=2)
    with pytest.raises(TooManyRequests) as refused:
        eviction_verdict(pod(), [changed])
    assert refused.value.retry_after_s == 10
    assert "still being processed" in refusal_cause(refused.value, changed)


@pytest.mark.parametrize(
    "nonsense",
    [
        budget(disruptions_allowed=-1),
        replace(FREE, status=replace(FREE.status, disrupted_pods={str(n): Time(0) for n in range(2001)})),
    ],
)
def test_a_status_that_makes_no_sense_is_forbidden(nonsense: PodDisruptionBudget) -> None:
    with pytest.raises(Forbidden):
        eviction_verdict(pod(), [nonsense])


def test_an_accepted_eviction_uses_the_budget_marks_the_pod_and_begins_a_graceful_delete() -> None:
    server = make_server()
    for name in ("web-0", "web-1"):
        server.create(make_pod(name, node="node-0", labels={"app": "web"}))
        server.patch_status(Pod, "default", name, lambda p: replace(p, status=pod_status()))
    stored = server.create(with_meta(budget(), resource_version=0))
    server.update_status(replace(stored, status=replace(FREE.status, observed_generation=1)))
    evicted = server.evict("default", "web-0")
    status = server.get(PodDisruptionBudget, "default", "web").status
    assert (status.disruptions_allowed, list(status.disrupted_pods)) == (0, ["web-0"])
    target = pod_condition(evicted, "DisruptionTarget")
    assert target is not None
    assert target.reason == "EvictionByEvictionAPI"
    assert evicted.metadata.deletion_grace_period_seconds == 30
    with pytest.raises(TooManyRequests):  # 3.5 (1): of two at once, one is refused
        server.evict("default", "web-1")
    assert not server.get(Pod, "default", "web-1").deleting


def test_dry_run_decides_and_changes_nothing() -> None:
    server = make_server()
    server.create(make_pod(node="node-0"))
    version = server.resource_version
    server.evict("default", "web-0", dry_run=True)
    assert server.resource_version == version


def test_a_pod_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound) as e:
        make_server().evict("default", "nobody")
    assert isinstance(e.value, ApiError)
