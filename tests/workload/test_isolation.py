"""A machine that nobody reaches: its member, the clients beside it and those outside, and what a kubelet's partition
leaves as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workload.small_cluster import losses, of, run

WEB = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: db}, ports: [{port: 80}]}
"""


def fault(name: str, node: str, lasts: str = "2m") -> str:
    return f"  timeline: [{{at: 3m, fault: {name}, node: {node}, for: {lasts}}}]\n"


def application(preset: str) -> str:
    """Members on three nodes; pod 0, which leads, goes to node-0."""
    return f"  applications: [{{name: db, statefulSet: db, preset: {preset}, writes: 100/s, start: 60s}}]\n"


def home_of(rows: list[Any], pod: str) -> str:
    return next(str(d["node"]) for _, name, _, d in of(rows, "Pod", "Scheduled") if name == pod)


def home_of_leader(preset: str) -> str:
    """The node whose isolation cuts the leader off."""
    rows, _ = run(application(preset), replicas=3)
    leader = [d["member"] for *_, d in of(rows, "Application", "Leader")][-1]
    return home_of(rows, leader)


def test_an_isolated_primary_that_goes_on_is_a_split_brain_until_the_network_is_mended() -> None:
    node = home_of_leader("sentinel")
    rows, metrics = run(application("sentinel") + fault("node-isolation", node), replicas=3)
    ((writes, cause, _),) = losses(metrics)
    assert cause == "split-brain"
    assert writes == pytest.approx(50 * 120 + 100 * 0.1, rel=0.01)  # half of the clients for 2 min, and the lag
    (both,) = metrics.two_writers.to_dict("records")
    assert (both["what"], both["end_s"]) == ("leaders", 300)
    assert 210 <= both["start_s"] <= 211  # down-after-milliseconds 30000
    assert both["chain"].startswith("Step node-isolation Begins")
    outage = metrics.outages[(metrics.outages.what == "writes") & (metrics.outages.start_s > 60)].iloc[0]
    assert (outage.start_s, outage.reason) == (180, "the leader is cut off")
    assert outage.cause.startswith("node-isolation")
    assert [name for _, name, *_ in of(rows, "Member", "Diverged")] == [both["member"]]


@pytest.mark.parametrize("preset", ["raft", "primary-replica"])
def test_where_one_that_is_cut_off_gives_way_there_are_never_two(preset: str) -> None:
    node = home_of_leader(preset)
    _, metrics = run(application(preset) + fault("node-isolation", node), replicas=3)
    assert metrics.two_writers.empty
    assert {cause for _, cause, _ in losses(metrics)} == ({"failover"} if preset == "primary-replica" else set())


def test_near_miss_a_partition_of_the_kubelet_alone_does_not_cut_members_off() -> None:
    node = home_of_leader("sentinel")
    rows, metrics = run(application("sentinel") + fault("node-partition", node), replicas=3)
    assert losses(metrics) == []
    assert len(of(rows, "Application", "Leader")) == 1
    assert not [o for o in metrics.outages.itertuples() if o.kind == "Application" and o.start_s > 60]


def test_clients_outside_get_no_answer_until_the_endpoint_is_taken_away_and_those_beside_the_pod_are_served() -> None:
    """Node and endpoint are given up about 50 s after the last heartbeat; a proxy that is cut off keeps its rules."""
    traffic = (
        "  traffic:\n"
        "    - {name: outside, to: web, rate: 100/s, request: 200ms, start: 60s}\n"
        "    - {name: inside, to: web, rate: 100/s, request: 200ms, start: 60s, from: node-0}\n"
    )
    rows, metrics = run(traffic + fault("node-isolation", "node-0", "3m"), replicas=3, more=WEB)
    last = metrics.requests.groupby("stream").last()
    third = 100 / 3
    noticed = next(t for t, name, *_ in of(rows, "Node", "Unknown") if name == "node-0")
    assert last.loc["outside", "unanswered"] == pytest.approx(third * (noticed - 180), rel=0.05)
    assert last.loc["outside", "cut"] == pytest.approx(third * 0.2, rel=0.01)
    cuts = [d for _, name, _, d in of(rows, "Traffic", "Cut") if name == "outside"]
    assert [d["how"] for d in cuts] == ["network"]
    assert last.loc["inside", "unanswered"] == pytest.approx(2 * third * 180, rel=0.02)
    assert last.loc["inside", "cut"] == pytest.approx(2 * third * 0.2, rel=0.01)
    total = last[["served", "refused", "no-endpoint", "stale-address", "unanswered", "cut", "in-flight"]].sum(axis=1)
    assert list(total) == pytest.approx([100 * (1200 - 60)] * 2)


def test_a_pool_that_is_cut_off_notices_after_its_time_out() -> None:
    traffic = (
        "  traffic:\n"
        "    - {name: pool, to: web, rate: 100/s, request: 200ms, start: 60s, connections: {count: 30, timeout: 5s}}\n"
    )
    _, metrics = run(traffic + fault("node-isolation", "node-0", "1m"), replicas=3, more=WEB)
    last = metrics.requests.groupby("stream").last()
    third = 100 / 3
    assert last.loc["pool", "cut"] == pytest.approx(third * 0.2, rel=0.01)
    assert last.loc["pool", "stale-address"] == pytest.approx(third * 5, rel=0.02)
    assert last.loc["pool"].drop(["time_s", "namespace"]).sum() == pytest.approx(100 * (1200 - 60))
