"""Frames against small clusters in which everything that they count happens once or twice."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest

from k8sim.metrics import Metrics
from tests.workload.small_cluster import EMPTY_DIR, run

RETAIN = """
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: kept}
provisioner: ebs.csi.aws.com
reclaimPolicy: Retain
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: spare}
spec: {storageClassName: kept, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


@cache
def a_node_dies() -> Metrics:
    """Two pods on two nodes and a node to spare; one of the two loses power for good, and its pod is forced away."""
    _, metrics = run(
        "  timeline:\n"
        "    - {at: 2m, fault: node-crash, node: home-0}\n"
        "    - {at: 9m, kubectl: delete pod db-0 --force --grace-period=0}\n"
        "    - {at: 3m, kubectl: taint nodes other-0 later-}\n",
        nodes="[{name: home, count: 1}, {name: other, count: 1, taints: [{key: later, effect: NoSchedule}]}]",
    )
    return metrics


def only(frame: pd.DataFrame, **where: object) -> pd.Series:
    for key, value in where.items():
        frame = frame[frame[key] == value]
    assert len(frame) == 1, frame
    return frame.iloc[0]


def test_how_long_each_step_of_a_lost_node_takes() -> None:
    """Noticed 40 to 55 s after the last heartbeat, evicted 300 s later, detached by force after 6 min: A5."""
    phases = a_node_dies().phases
    took = {phase: list(group.duration_s) for phase, group in phases.groupby("phase")}
    assert 35 <= took["detect"][0] <= 56
    assert 299 <= took["evict"][0] <= 301
    assert took["terminate"][0] == pytest.approx(9 * 60 - (120 + took["detect"][0] + took["evict"][0]), abs=1)
    assert (len(took["attach"]), len(took["detach"]), len(took["pull"])) == (2, 1, 2)
    assert len(took["schedule"]) == len(took["start"]) == len(took["ready"]) == 2
    assert max(took["start"]) > 360  # the second start waits for the volume


def test_disruptions_count_once_by_their_first_cause() -> None:
    disruptions = a_node_dies().disruptions
    first = only(disruptions, inc=1)
    assert (first["name"], first["type"], first["cause"], first["time_s"]) == ("db-0", "involuntary", "node lost", 120)


def test_availability_of_a_pod_and_of_its_set() -> None:
    """Away from when the node is given up, which is when Kubernetes knows of it."""
    m = a_node_dies()
    pod, whole = (only(m.availability, name="db-0", kind="Pod"), only(m.availability, kind="StatefulSet", what="all"))
    assert pod["down_s"] == pytest.approx(whole["down_s"])
    assert pod["availability"] == pytest.approx(1 - pod["down_s"] / (1200 - first_ready(m)), abs=1e-4)
    assert only(m.availability, kind="StatefulSet", what="majority")["down_s"] == pytest.approx(whole["down_s"])


def first_ready(m: Metrics) -> float:
    phases = m.phases[(m.phases.name == "db-0") & (m.phases.inc == 1)].set_index("phase").duration_s
    return float(phases["schedule"] + phases["start"] + phases["ready"])


@cache
def busy() -> Metrics:
    """Restarts, a rollout that never ends, a scale down, a claim that is given up."""
    _, metrics = run(
        "  applications: [{name: db, statefulSet: db, preset: shards, writes: 90/s, start: 30s, bandwidth: 1Mi}]\n"
        "  timeline:\n"
        "    - {at: 1m, fault: container-exit, pod: db-0}\n"
        "    - {at: 2m, fault: container-exit, pod: db-0}\n"
        "    - {at: 3m, fault: container-exit, pod: db-2}\n"
        "    - {at: 5m, kubectl: rollout restart statefulset/db}\n"
        "    - {at: 8m, kubectl: set image statefulset/db db=stuck:1}\n"
        "    - {at: 15m, kubectl: delete pvc spare}\n",
        replicas=3,
        volume=EMPTY_DIR,
        images='  images: {"stuck:*": {ready: never}, "*": {ready: 1s, stop: 1s}}\n',
        more=RETAIN,
    )
    return metrics


def test_restarts_are_containers_started_again() -> None:
    assert dict(busy().restarts.set_index("name").restarts) == {"db-0": 2, "db-1": 0, "db-2": 1}


def test_rollouts_and_who_blocks_them() -> None:
    done, stuck = busy().rollouts.to_dict("records")
    assert done["start_s"] == pytest.approx(300, abs=1)
    assert 5 < done["duration_s"] < 60
    assert done["end_s"] == pytest.approx(done["start_s"] + done["duration_s"])
    assert stuck["start_s"] == pytest.approx(480, abs=1)
    assert pd.isna(stuck["end_s"])
    assert stuck["duration_s"] == pytest.approx(1200 - stuck["start_s"])
    assert "db-2" in stuck["blocked_by"]


def test_storage_that_nobody_has() -> None:
    leaked = only(busy().leaked_storage)
    assert leaked["claim"] == "spare"
    assert leaked["since_s"] == pytest.approx(900, abs=2)


def test_members_of_a_sharded_application_have_both_clocks() -> None:
    clocks = busy().clocks
    assert set(clocks.clock) == {"ready", "in-sync"}
    for member in ("db-0", "db-1", "db-2"):
        ready, in_sync = (clocks[(clocks.member == member) & (clocks.clock == c)] for c in ("ready", "in-sync"))
        assert len(in_sync) >= 2
        assert in_sync.start_s.iloc[0] < ready.start_s.iloc[0]  # a probe comes after the start


def test_copies_of_each_shard() -> None:
    copies = busy().copies
    assert set(copies.shard) == {0, 1, 2}
    assert set(copies.wanted) == {1}
    assert set(copies.full) == {0, 1}


def test_a_set_without_a_majority_and_who_took_it_away() -> None:
    m = a_node_dies()
    outage = only(m.outages, kind="StatefulSet")
    assert (outage["what"], outage["reason"]) == ("majority", "0 of 1 Ready, 1 needed")
    assert outage["cause"].startswith("node-crash")
    assert outage["duration_s"] == pytest.approx(only(m.availability, kind="StatefulSet", what="majority")["down_s"])


def test_requests_that_fail_and_why() -> None:
    service = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: db}, ports: [{port: 80}]}
"""
    _, m = run(
        "  traffic: [{name: clients, to: web, rate: 10/s, start: 1m}]\n"
        "  timeline: [{at: 3m, fault: container-exit, pod: db-0}]\n",
        volume=EMPTY_DIR,
        more=service,
    )
    outages = m.outages[m.outages.kind == "Stream"]
    assert list(outages.reason) == ["refused", "no-endpoint"]  # the proxy hears of it when the process is back
    assert outages.start_s.iloc[0] == 180
    assert all(cause.startswith("container-exit") for cause in outages.cause)
    last = m.requests.iloc[-1]
    assert last["refused"] + last["no-endpoint"] == pytest.approx(10 * outages.duration_s.sum())
