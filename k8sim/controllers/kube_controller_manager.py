"""kube-controller-manager: one process with all controllers, over one set of caches.

A controller of kinds of which there is no object does nothing, and most clusters use few kinds. So such a controller is
made just before the first object of these kinds is stored, with the same caches, and nobody can tell the difference.

A process that ends takes all memory with it: queues, back-offs, countdowns of evictions and detachments. What it had
sent is at work still. A new one lists everything anew (workloads.md 4.4 "Controller-manager start", 4.6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from k8sim.api.apps import DaemonSet, Deployment, ReplicaSet
from k8sim.api.batch import CronJob, Job
from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, ResourceQuota
from k8sim.api.meta import Object
from k8sim.api.storage import VolumeAttributesClass
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
from k8sim.controllers.settings import ConcurrentSyncs, KubeControllerManagerSettings
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


class ControllerDescriptor(NamedTuple):
    """How a controller is made, and the kinds without whose objects it has nothing to do (none: it always has)."""

    make: Callable[[ControllerContext, KubeControllerManagerSettings], Startable]
    kinds: tuple[type[Object], ...] = ()


def _of(controller: Callable[[ControllerContext], Startable], *kinds: type[Object]) -> ControllerDescriptor:
    return ControllerDescriptor(lambda context, settings: controller(context), kinds)


def _with_workers(
    controller: type[Controller], workers: Callable[[ConcurrentSyncs], int], *kinds: type[Object]
) -> ControllerDescriptor:
    def make(context: ControllerContext, settings: KubeControllerManagerSettings) -> Controller:
        made = controller(context)
        made.workers = workers(settings.concurrency)  # type: ignore[misc]  # the class has the default
        return made

    return ControllerDescriptor(make, kinds)


CONTROLLERS: Final = (
    _with_workers(GarbageCollector, lambda syncs: syncs.concurrent_gc_syncs),
    _with_workers(StatefulSetController, lambda syncs: syncs.concurrent_statefulset_syncs),
    _with_workers(ReplicaSetController, lambda syncs: syncs.concurrent_replicaset_syncs, ReplicaSet),
    _with_workers(DeploymentController, lambda syncs: syncs.concurrent_deployment_syncs, Deployment),
    _with_workers(DaemonSetController, lambda syncs: syncs.concurrent_daemonset_syncs, DaemonSet),
    _with_workers(JobController, lambda syncs: syncs.concurrent_job_syncs),  # releases pods whose Job is gone
    _with_workers(CronJobController, lambda syncs: syncs.concurrent_cron_job_syncs, CronJob),
    _of(TTLAfterFinishedController, Job),
    _with_workers(EndpointSliceController, lambda syncs: syncs.concurrent_service_endpoint_syncs),
    _of(DisruptionController),
    ControllerDescriptor(lambda context, settings: NodeLifecycleController(context, settings.node_lifecycle)),
    _of(TaintEvictionController),
    ControllerDescriptor(lambda context, settings: PodGCController(context, settings.pod_gc)),
    ControllerDescriptor(
        lambda context, settings: PersistentVolumeController(context, settings.persistent_volume),
        (PersistentVolumeClaim, PersistentVolume),
    ),
    _of(PVCProtectionController, PersistentVolumeClaim),
    _of(PVProtectionController, PersistentVolume),
    _of(VACProtectionController, VolumeAttributesClass),
    ControllerDescriptor(lambda context, settings: AttachDetachController(context, settings.attach_detach)),
    _of(EphemeralVolumeController),
    _of(ExpandController, PersistentVolumeClaim),
    _with_workers(ResourceQuotaController, lambda syncs: syncs.concurrent_resource_quota_syncs, ResourceQuota),
    _with_workers(NamespaceController, lambda syncs: syncs.concurrent_namespace_syncs),
)
"""The controllers that kube-controller-manager runs by default, as far as they are simulated.

Source: cmd/kube-controller-manager/app/controllermanager.go (NewControllerDescriptors).
"""


class KubeControllerManager:
    """The process, through all its lives. ``controllers`` are those of the present one that have something to do.

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
        self._idle: list[ControllerDescriptor] = []
        self._sim = sim
        self._server = server
        self._storage = storage
        self._context: ControllerContext | None = None
        self._life: Lifetime | None = None
        self._lives = 0

    @property
    def running(self) -> bool:
        """Tell whether a process runs."""
        return self._life is not None

    def start(self) -> None:
        """Start a process, unless one runs."""
        if self._life is not None:
            return
        self._life = Lifetime(self._sim.clock)
        self._context = ControllerContext(
            replace(self._sim, clock=self._life),
            self._server,
            SharedInformers(self._server, PROCESS),
            kube_api_qps=self.settings.kube_api_qps,
            kube_api_burst=self.settings.kube_api_burst,
            storage=self._storage,
            life=self._lives,
        )
        self._lives += 1
        busy: list[ControllerDescriptor] = []
        self._idle = []
        for descriptor in CONTROLLERS:
            needed = not descriptor.kinds or any(map(self._server.in_use, descriptor.kinds))
            (busy if needed else self._idle).append(descriptor)
        self.controllers = tuple([descriptor.make(self._context, self.settings) for descriptor in busy])
        for controller in self.controllers:
            controller.start()
        self._context.informers.on_first_use(self._on_first_use)

    def _on_first_use(self, cls: type[Object]) -> None:
        for descriptor in [d for d in self._idle if cls in d.kinds]:
            assert self._context is not None
            self._idle.remove(descriptor)
            controller = descriptor.make(self._context, self.settings)
            self.controllers += (controller,)
            controller.start()

    def stop(self) -> None:
        """End the process: all its workers, timers and watches."""
        if self._life is None or self._context is None:
            return
        for controller in self.controllers:
            controller.stop()
        self._life.end()
        self._context.informers.close()
        self.controllers, self._life, self._context = (), None, None

    def restart(self) -> None:
        """End the process and start a new one at once."""
        self.stop()
        self.start()
