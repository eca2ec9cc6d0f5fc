"""Static pods run without an API server; what the API shows are their mirrors (k8sim/kubelet/staticpods.py)."""

from typing import Any

import pytest

from k8sim.api.core import ContainerState, ContainerStateTerminated, ContainerStatus, Node, Pod
from k8sim.api.meta import with_meta
from k8sim.api.pods import CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, is_mirror_pod
from k8sim.api.scheme import decode
from k8sim.api.struct import replace
from k8sim.kubelet.admission import admit
from k8sim.kubelet.eviction import rank, rejects
from k8sim.kubelet.phase import get_phase
from k8sim.kubelet.preemption import preemptable
from k8sim.kubelet.settings import KubeletSettings
from k8sim.kubelet.staticpods import BEARS_ALL, mirror_of, shows, static_pod
from tests.kubelet.bench import READY, Bench, image, seconds

MIRROR = "etcd-node"


def etcd(**spec: Any) -> dict[str, Any]:
    container = {"name": "etcd", "image": "etcd:3", **spec.pop("container", {})}
    spec = {"containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "etcd", "labels": {"tier": "a"}}, "spec": spec}


def bench(*manifests: dict[str, Any], settings: KubeletSettings | None = None, **times: Any) -> Bench:
    return Bench(image(**{"stop": 1, **times}), settings=settings, static_pods=manifests or (etcd(),))


def pod(**spec: Any) -> Pod:
    manifest = decode(etcd(**spec))
    assert isinstance(manifest, Pod)
    return static_pod(manifest, "Node-A")


def starts(b: Bench) -> list[float]:
    return [r.t / 1e9 for r in b.rows("Container", MIRROR) if r.event == "Started"]


def ends(b: Bench) -> list[str]:
    return [r.event for r in b.rows("Container", MIRROR) if r.event in ("SIGTERM", "Exited", "Lost")]


# ---- what they are ------------------------------------------------------------------------------------------------


def test_a_manifest_becomes_a_pod_of_its_node():
    made = pod()
    assert (made.name, made.namespace, made.spec.node_name) == ("etcd-node-a", "default", "Node-A")
    assert made.metadata.annotations == {CONFIG_HASH: made.uid, CONFIG_SOURCE: "file"}
    assert made.spec.tolerations == (BEARS_ALL,)
    assert made.status.phase == "Pending"


def test_its_uid_is_a_hash_of_manifest_and_node():
    manifest = decode(etcd())
    assert isinstance(manifest, Pod)
    assert static_pod(manifest, "a").uid == static_pod(manifest, "a").uid
    other = with_meta(manifest, labels={"tier": "b"})
    assert len({static_pod(manifest, "a").uid, static_pod(manifest, "b").uid, static_pod(other, "a").uid}) == 3


def test_a_mirror_is_owned_by_its_node_and_says_what_it_shows():
    made = pod()
    mirror = mirror_of(made, Node(metadata=with_meta(Node(), name="Node-A", uid="u").metadata))
    owner = mirror.metadata.owner_references[0]
    assert (owner.kind, owner.name, owner.uid, owner.controller) == ("Node", "Node-A", "u", True)
    assert mirror.metadata.annotations == {**made.metadata.annotations, CONFIG_MIRROR: made.uid}
    assert mirror.metadata.labels == {"tier": "a"}
    assert not mirror.metadata.uid
    assert shows(mirror, made)
    assert not shows(mirror, pod(container={"image": "etcd:4"}))


def test_they_are_critical_never_evicted_and_may_displace_others():
    made, ordinary = pod(), Pod()
    assert rank("memory", [made, ordinary], lambda pod: 1) == [ordinary]
    assert rejects(made, ["DiskPressure"]) is None
    assert preemptable(made, ordinary)
    assert not preemptable(ordinary, made)


def test_they_bear_a_node_that_evicts_all_others():
    node = decode(
        {
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
            "spec": {"taints": [{"key": "k", "effect": "NoExecute"}]},
        }
    )  # fmt: skip
    assert isinstance(node, Node)
    assert admit(pod(), node, []) is None
    assert admit(Pod(), node, []) is not None


def test_stopping_for_good_does_not_end_their_phase():
    ended = ContainerStatus(name="etcd", state=ContainerState(terminated=ContainerStateTerminated(exit_code=0)))
    info = {ended.name: ended}
    assert get_phase(pod(), info, pod_is_terminal=True) == "Running"
    assert get_phase(with_meta(pod(), annotations={}), info, pod_is_terminal=True) == "Succeeded"


# ---- their mirrors ------------------------------------------------------------------------------------------------


def test_the_mirror_shows_the_status():
    b = bench(etcd(container={"readinessProbe": READY}), ready=1)
    b.run(5)
    status = b.stored(MIRROR).status
    assert is_mirror_pod(b.stored(MIRROR))
    assert status.phase == "Running"
    assert status.container_statuses[0].ready
    assert 1 <= b.time("Ready", MIRROR) <= 3


@pytest.mark.parametrize("grace", [None, 0])
def test_a_deleted_mirror_is_made_again_while_the_containers_run_on(grace: int | None):
    b = bench()
    b.run(20)
    uid = b.stored(MIRROR).uid
    b.delete_at(20, MIRROR, grace)
    b.run(20.9 if grace is None else 21.5)
    assert b.stored(MIRROR).uid != uid
    b.run(31.5)  # the status comes with the next reconciliation
    assert b.stored(MIRROR).status.phase == "Running"
    assert (len(starts(b)), ends(b)) == (1, [])


def test_a_mirror_is_made_as_soon_as_there_is_a_node_again():
    b = bench()
    b.at(5, lambda: b.server.delete(Node, "", "node"))
    b.delete_at(6, MIRROR, 0)  # the garbage collector's work
    b.at(150, b.machine.restart_kubelet)
    b.run(149)
    assert b.get(MIRROR) is None
    b.run(165)
    mirror = b.stored(MIRROR)
    assert mirror.metadata.owner_references[0].uid == b.server.get(Node, "", "node").uid
    assert mirror.status.phase == "Running"
    assert len(starts(b)) == 1


def test_an_object_that_claims_to_be_a_mirror_is_removed():
    b = bench()
    stranger = with_meta(pod(), name="other", uid="", annotations={CONFIG_MIRROR: "x"})
    b.at(5, lambda: b.server.create(replace(stranger, spec=replace(stranger.spec, node_name="node"))))
    b.run(6)
    assert b.get("other") is not None
    b.run(10)
    assert b.get("other") is None
    assert not any(r.name == "other" for r in b.rows("Container"))


def test_they_count_against_the_node():
    requests = {"requests": {"cpu": "3"}}
    b = bench(etcd(container={"resources": requests}))
    b.pod_at(5, "app", {"name": "c", "resources": requests})
    b.run(10)
    assert b.stored().status.reason == "OutOfcpu"


def test_they_make_room_for_themselves():
    """A critical pod ends others when it does not fit, here after the kubelet's restart with a manifest that is new."""
    b = Bench(image(stop=1))
    b.pod("app", {"name": "c", "resources": {"requests": {"cpu": "3"}}})
    manifest = decode(etcd(container={"resources": {"requests": {"cpu": "2"}}}))
    assert isinstance(manifest, Pod)
    b.run(5)
    process = b.kubelet.process
    assert process is not None
    b.at(6, lambda: process.run_static_pods([static_pod(manifest, "node")]))
    b.run(20)
    assert b.stored().status.reason == "Preempting"
    assert b.stored(MIRROR).status.phase == "Running"


# ---- restart, reboot, rejoin --------------------------------------------------------------------------------------


def test_a_new_kubelet_takes_them_over_before_it_has_an_answer():
    b = bench()
    b.at(20, b.machine.partition)
    b.at(25, b.machine.restart_kubelet)
    b.exit_at(40, MIRROR)
    b.run(60)
    assert len(starts(b)) == 2
    assert starts(b)[1] < 42
    assert b.stored(MIRROR).status.container_statuses[0].restart_count == 0
    b.at(61, b.machine.heal)
    b.run(80)
    assert b.stored(MIRROR).status.container_statuses[0].restart_count == 1


def test_a_machine_that_boots_into_a_partition_runs_them_and_nothing_else():
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "scratch", "mountPath": "/scratch"}]
    volumes = [{"name": "data", "hostPath": {"path": "/var/lib/etcd"}}, {"name": "scratch", "emptyDir": {}}]
    b = bench(etcd(container={"volumeMounts": mounts}, volumes=volumes))
    b.pod("app")
    uid = b.stored("app").uid
    b.at(20, b.machine.crash)
    b.at(30, b.machine.partition)
    b.at(40, b.machine.boot_up)
    b.run(80)
    assert len(starts(b)) == 2
    assert 40 < starts(b)[1] < 42
    assert not b.machine.runs(uid, "app")
    b.at(90, b.machine.heal)
    b.run(105)
    assert b.stored(MIRROR).status.container_statuses[0].restart_count == 1
    assert b.machine.runs(uid, "app")


def test_after_a_kubelet_restart_their_readiness_has_to_be_seen_anew():
    """Readiness survives in the API's status (node.md 2.8), which a static pod's manifest does not have."""
    patient = {**READY, "failureThreshold": 100}
    b = bench(etcd(container={"readinessProbe": patient}), ready=1)
    b.pod("app", {"name": "c", "readinessProbe": patient})
    for name in ("app", MIRROR):
        b.at(45, lambda name=name: b.machine.set_unready(("default", name), seconds(75)))
    b.at(50, b.machine.restart_kubelet)
    b.run(90)
    assert b.times("NotReady", "app") == []
    assert len(b.times("NotReady", MIRROR)) == 1
    assert 75 <= b.times("Ready", MIRROR)[-1] <= 77


def test_a_graceful_shutdown_ends_them_last_and_the_boot_starts_them_again():
    settings = KubeletSettings(
        shutdown_grace_period_ns=seconds(30),
        shutdown_grace_period_critical_pods_ns=seconds(10),
    )
    b = bench(etcd(priority=2_000_001_000), settings=settings, stop=3)
    b.pod("app")
    b.at(20, b.machine.shut_down)
    b.at(100, b.machine.boot_up)
    b.run(120)
    ordinary = next(r.t for r in b.rows("Container", "app") if r.event == "Exited")
    critical = next(r.t for r in b.rows("Container", MIRROR) if r.event == "Exited")
    assert ordinary < critical - seconds(2)
    assert len(starts(b)) == 2
    assert b.stored(MIRROR).status.phase == "Running"
    assert b.stored("app").status.phase == "Failed"


# ---- manifests that change ----------------------------------------------------------------------------------------


def test_a_changed_manifest_starts_when_the_former_pod_has_ended():
    """Versions of one name are serialised (node.md 1.2): the new one looks again every 10 to 15 s."""
    b = bench(etcd(terminationGracePeriodSeconds=20), stop=5)
    b.run(20)
    before = b.stored(MIRROR)
    b.at(20, lambda: b.kubelet.manifest_changed("etcd", "etcd:4"))
    b.run(60)
    (exited,) = [r.t / 1e9 for r in b.rows("Container", MIRROR) if r.event == "Exited"]
    assert 25 <= exited <= 26.5  # as gracefully as any pod
    assert len(starts(b)) == 2
    assert exited < starts(b)[1] <= 37
    mirror = b.stored(MIRROR)
    assert mirror.uid != before.uid
    assert mirror.metadata.annotations[CONFIG_HASH] != before.metadata.annotations[CONFIG_HASH]
    assert mirror.status.container_statuses[0].image == "etcd:4"
    assert mirror.status.container_statuses[0].restart_count == 0


def test_a_manifest_that_is_taken_away_takes_pod_and_mirror_along():
    b = bench(stop=5)
    b.at(20, lambda: b.kubelet.manifest_changed(None, None))
    b.run(24)
    assert b.get(MIRROR) is not None
    b.run(35)
    assert b.get(MIRROR) is None
    assert ends(b) == ["SIGTERM", "Exited"]
    b.at(36, b.machine.restart_kubelet)
    b.run(60)
    assert len(starts(b)) == 1


def test_a_mirror_of_nothing_goes_when_the_api_server_answers_again():
    b = bench(stop=5)
    b.at(20, lambda: b.kubelet.manifest_changed(None, None))
    b.at(24, b.machine.partition)
    b.at(60, b.machine.heal)
    b.run(59)
    assert b.get(MIRROR) is not None
    b.run(70)
    assert b.get(MIRROR) is None


def test_a_manifest_may_change_while_the_machine_is_off():
    b = bench()
    b.at(20, b.machine.crash)
    b.at(30, lambda: b.kubelet.manifest_changed("etcd", "etcd:4"))
    b.at(40, b.machine.boot_up)
    b.run(70)
    assert b.stored(MIRROR).status.container_statuses[0].image == "etcd:4"
    assert len(starts(b)) == 2
