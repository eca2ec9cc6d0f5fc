"""Disruption budgets (workloads 3.1, 3.5): what they count, and when the controller counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.apps import DaemonSet, StatefulSet, StatefulSetSpec
from k8sim.api.core import Pod
from k8sim.api.meta import LabelSelector, ObjectMeta, OwnerReference, controller_ref, with_meta
from k8sim.api.pods import is_pod_ready, pod_condition
from k8sim.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from k8sim.api.struct import IntOrString, Time, replace
from k8sim.apiserver.errors import TooManyRequests
from k8sim.controllers.disruption.control import (
    Tally,
    budget_status,
    build_disrupted_pod_map,
    expected_and_desired,
)
from k8sim.controllers.disruption.controller import DisruptionController
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager, pod_status

WEB = {"app": "web"}


def budget(
    name: str = "web", most: IntOrString | None = None, least: IntOrString | None = None, **meta: object
) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name=name, namespace="default", **meta),  # type: ignore[arg-type]
        spec=PodDisruptionBudgetSpec(
            selector=LabelSelector(match_labels=WEB), max_unavailable=most, min_available=least
        ),
    )


@pytest.mark.parametrize(
    ("replicas", "most", "least", "desired", "allowed"),
    [
        (1, 1, None, 0, 1),
        (1, None, 1, 1, 0),
        (1, None, "1%", 1, 0),
        (3, 1, None, 2, 1),
        (3, "30%", None, 2, 1),
        (3, "34%", None, 1, 2),  # 3.5 (3)
        (3, None, "50%", 2, 1),
        (7, None, "50%", 4, 3),
        (3, 0, None, 3, 0),
        (5, "100%", None, 0, 5),
        (3, None, None, 0, 0),  # neither field: nothing is allowed
    ],
)
def test_worked_values(
    replicas: int, most: IntOrString | None, least: IntOrString | None, desired: int, allowed: int
) -> None:
    pdb = budget(most=most, least=least)
    expected, wanted = expected_and_desired(pdb, replicas, replicas)
    assert wanted == desired
    assert budget_status(pdb, replicas, wanted, expected, {}, Time(0)).disruptions_allowed == allowed


def test_a_number_of_available_pods_counts_pods_whatever_their_state() -> None:  # 3.5 (2)
    tally = Tally()
    for n in range(3):
        pod = replace(make_pod(f"web-{n}"), status=pod_status())
        tally.put(with_meta(pod, deletion_timestamp=Time(1)) if n == 0 else pod)
    expected, desired = expected_and_desired(budget(least=2), len(tally.pods), 99)
    healthy = tally.current_healthy(())
    assert (expected, healthy) == (3, 2)
    assert budget_status(budget(least=2), healthy, desired, expected, {}, Time(0)).disruptions_allowed == 0


def test_an_entry_of_an_eviction_holds_two_minutes_or_until_the_pod_terminates() -> None:
    status = PodDisruptionBudgetStatus(
        disrupted_pods={"a": Time(0), "b": Time(10 * SECOND), "c": Time(0), "x": Time(0)}
    )
    pods = {n: make_pod(n) for n in "ab"} | {"c": with_meta(make_pod("c"), deletion_timestamp=Time(1))}
    pdb = replace(budget(), status=status)
    now = build_disrupted_pod_map(pdb, pods, 100 * SECOND)
    assert (list(now.keep), now.expired, now.recheck_at_ns) == (["a", "b"], (), 120 * SECOND)
    later = build_disrupted_pod_map(pdb, pods, 121 * SECOND)
    assert (list(later.keep), later.expired, later.recheck_at_ns) == (["b"], ("a",), 130 * SECOND)


POD = st.builds(
    lambda name, ready, deleting, owner: replace(
        make_pod(
            name,
            deletion_timestamp=Time(1) if deleting else None,
            owner_references=(OwnerReference(uid=owner, controller=True),) if owner else (),
        ),
        status=pod_status(ready=ready),
    ),
    st.sampled_from("abcde"),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "one", "two"]),
)


@given(st.lists(st.one_of(POD, st.sampled_from("abcde")), max_size=30), st.sets(st.sampled_from("abcde")))
def test_a_tally_equals_a_count_from_scratch(history: list[Pod | str], disrupted: set[str]) -> None:
    tally, pods = Tally(), dict[str, Pod]()
    for step in history:
        if isinstance(step, str):
            tally.remove(step)
            pods.pop(step, None)
        else:
            tally.put(step)
            pods[step.name] = step
    healthy = [p for p in pods.values() if is_pod_ready(p) and not p.deleting and p.name not in disrupted]
    assert tally.current_healthy(sorted(disrupted)) == len(healthy)
    owners = {p.metadata.owner_references[0].uid for p in pods.values() if p.metadata.owner_references}
    assert {o.uid for o in tally.owners()} == owners
    assert tally.has_unmanaged() == any(not p.metadata.owner_references for p in pods.values())


# ---- the controller ---------------------------------------------------------------------------------------------


def world(replicas: int, *budgets: PodDisruptionBudget) -> Manager:
    m = Manager(DisruptionController)
    web = m.server.create(
        StatefulSet(metadata=ObjectMeta(name="web", namespace="default"), spec=StatefulSetSpec(replicas=replicas))
    )
    for pdb in budgets:
        m.server.create(pdb)
    for n in range(replicas):
        m.add_pod(make_pod(f"web-{n}", node="node-0", labels=WEB, owner_references=(controller_ref(web),)))
    m.run(1)
    return m


def counts(m: Manager, name: str = "web") -> tuple[int, int, int, int]:
    s = m.server.get(PodDisruptionBudget, "default", name).status
    return s.disruptions_allowed, s.current_healthy, s.desired_healthy, s.expected_pods


def test_the_status_follows_the_pods() -> None:
    m = world(3, budget(most=1))
    assert counts(m) == (1, 3, 2, 3)
    m.at(2, m.set_pod, make_pod("web-0"), ready=False)
    m.run(3)
    assert counts(m) == (0, 2, 2, 3)
    m.at(3, m.server.delete, Pod, "default", "web-0", grace_period_seconds=0)
    m.run(4)
    assert counts(m) == (0, 2, 2, 3)


def test_a_change_of_replicas_is_noticed_at_the_next_pod_event() -> None:  # 3.5 (12)
    m = world(3, budget(most=1))
    scale = lambda s: replace(s, spec=replace(s.spec, replicas=5))  # noqa: E731
    m.at(2, m.server.patch, StatefulSet, "default", "web", scale)
    m.run(30)
    assert counts(m) == (1, 3, 2, 3)
    m.at(30, m.set_pod, make_pod("web-0"), ip="10.9.9.9")  # an update after which every pod counts as before
    m.run(31)
    assert counts(m) == (0, 3, 4, 5)


def test_an_eviction_shows_twice_first_allowed_then_current() -> None:
    m = world(3, budget(most=1))
    m.at(2, m.server.evict, "default", "web-0")
    m.run(3)
    status = [e[3] for e in m.events("PodDisruptionBudget", event="Status")][-2:]
    assert [(s["allowed"], s["current"]) for s in status] == [(0, 3), (0, 2)]
    assert m.server.get(PodDisruptionBudget, "default", "web").status.disrupted_pods == {}


def test_a_pod_that_does_not_go_counts_again_after_two_minutes() -> None:  # 3.5 (9)
    m = world(3, budget(most=1))
    pdb = m.server.get(PodDisruptionBudget, "default", "web")
    status = replace(pdb.status, disruptions_allowed=0, disrupted_pods={"web-0": Time(2 * SECOND)})
    m.at(2, m.server.update_status, replace(pdb, status=status))
    m.run(121)
    assert counts(m)[1] == 2
    m.run(123)
    assert counts(m) == (1, 3, 2, 3)
    assert [e[1] for e in m.events("Event", event="NotDeleted")] == ["web-0"]


def test_a_budget_of_only_a_selector_allows_nothing() -> None:  # 3.5 (10)
    m = world(3, budget())
    assert counts(m) == (0, 3, 0, 0)
    with pytest.raises(TooManyRequests):
        m.server.evict("default", "web-0")


def test_pods_whose_controller_has_no_scale_make_the_budget_fail_safe() -> None:  # 3.5 (11)
    m = Manager(DisruptionController)
    daemon = m.server.create(DaemonSet(metadata=ObjectMeta(name="web", namespace="default")))
    m.server.create(budget(most="50%"))
    m.add_pod(make_pod(node="node-0", labels=WEB, owner_references=(controller_ref(daemon),)))
    m.run(1)
    status = m.server.get(PodDisruptionBudget, "default", "web").status
    assert status.disruptions_allowed == 0
    assert [c.reason for c in status.conditions] == ["SyncFailed"]


def test_of_two_budgets_on_a_pod_one_is_kept_current() -> None:
    m = world(2, budget("one", least=1), budget("two", least=1))
    assert counts(m, "one") == (1, 2, 1, 2)
    m.at(2, m.set_pod, make_pod("web-0"), ready=False)
    m.run(3)
    assert counts(m, "one") == (0, 1, 1, 2)
    assert counts(m, "two")[1] != 1
    assert m.events("Event", "web-0", "MultiplePodDisruptionBudgets")


def test_a_stale_disruption_target_is_withdrawn() -> None:
    m = world(1, budget(most=1))
    m.at(2, m.server.evict, "default", "web-0", dry_run=True)

    def mark(p: Pod) -> Pod:
        condition = replace(p.status.conditions[0], type="DisruptionTarget", last_transition_time=Time(5 * SECOND))
        return replace(p, status=replace(p.status, conditions=(*p.status.conditions, condition)))

    m.at(5, m.server.patch_status, Pod, "default", "web-0", mark)
    m.run(124)
    target = pod_condition(m.server.get(Pod, "default", "web-0"), "DisruptionTarget")
    assert target is not None
    assert target.status == "True"
    m.run(126)
    target = pod_condition(m.server.get(Pod, "default", "web-0"), "DisruptionTarget")
    assert target is not None
    assert target.status == "False"
