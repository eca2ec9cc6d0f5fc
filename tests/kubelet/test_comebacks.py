"""What differs between the ways in which a kubelet comes back, all in one table (node.md 2.8, 5.1, 5.2, 5.4).

One node with a pod for each question goes through each of them at 100 s; what is so at the end is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import pytest

from k8sim.api.core import ContainerStatus, Node, Pod
from k8sim.api.meta import condition_of
from k8sim.cluster import Cluster
from k8sim.kubelet.volumespecs import empty_dir_location
from k8sim.scenario.loader import loads
from k8sim.sim.trace import Row
from k8sim.sim.units import SECOND

WAYS: Final = {
    "kubelet restart": ["at: 100s, fault: kubelet-restart, node: node-0, for: 10s"],
    "reboot": ["at: 100s, fault: node-crash, node: node-0, for: 30s"],
    "rejoin": ["at: 100s, fault: node-partition, node: node-0, for: 30s"],
    "new registration": [
        "at: 100s, kubectl: delete node node-0",
        "at: 100.5s, fault: kubelet-restart, node: node-0, for: 10s",
    ],
}
SPEC: Final = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: comebacks}
spec:
  duration: 300s
  nodes: [{name: node, count: 4, labels: {disk: ssd}}]
  images:
    "crash:*": {exit: {after: 1s, code: 1}}
    "init:*": {exit: {after: 1s}}
    "late:*": {ready: never}
    "deaf:*": {stop: never}
    "*": {pull: 2s, start: 200ms, started: 2s, ready: 1s, stop: 1s}
  timeline:
    - {at: 60s, kubectl: label node node-0 disk-}
    - {at: 95s, kubectl: delete pod leaving --wait=false}
"""
POD: Final = """
---
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  nodeName: node-0
"""
PROBE: Final = "{exec: {command: [check]}, periodSeconds: 5}"
PODS: Final = {
    "whole": f"""
  initContainers: [{{name: init, image: "init:v1"}}]
  containers:
    - name: app
      image: "app:v1"
      startupProbe: {PROBE}
      readinessProbe: {PROBE}
      volumeMounts: [{{name: disk, mountPath: /disk}}, {{name: memory, mountPath: /memory}}]
  volumes: [{{name: disk, emptyDir: {{}}}}, {{name: memory, emptyDir: {{medium: Memory}}}}]
""",
    "late": f'  containers: [{{name: app, image: "late:v1", readinessProbe: {PROBE}}}]\n',
    "looping": '  containers: [{name: app, image: "crash:v1"}]\n',
    "once": '  restartPolicy: Never\n  containers: [{name: app, image: "app:v1"}]\n',
    "picky": '  nodeSelector: {disk: ssd}\n  containers: [{name: app, image: "app:v1"}]\n',
    "leaving": '  terminationGracePeriodSeconds: 60\n  containers: [{name: app, image: "deaf:v1"}]\n',
}


@dataclass(frozen=True)
class Comeback:
    """A run: its cluster at the end, its pod `whole` and its node before, and the rows from 100 s on."""

    cluster: Cluster
    before: Pod
    node_before: Node
    rows: tuple[Row, ...]

    def pod(self, name: str = "whole") -> Pod:
        """A pod as it is at the end."""
        return self.cluster.server.get(Pod, "default", name)

    @property
    def app(self) -> ContainerStatus:
        """The container of `whole` at the end."""
        return self.pod().status.container_statuses[0]

    @property
    def node(self) -> Node:
        """The node at the end."""
        return self.cluster.server.get(Node, "", "node-0")

    def events(self, kind: str, name: str, event: str, **detail: object) -> list[float]:
        """When something happened since, in s."""
        return [
            r.t / SECOND
            for r in self.rows
            if (r.kind, r.name, r.event) == (kind, name, event) and all(r.detail.get(k) == v for k, v in detail.items())
        ]


@cache
def comeback(way: str) -> Comeback:
    """Play one of the ways, with ten bytes in each emptyDir."""
    steps = "".join(f"    - {{{step}}}\n" for step in WAYS[way])
    pods = "".join(POD.replace("NAME", name) + spec for name, spec in PODS.items())
    cluster = Cluster(loads(SPEC + steps + pods), seed=1, keep_history=False)
    cluster.sim.clock.run(99 * SECOND)
    before = cluster.server.get(Pod, "default", "whole")
    for volume in ("disk", "memory"):
        cluster.storage.write(empty_dir_location("node-0", before, volume), 10, "node-0")
        cluster.storage.sync_node("node-0")
    node = cluster.server.get(Node, "", "node-0")
    cluster.run()
    return Comeback(cluster, before, node, tuple(r for r in cluster.sim.trace if r.t >= 100 * SECOND))


def bytes_kept(run: Comeback, volume: str) -> int:
    return run.cluster.storage.disk(empty_dir_location("node-0", run.before, volume)).written


def restarted_at_once(run: Comeback) -> bool:
    """The pod in its back-off of 80 s, which began at about 77 s, is started as soon as there is a kubelet again."""
    return run.events("Container", "looping", "Started")[0] < 135


def ended(run: Comeback) -> str:
    """How the process ended that ignores SIGTERM, and was to be killed 60 s after 95 s."""
    if run.events("Container", "leaving", "Lost"):
        return "with the power"
    (when,) = run.events("Container", "leaving", "Exited", code=137)
    return "on time" if when < 157 else "a whole grace later" if 170 < when < 173 else f"at {when}"


def transitioned(run: Comeback, condition: str) -> bool:
    found = condition_of(run.pod().status.conditions, condition)
    return found is not None and (found.last_transition_time or 0) > 99 * SECOND


ASPECTS: Final[dict[str, tuple[Callable[[Comeback], object], tuple[object, ...]]]] = {
    # what: how it is observed, and what is found after a kubelet restart, a reboot, a rejoin, a new registration
    "pod UID kept": (lambda r: r.pod().uid == r.before.uid, (True, True, True, True)),
    "pod address kept": (lambda r: r.pod().status.pod_ip == r.before.status.pod_ip, (True, False, True, True)),
    "container kept": (
        lambda r: r.app.container_id == r.before.status.container_statuses[0].container_id, (True, False, True, True),
    ),
    "restart count": (lambda r: r.app.restart_count, (0, 1, 0, 0)),
    "last state": (
        lambda r: r.app.last_state.terminated and r.app.last_state.terminated.reason,
        (None, "ContainerStatusUnknown", None, None),
    ),
    "init containers run": (
        lambda r: len(r.events("Container", "whole", "Started", container="init")), (0, 1, 0, 0),
    ),
    "startup probe has to pass": (
        lambda r: len(r.events("Container", "whole", "Probe", probe="startup", passes=True)), (0, 1, 0, 0),
    ),
    "ready pod becomes NotReady": (lambda r: len(r.events("Pod", "whole", "NotReady")), (0, 1, 0, 0)),
    "ready at the end": (lambda r: r.app.ready and r.app.started, (True, True, True, True)),
    "unready pod becomes Ready": (lambda r: len(r.events("Pod", "late", "Ready")), (0, 0, 0, 0)),
    "new sandbox (PodReadyToStartContainers)": (
        lambda r: transitioned(r, "PodReadyToStartContainers"), (False, True, False, False),
    ),
    "conditions move (Ready, ContainersReady)": (
        lambda r: (transitioned(r, "Ready"), transitioned(r, "ContainersReady")),
        ((False, False), (True, True), (False, False), (False, False)),
    ),
    "bytes in an emptyDir": (lambda r: bytes_kept(r, "disk"), (10, 10, 10, 10)),
    "bytes in an emptyDir in memory": (lambda r: bytes_kept(r, "memory"), (10, 0, 10, 10)),
    "images pulled again": (lambda r: len([e for e in r.rows if e.event == "Pulling"]), (0, 0, 0, 0)),
    "crash loop back-off forgotten": (restarted_at_once, (True, True, False, True)),
    "pod that never restarts": (lambda r: r.pod("once").status.phase, ("Running", "Failed", "Running", "Running")),
    "pod that fits no more (admission)": (
        lambda r: (r.pod("picky").status.phase, r.pod("picky").status.reason),
        # A kubelet registers its node with its own labels: what was taken off by hand is back.
        (("Failed", "NodeAffinity"), ("Failed", "NodeAffinity"), ("Running", ""), ("Running", "")),
    ),
    "termination under way": (
        ended, ("a whole grace later", "with the power", "on time", "a whole grace later"),
    ),
    "boot ID kept": (
        lambda r: r.node.status.node_info.boot_id in ("", "node-0-boot-1"), (True, False, True, True),
    ),
    "event Rebooted": (lambda r: len(r.events("Event", "node-0", "Rebooted")), (0, 1, 0, 0)),
    "node UID kept": (lambda r: r.node.uid == r.node_before.uid, (True, True, True, False)),
    "node Ready at the end": (
        lambda r: condition_of(r.node.status.conditions, "Ready").status, ("True", "True", "True", "True"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("aspect", ASPECTS)
def test_what_differs(aspect: str, way: str) -> None:
    observe, expected = ASPECTS[aspect]
    assert observe(comeback(way)) == expected[list(WAYS).index(way)]
