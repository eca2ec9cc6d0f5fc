"""Laws of binding on random histories of claims and volumes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.struct import replace
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.watch import Change
from tests.controllers.storage import StorageWorld, claim, storage_class, volume

NAMES = "abc"
steps = st.lists(
    st.tuples(
        st.sampled_from(["claim", "volume", "dynamic", "delete-claim", "delete-volume", "clear-ref", "wait"]),
        st.sampled_from(NAMES),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=14,
)


class Watch:
    """Checks after every write that claims and volumes are bound one to one, and nothing is provisioned twice."""

    def __init__(self, world: StorageWorld) -> None:
        self.world = world
        self.made_for: set[str] = set()
        world.server.watch(PersistentVolume, self.check)
        world.server.watch(PersistentVolumeClaim, self.check)

    def check(self, change: Change) -> None:
        volumes = {v.name: v for v in self.world.server.list(PersistentVolume)}
        taken: dict[str, str] = {}
        for c in self.world.server.list(PersistentVolumeClaim):
            found = volumes.get(c.spec.volume_name)
            if c.status.phase != "Bound" or found is None:
                continue
            reference = found.spec.claim_ref
            if reference is not None and reference.uid == c.uid:
                assert taken.setdefault(found.name, c.name) == c.name
        new = change.new
        if isinstance(new, PersistentVolume) and change.type == "ADDED" and new.name.startswith("pvc-"):
            assert new.spec.claim_ref is not None
            assert new.spec.claim_ref.uid not in self.made_for, "provisioned twice"
            self.made_for.add(new.spec.claim_ref.uid)


def act(world: StorageWorld, what: str, name: str, number: int) -> None:
    actions: dict[str, Any] = {
        "claim": lambda: world.create(claim(name, f"{number}Gi", storageClassName="")),
        "dynamic": lambda: world.create(claim(name, f"{number}Gi", storageClassName="std")),
        "volume": lambda: world.create(volume(name, f"{number}Gi")),
        "delete-claim": lambda: world.delete_claim(name),
        "delete-volume": lambda: world.delete_volume(name),
        "clear-ref": lambda: world.server.patch(
            PersistentVolume, "", name, lambda v: replace(v, spec=replace(v.spec, claim_ref=None))
        ),
        "wait": lambda: None,
    }
    with suppress(ApiError):
        actions[what]()
    world.run(world.now + (9.0 if what == "wait" else 0.004 * number))


@settings(max_examples=60)
@given(steps, st.integers(0, 50))
def test_binding_is_one_to_one_and_retain_never_loses_a_volume(history: list[tuple[str, str, int]], seed: int) -> None:
    world = StorageWorld(seed)
    world.create(storage_class())
    Watch(world)
    deleted_by_hand = set()
    for what, name, number in history:
        if what == "delete-volume":
            deleted_by_hand.add(name)
        act(world, what, name, number)
    created = {name for what, name, _ in history if what == "volume"} - deleted_by_hand
    world.run(world.now + 100)
    for name in created:
        assert world.find_volume(name) is not None, "a Retain volume vanished without a delete"
    settled = world.server.resource_version
    world.run(world.now + 1000)
    assert world.server.resource_version == settled, "writes go on for ever"


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_every_claim_with_a_fitting_volume_is_bound_in_the_end(seed: int, n: int) -> None:
    world = StorageWorld(seed)
    for i in range(n):
        world.create(claim(f"c{i}", storageClassName=""), volume(f"v{i}"))
    world.run(31)
    assert {world.claim(f"c{i}").spec.volume_name for i in range(n)} == {f"v{i}" for i in range(n)}
