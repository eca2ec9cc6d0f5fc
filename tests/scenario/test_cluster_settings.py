"""``cluster:``: every setting of a component under Kubernetes' name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from k8sim.apiserver.settings import APIServerSettings
from k8sim.controllers.attachdetach.settings import AttachDetachSettings
from k8sim.scenario import ScenarioError, loads
from k8sim.scenario.cluster import COMPONENTS, settings_of
from k8sim.scenario.settings import ClusterSettings
from k8sim.sim.units import SECOND
from tests.faults.test_outages import play, times

HEAD = """apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  cluster:
    """

DEFAULTS = {
    "kubeAPIServer": {"defaultNotReadyTolerationSeconds": "300", "defaultUnreachableTolerationSeconds": "300"},
    "kubeControllerManager": {
        "nodeMonitorPeriod": "5s", "nodeMonitorGracePeriod": "50s", "nodeStartupGracePeriod": "1m",
        "nodeEvictionRate": "0.1", "secondaryNodeEvictionRate": "0.01", "largeClusterSizeThreshold": "50",
        "unhealthyZoneThreshold": "0.55", "terminatedPodGCThreshold": "12500", "podGCCheckPeriod": "20s",
        "podGCQuarantineTime": "40s", "reconcilerLoopPeriod": "100ms", "reconcilerMaxWaitForUnmountDuration": "6m",
        "disableForceDetachOnTimeout": "false", "attachDetachReconcileSyncPeriod": "1m",
        "pvClaimBinderSyncPeriod": "15s", "concurrentStatefulsetSyncs": "5", "concurrentGCSyncs": "20",
        "kubeAPIQPS": "", "kubeAPIBurst": "30",
    },
    "kubeScheduler": {
        "podInitialBackoffSeconds": "1", "podMaxBackoffSeconds": "10", "bindTimeoutSeconds": "600",
        "percentageOfNodesToScore": "0", "podMaxInUnschedulablePods": "5m",
    },
    "kubelet": {
        "nodeStatusUpdateFrequency": "10s", "nodeLeaseDurationSeconds": "40", "syncFrequency": "1m",
        "registryPullQPS": "5", "maxParallelImagePulls": "",
        "evictionHard": "{memory.available: 100Mi}", "evictionSoft": "", "evictionMaxPodGracePeriod": "0",
        "evictionPressureTransitionPeriod": "5m",
    },
    "watches": {"lateShare": "0.0", "lateBy": "1s", "repeatedShare": "0.0", "brokenShare": "0.0"},
}  # fmt: skip


def settings(text: str) -> ClusterSettings:
    return loads(HEAD + text).cluster


@pytest.mark.parametrize("component", COMPONENTS)
def test_names_and_defaults_are_kubernetes(component: str) -> None:
    known = {s.name: s.default_text for s in settings_of(getattr(ClusterSettings(), COMPONENTS[component]))}
    assert {name: known.get(name) for name in DEFAULTS[component]} == DEFAULTS[component]


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_setting_can_be_set_and_none_changes_another(component: str) -> None:
    defaults: Any = getattr(ClusterSettings(), COMPONENTS[component])
    names = [setting.name for setting in settings_of(defaults)]
    assert len(names) == len(set(names))
    for setting in settings_of(defaults):
        text = "true" if setting.default is False else "false" if setting.default is True else "1"
        if setting.default == ():
            text = "[{priority: 5, shutdownGracePeriodSeconds: 9}]"
        if setting.of_memory:
            text = "{memory.available: 1}"
        changed = getattr(settings(f"{component}: {{{setting.name}: {text}}}"), COMPONENTS[component])
        different = [
            a.name for a, b in zip(settings_of(defaults), settings_of(changed), strict=True) if a.default != b.default
        ]
        assert different == [setting.name] or (text == "1" and setting.default in (1, SECOND))


def test_values_have_their_types() -> None:
    read = settings("kubeControllerManager: {nodeEvictionRate: 1, disableForceDetachOnTimeout: true, kubeAPIQPS: 20}")
    manager = read.kube_controller_manager
    assert manager.node_lifecycle.node_eviction_rate == 1.0
    assert manager.kube_api_qps == 20.0
    assert manager.attach_detach == dataclasses.replace(AttachDetachSettings(), disable_force_detach_on_timeout=True)
    read = settings("kubeScheduler: {podMaxBackoffSeconds: 30}")
    assert read.kube_scheduler.pod_max_backoff_ns == 30 * SECOND
    assert settings("kubelet: {}") == ClusterSettings()
    assert settings("kubeAPIServer: {defaultNotReadyTolerationSeconds: 0}").kube_api_server == APIServerSettings(0)


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("kubeControlerManager: {}", "unknown key 'kubeControlerManager'", "did you mean kubeControllerManager?"),
        ("kubelet: {nodeMonitorPeriod: 1s}", "unknown key 'nodeMonitorPeriod'", "known keys here: "),
        ("kubeControllerManager: {nodeMonitorGraceperiod: 1s}", "unknown", "did you mean nodeMonitorGracePeriod?"),
        ("kubeControllerManager: {nodeMonitorGracePeriod: soon}", "soon", "durations are written"),
        ("kubeControllerManager: {nodeMonitorPeriod: 0s}", "too short", "at least 1ms"),
        ("kubeControllerManager: {unhealthyZoneThreshold: 55}", "not between 0 and 1", ""),
        ("kubeControllerManager: {nodeEvictionRate: -1}", "not between 0 and", ""),
        ("kubeControllerManager: {disableForceDetachOnTimeout: 1}", "expected true or false", ""),
        ("kubeControllerManager: {concurrentGCSyncs: 1.5}", "expected an integer", ""),
        ("kubeScheduler: {podMaxBackoffSeconds: 10s}", "expected an integer", ""),
        ("kubelet: 5", "expected a mapping", ""),
        ("kubelet: {evictionHard: {nodefs.available: 10}}", "unknown key", "known keys here: memory.available"),
        ("kubelet: {evictionHard: {memory.available: [1]}}", "expected an amount", ""),
        ("kubelet: {evictionSoft: {memory.available: 1Gb}}", "quantities must match", "amounts are written"),
        ("kubelet: {evictionSoftGracePeriod: {}}", "memory.available is missing", "other signals"),
        ("storageDrivers: [{name: d, volumesPerNode: many}]", "volumesPerNode: expected int", ""),
        ("storageDrivers: [{like: zonal-disk}]", "name: missing", ""),
        ("snapshotSchedules: [{name: s, every: 1h, kep: 3}]", "unknown field", ""),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, problem: str, hint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        settings(text)
    assert problem in str(error.value)
    assert hint in (error.value.hint or "")
    assert error.value.line == 6


def test_settings_reach_their_components() -> None:
    fast = """
  cluster:
    kubeAPIServer: {defaultUnreachableTolerationSeconds: 30}
    kubeControllerManager: {nodeMonitorGracePeriod: 20s, nodeMonitorPeriod: 1s}
    kubelet: {nodeLeaseDurationSeconds: 8}
"""
    trace = play("3m", "at: 20s, fault: node-crash, node: node-0", spec=fast)
    [unknown] = times(trace, "Node", "Unknown")
    [gone] = times(trace, "Pod", "Terminating", grace=30)
    assert 37 <= unknown <= 42
    assert gone - unknown == pytest.approx(30, abs=1)


def test_the_documentation_lists_every_setting() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    for component, attribute in COMPONENTS.items():
        section = text.partition(f"## {component}\n")[2].partition("\n## ")[0]
        rows = [
            f"| `{s.name}` | {s.default_text or 'none'} |" for s in settings_of(getattr(ClusterSettings(), attribute))
        ]
        assert [row for row in section.splitlines() if row.startswith("| `")] == rows
