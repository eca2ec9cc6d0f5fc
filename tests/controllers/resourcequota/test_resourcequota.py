"""The resource quota controller (workloads 6.3, 6.5): when it recounts, and that a recount is right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import Pod, ResourceQuota, ResourceQuotaSpec
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.struct import Time, replace
from k8sim.apiserver.admission import default_admission
from k8sim.apiserver.errors import AlreadyExists
from k8sim.apiserver.quota import recompute
from k8sim.controllers.resourcequota.controller import ResourceQuotaController
from k8sim.controllers.resourcequota.ledger import Ledger
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager, pod_status


def quota(**hard: str) -> ResourceQuota:
    return ResourceQuota(metadata=ObjectMeta(name="q", namespace="default"), spec=ResourceQuotaSpec(hard=hard))


def world(pods: int = 2, grace: int = 30) -> Manager:
    m = Manager(ResourceQuotaController, admission=default_admission())
    m.server.create(quota(pods="3"))
    for n in range(pods):
        m.at(1, m.add_pod, make_pod(f"web-{n}", node="node-0", grace=grace))
    m.run(2)
    return m


def used(m: Manager) -> str:
    return m.server.get(ResourceQuota, "default", "q").status.used["pods"]


def test_a_new_quota_is_computed_and_admission_counts_on() -> None:
    m = world()
    assert used(m) == "2"


def test_a_quota_that_was_there_before_its_controller_is_kept_up() -> None:
    m = Manager(admission=default_admission())
    m.server.create(quota(pods="3"))
    controller = ResourceQuotaController(m.context)
    controller.start()
    m.at(1, m.add_pod, make_pod(node="node-0"))
    m.run(2)
    assert used(m) == "1"
    m.at(3, m.server.delete, Pod, "default", "web-0", grace_period_seconds=0)
    m.run(4)
    assert used(m) == "0"


def test_a_deleted_object_is_released() -> None:
    m = world()
    m.at(3, m.server.delete, Pod, "default", "web-0", grace_period_seconds=0)
    m.run(4)
    assert used(m) == "1"


def test_an_ended_pod_is_released_although_the_object_is_there() -> None:  # 6.5 (5)
    m = world()
    m.at(3, m.set_pod, make_pod("web-0"), phase="Failed")
    m.run(4)
    assert used(m) == "1"


def test_a_stuck_pod_is_noticed_at_the_next_recount_at_most_five_minutes_later() -> None:  # 6.5 (4)
    m = world(grace=30)
    m.at(10, m.server.delete, Pod, "default", "web-0")
    m.run(69)
    assert used(m) == "2"
    m.run(372)
    assert used(m) == "1"


def test_a_stuck_pod_is_noticed_when_anything_else_is_released() -> None:
    m = world(grace=1)
    m.at(10, m.server.delete, Pod, "default", "web-0")
    m.at(15, m.server.delete, Pod, "default", "web-1", grace_period_seconds=0)
    m.run(16)
    assert used(m) == "0"


def test_raised_limits_are_taken_over() -> None:
    m = world()
    m.at(3, m.server.patch, ResourceQuota, "default", "q", lambda q: replace(q, spec=quota(pods="9").spec))
    m.run(4)
    assert m.server.get(ResourceQuota, "default", "q").status.hard == {"pods": "9"}


def test_an_overcount_ends_with_the_resync() -> None:
    m = world()

    def clash() -> None:
        with pytest.raises(AlreadyExists):
            m.server.create(make_pod("web-0"))

    m.at(3, clash)
    m.run(4)
    assert used(m) == "3"
    m.run(305)
    assert used(m) == "2"


def test_nothing_happens_while_nothing_changes() -> None:
    m = world()
    m.run(400)
    before = m.sim.clock.events_scheduled
    m.run(40_000)
    assert m.sim.clock.events_scheduled - before <= 4


POD = st.builds(
    lambda name, phase, deadline: replace(
        with_meta(
            make_pod(name),
            deletion_timestamp=Time(deadline * SECOND) if deadline else None,
            deletion_grace_period_seconds=5 if deadline else None,
        ),
        status=pod_status(phase=phase),
    ),
    st.sampled_from("abc"),
    st.sampled_from(["Running", "Failed"]),
    st.integers(0, 20),
)


@given(st.lists(st.one_of(POD, st.sampled_from("abc")), max_size=20))
def test_a_ledger_equals_a_recount(history: list[Pod | str]) -> None:
    q = quota(**{"pods": "9", "count/pods": "9"})
    ledger, pods = Ledger(q), dict[str, Pod]()
    for t, step in enumerate(history):
        now = 2 * t * SECOND
        if isinstance(step, str):
            ledger.remove(("Pod", step))
            pods.pop(step, None)
        else:
            ledger.put(step, now)
            pods[step.name] = step
        assert ledger.status(now) == recompute(q, pods.values(), now)
