"""Random scenarios: recorded cases and drawn manifests, with random histories, bad watches and shuffled ties.

Everything is a function of a number, so that a failure is replayed by that number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from k8sim.apiserver.settings import WatchSettings
from k8sim.scenario import load, loads
from k8sim.scenario.model import Scenario, Step
from k8sim.search import Space
from k8sim.search.space import BROKEN_IMAGES, Chooser, moved
from k8sim.sim.units import MILLISECOND, MINUTE, SECOND

Manifest = dict[str, Any]

CASES: Final = sorted((Path(__file__).parents[1] / "conformance" / "cases").glob("*.yaml"))
HISTORY: Final = 60
"""Seconds in which things are done to a cluster."""
AFTERWARDS: Final = (20 * SECOND, MINUTE, 7 * MINUTE, 20 * MINUTE)
"""How long a run goes on; after the last, what must come true in the end is judged too."""
WATCHES: Final = (
    WatchSettings(),
    WatchSettings(late_share=0.2, late_by_ns=500 * MILLISECOND),
    WatchSettings(repeated_share=0.3),
    WatchSettings(broken_share=0.1),
    WatchSettings(late_share=0.1, late_by_ns=500 * MILLISECOND, repeated_share=0.1, broken_share=0.03),
)


@dataclass(frozen=True)
class Drawn:
    """One random scenario, and the salt that shuffles its ties."""

    scenario: Scenario
    tie_salt: int


def draw(number: int) -> Drawn:
    """Return the random scenario of a number: every other one on a recorded case."""
    choose = Chooser(number, "soak")
    base = load(choose.of(CASES)) if number % 2 else loads(yaml.safe_dump_all(manifests(choose)))
    history = _history(choose, base)
    duration = HISTORY * SECOND + choose.of(AFTERWARDS)
    own = () if choose.chance(0.5) else base.timeline
    scenario = replace(
        base,
        timeline=tuple(sorted((*own, *history), key=lambda step: step.at_ns)),
        duration_ns=duration,
        images=(*BROKEN_IMAGES, *base.images),
        seed=number,
        cluster=replace(base.cluster, watches=choose.of(WATCHES)),
    )
    return Drawn(scenario, choose.below(4))


# ---- histories ------------------------------------------------------------------------------------------------------


def _history(choose: Chooser, scenario: Scenario) -> list[Step]:
    space = Space(scenario)
    makers = list(space.kinds.values())
    times = sorted(choose.below(HISTORY) * SECOND for _ in range(1 + choose.below(4)))
    return [moved(choose.of(makers)(choose), at) for at in times]


# ---- manifests ------------------------------------------------------------------------------------------------------


def manifests(choose: Chooser) -> list[Manifest]:
    """Return the documents of a scenario file: a cluster, one or two workloads, and what belongs to them."""
    zones = choose.of(([], ["a", "b"], ["a", "b", "c"]))
    documents = [_storage_class(choose)]
    applications: list[Manifest] = []
    for name in ("web", "db")[: choose.of((1, 1, 1, 2))]:
        stateful = choose.chance(0.7)
        documents += [_service(name, choose), _stateful_set(name, choose) if stateful else _deployment(name, choose)]
        if choose.chance(0.5):
            documents.append(_budget(name, choose))
        if stateful and choose.chance(0.3):
            applications.append(_application(name, choose))
    spec: Manifest = {
        "nodes": [{"name": "node", "count": 1 + choose.below(3), **({"zones": zones} if zones else {})}],
        "images": {"*": _behaviour(choose)},
    }
    if applications:
        spec["applications"] = applications
    head = {"apiVersion": "k8sim.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": "drawn"}, "spec": spec}
    return [head, *documents]


def _behaviour(choose: Chooser) -> Manifest:
    durations = ("0s", "200ms", "2s", {"uniform": ["500ms", "10s"]})
    behaviour = {name: choose.of(durations) for name in ("pull", "start", "ready", "stop")}
    if choose.chance(0.1):
        behaviour["stop"] = "45s"
    return behaviour


def _object(kind: str, version: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _storage_class(choose: Chooser) -> Manifest:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "disk"},
        "provisioner": choose.of(("ebs.csi.aws.com", "pd.csi.storage.gke.io")),
        "volumeBindingMode": choose.of(("WaitForFirstConsumer", "Immediate")),
        "reclaimPolicy": choose.of(("Delete", "Retain")),
    }


def _service(name: str, choose: Chooser) -> Manifest:
    spec = {"clusterIP": "None", "selector": {"app": name}, "ports": [{"port": 80}]}
    return _object("Service", "v1", name, {**spec, "publishNotReadyAddresses": choose.chance(0.3)})


def _budget(name: str, choose: Chooser) -> Manifest:
    spec: Manifest = {
        choose.of(("minAvailable", "maxUnavailable")): choose.of((0, 1, 2, "30%", "50%", "100%")),
        "selector": {"matchLabels": {"app": name}},
    }
    if choose.chance(0.3):
        spec["unhealthyPodEvictionPolicy"] = choose.of(("AlwaysAllow", "IfHealthyBudget"))
    return _object("PodDisruptionBudget", "policy/v1", name, spec)


def _application(name: str, choose: Chooser) -> Manifest:
    preset = choose.of(("raft", "primary-replica"))
    writes = choose.of(("10/s", "200/s"))
    return {"name": name, "statefulSet": name, "preset": preset, "members": 3, "writes": writes}


def _probe(choose: Chooser) -> Manifest:
    return {
        "exec": {"command": ["check"]},
        "periodSeconds": choose.of((1, 3, 10)),
        "failureThreshold": choose.of((1, 3)),
        "initialDelaySeconds": choose.of((0, 0, 5)),
    }


def _template(name: str, choose: Chooser) -> Manifest:
    container: Manifest = {"name": "app", "image": "app:v1"}
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        if choose.chance(0.7 if probe == "readinessProbe" else 0.15):
            container[probe] = _probe(choose)
    grace = choose.of((30, 5, 1, 0))
    if choose.chance(0.3) and grace > 1:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": 1 + choose.below(grace - 1)}}}
    if choose.chance(0.3):
        container["resources"] = {"requests": {"cpu": choose.of(("100m", "1500m", "3"))}}
    spec: Manifest = {
        "containers": [container],
        "terminationGracePeriodSeconds": grace,
    }
    if choose.chance(0.2):
        spec["initContainers"] = [{"name": "init", "image": "init:v1"}]
    if choose.chance(0.25):
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": choose.of(("topology.kubernetes.io/zone", "kubernetes.io/hostname")),
                "whenUnsatisfiable": choose.of(("DoNotSchedule", "ScheduleAnyway")),
                "labelSelector": {"matchLabels": {"app": name}},
            }
        ]
    if choose.chance(0.25):
        term = {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "kubernetes.io/hostname"}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    if choose.chance(0.2):
        spec["tolerations"] = [
            {
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": choose.of((0, 20, 60)),
            }
        ]
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def _stateful_set(name: str, choose: Chooser) -> Manifest:
    template = _template(name, choose)
    rolling = {"partition": choose.of((0, 0, 1, 2)), "maxUnavailable": choose.of((1, 1, 2, "50%"))}
    spec: Manifest = {
        "serviceName": name,
        "replicas": choose.below(4),
        "podManagementPolicy": choose.of(("OrderedReady", "Parallel")),
        "minReadySeconds": choose.of((0, 0, 5)),
        "selector": {"matchLabels": {"app": name}},
        "template": template,
        "updateStrategy": choose.of(({"type": "RollingUpdate", "rollingUpdate": rolling}, {"type": "OnDelete"})),
    }
    if choose.chance(0.2):
        spec["ordinals"] = {"start": 1 + choose.below(3)}
    if choose.chance(0.6):
        claim = {
            "accessModes": [choose.of(("ReadWriteOnce", "ReadWriteOncePod"))],
            "storageClassName": "disk",
            "resources": {"requests": {"storage": "1Gi"}},
        }
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
        template["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        spec["persistentVolumeClaimRetentionPolicy"] = {
            "whenDeleted": choose.of(("Retain", "Delete")),
            "whenScaled": choose.of(("Retain", "Delete")),
        }
    return _object("StatefulSet", "apps/v1", name, spec)


def _deployment(name: str, choose: Chooser) -> Manifest:
    rolling = {"maxSurge": choose.of((1, "25%", "100%")), "maxUnavailable": choose.of((0, 1, "50%"))}
    spec = {
        "replicas": choose.below(4),
        "minReadySeconds": choose.of((0, 0, 5)),
        "selector": {"matchLabels": {"app": name}},
        "template": _template(name, choose),
        "strategy": choose.of(({"type": "RollingUpdate", "rollingUpdate": rolling}, {"type": "Recreate"})),
    }
    return _object("Deployment", "apps/v1", name, spec)
