"""Parts of a kubelet's process that most processes never need: volumes, evictions, a graceful shutdown of the node.

Each is made when there is something for it to do. Until then it would have nothing to say, and it is not small: with
all that it refers to, the three are a quarter of a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sim.api.core import Pod
from k8sim.kubelet.admission import Rejection
from k8sim.kubelet.devices import Mounts
from k8sim.kubelet.eviction import PERIOD as EVICTION_PERIOD
from k8sim.kubelet.eviction import EvictionManager
from k8sim.kubelet.grid import Grid
from k8sim.kubelet.nodeshutdown import NodeShutdown
from k8sim.kubelet.settings import KubeletSettings
from k8sim.kubelet.volumes import VolumeManager
from k8sim.machines.disks import Storage
from k8sim.sim.simulation import Simulation

if TYPE_CHECKING:
    from k8sim.kubelet.process import KubeletProcess


class OnDemand:
    """Makes those parts of a process.

    Parameters
    ----------
    mounts
        What is mounted on the machine; it outlives the process.
    began_ns
        When all loops of the process began; None: they have been running for long. What a process before this one has
        mounted is for this one to unmount.
    """

    def __init__(
        self,
        process: KubeletProcess,
        sim: Simulation,
        rank: int,
        settings: KubeletSettings,
        storage: Storage | None,
        mounts: Mounts,
        began_ns: int | None,
    ) -> None:
        self._process = process
        self._sim = sim
        self._rank = rank
        self._settings = settings
        self._storage = storage
        self._mounts = mounts
        self._began_ns = began_ns
        self._volumes: VolumeManager | None = None
        self._eviction: EvictionManager | None = None
        self._shutdown: NodeShutdown | None = None
        if began_ns is not None:
            self.volumes()

    def volumes(self) -> VolumeManager:
        """Return what mounts the volumes of pods."""
        if self._volumes is None:
            process, node_status = self._process, self._process.node_status
            self._volumes = VolumeManager(
                self._sim, process.client, self._rank, process.machine.name, self._mounts, self._storage,
                process.spawn, process.record, node_status.report_on_grid, self._volume_exceeds_limit,
            )  # fmt: skip
            node_status.volumes = self._volumes.devices
        return self._volumes

    def _volume_exceeds_limit(self, pod: Pod, message: str) -> None:
        self.eviction.volume_exceeds_limit(pod, message)

    @property
    def eviction(self) -> EvictionManager:
        """What evicts pods when the machine runs short of something."""
        if self._eviction is None:
            process = self._process
            rounds = Grid(self._sim, process.machine.name, "eviction", EVICTION_PERIOD, self._began_ns)
            self._eviction = EvictionManager(
                self._sim.clock, self._rank, process.machine, rounds, process.workers, process.node_status,
                process.active_pods, process.record, self._sim.streams, self._settings,
            )  # fmt: skip
            if not process.alive:  # a volume tells the process that mounted it when it holds too much
                self._eviction.stop()
        return self._eviction

    @property
    def shutdown(self) -> NodeShutdown:
        """What ends pods before the machine is shut down."""
        if self._shutdown is None:
            process = self._process
            self._shutdown = NodeShutdown(
                self._sim.clock, self._rank, self._settings, process.workers, process.node_status, process.active_pods
            )
        return self._shutdown

    # ---- what those parts say that are there ------------------------------------------------------------------------

    def admit_under_pressure(self, pod: Pod) -> Rejection | None:
        """Return why a pod is not taken under the present conditions."""
        return None if self._eviction is None else self._eviction.admit(pod)

    def admit_in_shutdown(self, pod: Pod) -> Rejection | None:
        """Return why a pod is not taken while the node goes down."""
        return None if self._shutdown is None else self._shutdown.admit(pod)

    def forget(self, uid: str) -> None:
        """Drop the volumes of a pod that is gone."""
        if self._volumes is not None:
            self._volumes.forget(uid)

    def stop(self) -> None:
        """The process ends."""
        if self._eviction is not None:
            self._eviction.stop()
