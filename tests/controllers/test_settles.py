"""Once the disturbances stop, workloads come to be what their specs say, whatever happened before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import yaml
from hypothesis import HealthCheck, given, settings

from k8sim.api.apps import Deployment, StatefulSet
from k8sim.api.core import Pod
from k8sim.cluster import Cluster
from k8sim.scenario import load

PODS = [f"{name}-{i}" for name in ("web", "db") for i in range(3)]
NODES = [f"node-{i}" for i in range(3)]
WORKLOADS = ["statefulset/web", "statefulset/db", "deployment/api"]

kubectl = st.one_of(
    st.builds("scale {} --replicas={}".format, st.sampled_from(WORKLOADS), st.integers(0, 4)),
    st.builds("set image {} app=app:v{}".format, st.sampled_from(WORKLOADS), st.integers(1, 3)),
    st.builds("rollout {} {}".format, st.sampled_from(["restart", "undo"]), st.sampled_from(WORKLOADS)),
    st.builds("delete pod {}".format, st.sampled_from(PODS)),
    st.builds("delete pod {} --grace-period=0 --force".format, st.sampled_from(PODS)),
)
happenings = st.one_of(
    st.builds(lambda command: {"kubectl": command}, kubectl),
    st.builds(lambda pod: {"evict": pod}, st.sampled_from(PODS)),
    st.builds(
        lambda fault, node, seconds: {"fault": fault, "node": node, "for": f"{seconds}s"},
        st.sampled_from(["node-crash", "node-partition"]),
        st.sampled_from(NODES),
        st.integers(5, 400),
    ),
    st.builds(lambda node: {"fault": "kubelet-restart", "node": node}, st.sampled_from(NODES)),
    st.builds(
        lambda fault, pod: {"fault": fault, "pod": pod, "for": "20s"},
        st.sampled_from(["unready", "hang"]),
        st.sampled_from(PODS),
    ),
    st.just({"fault": "controller-manager-restart", "for": "20s"}),
)


def workload(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    probe = {"exec": {"command": ["check", "ready"]}, "periodSeconds": 1}
    container = {"name": "app", "image": "app:v1", "readinessProbe": probe}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
    }
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"replicas": 3, "selector": selector, "template": template, **spec},
    }


def scenario(steps: list[tuple[int, dict[str, Any]]], recreate: bool, partition: int) -> str:
    timeline, t = [], 5
    for gap, step in steps:
        t += gap
        timeline.append({"at": f"{t}s", **step})
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    documents = [
        {
            "apiVersion": "k8sim.dev/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": "settles"},
            "spec": {
                "duration": "3000s",
                "nodes": [{"name": "node", "count": 3}],
                "images": {"app:*": {"pull": "1s", "ready": "1500ms", "stop": "1s"}},
                "timeline": timeline,
            },
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "fast"},
            "provisioner": "kubernetes.io/host-path",
        },
        workload("StatefulSet", "web", serviceName="web", updateStrategy={"rollingUpdate": {"partition": partition}}),
        workload(
            "StatefulSet",
            "db",
            serviceName="db",
            podManagementPolicy="Parallel",
            volumeClaimTemplates=[claim],
            persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete", "whenDeleted": "Delete"},
        ),
        workload("Deployment", "api", **({"strategy": {"type": "Recreate"}} if recreate else {})),
    ]
    return yaml.safe_dump_all(documents)


@given(
    steps=st.lists(st.tuples(st.integers(0, 30), happenings), max_size=8),
    recreate=st.booleans(),
    partition=st.integers(0, 2),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_workloads_settle_as_their_specs_say(
    tmp_path: Path, steps: list[tuple[int, dict[str, Any]]], recreate: bool, partition: int
) -> None:
    path = tmp_path / "settles.yaml"
    path.write_text(scenario(steps, recreate, partition))
    cluster = Cluster(load(path), seed=1, keep_history=False)
    cluster.run()
    server = cluster.server
    for sts in server.list(StatefulSet):
        status, wanted = sts.status, sts.spec.replicas
        names = sorted(p.name for p in server.list(Pod) if p.metadata.labels.get("app") == sts.name)
        assert names == [f"{sts.name}-{i}" for i in range(wanted)]
        assert (status.replicas, status.ready_replicas, status.available_replicas) == (wanted, wanted, wanted)
        if sts.name == "db":
            assert status.updated_replicas == wanted
            assert status.current_revision == status.update_revision
    for deployment in server.list(Deployment):
        status, wanted = deployment.status, deployment.spec.replicas
        assert (status.replicas, status.updated_replicas, status.ready_replicas) == (wanted, wanted, wanted)
