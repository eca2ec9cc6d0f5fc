"""kube-controller-manager: one process with all controllers, over one set of caches.

A process that ends takes all memory with it: queues, back-offs, countdowns of evictions and detachments. What it had
sent is at work still. A new one lists everything anew (workloads.md 4.4 "Controller-manager start", 4.6).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.server import APIServer
from k8sim.controllers.attachdetach.controller import AttachDetachController
from k8sim.controllers.controller import Controller, ControllerContext
from k8sim.controllers.cronjob.controller import CronJobController
from k8sim.controllers.daemonset.controller import DaemonSetController
from k8sim.controllers.deployment.controller import DeploymentController
from k8sim.controllers.disruption.controller import DisruptionController
from k8sim.controllers.endpointslice.controller import EndpointSliceController
from k8sim.controllers.ephemeral.controller import EphemeralVolumeController
from k8sim.controllers.expand.controller import ExpandController
from k8sim.controllers.garbagecollector.controller import GarbageCollector
from k8sim.controllers.job.controller import JobController
from k8sim.controllers.namespace.controller import NamespaceController
from k8sim.controllers.nodelifecycle.controller import NodeLifecycleController
from k8sim.controllers.persistentvolume.controller import PersistentVolumeController
from k8sim.controllers.podgc.controller import PodGCController
from k8sim.controllers.replicaset.controller import ReplicaSetController
from k8sim.controllers.resourcequota.controller import ResourceQuotaController
from k8sim.controllers.settings import KubeControllerManagerSettings
from k8sim.controllers.statefulset.controller import StatefulSetController
from k8sim.controllers.tainteviction.controller import TaintEvictionController
from k8sim.controllers.ttlafterfinished.controller import TTLAfterFinishedController
from k8sim.controllers.volumeprotection.controller import (
    PVCProtectionController,
    PVProtectionController,
    VACProtectionController,
)
from k8sim.machines.disks import Storage
from k8sim.sim.lifetime import Lifetime
from k8sim.sim.simulation import Simulation

PROCESS: Final = "kube-controller-manager"


class Startable(Protocol):
    """A controller."""

    def start(self) -> None:
        """Begin to work."""

    def stop(self) -> None:
        """Cease to, and to watch."""


class KubeControllerManager:
    """The process, through all its lives. ``controllers`` are those of the present one.

    Parameters
    ----------
    storage
        For controllers that do work on volumes themselves (host paths, recycling).
    """

    def __init__(
        self,
        sim: Simulation,
        server: APIServer,
        storage: Storage | None = None,
        settings: KubeControllerManagerSettings | None = None,
    ) -> None:
        self.settings = settings or KubeControllerManagerSettings()
        self.controllers: tuple[Startable, ...] = ()
        self._sim = sim
        self._server = server
        self._storage = storage
        self._informers: SharedInformers | None = None
        self._life: Lifetime | None = None

    @property
    def running(self) -> bool:
        """Tell whether a process runs."""
        return self._life is not None

    def start(self) -> None:
        """Start a process, unless one runs."""
        if self._life is not None:
            return
        self._life = Lifetime(self._sim.clock)
        self._informers = SharedInformers(self._server, PROCESS)
        context = ControllerContext(
            replace(self._sim, clock=self._life),
            self._server,
            self._informers,
            kube_api_qps=self.settings.kube_api_qps,
            kube_api_burst=self.settings.kube_api_burst,
            storage=self._storage,
        )
        self.controllers = all_controllers(context, self.settings)
        for controller in self.controllers:
            controller.start()

    def stop(self) -> None:
        """End the process: all its workers, timers and watches."""
        if self._life is None or self._informers is None:
            return
        for controller in self.controllers:
            controller.stop()
        self._life.end()
        self._informers.close()
        self.controllers, self._life, self._informers = (), None, None

    def restart(self) -> None:
        """End the process and start a new one at once."""
        self.stop()
        self.start()


def all_controllers(context: ControllerContext, settings: KubeControllerManagerSettings) -> tuple[Startable, ...]:
    """Make the controllers that kube-controller-manager runs by default, as far as they are simulated.

    Source: cmd/kube-controller-manager/app/controllermanager.go (NewControllerDescriptors).
    """
    syncs = settings.concurrency

    def make(controller: type[Controller], workers: int) -> Controller:
        made = controller(context)
        made.workers = workers  # type: ignore[misc]  # the class has the default
        return made

    return (
        make(GarbageCollector, syncs.concurrent_gc_syncs),
        make(StatefulSetController, syncs.concurrent_statefulset_syncs),
        make(ReplicaSetController, syncs.concurrent_replicaset_syncs),
        make(DeploymentController, syncs.concurrent_deployment_syncs),
        make(DaemonSetController, syncs.concurrent_daemonset_syncs),
        make(JobController, syncs.concurrent_job_syncs),
        make(CronJobController, syncs.concurrent_cron_job_syncs),
        TTLAfterFinishedController(context),
        make(EndpointSliceController, syncs.concurrent_service_endpoint_syncs),
        DisruptionController(context),
        NodeLifecycleController(context, settings.node_lifecycle),
        TaintEvictionController(context),
        PodGCController(context, settings.pod_gc),
        PersistentVolumeController(context, settings.persistent_volume),
        PVCProtectionController(context),
        PVProtectionController(context),
        VACProtectionController(context),
        AttachDetachController(context, settings.attach_detach),
        EphemeralVolumeController(context),
        ExpandController(context),
        make(ResourceQuotaController, syncs.concurrent_resource_quota_syncs),
        make(NamespaceController, syncs.concurrent_namespace_syncs),
    )
