"""What can be set of kube-controller-manager and its controllers."""

from __future__ import annotations

from dataclasses import dataclass, field

from k8sim.controllers.attachdetach.settings import AttachDetachSettings
from k8sim.controllers.nodelifecycle.settings import NodeLifecycleSettings
from k8sim.controllers.persistentvolume.settings import PersistentVolumeSettings
from k8sim.controllers.podgc.settings import PodGCSettings


@dataclass(frozen=True)
class ConcurrentSyncs:
    """How many keys a controller works on at the same time (pkg/controller/*/config/v1alpha1/defaults.go)."""

    concurrent_deployment_syncs: int = 5
    concurrent_replicaset_syncs: int = 5
    concurrent_statefulset_syncs: int = 5
    concurrent_daemonset_syncs: int = 2
    concurrent_job_syncs: int = 5
    concurrent_cron_job_syncs: int = 5
    concurrent_service_endpoint_syncs: int = 5
    concurrent_gc_syncs: int = 20
    concurrent_resource_quota_syncs: int = 5
    concurrent_namespace_syncs: int = 10


@dataclass(frozen=True)
class KubeControllerManagerSettings:
    """Settings of the process and of its controllers.

    ``kube_api_qps`` and ``kube_api_burst`` limit the requests of each controller's client; None is no limit, as in the
    recorded clusters (Kubernetes' defaults: 20 and 30).
    """

    node_lifecycle: NodeLifecycleSettings = field(default_factory=NodeLifecycleSettings)
    pod_gc: PodGCSettings = field(default_factory=PodGCSettings)
    attach_detach: AttachDetachSettings = field(default_factory=AttachDetachSettings)
    persistent_volume: PersistentVolumeSettings = field(default_factory=PersistentVolumeSettings)
    concurrency: ConcurrentSyncs = field(default_factory=ConcurrentSyncs)
    kube_api_qps: float | None = None
    kube_api_burst: int = 30
