from __future__ import annotations

from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from k8sim import strategies as k8s
from k8sim.api.scheme import decode


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        k8s.stateful_sets(), k8s.deployments(), k8s.budgets(), k8s.services(), k8s.storage_classes(), k8s.volumes()
    )
)
def test_manifests_are_ones_that_the_server_reads(manifest: k8s.Manifest) -> None:
    assert decode(manifest).kind == manifest["kind"]


def test_workloads_shrink_to_small_ones() -> None:
    smallest = find(k8s.stateful_sets(), lambda m: m["spec"]["podManagementPolicy"] == "Parallel")
    assert smallest["spec"]["replicas"] == 1
    assert "volumeClaimTemplates" not in smallest["spec"]


def test_a_broken_history_shrinks_to_the_step_that_breaks_it() -> None:
    steps = find(k8s.fault_schedules(), lambda s: any(step.name == "node-crash" for step in s))
    assert [(step.at_ns, step.name) for step in steps] == [(0, "node-crash")]


def test_histories_are_in_order() -> None:
    steps = find(k8s.fault_schedules(), lambda s: len(s) > 1)
    assert [s.at_ns for s in steps] == sorted(s.at_ns for s in steps)
