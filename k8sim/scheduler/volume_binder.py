"""The binding cycle's part of VolumeBinding: write what was decided, wait until the volume controller has done its own.

The real loop looks once a second, for the first time after one second. Here it looks at those same moments, but only
once something that it waits for has changed.

Source: pkg/scheduler/framework/plugins/volumebinding/binder.go (BindPodVolumes); storage.md 2.2.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final

from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.apiserver.client import Client
from k8sim.apiserver.informer import Informer, SharedInformers
from k8sim.apiserver.watch import Change
from k8sim.scheduler.caches import Caches
from k8sim.scheduler.plugins.volume_binding import BindingFailed, PodVolumes, assume_volumes, bindings_complete
from k8sim.sim.clock import Clock, Event
from k8sim.sim.units import SECOND

POLL_NS: Final = 1 * SECOND
Key = tuple[str, str, str]


class VolumeBinder:
    """Reserves, writes and awaits the bindings of pods' volumes."""

    def __init__(self, clock: Clock, rank: int, informers: SharedInformers, caches: Caches, timeout_ns: int) -> None:
        self._clock = clock
        self._rank = rank
        self._caches = caches
        self._timeout_ns = timeout_ns
        self._waiting: dict[Key, dict[str, Event]] = {}
        self._claims = informers.of(PersistentVolumeClaim)
        self._volumes = informers.of(PersistentVolume)
        self._nodes = informers.of(Node)
        self._pods = informers.of(Pod)
        watched: tuple[Informer[Any], ...] = (self._claims, self._volumes, self._nodes)
        for informer in watched:
            informer.add_handler(self._on_change, replay=False)
        self._pods.add_handler(self._on_change, replay=False, volumes_only=True)

    def _on_change(self, change: Change) -> None:
        if not self._waiting:
            return
        waiting = self._waiting.get((change.new.kind, *change.new.key))
        if waiting:
            for event in waiting.values():
                self._clock.fire(event, None, self._rank)

    def reserve(self, volumes: PodVolumes, node: str) -> PodVolumes:
        """Assume the decisions for a node; return the objects that are to be written."""
        assumed = assume_volumes(volumes, node)
        for _, volume in assumed.static:
            self._caches.volumes.assume(volume)
        for claim in assumed.provision:
            self._caches.claims.assume(claim)
        return assumed

    def unreserve(self, assumed: PodVolumes) -> None:
        """Take the assumptions back; what has been written stays written."""
        for _, volume in assumed.static:
            self._caches.volumes.restore(volume)
        for claim in assumed.provision:
            self._caches.claims.restore(claim)

    def bind(self, pod: Pod, node: str, assumed: PodVolumes, client: Client) -> Generator[Event, Any, None]:
        """Write the bindings and wait until all are complete.

        Raises
        ------
        ApiError
            A write was refused: somebody else has changed the object.
        BindingFailed
            The bindings cannot come about, or not in time.
        """
        static: tuple[tuple[PersistentVolumeClaim, PersistentVolume], ...] = ()
        for claim, volume in assumed.static:
            static += ((claim, (yield from client.update(volume))),)
        provision: tuple[PersistentVolumeClaim, ...] = ()
        for claim in assumed.provision:
            provision += ((yield from client.update(claim)),)
        written = PodVolumes(static, provision)
        begun = self._clock.now
        due = begun + POLL_NS
        while due < begun + self._timeout_ns:
            yield self._clock.sleep(due - self._clock.now, self._rank)
            if self._check(pod, node, written):
                return
            yield from self._wait(pod, node, written, begun + self._timeout_ns)
            due = self._clock.next_on_grid(begun, POLL_NS, max(self._clock.now, due + 1))
        raise BindingFailed("binding volumes: timed out waiting for the condition")

    def _check(self, pod: Pod, node_name: str, written: PodVolumes) -> bool:
        node = self._nodes.get("", node_name)
        if node is None:
            raise BindingFailed(f'binding volumes: failed to get node "{node_name}": not found')
        cached = self._pods.get(*pod.key)
        if cached is None:
            raise BindingFailed(f'binding volumes: pod does not exist any more: pod "{pod.name}" not found')
        try:
            return bindings_complete(written, node, self._latest(written))
        except BindingFailed as failure:
            raise BindingFailed(f"binding volumes: {failure}") from None

    def _latest(self, written: PodVolumes) -> Mapping[Key, PersistentVolume | PersistentVolumeClaim]:
        """Return what the informers have of all that is being bound, the volumes of provisioned claims included."""
        latest: dict[Key, PersistentVolume | PersistentVolumeClaim] = {}
        names = [volume.name for _, volume in written.static]
        for claim in (*(claim for claim, _ in written.static), *written.provision):
            cached = self._claims.get(*claim.key)
            if cached is not None:
                latest["PersistentVolumeClaim", claim.namespace, claim.name] = cached
                names.append(cached.spec.volume_name)
        for name in names:
            volume = self._volumes.get("", name)
            if volume is not None:
                latest["PersistentVolume", "", name] = volume
        return latest

    def _wait(self, pod: Pod, node: str, written: PodVolumes, deadline: int) -> Generator[Event, Any, None]:
        """Wait until something changes that a check looks at, at most until the deadline."""
        keys: list[Key] = [("Pod", *pod.key), ("Node", "", node)]
        for claim in (*(claim for claim, _ in written.static), *written.provision):
            keys.append(("PersistentVolumeClaim", *claim.key))
            cached = self._claims.get(*claim.key)
            if cached is not None and cached.spec.volume_name:
                keys.append(("PersistentVolume", "", cached.spec.volume_name))
        keys += [("PersistentVolume", "", volume.name) for _, volume in written.static]
        event = self._clock.event()
        for key in keys:
            self._waiting.setdefault(key, {})[pod.uid] = event
        self._clock.call_at(deadline, self._clock.fire, event, rank=self._rank)
        yield event
        for key in dict.fromkeys(keys):
            del self._waiting[key][pod.uid]
            if not self._waiting[key]:
                del self._waiting[key]
