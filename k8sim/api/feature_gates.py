"""Feature gates that touch what is simulated, with their defaults in Kubernetes 1.36.

Source: pkg/features/kube_features.go.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class FeatureGate(NamedTuple):
    """A gate: its default, whether components refuse another value, whether both states are simulated."""

    default: bool
    locked: bool = False
    honoured: bool = False


_ON, _OFF = FeatureGate(True), FeatureGate(False)
_LOCKED = FeatureGate(True, locked=True)

FEATURE_GATES: Final[Mapping[str, FeatureGate]] = {
    "MaxUnavailableStatefulSet": FeatureGate(False, honoured=True),
    # Fixed to their default here: both states are Kubernetes', one is simulated.
    "StaleControllerConsistencyStatefulSet": _ON,
    "StaleControllerConsistencyReplicaSet": _ON,
    "StatefulSetSemanticRevisionComparison": _ON,
    "DeploymentReplicaSetTerminatingReplicas": _ON,
    "GracefulNodeShutdown": _ON,
    "GracefulNodeShutdownBasedOnPodPriority": _ON,
    "PodReadyToStartContainersCondition": _ON,
    "PodObservedGenerationTracking": _ON,
    "PLEGOnDemandRelist": _ON,
    "EventedPLEG": _OFF,
    "ReduceDefaultCrashLoopBackOffDecay": _OFF,
    "KubeletCrashLoopBackOffMax": _ON,
    "ContainerRestartRules": _ON,
    "RestartAllContainersOnContainerExits": _ON,
    "ContainerStopSignals": _OFF,
    "ChangeContainerStatusOnKubeletRestart": _OFF,
    "KubeletEnsureSecretPulledImages": _ON,
    "SchedulerAsyncPreemption": _ON,
    "SchedulerPopFromBackoffQ": _ON,
    "OpportunisticBatching": _ON,
    "NominatedNodeNameForExpectation": _ON,
    "SchedulerAsyncAPICalls": _OFF,
    "StorageCapacityScoring": _OFF,
    "GangScheduling": _OFF,
    "TaintTolerationComparisonOperators": _OFF,
    "CrossNamespaceVolumeDataSource": _OFF,
    "MutablePVNodeAffinity": _OFF,
    "VolumeLimitScaling": _OFF,
    "PersistentVolumeClaimUnusedSinceTime": _OFF,
    "SELinuxMount": _OFF,
    "SeparateTaintEvictionController": _LOCKED,
    "SidecarContainers": _LOCKED,
    "PodLifecycleSleepAction": _LOCKED,
    "PodLifecycleSleepActionAllowZero": _LOCKED,
    "ExecProbeTimeout": _LOCKED,
    "SchedulerQueueingHints": _LOCKED,
    "RecoverVolumeExpansionFailure": _LOCKED,
    "VolumeAttributesClass": _LOCKED,
    "AnyVolumeDataSource": _LOCKED,
    "OrderedNamespaceDeletion": _LOCKED,
    "MutableCSINodeAllocatableCount": _LOCKED,
}


def gate_enabled(gates: Mapping[str, bool], name: str) -> bool:
    """State of a gate in a cluster that sets some of them."""
    return gates.get(name, FEATURE_GATES[name].default)
