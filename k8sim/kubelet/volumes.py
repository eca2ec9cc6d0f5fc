"""The volume manager: a pod's sync waits until its volumes are mounted, its end until they are unmounted.

Two loops of 100 ms lie between the wish and the deed (populator, reconciler); the waiting sync looks at once and then
every 300 ms, and gives up after 2 min 3 s. What can stand in the way of a mount, beyond an unbound claim, is asked of
``blockers``: storage registers there what it knows (an attachment that is missing, a volume not reported in use).

Source: pkg/kubelet/volumemanager/{volume_manager,populator,reconciler}; node.md 1.4, 4.2, 6.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.pods import claim_names
from k8sim.apiserver.client import Client
from k8sim.kubelet.settings import VOLUME_POLL, VOLUME_TIMEOUT
from k8sim.kubelet.waiting import first_of
from k8sim.sim.clock import Clock, Event
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import MILLISECOND

LOOP = 100 * MILLISECOND
Blocker = Callable[[Pod], str | None]


class VolumeTimeout(Exception):
    """A pod's volumes could not be mounted in time."""


def mounted_volumes(pod: Pod) -> list[str]:
    """Return the names of the volumes that containers use (getExpectedVolumes): others are not waited for."""
    used = {m.name for c in (*pod.spec.containers, *pod.spec.init_containers) for m in c.volume_mounts}
    used |= {d.name for c in (*pod.spec.containers, *pod.spec.init_containers) for d in c.volume_devices}
    return [v.name for v in pod.spec.volumes if v.name in used]


class VolumeManager:
    """Mounts and unmounts the volumes of one node's pods. ``mounted`` holds the pods that have theirs, by UID."""

    def __init__(self, sim: Simulation, client: Client, rank: int, node: str) -> None:
        self._clock: Clock = sim.clock
        self._client = client
        self._rank = rank
        self._entity = f"{node}/volumes"
        self._streams = sim.streams
        self._mount = sim.latencies.sampler("volumeMount", node)
        self._unmount = sim.latencies.sampler("volumeUnmount", node)
        self._mounted_at: dict[str, int] = {}
        self._unmounted_at: dict[str, int] = {}
        self.mounted: dict[str, Pod] = {}
        self.blockers: list[Blocker] = []

    def wait_for_attach_and_mount(self, pod: Pod, cancel: Event) -> Generator[Event, Any, bool]:
        """Wait until all volumes are mounted; False if the wait was cancelled. Raises VolumeTimeout."""
        if pod.uid in self.mounted or not mounted_volumes(pod):
            return True
        start = self._clock.now
        why: str | None = "not mounted yet"
        polls = 0
        while True:
            if self._blocked(pod) is not None:
                why = self._blocked(pod)
            elif pod.uid not in self._mounted_at:
                self._mounted_at[pod.uid] = self._clock.now + self._two_loops() + self._mount()
            if self._mounted_at.get(pod.uid, self._clock.now + 1) <= self._clock.now:
                self.mounted[pod.uid] = pod
                return True
            if self._clock.now - start >= VOLUME_TIMEOUT:
                raise VolumeTimeout(f"unable to mount volumes: {why}")
            polls += 1
            if cancel.processed:
                return False
            until = min(start + polls * VOLUME_POLL, start + VOLUME_TIMEOUT)
            yield first_of(self._clock, self._rank, cancel, until_ns=until)
            if self._clock.now < until:
                return False

    def _blocked(self, pod: Pod) -> str | None:
        """Return why the pod's volumes cannot be mounted now, or None."""
        server = self._client.server
        for name in claim_names(pod):
            if not self._client.connected:
                return "the API server cannot be reached"
            claim = server.find(PersistentVolumeClaim, pod.namespace, name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim.status.phase != "Bound" or not claim.spec.volume_name:
                return f'persistentvolumeclaim "{name}" is not bound'
        for blocker in self.blockers:
            reason = blocker(pod)
            if reason is not None:
                return reason
        return None

    def _two_loops(self) -> int:
        stream = self._streams.stream(self._entity, "loops")
        return int((stream.uniform() + stream.uniform()) * LOOP)

    def pod_stopped(self, pod: Pod) -> None:
        """Begin to unmount: the pod's containers have stopped."""
        if pod.uid in self._mounted_at and pod.uid not in self._unmounted_at:
            done = max(self._clock.now, self._mounted_at[pod.uid]) + self._two_loops() + self._unmount()
            self._unmounted_at[pod.uid] = done

    def wait_for_unmount(self, pod: Pod) -> Generator[Event, Any, None]:
        """Wait until the pod's volumes are unmounted: look at once, then every 300 ms."""
        done = self._unmounted_at.get(pod.uid)
        if done is not None and done > self._clock.now:
            polls = -((self._clock.now - done) // VOLUME_POLL)
            yield self._clock.sleep(polls * VOLUME_POLL, self._rank)
        self.forget(pod.uid)

    def forget(self, uid: str) -> None:
        """Drop a pod whose volumes are unmounted."""
        self.mounted.pop(uid, None)
        self._mounted_at.pop(uid, None)
        self._unmounted_at.pop(uid, None)
