"""Corners that the statements do not name: adoption, claims, history, names, guards, batches."""

from __future__ import annotations

import pytest

from k8sim.api.apps import ControllerRevision, StatefulSetUpdateStrategy
from k8sim.api.core import Container, PersistentVolumeClaim, Pod, PodSpec, Volume
from k8sim.api.meta import ObjectMeta, OwnerReference, controller_of, with_meta
from k8sim.api.struct import replace
from k8sim.controllers.hashing import fnv1_32, safe_encode_string
from k8sim.controllers.history import hash_controller_revision
from k8sim.controllers.statefulset.control import batch_of, max_unavailable
from k8sim.controllers.statefulset.identity import new_stateful_set_pod, parent_and_ordinal
from tests.controllers.statefulset.test_statements import requests
from tests.controllers.statefulset.world import PARALLEL, World, stateful_set, template

# ---- names and hashes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "first", "second"),
    [
        ("{}", "cccc864bc", "cccc864bb"),
        ('{"a":1}', "d55c4ff5f", "d55c4ff5d"),
        ('{"spec":{"template":{"$patch":"replace"}}}', "589f85db5b", "589f85db5c"),
    ],
)
def test_revision_hash_vectors(data: str, first: str, second: str) -> None:
    assert hash_controller_revision(data.encode(), 0) == first
    assert hash_controller_revision(data.encode(), 1) == second


def test_fnv1_of_nothing_is_its_offset_basis() -> None:
    assert fnv1_32(b"") == 0x811C9DC5
    assert safe_encode_string("0123456789") == "456789bcdf"


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("web-0", ("web", 0)),
        ("web-a-12", ("web-a", 12)),
        ("web", ("", -1)),
        ("web-x", ("", -1)),
        ("web-", ("", -1)),
        ("web--1", ("web-", 1)),
        ("web-99999999999", ("web", -1)),
    ],
)
def test_parent_and_ordinal(name: str, parsed: tuple[str, int]) -> None:
    assert parent_and_ordinal(name) == parsed


def test_a_new_pod_has_its_identity_and_keeps_what_is_not_simulated() -> None:
    spec = PodSpec(
        containers=(Container(name="c", image="i"),),
        hostname="mine",
        volumes=(Volume(name="datadir"), Volume(name="config", extra={"configMap": {"name": "c"}})),
        extra={"shareProcessNamespace": True},
    )
    made = replace(template(), spec=spec)
    pod = new_stateful_set_pod(stateful_set(), made, 3, "web-abc")
    assert pod.metadata.labels == {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": "web-3",
        "apps.kubernetes.io/pod-index": "3",
        "controller-revision-hash": "web-abc",
    }
    assert (pod.spec.hostname, pod.spec.subdomain) == ("web-3", "")
    assert [v.name for v in pod.spec.volumes] == ["datadir", "config"]
    assert pod.spec.volumes[0].persistent_volume_claim.claim_name == "datadir-web-3"  # type: ignore[union-attr]
    assert pod.spec.volumes[1].extra == {"configMap": {"name": "c"}}
    assert pod.spec.extra == {"shareProcessNamespace": True}
    ref = controller_of(pod)
    assert ref is not None
    assert (ref.kind, ref.name, ref.controller, ref.block_owner_deletion) == ("StatefulSet", "web", True, True)


def test_a_claim_has_the_labels_of_its_template_and_of_the_selector() -> None:
    sts = stateful_set()
    labelled = with_meta(sts.spec.volume_claim_templates[0], labels={"app": "other", "tier": "db"})
    world = World(replace(sts, spec=replace(sts.spec, volume_claim_templates=(labelled,))))
    world.sync()
    assert world.claim("datadir-web-0").metadata.labels == {"app": "web", "tier": "db"}


# ---- batches --------------------------------------------------------------------------------------------------------


def test_batches_double_up_to_500() -> None:
    sizes: dict[int, int] = {}
    for position in range(3000):
        sizes[batch_of(position)] = sizes.get(batch_of(position), 0) + 1
    assert list(sizes.values())[:12] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 500, 500]


@pytest.mark.parametrize(
    ("value", "replicas", "expected"), [(None, 5, 1), (2, 5, 2), ("50%", 5, 2), ("10%", 5, 1), (0, 5, 1)]
)
def test_max_unavailable_is_rounded_down_and_at_least_1(value: int | str, replicas: int, expected: int) -> None:
    assert max_unavailable(value, replicas) == expected


def test_parallel_without_rolling_update_object_deletes_the_outdated_pod_it_has_just_created() -> None:
    world = World(stateful_set(policy=PARALLEL, strategy=StatefulSetUpdateStrategy(type="RollingUpdate"))).settled()
    world.image("v2")
    for ordinal in (2, 1):
        world.sync()
        world.gone(ordinal)
        world.sync()
        world.ready(ordinal)
    world.gone(0)
    # The status still counts one pod at the current revision, so that is what web-0 gets, and it is next in turn.
    assert requests(world.sync()) == ["create web-0 rev=A", "delete web-0"]


# ---- adoption and release -------------------------------------------------------------------------------------------


def bare_pod(name: str, **labels: str) -> Pod:
    return Pod(metadata=ObjectMeta(name=name, namespace="default", labels=labels), spec=template().spec)


def test_a_bare_pod_that_fits_is_adopted_then_replaced() -> None:
    world = World(stateful_set(2))
    world.server.create(bare_pod("web-1", app="web"))
    world.ready(1)
    world.sync()
    ref = controller_of(world.pod(1))
    assert ref is not None
    assert ref.uid == world.set.uid
    world.ready(0)
    lines = world.sync()
    # No revision label: outdated. It gets its claim and its labels first.
    assert "update web-1" in lines
    assert "delete web-1" in lines


def test_a_bare_pod_of_another_name_is_not_adopted() -> None:
    world = World(stateful_set(1))
    world.server.create(bare_pod("other-0", app="web"))
    world.sync()
    assert controller_of(world.server.get(Pod, "default", "other-0")) is None


def test_a_relabelled_pod_is_released_and_blocks_its_name() -> None:
    world = World(stateful_set(2)).settled()
    world.server.patch(Pod, "default", "web-1", lambda p: with_meta(p, labels={"app": "debug"}))
    world._settle()
    lines = world.sync()
    assert controller_of(world.pod(1)) is None
    assert 'ERR pods "web-1" already exists' in lines + world.sync()
    assert not [line for line in world.log if "FailedCreate" in line]
    world.gone(1)
    assert requests(world.sync()) == ["create web-1 rev=A"]


def test_a_set_that_is_being_deleted_releases_nothing() -> None:
    world = World(stateful_set(2)).settled()
    world.server.patch(type(world.set), "default", "web", lambda s: with_meta(s, finalizers=("foregroundDeletion",)))
    world.server.delete(type(world.set), "default", "web")
    world.server.patch(Pod, "default", "web-1", lambda p: with_meta(p, labels={"app": "debug"}))
    world._settle()
    world.sync()
    assert controller_of(world.pod(1)) is not None


def test_an_orphaned_revision_is_adopted_and_no_pod_restarts() -> None:
    world = World(stateful_set(2)).settled()
    for cls in (Pod, ControllerRevision):
        for obj in world.server.list(cls):
            world.server.patch(cls, *obj.key, lambda o: with_meta(o, owner_references=()))
    world.server.delete(type(world.set), "default", "web")
    world.server.create(stateful_set(2))
    world._settle()
    lines = world.sync() + world.sync()
    assert not [line for line in requests(lines) if not line.startswith("update")]
    assert [controller_of(r).uid for r in world.server.list(ControllerRevision)] == [world.set.uid]  # type: ignore[union-attr]
    assert world.set.status.updated_replicas == 2


# ---- history --------------------------------------------------------------------------------------------------------


def test_history_keeps_the_limit_besides_live_revisions() -> None:
    world = World(stateful_set(1, history=1))
    world.settled()
    for n in range(5):
        world.image(f"v{n}")
        world.settled()
    world.sync()
    assert sorted(world.revisions().values()) == [5, 6]


def test_a_history_of_one_is_three_revisions_while_a_rollout_goes_on_and_two_once_it_has_ended() -> None:
    """observed.md, StatefulSets 6: the live one of the pods, one old one, the new one; an undo renumbers."""
    world = World(stateful_set(2, history=1)).settled()
    world.image("v1")
    world.settled()
    world.image("v2")
    world.sync()
    world.gone(1)
    world.sync()
    world.sync()
    assert world.pod(0).metadata.labels["controller-revision-hash"] != world.set.status.update_revision
    assert world.revisions() == {"A": 1, "B": 2, "C": 3}
    world.settled()
    assert world.revisions() == {"B": 2, "C": 3}
    world.image("v1")
    world.settled()
    assert world.revisions() == {"B": 4, "C": 3}


def test_pods_below_the_partition_keep_their_revision_alive_beside_the_history() -> None:
    world = World(stateful_set(2, history=1)).settled()
    world.partition(1)
    for image in ("v1", "v2", "v3"):
        world.image(image)
        world.settled()
    assert world.revisions() == {"A": 1, "C": 3, "D": 4}


def test_a_changed_partition_makes_no_revision() -> None:
    world = World(stateful_set(1)).settled()
    world.partition(5)
    world.change(min_ready_seconds=3, replicas=2)
    world.settled()
    assert world.revisions() == {"A": 1}


def test_a_name_clash_raises_the_collision_count() -> None:
    world = World(stateful_set(1)).settled()
    world.image("v2")
    hijacked = {r.name for r in world.server.list(ControllerRevision)}
    world.sync()
    (new,) = {r.name for r in world.server.list(ControllerRevision)} - hijacked
    fresh = World(stateful_set(1)).settled()
    fresh.server.create(
        ControllerRevision(metadata=ObjectMeta(name=new, namespace="default"), data="other", revision=9)
    )
    fresh.image("v2")
    fresh.sync()
    assert fresh.set.status.collision_count == 1
    assert fresh.set.status.update_revision != new


# ---- claims ---------------------------------------------------------------------------------------------------------


def owners(world: World, name: str) -> list[str]:
    return [f"{r.kind}/{r.name}" for r in world.claim(name).metadata.owner_references]


def test_changing_the_retention_policy_changes_owners_at_the_next_sync() -> None:
    world = World(stateful_set(2)).settled()
    assert owners(world, "datadir-web-0") == []
    policy = world.set.spec.persistent_volume_claim_retention_policy
    world.change(persistent_volume_claim_retention_policy=replace(policy, when_deleted="Delete"))
    done = world.sync()
    assert owners(world, "datadir-web-0") == owners(world, "datadir-web-1") == ["StatefulSet/web"]
    assert any("SuccessfulUpdate" in line for line in done)
    world.change(persistent_volume_claim_retention_policy=replace(policy, when_deleted="Retain"))
    world.sync()
    assert owners(world, "datadir-web-0") == owners(world, "datadir-web-1") == []


def test_a_claim_of_a_foreign_controller_is_left_alone_with_an_event() -> None:
    world = World(stateful_set(1, when_deleted="Delete"))
    foreign = OwnerReference(api_version="x/v1", kind="Other", name="o", uid="u", controller=True)
    claim = PersistentVolumeClaim(
        metadata=ObjectMeta(name="datadir-web-0", namespace="default", owner_references=(foreign,))
    )
    world.server.create(claim)
    world._settle()
    lines = world.sync()
    assert any("ConflictingController" in line for line in lines)
    assert owners(world, "datadir-web-0") == ["Other/o"]


def test_a_claim_of_a_former_set_is_not_touched() -> None:
    world = World(stateful_set(1, when_deleted="Delete"))
    former = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="former", controller=True)
    claim = PersistentVolumeClaim(
        metadata=ObjectMeta(name="datadir-web-0", namespace="default", owner_references=(former,))
    )
    world.server.create(claim)
    world._settle()
    world.settled()
    assert [r.uid for r in world.claim("datadir-web-0").metadata.owner_references] == ["former"]


def test_a_pending_pod_gets_its_missing_claim_back() -> None:
    world = World(stateful_set(1))
    world.sync()
    world.remove_claim("datadir-web-0")
    assert requests(world.sync()) == ["pvc+ datadir-web-0"]


def test_a_claim_that_fails_gives_two_events() -> None:
    world = World(stateful_set(1))
    world.failing = {"datadir-web-0": "no quota"}
    events = [line for line in world.sync() if line.startswith("ev[")]
    assert len(events) == 2
    assert all("Warning FailedCreate" in e for e in events)


# ---- the stale-read guard -------------------------------------------------------------------------------------------


def test_no_sync_on_a_cache_older_than_the_controllers_own_write() -> None:
    world = World(stateful_set(2))
    world.controller.pods.disconnect()
    world.sync()
    assert world.names() == ["web-0"]
    assert any("behind" in line for line in world.sync())
    assert world.names() == ["web-0"]
    world.controller.pods.reconnect()
    world._settle()
    assert not [line for line in world.sync() if line.startswith("ERR")]
