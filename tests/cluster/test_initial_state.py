"""A dump of a running cluster is where a run begins: nothing happens that would not have happened there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from k8sim.api.core import Pod
from k8sim.api.scheme import KINDS, _fields, encode
from k8sim.api.struct import Struct, Time
from k8sim.cluster import Cluster
from k8sim.initialstate import moment_of, shifted
from k8sim.scenario import Scenario, load, loads
from k8sim.sim.units import SECOND

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SPEC = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: from-a-cluster}
spec:
  duration: 15m
  namespace: shop
  include: [dump.yaml]
  images: {"api:*": {exit: {after: 2s, code: 1}}, "*": {ready: 3s, stop: 1s}}
"""
Rows = list[tuple[float, str, str, str, dict[str, Any]]]


def rows_of(scenario: Scenario) -> Rows:
    return Cluster(scenario, seed=1, keep_history=False).run().public_trace()


@pytest.fixture(scope="module")
def rows() -> Rows:
    return rows_of(loads(SPEC, folder=HERE))


def of(rows: Rows, kind: str, name: str, after: float = 0.0) -> list[tuple[float, str]]:
    return [(t, event) for t, k, n, event, _ in rows if (k, n) == (kind, name) and t > after]


def test_what_was_there_is_there_at_once(rows: Rows) -> None:
    first = {(kind, name, event) for t, kind, name, event, _ in rows if t == 0}
    assert {("Pod", "db-0", "Ready"), ("PersistentVolumeClaim", "data-db-1", "Bound")} <= first
    assert ("Pod", "db-1", "Ready") not in first


def test_a_healthy_pod_goes_on(rows: Rows) -> None:
    assert of(rows, "Pod", "db-0") == []
    assert of(rows, "Pod", "kube-proxy-ip-3") == []
    assert not [row for row in rows if row[0] > 0 and row[1].startswith("PersistentVolume")]


def test_nothing_is_rolled_out(rows: Rows) -> None:
    assert not [row for row in rows if row[0] > 0 and row[1:4:2] == ("Pod", "Created")]


def test_a_node_that_was_lost_is_without_power_and_its_eviction_is_counted_anew(rows: Rows) -> None:
    """A new controller-manager strips the NoExecute taint; the toleration runs from its return (workloads.md 4.4)."""
    [(back, _)] = [(t, e) for t, e in of(rows, "Node", "ip-2") if e == "Tainted"]
    [(ends, _)] = [(t, e) for t, e in of(rows, "Pod", "db-1") if e == "Terminating"]
    assert ends - back == pytest.approx(300, abs=1)
    assert "Deleted" not in {event for _, event in of(rows, "Pod", "db-1")}


def test_a_container_in_its_back_off_starts_with_the_next_restart_count(rows: Rows) -> None:
    starts = [d["restart"] for t, k, _, e, d in rows if k == "Pod" and e == "Started" and d["container"] == "api"]
    assert starts[:3] == [32, 33, 34]


def test_a_cordoned_node_takes_no_pods() -> None:
    text = SPEC.replace(
        "duration: 15m", "duration: 2m\n  timeline: [{at: 10s, kubectl: scale deploy/api --replicas=3}]"
    )
    rows = rows_of(loads(text, folder=HERE))
    assert [row[4]["node"] for row in rows if row[1:4:2] == ("Pod", "Scheduled") and row[0] > 0] == ["ip-1", "ip-1"]


@pytest.mark.parametrize("owner", ["StatefulSet", "ReplicaSet"])
def test_an_owner_that_is_not_in_the_dump_is_told_and_not_taken_for_deleted(owner: str, tmp_path: Path) -> None:
    document = yaml.safe_load((HERE / "dump.yaml").read_text())
    document["items"] = [item for item in document["items"] if item["kind"] != owner]
    (tmp_path / "dump.yaml").write_text(yaml.safe_dump(document))
    scenario = loads(SPEC, folder=tmp_path)
    assert [note for note in scenario.not_simulated if note.what.startswith(owner)]
    rows = rows_of(scenario)
    assert not [row for row in rows if row[1] == "Pod" and row[3] == "Deleted"]


def test_a_pod_of_the_host_network_is_at_its_nodes_address_from_the_beginning() -> None:
    cluster = Cluster(loads(SPEC.replace("15m", "1s"), folder=HERE), seed=1, keep_history=False)
    cluster.run()
    pod = cluster.server.get(Pod, "kube-system", "kube-proxy-ip-3")
    assert pod.status.pod_ip == pod.status.host_ip == cluster.machines["ip-3"].host_ip


@pytest.mark.parametrize("data", [{"spec": None}, {"spec": {"template": {"spec": {"containers": "x"}}}}])
def test_a_damaged_revision_is_one_that_nobody_rolls_back_to(data: object, tmp_path: Path) -> None:
    document = yaml.safe_load((HERE / "dump.yaml").read_text())
    damaged = [item for item in document["items"] if item["kind"] == "ControllerRevision"]
    document["items"].append({**damaged[0], "metadata": {**damaged[0]["metadata"], "name": "db-old"}, "data": data})
    (tmp_path / "dump.yaml").write_text(yaml.safe_dump(document))
    rows = rows_of(loads(SPEC.replace("15m", "1m"), folder=tmp_path))
    assert of(rows, "Pod", "db-0") == []


def test_exported_manifests_without_pods_or_nodes_are_applied() -> None:
    document = yaml.safe_load((HERE / "dump.yaml").read_text())
    document["items"] = [
        item for item in document["items"] if item["kind"] in ("StatefulSet", "Service", "StorageClass")
    ]
    scenario = loads(SPEC.replace("  include: [dump.yaml]\n", "") + "---\n" + yaml.safe_dump(document))
    assert not scenario.state
    assert [(t > 0, e) for t, e in of(rows_of(scenario), "Pod", "db-0") if e == "Created"] == [(True, "Created")]


def test_the_latest_time_of_a_dump_is_its_moment_and_all_times_count_from_it() -> None:
    dump = {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:10Z", "deletionTimestamp": "2026-01-01T00:01:00Z"},
        "managedFields": [{"time": "2026-01-01T00:00:20Z"}],
        "status": {"conditions": [{"lastTransitionTime": "2026-01-01T00:00:15Z", "message": "2027"}]},
    }
    assert moment_of([dump]) == 20 * SECOND
    assert shifted(dump, 20 * SECOND) == {
        "metadata": {"creationTimestamp": -10 * SECOND, "deletionTimestamp": 40 * SECOND},
        "status": {"conditions": [{"lastTransitionTime": -5 * SECOND, "message": "2027"}]},
    }


def test_a_text_that_looks_like_a_time_stays_what_it_is() -> None:
    dump = {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:10Z", "name": "a"},
        "spec": {
            "containers": [
                {"args": ["2036-01-01T00:00:00Z"], "env": [{"name": "END", "value": "2036-01-01T00:00:00Z"}]}
            ]
        },
        "data": {"expiryTime": "2036-01-01T00:00:00Z"},
    }
    assert moment_of([dump]) == 10 * SECOND
    moved = shifted(dump, 10 * SECOND)
    assert (moved["spec"], moved["data"]) == (dump["spec"], dump["data"])


def test_contents_of_snapshots_count_from_1970() -> None:
    """VolumeSnapshotContent status.creationTime is an integer (ns); 1767225600 s are 2026-01-01T00:00:00Z."""
    content = {"status": {"creationTime": (1_767_225_600 + 5) * SECOND}}
    assert moment_of([content]) == 5 * SECOND
    assert shifted(content, 20 * SECOND) == {"status": {"creationTime": -15 * SECOND}}


def test_every_field_that_holds_a_time_is_shifted() -> None:
    names = {name for cls in (*KINDS, *structs_of(*KINDS)) for name, (_, hint) in _fields(cls).items() if is_time(hint)}
    assert len(names) >= 15
    text = "2026-01-01T00:00:30Z"
    assert shifted(dict.fromkeys(sorted(names), text), 10 * SECOND) == dict.fromkeys(sorted(names), 20 * SECOND)


def test_what_has_lost_its_namespace_is_in_that_of_the_scenario(tmp_path: Path) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "1"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "2"}}
    pod["spec"] = {"nodeName": "n1", "containers": [{"name": "c", "image": "c"}]}
    (tmp_path / "dump.yaml").write_text(yaml.safe_dump_all([node, pod]))
    stored = {m["kind"]: m["metadata"].get("namespace") for m in loads(SPEC, folder=tmp_path).state}
    assert stored == {"Node": None, "Pod": "shop"}


def is_time(hint: Any) -> bool:
    return hint in (Time, Time | None)


def structs_of(*classes: Any) -> set[type[Struct]]:
    """Return all structs that are part of some, at any depth."""
    found: set[type[Struct]] = set()
    left = list(classes)
    while left:
        hint = left.pop()
        if isinstance(hint, type) and issubclass(hint, Struct) and hint not in found:
            found.add(hint)
            left += [field for _, field in _fields(hint).values()]
        else:
            left += get_args(hint)
    return found


def dumped(cluster: Cluster) -> str:
    items = [encode(obj) for cls in KINDS for obj in cluster.server.list(cls)]
    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.mark.parametrize(
    ("name", "at_s"),
    [("zookeeper-drain", 200), ("web-rolling-update", 100), ("restore-from-snapshot", 60), ("web-canary", 200)],
)
def test_a_dump_of_our_own_cluster_goes_on_where_it_was(name: str, at_s: int, tmp_path: Path) -> None:
    scenario = load(ROOT / "scenarios" / f"{name}.yaml")
    cluster = Cluster(scenario, seed=1, keep_history=False)
    cluster.sim.clock.run(at_s * SECOND)
    (tmp_path / "dump.yaml").write_text(dumped(cluster))
    resumed = loads(SPEC.replace("shop", scenario.namespace), folder=tmp_path)
    changes = [row for row in rows_of(resumed) if row[0] > 0 and row[1] in ("Pod", "PersistentVolumeClaim", "Node")]
    assert not changes
