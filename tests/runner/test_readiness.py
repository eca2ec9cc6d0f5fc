"""What batches count of a workload's outages is what the tables of a run tell one by one."""

from __future__ import annotations

import math

import pytest

from k8sim.cluster import Cluster
from k8sim.metrics import Metrics
from k8sim.result import Result
from k8sim.runner.readiness import readiness
from k8sim.scenario import loads

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: slow-start}
spec:
  duration: 10m
  nodes: [{name: node, count: 3}]
  images: {"db:1": {start: 1s, ready: 60s, stop: 20s}}
  timeline:
    - STEPS
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1", readinessProbe: {exec: {command: [a]}, periodSeconds: 1}}]}
"""
DELETED = "{at: 150s, kubectl: delete pod db-0 --wait=false}"
"""While the last of the three starts."""


def run(*steps: str) -> Result:
    return Cluster(loads(SCENARIO.replace("STEPS", "\n    - ".join(steps))), seed=1).run()


@pytest.mark.parametrize(
    "steps",
    [
        (DELETED,),
        (DELETED, "{at: 400s, kubectl: scale sts db --replicas=5}", "{at: 500s, kubectl: delete pod db-1 db-2}"),
        (DELETED, "{at: 300s, fault: node-crash, node: node-1}", "{at: 320s, fault: node-crash, node: node-2}"),
    ],
)
def test_batches_and_tables_of_a_run_agree_on_outages(steps: tuple[str, ...]) -> None:
    result = run(*steps)
    found, metrics = readiness(result), Metrics.of(result)
    outages = metrics.outages[metrics.outages["name"] == "db"]
    of_set = metrics.availability[(metrics.availability["kind"] == "StatefulSet")].set_index("what")
    assert found.lists["db.outage_s"] == pytest.approx(tuple(outages["duration_s"]))
    assert found.numbers["db.outages"] == len(outages) >= 1
    assert found.numbers["db.downtime_s"] == pytest.approx(of_set.loc["majority", "down_s"])
    assert found.numbers["db.availability"] == pytest.approx(of_set.loc["majority", "availability"])
    assert found.numbers["db.longest_outage_s"] == pytest.approx(outages["duration_s"].max())


def test_an_outage_before_all_pods_are_ready_counts_from_when_one_is_asked_to_go() -> None:
    """It answers for 20 s more, but no Service sends anybody to it."""
    result = run(DELETED)
    [outage] = readiness(result).lists["db.outage_s"]
    [row] = Metrics.of(result).outages.itertuples()
    assert row.start_s == pytest.approx(150, abs=0.5)
    assert outage == pytest.approx(3 * 61 - 150, abs=5)  # until the third is Ready
    assert readiness(result).numbers["db.ready_s"] > row.end_s


def test_a_set_that_is_never_complete_has_an_availability() -> None:
    numbers = readiness(run("{at: 130s, kubectl: scale statefulset db --replicas=12}")).numbers
    assert math.isnan(numbers["db.ready_s"])
    assert math.isnan(numbers["db.short_s"])
    assert 0 < numbers["db.availability"] < 1
