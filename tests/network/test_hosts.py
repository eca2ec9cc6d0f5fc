"""Who is at an address: pods that are there, and nobody for whom they have gone."""

from __future__ import annotations

import pytest

from k8sim.cluster import Cluster
from k8sim.machines.machine import Machine
from k8sim.network.hosts import Host
from k8sim.scenario import loads

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  duration: 20m
  nodes: [{name: node, count: 2}]
  images: {"*": {ready: 1s}}
  traffic: [{name: clients, to: web, rate: 100/s, request: 100ms, start: 60s}]
  timeline: [STEPS]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: KIND
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {hostNetwork: NETWORK, containers: [{name: web, image: a, ports: [{containerPort: 80}]}]}
"""


def cluster(*steps: str, kind: str = "DaemonSet", network: bool = False) -> Cluster:
    text = SCENARIO.replace("STEPS", ", ".join(f"{{{step}}}" for step in steps)).replace("KIND", kind)
    return Cluster(loads(text.replace("NETWORK", str(network).lower())))


def hosts(cluster: Cluster) -> list[Host]:
    return cluster.workload.hosts.all()


RESTARTS = [f"at: {minute}m, kubectl: rollout restart daemonset/web" for minute in range(2, 17)]
CRASHES = [f"at: {minute}m, fault: node-crash, node: node-0, for: 60s" for minute in range(2, 17, 2)]


@pytest.mark.parametrize("steps", [RESTARTS, CRASHES])
@pytest.mark.parametrize("network", [False, True])
def test_only_pods_that_are_there_are_remembered(steps: list[str], network: bool) -> None:
    """Fifteen restarts later, and crashes after which a pod has another sandbox under the same UID."""
    ran = cluster(*steps, network=network)
    ran.run()
    assert len(hosts(ran)) == 2
    assert all(host.there for host in hosts(ran))
    assert len(ran.workload.hosts._by_uid) == 2


@pytest.mark.parametrize(("network", "reception"), [(False, None), (True, "refuses")])
def test_at_an_address_whose_pod_has_gone_is_nobody_or_the_machine_alone(network: bool, reception: str | None) -> None:
    ran = cluster("at: 3m, kubectl: delete daemonset web", network=network)
    ran.sim.clock.run(120 * 10**9)
    address = hosts(ran)[0].address
    here = ran.workload.hosts.at(address, {"app": "web"})
    assert here is not None
    assert here.reception(ran.sim.clock.now) == "answers"
    ran.run()
    assert not hosts(ran)
    left = ran.workload.hosts.at(address, {"app": "web"})
    assert (left.reception(ran.sim.clock.now) if left is not None else None) == reception


def test_a_machine_that_is_alone_at_its_address_refuses_only_while_it_is_on() -> None:
    machine = cluster().machines["node-0"]
    assert isinstance(machine, Machine)
    alone = Host(machine.host_ip, "", "", ("", "node-0"), machine, on_node=True, there=False)
    assert alone.reception(0) == "refuses"
    machine.crash()
    assert alone.reception(0) == "nobody"


def test_requests_to_a_pod_in_its_second_sandbox_are_cut_with_its_network() -> None:
    """After a crash of its node a pod has another sandbox, at another address; then the node is cut off."""
    ran = cluster(
        "at: 2m, fault: node-crash, node: node-0, for: 20s", "at: 5m, fault: node-isolation, node: node-0, for: 2m"
    )
    rows = [row for row in ran.run().log if row.kind == "Traffic" and row.event == "Cut"]
    assert [(row.t // 10**9, row.detail["how"]) for row in rows] == [(120, "machine lost"), (300, "network")]
    assert len({row.detail["pod"] for row in rows}) == 1, "the same pod"
