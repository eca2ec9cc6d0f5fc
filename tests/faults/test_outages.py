"""Outages in a whole cluster: what they start, and what they leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import loads

SET = """
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}
      containers:
        - {name: app, image: "app:v1", readinessProbe: {exec: {command: [check, ready]}, periodSeconds: 1}}
"""


def play(
    duration: str, *steps: str, seed: int = 1, more: str = "", spec: str = ""
) -> list[tuple[float, str, str, str, dict[str, Any]]]:
    timeline = "\n".join(f"    - {{{step}}}" for step in steps)
    text = f"""
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: outage}}
spec:
  duration: {duration}
  nodes: [{{name: node, count: 2}}]
  images: {{"*": {{ready: 1s, stop: 1s}}}}
  timeline:
{timeline}
{spec}
"""
    return Cluster(loads(text + SET + more), seed=seed).run().public_trace()


def times(trace: list[Any], kind: str, event: str, **detail: Any) -> list[float]:
    return [
        t for t, k, _, e, d in trace if (k, e) == (kind, event) and all(d.get(key) == v for key, v in detail.items())
    ]


def test_a_restart_of_the_controller_manager_begins_the_countdown_of_an_eviction_anew() -> None:
    """workloads.md 4.13, statement 10."""
    crash = "at: 20s, fault: node-crash, node: node-0"
    restart = "at: 200s, fault: controller-manager-restart, for: 0s"
    plain = times(play("8m", crash), "Pod", "Terminating", grace=30)
    trace = play("10m", crash, restart)
    [late] = times(trace, "Pod", "Terminating", grace=30)
    assert 20 + 40 + 300 <= plain[0] <= 20 + 60 + 301
    assert 500 <= late <= 502
    assert len(times(trace, "Node", "Tainted", effect="NoExecute")) == 2


def test_an_outage_of_the_api_server_kills_nothing_and_is_caught_up_with() -> None:
    """Storage.md 9.3: running workloads do not need the control plane."""
    trace = play(
        "4m",
        "at: 20s, fault: apiserver-outage, for: 70s",
        "at: 30s, fault: container-exit, pod: web-0, code: 3",
        "at: 40s, kubectl: scale sts/web --replicas=3",
        "at: 200s, kubectl: scale sts/web --replicas=3",
    )
    assert not times(trace, "Node", "Unknown")
    assert not times(trace, "Pod", "Terminating")
    [late] = times(trace, "Pod", "Exited", code=3)
    assert 90 <= late <= 92  # the restart happened at once, its report waited
    codes = [d["code"] for _, k, name, _, d in trace if (k, name) == ("Command", "kubectl")]
    assert codes == [1, 0]
    assert [round(t) for t in times(trace, "Pod", "Created")][-1] == 200


def test_without_controllers_nothing_is_replaced() -> None:
    trace = play(
        "3m",
        "at: 20s, fault: controller-manager-restart, for: 60s",
        "at: 30s, kubectl: delete pod web-0 --wait=false",
    )
    [_, _, replaced] = times(trace, "Pod", "Created")
    assert 80 <= replaced <= 81


def test_pods_of_deployments_are_named_as_the_trace_names_them() -> None:
    deployment = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template: {metadata: {labels: {app: api}}, spec: {containers: [{name: app, image: "app:v1"}]}}
"""
    trace = play(
        "40s",
        "at: 10s, fault: container-exit, pod: 'api:1:1', code: 5",
        "at: 20s, evict: 'api:1:1'",
        "at: 30s, kubectl: 'delete pod api:1:2 --wait=false'",
        more=deployment,
    )
    assert [d["code"] for _, k, _, _, d in trace if k == "Command"] == [0, 0, 0]
    exits = [(name, d["code"]) for _, k, name, e, d in trace if (k, e) == ("Pod", "Exited")]
    assert exits[0] == ("api:1:1", 5)
    assert next(name for _, k, name, e, _ in trace if (k, e) == ("Pod", "Terminating")) == "api:1:1"
    assert "api:1:3" in [name for _, k, name, e, _ in trace if (k, e) == ("Pod", "Created")]


def test_a_shutdown_in_order_lets_pods_go_elsewhere_at_once_if_kubelets_are_told_to() -> None:
    """workloads.md 4.13, statement 15."""
    shutdown = "at: 20s, fault: node-shutdown, node: node-0, for: 2m"
    graceful = "  cluster: {kubelet: {shutdownGracePeriod: 30s, shutdownGracePeriodCriticalPods: 10s}}"
    trace = play("3m", shutdown, spec=graceful)
    failed = [t for t, k, _, e, d in trace if (k, e, d.get("phase")) == ("Pod", "Phase", "Failed")]
    assert failed
    assert all(20 < t < 40 for t in failed)
    assert not times(play("3m", shutdown), "Pod", "Phase", phase="Failed")


PODS = """
---
apiVersion: v1
kind: Pod
metadata: {name: guaranteed}
spec:
  nodeName: node-0
  containers:
    - {name: app, image: "app:v1", resources: {limits: {cpu: "1", memory: 8Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: burstable}
spec:
  nodeName: node-0
  containers:
    - {name: app, image: "app:v1", resources: {requests: {memory: 4Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: best-effort}
spec:
  nodeName: node-0
  containers: [{name: app, image: "app:v1"}]
"""


@pytest.mark.parametrize(
    ("kills", "dead", "alive"),
    [
        (2, {"best-effort"}, {"burstable", "guaranteed"}),  # the other one is a pod of the set
        (3, {"best-effort", "burstable"}, {"guaranteed"}),
        (4, {"best-effort", "burstable", "guaranteed"}, set()),
    ],
)
def test_a_machine_without_memory_kills_by_class_of_service(kills: int, dead: set[str], alive: set[str]) -> None:
    """So many times within a moment, in which nothing restarts."""
    steps = [f"at: {20 + i / 20}s, fault: node-oom, node: node-0" for i in range(kills)]
    trace = play("25s", *steps, more=PODS)
    ends = [(name, d["code"], d["reason"]) for _, kind, name, event, d in trace if (kind, event) == ("Pod", "Exited")]
    assert {end[1:] for end in ends} == {(137, "OOMKilled")}
    names = [name for name, *_ in ends]
    assert len(names) == len(set(names)) == kills
    assert set(names) >= dead
    assert not set(names) & alive
    assert len(times(trace, "Pod", "Started", restart=1)) == kills


def test_a_machine_that_runs_nothing_kills_nothing() -> None:
    trace = play("5s", "at: 0s, fault: node-oom, node: node-0")
    [done] = [d for t, k, name, event, d in trace if event == "Done" and name == "node-oom"]
    assert done["code"] == 1
