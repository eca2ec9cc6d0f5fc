"""The campaign model against the full engine: a node crashes and returns, a StatefulSet of 3 has zonal disks.

The campaign counts from the crash, the API from when it has noticed it; so the campaign's outage less its own time of
detection is compared with how long the pod was not Ready. What the campaign leaves out (the kubelet's start, mounting,
the period of the readiness probe, API calls) is the tolerance: 20 s, of outages of 3 and 20 minutes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from k8sim.cluster import Cluster
from k8sim.lockstep.campaign import Campaign
from k8sim.lockstep.reference import Reference
from k8sim.runner.experiment import experiment
from k8sim.runner.measures import measure
from k8sim.scenario import loads
from k8sim.scenario.loader import load_variants
from k8sim.sim.distributions import Constant, Uniform
from k8sim.sim.units import MINUTE, SECOND

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: agreement}
spec:
  duration: 40m
  nodes: [{name: node, count: 3, zones: [a, b, c]}]
  images: {"*": {start: 1s, ready: 3s, stop: 1s}}
  timeline: [{at: 2m, fault: node-crash, node: node-0, for: MINUTESm}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: zonal}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
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
    spec:
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}
      containers:
        - name: db
          image: "db:v1"
          readinessProbe: {exec: {command: [check]}, periodSeconds: 1}
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: zonal, resources: {requests: {storage: 1Gi}}}
"""
REPLICATES = 8


def away_in_the_full_engine(minutes: int) -> list[float]:
    scenario = loads(SCENARIO.replace("MINUTES", str(minutes)))
    away = [measure(Cluster(scenario, replicate=r).run()).lists["db.away_s"] for r in range(REPLICATES)]
    assert all(len(lengths) == 1 for lengths in away)
    return [lengths[0] for lengths in away]


def away_in_the_campaign(minutes: int) -> list[float]:
    """One pod on the one node of its zone is what anti-affinity and zonal disks leave of the set."""
    nothing = Constant(0)
    campaign = Campaign(
        node_zone=(0,), replicas=1, horizon_ns=(2 + minutes) * MINUTE + 90 * SECOND, start=Constant(4 * SECOND),
        catch_up=nothing, rebuild=nothing, stop=Constant(SECOND), attach=Uniform(2 * SECOND, 6 * SECOND),
        detach=Uniform(2 * SECOND, 6 * SECOND), maintenance=nothing, replace=nothing, restore=nothing,
        node_outage=Constant(minutes * MINUTE), zone_outage=nothing, node_life=Constant(2 * MINUTE),
    )  # fmt: skip
    away = []
    for replicate in range(REPLICATES):
        run = Reference(campaign, 0, replicate)
        crash, noticed = 2 * MINUTE, []
        power_changed = run.power_changed

        def watched(n: int, run: Reference = run, noticed: list[int] = noticed, change: object = power_changed) -> None:
            change(n)  # type: ignore[operator]
            if not run.alive[n]:
                noticed.append(run.detected[n])

        run.power_changed = watched  # type: ignore[method-assign]
        figures = run.run()
        away.append((figures.longest_ns - (noticed[0] - crash)) / SECOND)
    return away


@pytest.mark.parametrize("minutes", [3, 20])
def test_outages_agree(minutes: int) -> None:
    full, campaign = away_in_the_full_engine(minutes), away_in_the_campaign(minutes)
    assert abs(np.mean(full) - np.mean(campaign)) < 20
    assert abs(np.std(full) - np.std(campaign)) < 5


def test_a_planned_rollout_agrees() -> None:
    """Each pod is away for what its container takes; the kubelet, mounting and the probe add a few seconds to that."""
    crash = "fault: node-crash, node: node-0, for: MINUTESm"
    scenario = loads(SCENARIO.replace(crash, "kubectl: rollout restart statefulset/db"))
    full, campaign = (experiment(scenario, 4, engine=engine).frame for engine in ("simpy", "lockstep"))
    for metric, value in (("db.pods", 6), ("db.outages", 0)):
        assert full[metric].tolist() == campaign[metric].tolist() == [value] * 4
    assert np.all((full["db.short_s"] - campaign["db.short_s"]).between(0, 3 * 5))


@pytest.mark.slow
def test_means_agree() -> None:
    """The whole cluster's 99 % intervals of what six hours of node crashes do hold the campaign's means."""
    variants = load_variants(SCENARIOS / "toleration-seconds.yaml")
    full, campaign = experiment(variants, 60, engine="simpy"), experiment(variants, 4000, engine="lockstep")
    for few, many in zip(full.results, campaign.results, strict=True):
        for metric in ("db.pods", "db.restarts", "db.short_s"):
            interval = few.series[metric].mean(0.99)
            assert interval.low < many.series[metric].mean().value < interval.high, (few.variant.label, metric)
