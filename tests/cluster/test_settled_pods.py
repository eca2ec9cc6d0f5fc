"""Well pods of a dump rest until something happens to them; then they fare like pods that never were at rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from k8sim.api.core import ConfigMap
from k8sim.api.meta import ObjectMeta
from k8sim.api.scheme import KINDS, encode
from k8sim.api.struct import Time
from k8sim.cluster import Cluster
from k8sim.scenario import loads
from k8sim.sim.units import SECOND

SPEC = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: settled}}
spec:
  duration: {duration}s
  namespace: default
  include: [{files}]
  images: {{"*": {{pull: 1s, start: 300ms, ready: 1s, stop: 1s}}}}
  cluster: {{kubelet: {{shutdownGracePeriod: 20s, shutdownGracePeriodCriticalPods: 5s}}}}
  timeline: [{timeline}]
"""
NODES = "  nodes: [{name: node, count: 2}]\n"
WEB = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 4
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: app
          image: app:v1
          readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 2, failureThreshold: 2}
          livenessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 5}
"""
DUMPED_AT, HAPPENS_AFTER, LASTS, FIRST = 120, 10, 100, 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the manifest, and with a dump of the cluster in which it has been running for two minutes.

    The latest time in a dump is its moment; something has to be there that is as young as that.
    """
    (tmp_path / "web.yaml").write_text(WEB)
    text = SPEC.format(duration=DUMPED_AT, files="web.yaml", timeline="") + NODES
    cluster = Cluster(loads(text, folder=tmp_path), seed=1, keep_history=False)
    cluster.sim.clock.run(DUMPED_AT * SECOND)
    moment = Time(DUMPED_AT * SECOND)
    now = ConfigMap(metadata=ObjectMeta(namespace="default", name="now", uid="now", creation_timestamp=moment))
    items = [encode(now), *(encode(obj) for cls in KINDS for obj in cluster.server.list(cls))]
    (tmp_path / "dump.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))
    return tmp_path


def events(folder: Path, files: str, happens_at: int, what: str, nodes: str = "") -> dict[str, list[str]]:
    """Return the first things that happen to each pod from a moment on; later ones depend on chance."""
    timeline = f"{{at: {happens_at}s, {what}}}"
    text = SPEC.format(duration=happens_at + LASTS, files=files, timeline=timeline) + nodes
    rows = Cluster(loads(text, folder=folder), seed=1, keep_history=False).run().public_trace()
    found: dict[str, list[str]] = {}
    for t, kind, name, event, _ in rows:
        if kind == "Pod" and t >= happens_at:
            found.setdefault(name, []).append(event)
    return {name: those[:FIRST] for name, those in found.items()}


@pytest.mark.parametrize(
    "what",
    [
        "kubectl: delete pod web-1",
        "kubectl: scale statefulset/web --replicas=5",
        "fault: container-exit, pod: web-1, code: 1",
        "fault: unready, pod: web-1, for: 20s",
        "fault: hang, pod: web-1, for: 20s",
        "fault: oom-kill, pod: web-1",
        "fault: memory-pressure, node: node-0, for: 30s",
        "fault: node-shutdown, node: node-0, for: 20s",
        "fault: node-crash, node: node-0, for: 20s",
        "fault: node-partition, node: node-0, for: 20s",
        "fault: kubelet-restart, node: node-0",
    ],
)
def test_a_settled_pod_fares_like_one_that_was_never_at_rest(what: str, folder: Path) -> None:
    settled = events(folder, "dump.yaml", HAPPENS_AFTER, what)
    attended = events(folder, "web.yaml", DUMPED_AT + HAPPENS_AFTER, what, NODES)
    assert settled == attended


def test_nothing_is_done_for_pods_beside_a_new_one(folder: Path) -> None:
    text = SPEC.format(duration=60, files="dump.yaml", timeline="{at: 10s, kubectl: scale sts/web --replicas=6}")
    cluster = Cluster(loads(text, folder=folder), seed=1, keep_history=False)
    trace = cluster.run().log
    busy = {row.name for row in trace if row.t >= 10 * SECOND and row.kind in ("Pod", "Container")}
    assert busy == {"web-4", "web-5"}
