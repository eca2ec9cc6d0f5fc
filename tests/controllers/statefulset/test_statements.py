"""The testable statements about the StatefulSet controller, one test each."""

from __future__ import annotations

import pytest

from k8sim.api.apps import StatefulSet, StatefulSetOrdinals, StatefulSetUpdateStrategy
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from k8sim.apiserver.errors import Invalid
from tests.controllers.statefulset.world import PARALLEL, World, stateful_set


def requests(lines: list[str]) -> list[str]:
    """What a sync did to pods and claims."""
    return [line for line in lines if line.startswith(("pvc", "create", "delete", "update", "gone"))]


def deletes(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("delete")]


def status(world: World) -> tuple[int, int, int, int, int]:
    s = world.set.status
    return s.replicas, s.ready_replicas, s.available_replicas, s.current_replicas, s.updated_replicas


def test_ordered_with_no_pods_creates_one_pod_claims_first() -> None:
    world = World(stateful_set(claims=("data", "logs")))
    assert requests(world.sync()) == ["pvc+ data-web-0", "pvc+ logs-web-0", "create web-0 rev=A"]


def test_ordered_with_pod_0_not_ready_does_nothing() -> None:
    world = World(stateful_set())
    world.sync()
    world.unready(0)
    assert requests(world.sync()) == []
    assert world.waiting() == "waiting for web-0 to become Ready"


def test_ordered_with_min_ready_seconds_goes_on_when_they_have_passed() -> None:
    world = World(stateful_set(min_ready_seconds=10))
    world.sync()
    world.advance(50)
    world.ready(0)
    for second in range(50, 60):
        world.advance(second) if second > 50 else None
        assert requests(world.sync()) == [], second
    assert world.waiting() == "waiting for web-0 to be Ready for minReadySeconds"
    world.advance(60)
    assert requests(world.sync()) == ["pvc+ datadir-web-1", "create web-1 rev=A"]


def test_parallel_create_error_at_index_0_stops_all_others() -> None:
    world = World(stateful_set(4, PARALLEL, claims=()))
    world.failing = {"web-0": "no"}
    assert requests(world.sync()) == ["create web-0 ERR"]


def test_parallel_create_error_at_index_1_stops_index_3() -> None:
    world = World(stateful_set(4, PARALLEL, claims=()))
    world.failing = {"web-1": "no"}
    assert sorted(requests(world.sync())) == ["create web-0 rev=A", "create web-1 ERR", "create web-2 rev=A"]


def test_ordered_scale_down_deletes_one_after_the_other() -> None:
    world = World(stateful_set(5)).settled()
    world.scale(2)
    for ordinal in (4, 3, 2):
        assert deletes(world.sync()) == [f"delete web-{ordinal}"]
        assert deletes(world.sync()) == []
        assert world.waiting() == f"waiting for web-{ordinal} to terminate"
        world.gone(ordinal)
    assert deletes(world.sync()) == []
    assert status(world) == (2, 2, 2, 2, 2)


def test_ordered_scale_down_with_both_top_pods_unready_waits() -> None:
    world = World(stateful_set(5)).settled()
    world.unready(3, 4)
    world.scale(2)
    assert deletes(world.sync()) == []
    assert world.waiting() == "waiting for web-4 to become available, as web-3 is not"


def test_ordered_scale_down_with_only_the_lower_pod_unready_goes_on() -> None:
    world = World(stateful_set(5)).settled()
    world.unready(3)
    world.scale(2)
    assert deletes(world.sync()) == ["delete web-4"]
    world.gone(4)
    assert deletes(world.sync()) == ["delete web-3"]


def test_ordered_scale_down_with_pod_0_unready_waits() -> None:
    world = World(stateful_set(5)).settled()
    world.unready(0)
    world.scale(2)
    assert deletes(world.sync()) == []


def test_parallel_scale_down_deletes_all_at_once() -> None:
    world = World(stateful_set(5, PARALLEL)).settled()
    world.unready(2, 4)
    world.scale(2)
    assert sorted(deletes(world.sync())) == ["delete web-2", "delete web-3", "delete web-4"]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_an_ended_pod_is_deleted_and_created_in_a_later_sync(phase: str) -> None:
    world = World(stateful_set(partition=1)).settled()
    world.image("v2")
    world.status(0, phase)
    done = world.sync()
    assert requests(done) == ["delete web-0", "gone web-0"]
    assert "ev[Normal SuccessfulDelete Delete Pod web-0 in StatefulSet web successful]" in done
    assert requests(world.sync()) == ["create web-0 rev=A"]  # below the partition


def test_partition_decides_the_revision_of_a_missing_pod() -> None:
    world = World(stateful_set(partition=2, policy=PARALLEL)).settled()
    world.image("v2")
    world.sync()
    world.gone(1, 2)
    assert sorted(requests(world.sync())) == ["create web-1 rev=A", "create web-2 rev=B"]


def test_without_rolling_update_object_the_status_decides_the_revision_of_a_missing_pod() -> None:
    world = World(stateful_set(strategy=StatefulSetUpdateStrategy(type="RollingUpdate"))).settled()
    world.image("v2")
    for ordinal in (2, 1):
        world.sync()
        world.gone(ordinal)
        world.sync()
        world.ready(ordinal)
    world.unready(2)  # so that web-0 is not replaced too
    world.sync()
    assert world.set.status.current_replicas == 1
    world.gone(0, 1)
    assert requests(world.sync()) == ["create web-0 rev=A"]
    world.ready(0, 2)
    assert requests(world.sync()) == ["create web-1 rev=B"]


def test_ordered_reverting_a_broken_rollout_deletes_nothing() -> None:
    world = _broken_rollout("OrderedReady")
    world.image("foo")
    assert deletes(world.sync()) == []


def test_parallel_reverting_a_broken_rollout_deletes_the_broken_pod() -> None:
    world = _broken_rollout(PARALLEL)
    world.image("foo")
    assert deletes(world.sync()) == ["delete web-2"]
    assert deletes(world.sync()) == []


def _broken_rollout(policy: str) -> World:
    world = World(stateful_set(policy=policy)).settled()
    world.image("bad")
    world.sync()
    world.gone(2)
    world.sync()
    world.unready(2)
    world.sync()
    return world


def test_first_update_sync_deletes_the_highest_pod_and_counts_it_off() -> None:
    world = World(stateful_set()).settled()
    world.image("v2")
    assert deletes(world.sync()) == ["delete web-2"]
    assert status(world) == (3, 3, 3, 2, 0)


@pytest.mark.parametrize("min_ready_seconds", [0, 1000])
def test_all_pods_ready_at_the_new_revision_completes_the_rollout(min_ready_seconds: int) -> None:
    world = World(stateful_set(policy=PARALLEL, min_ready_seconds=min_ready_seconds)).settled()
    world.image("v2")
    world.sync()  # records the revision
    for ordinal in (2, 1, 0):
        if ordinal in (o for o in range(3) if f"web-{o}" in world.names()):
            world.gone(ordinal)
    world.sync()
    world.ready(0, 1, 2)
    world.sync()
    assert world.set.status.current_revision == world.set.status.update_revision
    assert world.set.status.available_replicas == (0 if min_ready_seconds else 3)


def test_on_delete_changes_nothing_by_itself() -> None:
    world = World(stateful_set(strategy=StatefulSetUpdateStrategy(type="OnDelete"))).settled()
    world.image("v2")
    assert requests(world.sync()) == []
    assert world.waiting() == "OnDelete: 3 outdated pods wait to be deleted by hand"
    current = world.set.status.current_revision
    for ordinal in range(3):
        world.gone(ordinal)
        assert requests(world.sync()) == [f"create web-{ordinal} rev=B"]
        world.ready(ordinal)
        world.sync()
    assert world.set.status.current_revision == current


def test_rollback_gives_the_old_revision_the_next_number_and_keeps_its_name() -> None:
    world = World(stateful_set()).settled()
    name = world.set.status.update_revision
    world.image("v2")
    world.settled()
    world.image("foo")
    world.sync()
    assert world.set.status.update_revision == name
    assert world.revisions() == {"A": 3, "B": 2}


def test_scaling_to_0_completes_a_pending_rollout() -> None:
    world = World(stateful_set(partition=3)).settled()
    world.image("v2")
    world.sync()
    assert world.set.status.current_revision != world.set.status.update_revision
    world.scale(0)
    world.settled()
    assert world.set.status.current_revision == world.set.status.update_revision


def test_a_set_that_is_being_deleted_creates_no_pod() -> None:
    world = World(stateful_set()).settled()
    world.server.patch(type(world.set), "default", "web", lambda s: with_meta(s, finalizers=("foregroundDeletion",)))
    world.server.delete(type(world.set), "default", "web")
    world.gone(1)
    assert requests(world.sync()) == []
    assert world.set.status.replicas == 2


def test_when_scaled_delete_gives_the_claim_to_the_pod_before_deleting_it() -> None:
    world = World(stateful_set(when_scaled="Delete")).settled()
    world.scale(2)
    assert requests(world.sync()) == [
        "pvc~ datadir-web-2 owners=[Pod/web-2 ctrl=true block=true]",
        "delete web-2",
    ]


def test_a_terminating_claim_fails_the_create() -> None:
    world = World(stateful_set()).settled()
    world.terminate_claim("datadir-web-1")
    world.gone(1)
    for _ in range(3):
        done = world.sync()
        assert "ERR pvc datadir-web-1 is being deleted" in done
        assert any("FailedCreate Create Pod web-1" in line for line in done)
    assert "web-1" not in world.names()


def test_changing_the_service_name_is_refused() -> None:
    world = World(stateful_set()).settled()
    generation = world.set.metadata.generation
    with pytest.raises(Invalid, match="updates to statefulset spec for fields other than"):
        world.server.patch(
            StatefulSet,
            "default",
            "web",
            lambda s: replace(s, spec=replace(s.spec, service_name="other")),
            actor="kubectl",
        )
    assert world.set.metadata.generation == generation


def test_moving_the_ordinals_first_makes_new_pods_then_deletes_old_ones() -> None:
    world = World(stateful_set()).settled()
    world.change(ordinals=StatefulSetOrdinals(start=5))
    while not (deleted := deletes(world.sync())):
        world.ready(*(int(name[4:]) for name in world.names()))
    assert deleted == ["delete web-2"]
    assert len(world.names()) == 6
