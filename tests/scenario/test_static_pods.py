"""`nodes[].staticPods`, and the mirrors of a dump."""

from pathlib import Path
from typing import Any

import pytest

from k8sim.api.core import Pod
from k8sim.cluster import Cluster
from k8sim.scenario import ScenarioError, loads
from k8sim.scenario.loader import load_variants
from k8sim.sim.units import SECOND

POD = "{apiVersion: v1, kind: Pod, metadata: {name: etcd}, spec: {containers: [{name: etcd, image: 'etcd:3'}]}}"
TEXT = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: static}
spec:
  duration: 10m
  nodes: [{name: node, count: 2, staticPods: [STATIC]}, {name: other}]
  images: {"*": {pull: 2s, start: 300ms, stop: 1s}}
  timeline: TIMELINE
"""
PARTS = {
    "serviceaccounts": "serviceAccountName: x",
    "secrets": "imagePullSecrets: [{name: x}]",
    "configmaps": "volumes: [{name: v, configMap: {name: x}}]",
    "persistentvolumeclaims": "volumes: [{name: v, persistentVolumeClaim: {claimName: x}}]",
}


def scenario(static: str = POD, timeline: str = "[]", folder: Path | None = None) -> Any:
    return loads(TEXT.replace("STATIC", static).replace("TIMELINE", timeline), folder=folder)


def test_a_manifest_in_its_place_and_one_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "proxy.yaml").write_text(POD.replace("name: etcd}", "name: proxy}", 1))
    read = scenario(f"{POD}, manifests", folder=tmp_path)
    assert [m["metadata"]["name"] for m in read.static_pods("node-1")] == ["etcd", "proxy"]
    assert read.static_pods("other-0") == ()
    assert len(read.static_pods("node-1-r1")) == 2  # a machine that takes the place of another is made like it
    cluster = Cluster(read, seed=1, keep_history=False)
    cluster.sim.clock.run(10 * SECOND)
    names = ["etcd-node-0", "etcd-node-1", "proxy-node-0", "proxy-node-1"]
    assert sorted(p.name for p in cluster.server.list(Pod)) == names


@pytest.mark.parametrize("resource", PARTS)
def test_they_may_not_refer_to_what_only_the_api_server_has(resource: str) -> None:
    with pytest.raises(ScenarioError, match=f"static pods may not reference {resource}"):
        scenario(POD.replace("spec: {", f"spec: {{{PARTS[resource]}, "))


def test_they_are_checked_as_ever() -> None:
    with pytest.raises(ScenarioError, match="is not a pod"):
        scenario("{apiVersion: v1, kind: Service, metadata: {name: x}}")
    with pytest.raises(ScenarioError, match="no such file"):
        scenario("nowhere.yaml")
    with pytest.raises(ScenarioError, match="imagee"):
        scenario(POD.replace("image:", "imagee:"))


def test_a_sweep_reaches_nodes_with_static_pods(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = TEXT.replace("STATIC", POD).replace("TIMELINE", "[]") + "  sweep: {spec.seed: [1, 2]}\n"
    path.write_text(text)
    assert [len(v.scenario.static_pods("node-0")) for v in load_variants(path)] == [1, 1]


def test_what_a_cluster_does_with_them() -> None:
    """A drain passes mirrors over; with a deleted node they go, and come again with it, while the containers run on."""
    timeline = """
  - {at: 10s, kubectl: drain node-0}
  - {at: 20s, kubectl: delete node node-1}
  - {at: 3m, fault: node-crash, node: node-0, for: 6m}
  - {at: 4m, fault: kubelet-restart, node: node-1}"""
    result = Cluster(scenario(timeline=timeline), seed=1).run()
    pods = [r for r in result.log if r.kind == "Pod"]

    def times(name: str, event: str) -> list[float]:
        return [r.t / SECOND for r in pods if (r.name, r.event) == (name, event)]

    assert next(r.detail["code"] for r in result.log if r.kind == "Command" and r.event == "Done") == 0
    assert times("etcd-node-0", "Deleted") == []  # neither the drain nor the taint of the dead node
    assert len(times("etcd-node-0", "NotReady")) == 1
    (gone,), (_, back) = times("etcd-node-1", "Deleted"), times("etcd-node-1", "Created")
    assert 20 < gone < 21
    assert 241 < back < 242
    ran = [r.event for r in result.log if r.kind == "Container" and r.name == "etcd-node-1"]
    assert ran == ["Started"]


def test_a_mirror_of_a_dump_has_its_static_pod() -> None:
    folder = Path(__file__).parent.parent / "cluster"
    text = TEXT.replace("nodes: [{name: node, count: 2, staticPods: [STATIC]}, {name: other}]", "include: [dump.yaml]")
    step = "[{at: 30s, kubectl: delete pod kube-proxy-ip-3 -n kube-system}]"
    cluster = Cluster(loads(text.replace("TIMELINE", step), folder=folder), seed=1, keep_history=False)
    before = cluster.server.get(Pod, "kube-system", "kube-proxy-ip-3")
    cluster.sim.clock.run(60 * SECOND)
    after = cluster.server.get(Pod, "kube-system", "kube-proxy-ip-3")
    assert after.uid != before.uid
    (is_now,), (was,) = after.status.container_statuses, before.status.container_statuses
    assert (is_now.container_id, is_now.ready) == (was.container_id, True)
    assert not [r for r in cluster.sim.trace if r.kind == "Container" and r.name == "kube-proxy-ip-3"]


def test_a_manifest_is_changed_by_a_step_of_the_timeline() -> None:
    timeline = """
  - {at: 30s, fault: static-pod-change, node: node-0, manifest: etcd, image: "etcd:4"}
  - {at: 30s, fault: static-pod-change, node: node-1}
  - {at: 30s, fault: static-pod-change, node: other-0, manifest: etcd}"""
    cluster = Cluster(scenario(timeline=timeline), seed=1)
    result = cluster.run()
    (pod,) = cluster.server.list(Pod)
    assert (pod.name, pod.status.container_statuses[0].image) == ("etcd-node-0", "etcd:4")
    codes = {r.detail["step"]: r.detail["code"] for r in result.log if (r.kind, r.event) == ("Command", "Done")}
    assert codes == {0: 0, 1: 0, 2: 1}
