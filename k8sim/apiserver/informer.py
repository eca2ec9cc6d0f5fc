"""Informers: a process's cache of a kind, fed by a watch that lags, with indexes and handlers.

One program (kube-controller-manager, kube-scheduler, a kubelet) has one cache of each kind, which all its controllers
share. Order is kept per kind and not between kinds, as in a cluster.

Source: client-go/tools/cache/shared_informer.go; workloads.md 0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Final, Generic, Literal, TypeVar

from k8sim.api.meta import Object, controller_of, share_all_but_status
from k8sim.api.pods import goes_on
from k8sim.apiserver.server import APIServer, KindListener
from k8sim.apiserver.settings import WatchSettings
from k8sim.apiserver.watch import Change
from k8sim.sim.clock import rank
from k8sim.sim.streams import Stream
from k8sim.sim.units import MILLISECOND, SECOND

T = TypeVar("T", bound=Object)
Key = tuple[str, str]
Handler = Callable[[Change], None]
IndexFunction = Callable[[T], Iterable[Hashable]]

OF_STATUS: Final = 1
STEADY: Final = 2
WITHOUT_VOLUMES: Final = 4
"""Traits of a change, for which handlers can ignore it: a MODIFIED that leaves metadata and spec as they are; one of a
pod that goes on (`k8sim.api.pods.goes_on`); a change of a pod that has no volumes."""
_IGNORED: Final[dict[bool | str, int]] = {True: 0, False: OF_STATUS, "end": STEADY}


class Trouble:
    """What goes wrong with one watch, drawn change by change."""

    def __init__(self, settings: WatchSettings, stream: Stream) -> None:
        self._settings = settings
        self._uniform = stream.uniform

    def late_ns(self) -> int:
        """Return by how much the next change is late."""
        return int(self._settings.late_by_ns * self._uniform()) if self._strikes(self._settings.late_share) else 0

    def repeats(self) -> bool:
        """Tell whether the change is delivered once more."""
        return self._strikes(self._settings.repeated_share)

    def breaks(self) -> bool:
        """Tell whether the watch ends after the change."""
        return self._strikes(self._settings.broken_share)

    def _strikes(self, share: float) -> bool:
        return share > 0 and self._uniform() < share


class Informer(Generic[T]):
    """The cache of one kind. ``resource_version`` is the version of the last change that has arrived.

    Parameters
    ----------
    node
        Of pods: only those that are bound to the node.
    has_status
        Whether anybody looks at the status of what is cached; if not, changes of nothing else are not taken in.
    """

    def __init__(
        self, server: APIServer, cls: type[T], process: str, node: str | None = None, has_status: bool = True
    ) -> None:
        self.cls = cls
        self.resource_version = server.resource_version
        self.has_status = has_status
        self._server = server
        self._clock = server.sim.clock
        self._node = node
        self._objects = self._listed()
        self.find: Callable[[Key], T | None] = self._objects.get
        """`get` for a key, as work queues have it; all syncs begin with that."""
        self._handlers: dict[Handler, int] = {}
        """With the traits of what each of them ignores."""
        self._ignored = 0
        self._audiences: dict[int, tuple[Handler, ...]] = {}
        """By the traits of a change, as soon as there has been one."""
        self._owners_handlers: dict[str, list[Handler]] = {}
        self._indexers: dict[str, IndexFunction[T]] = {}
        self._indexes: dict[str, dict[Hashable, dict[Key, None]]] = {}
        self._process = process
        name = f"{process}/{cls.kind}"
        self._lag = server.sim.latencies.sampler("watch", name)
        self._rank = rank("watch", name)
        self._trouble: Trouble | None = None
        if server.watches is not None:
            self._trouble = Trouble(server.watches, server.sim.streams.stream(name, "watchTrouble"))
        self._last = 0
        self._epoch = 0
        self._connected = True
        if node is None:
            server.watch(cls, self._on_commit)
        else:
            server.watch_pods_of_node(node, self._on_commit)
        server.on_outage(self)

    # ---- reads ----------------------------------------------------------------------------------------------

    def get(self, namespace: str, name: str) -> T | None:
        """Return the cached object, or None."""
        return self._objects.get((namespace, name))

    def list(self, namespace: str | None = None) -> list[T]:
        """Return the cached objects, in the order in which they arrived."""
        if namespace is None:
            return list(self._objects.values())
        return list(self.by_index("namespace", namespace))

    def by_index(self, name: str, value: Hashable) -> Iterable[T]:
        """Return the objects that an index files under a value: `()` if there are none, which is false."""
        if name == "namespace" and name not in self._indexes:
            self.add_index(name, lambda o: (o.metadata.namespace,))
        found = self._indexes[name].get(value)
        return map(self._objects.__getitem__, found) if found else ()

    def __len__(self) -> int:
        return len(self._objects)

    # ---- set-up ---------------------------------------------------------------------------------------------

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        """Keep an index: ``function`` gives the values under which an object is filed. Adding it twice is harmless.

        It may ask for an object's metadata and spec, not for its status: most changes are of the status alone, and
        leave all indexes as they are.
        """
        if name in self._indexers:
            return
        self._indexers[name] = function
        index: dict[Hashable, dict[Key, None]] = {}
        for key, obj in self._objects.items():
            for value in function(obj):
                index.setdefault(value, {})[key] = None
        self._indexes[name] = index

    def add_handler(
        self,
        handler: Handler,
        replay: bool = True,
        of_status: bool | Literal["end"] = True,
        volumes_only: bool = False,
    ) -> None:
        """Call the handler on every change that arrives, after the cache has it; objects already there are ADDED.

        A handler that is added twice is called once.

        Parameters
        ----------
        replay
            Whether to call it for objects already there.
        of_status
            False: not for a MODIFIED that leaves metadata and spec as they are; most changes are of this kind.
            "end": for such a MODIFIED of a pod only if it does not just go on (`k8sim.api.pods.goes_on`).
        volumes_only
            Of pods: only for those that have volumes.
        """
        ignored = _IGNORED[of_status] | (WITHOUT_VOLUMES if volumes_only else 0)
        self._handlers[handler] = ignored
        self._ignored |= ignored
        self._audiences.clear()
        if replay and self._objects:
            for obj in list(self._objects.values()):
                if not volumes_only or obj.spec.volumes:  # type: ignore[attr-defined]
                    handler(Change("ADDED", None, obj))

    def add_owners_handler(self, kind: str, handler: Handler) -> None:
        """Call the handler on every change of an object that a controller of a kind has or had, and of those without.

        Many controllers ask for pods, and each only for its own.
        """
        self._owners_handlers.setdefault(kind, []).append(handler)
        for obj in list(self._objects.values()):
            handler(Change("ADDED", None, obj))

    # ---- the watch ------------------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Cut the watch: what is under way is lost, the cache goes stale."""
        self._connected = False
        self._epoch += 1

    def reconnect(self) -> None:
        """List again and watch on; handlers see the difference to the stale cache."""
        if not self._connected:
            self._connected = True
            self._clock.call_after(self._lag.draw(), self._after_relist, self._epoch, rank=self._rank)

    def close(self) -> None:
        """End the watch for good: its process is gone."""
        self.disconnect()
        if self._node is None:
            self._server.unwatch(self.cls, self._on_commit)
        else:
            self._server.unwatch_pods_of_node(self._node, self._on_commit)
        self._server.off_outage(self)

    def restart(self) -> None:
        """Begin anew, as a process does that has just started: the cache is empty until the list arrives."""
        self.disconnect()
        self._objects.clear()
        for index in self._indexes.values():
            index.clear()
        self.resource_version = 0
        self.reconnect()

    def server_lost(self) -> None:
        """What is under way is lost."""
        self._epoch += 1

    def server_found(self, lost_ns: int) -> None:
        """Watch again when the reflector's back-off lets it try (client-go/tools/cache/reflector.go).

        0.8 s doubling to 30 s, each drawn out by up to its own length.
        """
        if not self._connected:
            return
        uniform = self._server.sim.streams.stream(f"{self._process}/{self.cls.kind}", "reflectorBackoff").uniform
        again, delay = lost_ns, 800 * MILLISECOND
        while again < self._clock.now:
            again += int(delay * (1 + uniform()))
            delay = min(2 * delay, 30 * SECOND)
        self._clock.call_at(again + self._lag.draw(), self._after_relist, self._epoch, rank=self._rank)

    def _after_relist(self, epoch: int) -> None:
        if epoch == self._epoch and self._connected and self._server.available:
            self._relist()

    def _relist(self) -> None:
        self.resource_version = self._server.resource_version
        fresh = self._listed()
        for key, old in list(self._objects.items()):
            new = fresh.get(key)
            if new is None or new.uid != old.uid:
                self._apply(Change("DELETED", old, old))
        for key, obj in fresh.items():
            known = self._objects.get(key)
            if known is None:
                self._apply(Change("ADDED", None, obj))
            elif known.metadata.resource_version < obj.metadata.resource_version:
                self._apply(Change("MODIFIED", known, obj, of_status=share_all_but_status(known, obj)))

    def _listed(self) -> dict[Key, T]:
        if self._node is None:
            return self._server.stored(self.cls)
        return self._server.stored_pods_of_node(self._node)  # type: ignore[return-value]

    def _on_commit(self, change: Change) -> None:
        if not self._connected:
            return
        when = self._clock.now + change.later_ns + self._lag.draw()
        if self._trouble is not None:
            self._on_commit_in_trouble(change, when, self._trouble)
            return
        if when < self._last:
            when = self._last
        self._last = when
        if self.has_status or not change.of_status:
            self._clock.call_at(when, self._apply, change, self._epoch, rank=self._rank)

    def _on_commit_in_trouble(self, change: Change, when: int, trouble: Trouble) -> None:
        self._last = max(when + trouble.late_ns(), self._last)
        self._clock.call_at(self._last, self._apply_in_trouble, change, self._epoch, rank=self._rank)

    def _apply_in_trouble(self, change: Change, epoch: int) -> None:
        before = self.resource_version
        self._apply(change, epoch)
        if self._trouble and self.resource_version > before:
            self._after_arrival(change.new.key, self._trouble)

    def _after_arrival(self, key: Key, trouble: Trouble) -> None:
        if trouble.repeats():
            self._clock.call_after(self._lag.draw(), self._repeat, key, rank=self._rank)
        if self._connected and trouble.breaks():
            self.disconnect()
            self.reconnect()

    def _repeat(self, key: Key) -> None:
        """Tell the handlers once more of an object, as a resync does."""
        known = self._objects.get(key)
        if known is not None:
            change = Change("MODIFIED", known, known, of_status=True)
            without = self._ignored & WITHOUT_VOLUMES and not known.spec.volumes  # type: ignore[attr-defined]
            for handler in self._audience(OF_STATUS | WITHOUT_VOLUMES if without else OF_STATUS):
                handler(change)
            if self._owners_handlers:
                self._tell_owners(change)

    def _apply(self, change: Change, epoch: int | None = None) -> None:
        """Take in what a list has shown, or, if it is still news, what has arrived from the watch of an epoch."""
        new: T = change.new  # type: ignore[assignment]
        meta = new.metadata
        if epoch is not None:
            version = meta.resource_version
            if epoch != self._epoch or version <= self.resource_version:
                return
            self.resource_version = version
        objects, key = self._objects, (meta.namespace, meta.name)
        cached = objects.get(key)
        if change.old is not cached:
            if cached is None and change.type == "DELETED":
                return
            change = _seen_from(cached, change)
        ignored = self._ignored
        if change.of_status:
            objects[key] = new
            traits = OF_STATUS
            if ignored & STEADY and goes_on(cached, new):  # type: ignore[arg-type]
                traits = OF_STATUS | STEADY
        else:
            traits = 0
            there: T | None = new
            if change.type == "DELETED":
                there = None
                del objects[key]
            else:
                objects[key] = new
            if self._indexers and (there is None or cached is None or not _are_filed_alike(cached, there)):
                for name, function in self._indexers.items():
                    self._refile(self._indexes[name], function, key, cached, there)
        if ignored & WITHOUT_VOLUMES and not new.spec.volumes:  # type: ignore[attr-defined]
            traits |= WITHOUT_VOLUMES
        try:
            audience = self._audiences[traits]
        except KeyError:
            audience = self._audience(traits)
        for handler in audience:
            handler(change)
        if self._owners_handlers:
            self._tell_owners(change)

    def _audience(self, traits: int) -> tuple[Handler, ...]:
        """Return who does not ignore changes of some traits."""
        audience = tuple([handler for handler, ignored in self._handlers.items() if not ignored & traits])
        self._audiences[traits] = audience
        return audience

    def _tell_owners(self, change: Change) -> None:
        old, new = change.old, change.new
        ref = controller_of(new)
        concerned: Iterable[str] = self._owners_handlers
        if ref is not None:
            concerned = (ref.kind,)
            if old is not None and old.metadata.owner_references is not new.metadata.owner_references:
                was = controller_of(old)
                if was is not None and was.kind != ref.kind:
                    concerned = (was.kind, ref.kind)
        for kind in concerned:
            for handler in self._owners_handlers.get(kind, ()):
                handler(change)

    def _refile(
        self,
        index: dict[Hashable, dict[Key, None]],
        function: IndexFunction[T],
        key: Key,
        cached: T | None,
        new: T | None,
    ) -> None:
        values = () if new is None else tuple(function(new))
        if cached is not None:
            for value in function(cached):
                if value not in values:
                    files = index[value]
                    files.pop(key, None)
                    if not files:
                        del index[value]
        for value in values:
            index.setdefault(value, {})[key] = None


def _seen_from(cached: Object | None, change: Change) -> Change:
    """Return a change as it looks to a cache that has another version than the one before the change, or none."""
    new, row, actor = change.new, change.row, change.actor
    if change.type == "DELETED":
        return Change("DELETED", cached, new, row, actor)
    if cached is None:
        # A field-selected watch turns "now on this node" into an addition; so does a first sight after a relist.
        return Change("ADDED", None, new, row, actor)
    return Change("MODIFIED", cached, new, row, actor, share_all_but_status(cached, new))


def _are_filed_alike(old: Object, new: Object) -> bool:
    """Tell whether two versions share what indexes are made of."""
    a, b = old.metadata, new.metadata
    return (
        a.labels is b.labels
        and a.annotations is b.annotations
        and a.owner_references is b.owner_references
        and getattr(old, "spec", None) is getattr(new, "spec", None)
    )


class SharedInformers:
    """The informers of one program, made when they are first asked for."""

    def __init__(self, server: APIServer, process: str) -> None:
        self.server = server
        self.process = process
        self._informers: dict[type[Object], Informer[Object]] = {}
        self._listeners: list[KindListener] = []

    def of(self, cls: type[T], status: bool = True) -> Informer[T]:
        """Return the program's informer of a kind. ``status``: whether who asks looks at the status of its objects."""
        informer = self._informers.get(cls)
        if informer is None:
            informer = self._informers[cls] = Informer(self.server, cls, self.process, has_status=status)
        elif status:
            informer.has_status = True
        return informer  # type: ignore[return-value]

    def on_first_use(self, listener: KindListener) -> None:
        """Call the listener with each kind that is not in use (`APIServer.in_use`) before it is."""
        self.server.on_first_use(listener)
        self._listeners.append(listener)

    def close(self) -> None:
        """End all watches of the program for good."""
        for listener in self._listeners:
            self.server.off_first_use(listener)
        for informer in self._informers.values():
            informer.close()
