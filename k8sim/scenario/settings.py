"""What a scenario's ``cluster:`` block can set, as data: the settings of the components, as they define them."""

from __future__ import annotations

from dataclasses import dataclass, field

from k8sim.apiserver.settings import APIServerSettings, WatchSettings
from k8sim.controllers.settings import KubeControllerManagerSettings
from k8sim.csi.drivers import Driver
from k8sim.csi.schedulesettings import SnapshotSchedule
from k8sim.kubelet.settings import KubeletSettings
from k8sim.scheduler.settings import SchedulerSettings


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of all components; the defaults are Kubernetes'.

    Parameters
    ----------
    storage_drivers
        Drivers that the scenario describes.
    snapshot_schedules
        What takes snapshots by the clock.
    """

    kube_api_server: APIServerSettings = field(default_factory=APIServerSettings)
    kube_controller_manager: KubeControllerManagerSettings = field(default_factory=KubeControllerManagerSettings)
    kube_scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    kubelet: KubeletSettings = field(default_factory=KubeletSettings)
    watches: WatchSettings = field(default_factory=WatchSettings)
    storage_drivers: tuple[Driver, ...] = ()
    snapshot_schedules: tuple[SnapshotSchedule, ...] = ()
