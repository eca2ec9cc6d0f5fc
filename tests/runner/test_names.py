"""The names of metrics: what is measured bears them, they are known before a run, and a wrong one is explained."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.metrics import Metrics
from k8sim.result import Result
from k8sim.runner.experiment import Until, experiment
from k8sim.runner.measures import measure
from k8sim.runner.names import CAMPAIGNS, NAMES, UnknownMetric, check_metric, check_objectives, metric_names
from k8sim.scenario import ScenarioError, load, loads

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: named}
spec:
  duration: 2m
  namespace: shop
  nodes: [{name: node, count: 2}]
  images: {"*": {start: 1s, ready: 2s, stop: 1s}}
  applications: [{name: data, statefulSet: db, writes: 10/s}]
  traffic: [{name: users, to: db, rate: 5/s}]
  timeline:
    - {at: 50s, kubectl: delete pod db-0}
    - {at: 60s, kubectl: set image statefulset/db main=db:2}
  objectives:
    - OBJECTIVE
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
        - {name: main, image: "db:1", readinessProbe: {exec: {command: [a]}, periodSeconds: 1}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: other}
spec:
  selector: {matchLabels: {app: x}}
  template:
    metadata: {labels: {app: x}}
    spec: {containers: [{name: main, image: "x:1"}]}
"""


@cache
def run() -> Result:
    return Cluster(loads(SCENARIO.replace("OBJECTIVE", "db.availability > 0.1"))).run()


def test_what_is_measured_is_what_has_a_name() -> None:
    result = run()
    campaigns = {figure.name for figure in CAMPAIGNS}
    known = {name for name in metric_names(result.scenario) if name.rpartition(".")[2] not in campaigns}
    assert set(measure(result).numbers) == known
    assert {name.rpartition(".")[0] for name in known} == {"db", "other/db", "data", "users"}
    names = [(figure.of, figure.name) for figure in NAMES]
    assert len(names) == len(set(names))


def test_the_figures_are_those_of_the_metrics() -> None:
    numbers, metrics = measure(run()).numbers, Metrics.of(run())
    disruptions = metrics.disruptions[metrics.disruptions["workload"] == "db"]
    assert numbers["db.voluntary_disruptions"] == len(disruptions) == 2  # deleted, then updated
    rollouts = metrics.rollouts[metrics.rollouts["namespace"] == "shop"]
    assert numbers["db.rollouts"] == len(rollouts)
    assert numbers["db.longest_rollout_s"] == rollouts["duration_s"].max()
    assert 0 < numbers["db.no_endpoint_s"] < 60
    assert abs(numbers["db.no_endpoint_s"] - numbers["db.downtime_s"]) < 1  # one pod: ready is to have an endpoint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("db.availabilty", "did you mean db.availability?"),
        ("dbs.short_s", "did you mean db?"),
        ("data.availability", "data.read_availability"),
        ("zzz.writes_lost", "writes_lost is known of: data"),
        ("nonsense", "there are: data."),
    ],
)
def test_a_wrong_name_is_explained_where_it_stands(name: str, hint: str) -> None:
    text = SCENARIO.replace("OBJECTIVE", f"P({name} > 0) < 0.1")
    with pytest.raises(ScenarioError) as error:
        check_objectives(loads(text, "named.yaml"))
    line = next(number for number, row in enumerate(text.splitlines(), 1) if f"P({name}" in row)
    assert (error.value.file, error.value.line) == ("named.yaml", line)
    assert f"there is no metric {name!r}" in error.value.problem
    assert hint in str(error.value.hint)


def test_an_experiment_does_not_begin_with_a_wrong_name() -> None:
    scenario = loads(SCENARIO.replace("OBJECTIVE", "data.writes_lost < 1"))
    with pytest.raises(UnknownMetric, match=r"did you mean db.short_s"):
        experiment(scenario, 2, until=Until("db.shorts", 1.0))
    with pytest.raises(ScenarioError, match=r"there is no metric 'db.lost'"):
        experiment(loads(SCENARIO.replace("OBJECTIVE", "db.lost < 1")), 2)


def test_an_objective_about_data_is_judged() -> None:
    scenario = load(SCENARIOS / "async-failover-loses-writes.yaml")
    check_metric("pg.writes_lost_failover", scenario)
    text = (SCENARIOS / "async-failover-loses-writes.yaml").read_text()
    gated = text.replace("\nspec:\n", "\nspec:\n  objectives: [pg.writes_lost < 1]\n", 1)
    batch = experiment(loads(gated), 3)
    (judgement,) = batch.judgements()
    assert judgement.verdict == "fail"
    assert judgement.estimate is not None
    assert judgement.estimate.value == pytest.approx(500)
