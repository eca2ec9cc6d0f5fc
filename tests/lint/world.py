"""Manifests for lint: a healthy workload that every rule leaves alone, to be spoilt one field at a time."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from k8sim.lint import RULES, Assumptions, Finding, Report, lint
from k8sim.scenario.loader import load_with_manifests
from k8sim.sim.units import SECOND, parse_duration

Manifest = dict[str, Any]
BY_NAME = {rule.name: rule for rule in RULES}

_SPREAD = {
    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "db"}},
}  # fmt: skip
_CONTAINER = {
    "name": "app",
    "image": "shop/app:1.4.2",
    "ports": [{"containerPort": 8080}],
    "startupProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 10, "failureThreshold": 30},
    "livenessProbe": {"httpGet": {"path": "/alive", "port": 8080}, "timeoutSeconds": 5},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 5},
    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
}


def workload(kind: str, replicas: int = 3) -> Manifest:
    """A workload in good health."""
    spec: Manifest = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "db"}},
        "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {"topologySpreadConstraints": [deepcopy(_SPREAD)], "containers": [deepcopy(_CONTAINER)]},
        },
    }
    if kind == "StatefulSet":
        spec["serviceName"] = "db"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "db"}, "spec": spec}


def stateful_set(replicas: int = 3) -> Manifest:
    return workload("StatefulSet", replicas)


def deployment(replicas: int = 3) -> Manifest:
    return workload("Deployment", replicas)


def pod(manifest: Manifest) -> Manifest:
    """The pod spec of a workload."""
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def container(manifest: Manifest) -> Manifest:
    """The container of a workload."""
    found: Manifest = pod(manifest)["containers"][0]
    return found


def service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front"},
        "spec": {"selector": {"app": "db"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def budget(**spec: Any) -> Manifest:
    selector = {"selector": {"matchLabels": {"app": "db"}}, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "db"},
        "spec": {key: value for key, value in {**selector, **spec}.items() if value is not None},
    }


def claim(name: str = "data", mode: str = "ReadWriteOnce") -> Manifest:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "10Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def storage_class(**fields: Any) -> Manifest:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast"},
        "provisioner": "ebs.csi.aws.com",
        "volumeBindingMode": "WaitForFirstConsumer",
        **fields,
    }


def with_claims(manifest: Manifest) -> Manifest:
    """A StatefulSet each of whose pods has a volume."""
    manifest["spec"]["volumeClaimTemplates"] = [{k: v for k, v in claim().items() if k in ("metadata", "spec")}]
    container(manifest)["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return manifest


def scenario(**spec: Any) -> Manifest:
    return {"apiVersion": "k8sim.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": "test"}, "spec": spec}


class Lint:
    """Lints manifests by way of a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "app.yaml"

    def __call__(self, *manifests: Mapping[str, Any], rule: str | None = None, **assumed: str) -> Report:
        self.path.write_text(yaml.safe_dump_all(manifests, sort_keys=False))
        known = {f"{name}_ns": parse_duration(text) for name, text in assumed.items()}
        [loaded] = load_with_manifests([self.path])
        return lint(loaded, Assumptions(**known), RULES if rule is None else [BY_NAME[rule]])

    def finding(self, rule: str, *manifests: Mapping[str, Any], **assumed: str) -> Finding:
        """The one finding of a rule."""
        [found] = self(*manifests, rule=rule, **assumed).findings
        assert found.rule == rule
        return found

    def silent(self, rule: str, *manifests: Mapping[str, Any], **assumed: str) -> None:
        """See that a rule finds nothing, and that it could have."""
        report = self(*manifests, rule=rule, **assumed)
        assert not report.findings
        assert not report.untried


def seconds(text: str) -> float:
    """The duration in a text, in s."""
    return parse_duration(text) / SECOND
