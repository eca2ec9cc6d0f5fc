"""Laws of attaching and provisioning on random histories, with a storage system that fails now and then."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.storage import VolumeAttachment
from k8sim.api.volumes import attachable_name
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.watch import Change
from tests.controllers.storage import claim, storage_class
from tests.csi.world import EBS, CSIWorld

NODES = ("n1", "n2", "n3")
CODES = ("Internal", "Unavailable", "DeadlineExceeded", "Aborted")
CALLS = ("volumeAttach", "volumeDetach", "volumeCreate", "volumeDelete")


class Kubelets:
    """The test's kubelets: a volume is in use from its attachment on until some seconds after the last pod has gone."""

    def __init__(self, world: CSIWorld) -> None:
        self.world = world
        for node in NODES:
            world.sim.clock.call_after(10**9, self.report, node)

    def report(self, node: str) -> None:
        world = self.world
        wanted = set()
        for pod in world.server.list(Pod):
            if pod.spec.node_name == node:
                wanted.add("kubernetes.io/csi/ebs.csi.aws.com^handle-vol")
        with suppress(ApiError):
            world.in_use(node, *sorted(wanted))
        world.sim.clock.call_after(7 * 10**9, self.report, node)


def check_attachments(world: CSIWorld) -> None:
    def check(change: Change) -> None:
        attached = [
            a.spec.node_name for a in world.server.list(VolumeAttachment) if a.status.attached and not a.deleting
        ]
        assert len(attached) <= 1, f"attached to {attached}"
        assert len(world.storage.disk("handle-vol").attached) <= 1

    world.server.watch(VolumeAttachment, check)
    world.server.watch(Node, check)


history = st.lists(
    st.tuples(st.sampled_from(["start", "stop", "wait", "fail"]), st.integers(0, 2), st.integers(1, 40)),
    min_size=1,
    max_size=15,
)


@settings(max_examples=40)
@given(history, st.integers(0, 100))
def test_an_exclusive_volume_is_never_attached_to_two_nodes(events: list[tuple[str, int, int]], seed: int) -> None:
    world = CSIWorld(seed)
    world.add_node("n3")
    world.static_volume()
    Kubelets(world)
    check_attachments(world)
    for what, number, seconds in events:
        name = f"p{number}"
        with suppress(ApiError):
            if what == "start":
                world.start_pod(name, NODES[number])
            elif what == "stop":
                world.force_delete(name)
            elif what == "fail":
                until = int((world.now + seconds) * 1e9)
                world.storage.fail_calls(frozenset(CALLS[:2]), CODES[seconds % 4], until)
        world.run(world.now + seconds / (10 if what == "stop" else 2))
    for pod in world.server.list(Pod):
        world.force_delete(pod.name)
    world.run(world.now + 900)
    assert world.attached() == {}
    world.start_pod("last", "n3")
    world.run(world.now + 600)
    assert world.attached() == {"n3": True}, "in the end the last pod has it"


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["claim", "delete", "fail", "wait"]), st.integers(0, 2), st.integers(1, 60)),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 100),
)
def test_one_volume_is_made_for_a_claim_and_none_is_left_over(events: list[tuple[str, int, int]], seed: int) -> None:
    world = CSIWorld(seed)
    world.add_node("n1")
    world.create(storage_class("ebs", EBS))
    made: dict[str, int] = {}

    def count(change: Change) -> None:
        volume = change.new
        if change.type == "ADDED" and isinstance(volume, PersistentVolume) and volume.spec.claim_ref is not None:
            uid = volume.spec.claim_ref.uid
            made[uid] = made.get(uid, 0) + 1
            assert made[uid] == 1, "provisioned twice"

    world.server.watch(PersistentVolume, count)
    for what, number, seconds in events:
        with suppress(ApiError):
            if what == "claim":
                world.create(claim(f"c{number}", storageClassName="ebs"))
            elif what == "delete":
                world.delete_claim(f"c{number}")
            elif what == "fail":
                until = int((world.now + seconds) * 1e9)
                world.storage.fail_calls(frozenset(CALLS[2:]), CODES[seconds % 4], until)
        world.run(world.now + seconds / 4)
    world.run(world.now + 1500)
    claims = {c.uid for c in world.server.list(PersistentVolumeClaim)}
    volumes = world.server.list(PersistentVolume)
    assert {v.spec.claim_ref.uid for v in volumes if v.spec.claim_ref is not None} == claims
    kept = [d.name for d in world.storage.disks.values() if not d.lost]
    assert sorted(kept) == sorted(v.name for v in volumes), "no volume without an object"
    for volume in volumes:
        assert attachable_name(volume, lambda name: None) is not None
