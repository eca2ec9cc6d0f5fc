"""The volume manager: a pod's sync waits until its volumes are mounted, its end until they are unmounted.

Two loops of 100 ms lie between the wish and the deed (populator, reconciler); the waiting sync looks at once and then
every 300 ms, and gives up after 2 min 3 s, while the mounting itself goes on. Volumes that have to be attached are the
business of `k8sim.kubelet.devices`.

Source: pkg/kubelet/volumemanager/{volume_manager,populator,reconciler}; node.md 1.4, 4.2, 6; storage.md 3.5, 3.7, 4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from k8sim.api.core import ConfigMap, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret
from k8sim.api.quantity import parse_quantity
from k8sim.api.storage import CSIDriver
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.watch import Change
from k8sim.kubelet.configrefs import CONFIG_KINDS, missing_for_volume
from k8sim.kubelet.devices import Backoff, Devices, MountFailed, Mounts
from k8sim.kubelet.settings import VOLUME_POLL, VOLUME_TIMEOUT
from k8sim.kubelet.volumegrowth import VolumeGrowth
from k8sim.kubelet.volumespecs import (
    ClaimVolume,
    claim_of,
    empty_dir_location,
    mount_problem,
    owns_by_walk,
    resolve_claims,
    used_volumes,
    view_of,
)
from k8sim.kubelet.waiting import first_of
from k8sim.machines.content import Holder
from k8sim.machines.disks import Storage, location
from k8sim.sim.clock import Clock, Event, Steps, Task
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import MILLISECOND, MINUTE, SECOND

LOOP: Final = 100 * MILLISECOND
RECONNECT_POLL: Final = SECOND
FIRST_WALK_WARNING: Final = 30 * SECOND
WALK_WARNING_PERIOD: Final = MINUTE

Record = Callable[[Pod, str, str, str], None]


class VolumeTimeout(Exception):
    """A pod's volumes could not be mounted in time."""


class VolumesUnusable(Exception):
    """A pod's claims are not such that their volumes could be mounted."""


class AttachLimitExceeded(Exception):
    """A pod's volumes could not be mounted in time, and never will be: the node takes no more of them."""


@dataclass(eq=False)
class PodVolumes:
    """The volumes of one pod. ``mounted_at`` None: not yet."""

    pod: Pod
    done: Event
    stumbles: Event
    mounted_at: int | None = None
    unmounted_at: int | None = None
    why: str = "not mounted yet"
    problem: str = ""
    stumbled_ns: int = 0
    tasks: list[Task] = field(default_factory=list)
    specs: list[ClaimVolume] = field(default_factory=list)
    pending: int = 0
    begun: bool = False
    evicted: bool = False

    def stumble(self, problem: str, clock: Clock, delay_ns: int, rank: int) -> None:
        """Note what the populator stumbles over in its next loop."""
        self.problem, self.stumbled_ns = problem, clock.now + delay_ns
        clock.fire(self.stumbles, None, rank)
        self.stumbles = clock.event()

    def is_mounted(self) -> bool:
        """Whether all volumes are mounted."""
        return self.mounted_at is not None


class VolumeManager:
    """Mounts and unmounts the volumes of one node's pods."""

    def __init__(
        self,
        sim: Simulation,
        client: Client,
        rank: int,
        node: str,
        mounts: Mounts | None = None,
        storage: Storage | None = None,
        spawn: Callable[[Steps], Any] | None = None,
        record: Record | None = None,
        report: Callable[[], None] = lambda: None,
        over_limit: Callable[[Pod, str], None] = lambda pod, message: None,
    ) -> None:
        self._sim = sim
        self._clock: Clock = sim.clock
        self._client = client
        self._rank = rank
        self._node = node
        self._storage = storage
        self._spawn = spawn or sim.clock.spawn
        self._record = record or (lambda pod, type_, reason, message: None)
        self._over_limit = over_limit
        self._pods: dict[str, PodVolumes] = {}
        self._groups: dict[str, int] = {}
        self.devices = Devices(sim, client, rank, node, mounts or Mounts(), storage, self._spawn, report)
        self.growth = VolumeGrowth(sim, client, rank, node, storage, self._spawn, self._record)

    # ---- what a pod's sync asks -------------------------------------------------------------------------------------

    def wait_for_attach_and_mount(self, pod: Pod, cancel: Event | None) -> Generator[Event, Any, bool]:
        """Wait until all volumes are mounted; False if the wait was cancelled, which takes a pod with volumes.

        Raises
        ------
        VolumesUnusable
            The populator has stumbled over a claim, which ends the wait; it goes on trying beside (PopPodErrors).
        VolumeTimeout, AttachLimitExceeded
        """
        if not used_volumes(pod):
            return True
        assert cancel is not None
        volumes = self._pods.get(pod.uid)
        if volumes is None:
            volumes = self._pods[pod.uid] = PodVolumes(pod, self._clock.event(), self._clock.event())
            volumes.tasks.append(self._spawn(self._mount_pod(volumes)))
        start = self._clock.now
        deadline = start + VOLUME_TIMEOUT
        if volumes.is_mounted():
            return True
        while not volumes.is_mounted():
            if cancel.processed:
                return False
            if self._clock.now >= deadline:
                if any(self.devices.finds_no_place(spec) for spec in volumes.specs):
                    raise AttachLimitExceeded("Node has reached its volume attachment limit, rejecting pod")
                raise VolumeTimeout(f"unable to mount volumes: {volumes.why}")
            if volumes.problem and self._clock.now >= volumes.stumbled_ns:
                yield from self._until_poll(start, cancel)
                raise VolumesUnusable(f"Unable to attach or mount volumes: {volumes.problem}")
            until = volumes.stumbled_ns if volumes.problem else deadline
            yield first_of(self._clock, self._rank, cancel, volumes.done, volumes.stumbles, until_ns=until)
        yield from self._until_poll(start, cancel)
        return not cancel.processed

    def _until_poll(self, start: int, cancel: Event) -> Generator[Event, Any, None]:
        """Wait until the sync looks again, which it has done every 300 ms since it began."""
        poll = start + -((start - self._clock.now) // VOLUME_POLL) * VOLUME_POLL
        if poll > self._clock.now and not cancel.processed:
            yield first_of(self._clock, self._rank, cancel, until_ns=poll)

    def pod_stopped(self, pod: Pod, evicted: bool = False) -> None:
        """Begin to unmount: the pod's containers have stopped."""
        volumes = self._pods.get(pod.metadata.uid)
        if volumes is None or volumes.unmounted_at is not None:
            return
        now = self._clock.now
        self.growth.forget(pod.uid)
        for task in volumes.tasks:
            task.kill()
        volumes.unmounted_at, volumes.evicted = now, evicted
        if volumes.begun:
            volumes.unmounted_at += self._two_loops() + self._sim.latencies.draw("volumeUnmount", self._node)
        self._clock.call_at(volumes.unmounted_at, self._unpublished, volumes, rank=self._rank)

    def _unpublished(self, volumes: PodVolumes) -> None:
        if self._pods.get(volumes.pod.uid) in (volumes, None):
            self._let_go(volumes.pod.uid)
            self._remove_empty_dirs(volumes)

    def _let_go(self, uid: str) -> None:
        if self._storage is not None:
            self._storage.unmount_all(self._node, uid)
        self.devices.release(uid)

    def _remove_empty_dirs(self, volumes: PodVolumes) -> None:
        """Remove the pod's emptyDir volumes: when its containers are gone, not when its object is."""
        if self._storage is not None:
            path = "L6" if volumes.evicted else "L4"
            for entry in volumes.pod.spec.volumes:
                if entry.empty_dir is not None:
                    self._storage.wipe(empty_dir_location(self._node, volumes.pod, entry.name), path)

    def wait_for_unmount(self, pod: Pod) -> Generator[Event, Any, None]:
        """Wait until the pod's volumes are unmounted: look at once, then every 300 ms."""
        uid = pod.metadata.uid
        volumes = self._pods.get(uid)
        done = volumes.unmounted_at if volumes is not None else None
        if done is not None and done > self._clock.now:
            polls = -((self._clock.now - done) // VOLUME_POLL)
            yield self._clock.sleep(polls * VOLUME_POLL, self._rank)
        self.forget(uid)

    def forget(self, uid: str) -> None:
        """Drop a pod whose volumes are unmounted, or that is gone."""
        volumes = self._pods.pop(uid, None)
        if volumes is not None:
            for task in volumes.tasks:
                task.kill()
        self.growth.forget(uid)
        self._let_go(uid)

    def stop(self) -> None:
        """The kubelet's process ends; what is mounted stays."""
        self.growth.stop()

    # ---- mounting ---------------------------------------------------------------------------------------------------

    def _mount_pod(self, volumes: PodVolumes) -> Steps:
        """Mount all volumes of a pod, however long that takes."""
        pod = volumes.pod
        while True:
            specs, problem = self._resolve(pod)
            if problem is None:
                break
            volumes.why = problem
            volumes.stumble(problem, self._clock, int(self._part_of_loop() * LOOP), self._rank)
            yield from self._claim_change(pod)
        volumes.problem = ""
        volumes.specs = specs
        volumes.begun = True
        for spec in specs:
            if spec.unique is not None:
                self.devices.want(spec.unique, pod.uid)
        yield self._clock.sleep(self._two_loops(), self._rank)
        others = len(used_volumes(pod)) > len(specs)
        volumes.pending = len(specs) + others
        for spec in specs:
            volumes.tasks.append(self._spawn(self._mount_claim(volumes, spec)))
        if others:
            yield from self._config_is_there(volumes)
            yield self._clock.sleep(self._sim.latencies.draw("volumeMount", self._node), self._rank)
            if self._storage is not None:
                self._limit_empty_dirs(pod, self._storage)
            self._mounted(volumes)

    def _limit_empty_dirs(self, pod: Pod, storage: Storage) -> None:
        """Set the size of volumes in memory, and have pods evicted for those on disk, where writes go on all the same.

        Source: pkg/volume/emptydir/empty_dir.go, pkg/kubelet/eviction/eviction_manager.go; storage.md 5.4.
        """
        for volume in pod.spec.volumes:
            source = volume.empty_dir
            if source is None or source.size_limit is None or parse_quantity(source.size_limit) <= 0:
                continue
            where, size = empty_dir_location(self._node, pod, volume.name), parse_quantity(source.size_limit)
            if source.medium == "Memory":
                storage.disk(where).size = size
            else:
                message = f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{source.size_limit}".'
                storage.limit(where, size, partial(self._over_limit, pod, message))

    def _config_is_there(self, volumes: PodVolumes) -> Generator[Event, Any, None]:
        """Try until all ConfigMaps and Secrets exist that the pod mounts, with back-off."""
        pod, backoff = volumes.pod, Backoff()
        while True:
            problem = self._missing_config(pod)
            if problem is None:
                return
            volumes.why = problem
            self._record(pod, "Warning", "FailedMount", f"MountVolume.SetUp failed for volume: {problem}")
            yield self._clock.sleep(backoff.next(), self._rank)

    def _missing_config(self, pod: Pod) -> str | None:
        find, used = self._client.server.find, used_volumes(pod)

        def lookup(kind: str, name: str) -> ConfigMap | Secret | None:
            return find(CONFIG_KINDS[kind], pod.namespace, name)

        problems = (missing_for_volume(volume, lookup) for volume in pod.spec.volumes if volume.name in used)
        return next((problem for problem in problems if problem is not None), None)

    def _mounted(self, volumes: PodVolumes) -> None:
        volumes.pending -= 1
        if not volumes.pending:
            volumes.mounted_at = self._clock.now
            self._clock.fire(volumes.done, None, self._rank)

    def _resolve(self, pod: Pod) -> tuple[list[ClaimVolume], str | None]:
        """Look up the pod's claims; without any the API server is not asked, so that static pods need none."""
        has_claims = any(claim_of(pod, volume) is not None for volume in pod.spec.volumes)
        if has_claims and (not self._client.connected or not self._client.server.available):
            return [], "the API server cannot be reached"
        find = self._client.server.find
        return resolve_claims(
            pod,
            lambda name: find(PersistentVolumeClaim, pod.namespace, name),
            lambda name: find(PersistentVolume, "", name),
            lambda name: find(CSIDriver, "", name),
        )

    def _claim_change(self, pod: Pod) -> Generator[Event, Any, None]:
        """Wait until the populator may see something new of the pod's claims: then it looks in its next loop."""
        server = self._client.server
        if not self._client.connected or not server.available:
            yield self._clock.sleep(RECONNECT_POLL, self._rank)
            return
        changed = self._clock.event()

        def wake(_: Change) -> None:
            self._clock.fire(changed, None, self._rank)

        stops = []
        for entry in pod.spec.volumes:
            name = claim_of(pod, entry)
            if name is None:
                continue
            stops.append(server.watch_object(PersistentVolumeClaim, pod.namespace, name, wake))
            claim = server.find(PersistentVolumeClaim, pod.namespace, name)
            if claim is not None and claim.spec.volume_name:
                stops.append(server.watch_object(PersistentVolume, "", claim.spec.volume_name, wake))
        try:
            yield changed
        finally:
            for stop in stops:
                stop()
        yield self._clock.sleep(int(self._part_of_loop() * LOOP), self._rank)

    def _mount_claim(self, volumes: PodVolumes, spec: ClaimVolume) -> Steps:
        """Mount one claim; failures are told and retried with back-off."""
        backoff = Backoff()

        def why(reason: str) -> None:
            volumes.why = reason

        if spec.unique is not None:
            yield from self.devices.ready_to_mount(spec.unique, why)
        while True:
            try:
                yield from self._mount_once(volumes.pod, spec)
                break
            except (MountFailed, ApiError) as error:
                why(str(error))
                if self._storage is not None and str(error).startswith("NodeExpandVolume"):
                    self._storage.beyond_reach(location(spec.volume, self._node), "L37")
                message = f'MountVolume.SetUp failed for volume "{spec.volume.name}" : {error}'
                self._record(volumes.pod, "Warning", "FailedMount", message)
                yield self._clock.sleep(backoff.next(), self._rank)
        self._mounted(volumes)

    def _mount_once(self, pod: Pod, spec: ClaimVolume) -> Generator[Event, Any, None]:
        server = self._client.server
        problem = mount_problem(spec.volume, server.find(Node, "", self._node))
        if problem is not None:
            if self._storage is not None:
                path = "L39" if "node affinity" in problem else "L40"
                self._storage.beyond_reach(location(spec.volume, self._node), path)
            raise MountFailed(problem)
        others = spec.unique is not None and self.devices.published_elsewhere(spec.unique, pod.uid)
        if others and spec.volume.spec.access_modes == ("ReadWriteOncePod",):
            raise MountFailed("volume uses the ReadWriteOncePod access mode and is already in use by another pod")
        if spec.unique is not None:
            yield from self.devices.stage(spec)
            driver = spec.volume.spec.csi.driver if spec.volume.spec.csi is not None else ""
            yield self._clock.sleep(self.devices.draw("volumePublish", driver, "publish"), self._rank)
            self.devices.mounts.staged[spec.unique].pods[pod.uid] = None
        else:
            yield self._clock.sleep(self._sim.latencies.draw("volumeMount", self._node), self._rank)
            self._check_directory(spec.volume)
        self._mount_filesystem(spec)
        yield from self._own(pod, spec, others)
        yield from self.growth.at_mount(pod, spec)
        if self._storage is not None:
            where = location(spec.volume, self._node)
            holder = Holder(self._node, pod.uid, pod.namespace, pod.name)
            self._storage.mount(where, holder, view_of(pod, spec.name))
            if spec.volume.spec.host_path is not None:
                self._storage.leave_behind(spec.volume.spec.host_path.path, where)

    def _check_directory(self, volume: PersistentVolume) -> None:
        """Find the directory of a volume that no driver attaches; an absent one of a hostPath is made by the runtime.

        Source: pkg/volume/local/local.go (NewMounter: GetFileType), pkg/volume/nfs/nfs.go (SetUpAt); storage.md 5.7.
        """
        if self._storage is None or not self._storage.disk(location(volume, self._node)).lost:
            return
        if volume.spec.local is not None:
            raise MountFailed(f'path "{volume.spec.local.path}" does not exist')
        if volume.spec.nfs is not None:
            raise MountFailed(f"mounting {volume.spec.nfs.server}:{volume.spec.nfs.path}: No such file or directory")

    def _mount_filesystem(self, spec: ClaimVolume) -> None:
        """Let a CSI driver mount a volume as a file system, for which it makes one if it finds none."""
        source = spec.volume.spec.csi
        if self._storage is None or source is None or spec.volume.spec.volume_mode == "Block":
            return
        problem = self._storage.mount_filesystem(location(spec.volume, self._node), source.fs_type)
        if problem:
            raise MountFailed(problem)

    def _own(self, pod: Pod, spec: ClaimVolume, others: bool) -> Generator[Event, Any, None]:
        """Give the volume's files the pod's group, if it asks for that: a walk through all of them."""
        source = spec.volume.spec.csi
        driver = self._client.server.find(CSIDriver, "", source.driver) if source is not None else None
        group = pod.spec.security_context.fs_group
        if group is None or not owns_by_walk(pod, spec, driver, others):
            return
        where = location(spec.volume, self._node)
        groups = self._storage.groups if self._storage is not None else self._groups
        if pod.spec.security_context.fs_group_change_policy == "OnRootMismatch" and groups.get(where) == group:
            return
        left = self._sim.latencies.draw("volumeOwnershipWalk", where)
        warning = FIRST_WALK_WARNING
        while left > warning:
            yield self._clock.sleep(warning, self._rank)
            left -= warning
            warning = WALK_WARNING_PERIOD
            if self._storage is not None:
                self._storage.beyond_reach(where, "L38")
            message = f'Setting volume ownership for volume "{spec.volume.name}" is taking longer than expected'
            self._record(pod, "Warning", "VolumePermissionChangeInProgress", message)
        yield self._clock.sleep(left, self._rank)
        groups[where] = group  # the root comes last: a walk that was cut short is done again

    def _two_loops(self) -> int:
        return int((self._part_of_loop() + self._part_of_loop()) * LOOP)

    def _part_of_loop(self) -> float:
        """Return which part of a loop passes until the next one begins."""
        return self._sim.streams.uniform(f"{self._node}/volumes", "loops")
