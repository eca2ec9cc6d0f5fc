"""Every time in which an application of a scenario cannot be written to has the causes that the scenario tells of."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from k8sim.cluster import Cluster
from k8sim.metrics import Metrics
from k8sim.scenario import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"


class Outage(NamedTuple):
    """Of whom, between which times it begins, what is missing, who did it, what came in between, who waits for what."""

    name: str
    begins: tuple[float, float]
    reason: str
    cause: str
    chain: str
    waits: str = ""


START = (0, 60)
CASES = {
    "async-failover-loses-writes": [
        Outage("pg", (300, 300), "no leader", "node-crash", "Step node-crash Begins > Container pg-0 Lost"),
    ],
    "empty-primary-reborn": [
        Outage("redis", (301, 303), "no leader", "kubectl delete pod redis-0", "> Container redis-0 Exited"),
    ],
    "etcd-quorum-under-drain": [
        Outage("bare", START, "no majority: 1 of 3", "Pod bare", "Scheduled > Container bare"),
        Outage("bare", (120, 125), "no leader", "kubectl drain old-1", "Terminating > Container bare-0 Exited"),
        Outage("guarded", START, "no majority: 1 of 3", "Pod guarded", "Scheduled > Container guarded"),
        Outage("guarded", (120, 180), "no leader", "kubectl drain old-0", "> Container guarded-0 Exited"),
    ],
    "kafka-drain-outruns-replication": [
        Outage("kafka", START, "1 in sync, at least 2 needed", "Pod kafka", "Container kafka-0 Started"),
        Outage("kafka", (370, 380), "1 in sync, at least 2 needed", "kubectl drain old-1", "Pod kafka-2 Terminating"),
    ],
    "cold-start-deadlock": [
        Outage("published", START, "no majority: 0 of 3", "", "", "no name"),
        Outage("rabbit", START, "no majority: 0 of 3", "", "", "rabbit-0: 1 of 2 members found; no name: rabbit-1"),
        Outage("parallel", START, "no majority: 0 of 3", "", "", "no name: parallel-1, parallel-2"),
    ],
    "service-created-after-pods": [
        Outage("waits", START, "no copy is there", "", "", "waits-0: the container was started without"),
        Outage("exits", START, "no copy is there", "", "", "exits-0: the container was started without"),
    ],
}  # fmt: skip


@cache
def metrics_of(name: str) -> Metrics:
    return Metrics.of(Cluster(load(SCENARIOS / f"{name}.yaml"), keep_history=False).run())


@pytest.mark.parametrize("scenario", CASES)
def test_outages_and_their_causes(scenario: str) -> None:
    outages = metrics_of(scenario).outages
    found = outages[outages.what == "writes"].to_dict("records")
    assert [o["name"] for o in found] == [c.name for c in CASES[scenario]]
    for outage, case in zip(found, CASES[scenario], strict=True):
        assert case.begins[0] <= outage["start_s"] <= case.begins[1]
        assert outage["reason"].startswith(case.reason)
        assert outage["cause"].startswith(case.cause)
        assert case.chain in outage["chain"]
        assert case.waits in outage["held_up_by"]
        assert bool(case.waits) == bool(outage["held_up_by"])


def test_a_drain_that_takes_two_of_three_costs_the_quorum_and_a_budget_saves_it() -> None:
    quorum = metrics_of("etcd-quorum-under-drain").quorum
    (lost,) = quorum.to_dict("records")
    assert lost["application"] == "bare"
    assert lost["reason"].startswith("no majority: 1 of 3")
    assert lost["chain"].startswith("Step kubectl Begins > Pod bare-1 Terminating")
    assert 15 < lost["duration_s"] < 40
