"""The API server: one store of immutable versions, optimistic concurrency, watches, graceful deletion, finalizers.

Every write is atomic at one instant; the time a request takes is the client's (`k8sim.apiserver.client`). Watchers are
called at once, in the order of their registration; the lag of a watch is the informer's.

Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go, registry/rest/{create,update,delete}.go;
workloads.md 5.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Protocol, TypeVar

from k8sim.api.core import Pod
from k8sim.api.defaults import default_object
from k8sim.api.meta import Condition, Object, set_condition, share_all_but_status, with_meta
from k8sim.api.scheme import KINDS, resource_name
from k8sim.api.struct import Time, replace
from k8sim.apiserver import eviction, strategy
from k8sim.apiserver.admission_handler import handled_by
from k8sim.apiserver.errors import AlreadyExists, Conflict, Forbidden, NotFound
from k8sim.apiserver.leases import Leases
from k8sim.apiserver.settings import WatchSettings
from k8sim.apiserver.watch import Change, ChangeType
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE

T = TypeVar("T", bound=Object)
Key = tuple[str, str]
Watcher = Callable[[Change], None]
KindListener = Callable[[type[Object]], None]
Admission = Callable[["APIServer", Object, Object | None], Object]
"""An admission plug-in: (server, new object, old object or None on create) -> object, or raises Forbidden."""

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_FINALIZER = {"Orphan": ORPHAN, "Foreground": FOREGROUND}


Record = Callable[[ChangeType, Object | None, Object, bool, str, int], int]
"""What is told of a change, its actor and its cause before anybody else, and returns the row that stands for it."""


def _record_nothing(type_: ChangeType, old: Object | None, new: Object, of_status: bool, actor: str, cause: int) -> int:
    return cause


class Line(Protocol):
    """A watch, as far as it depends on the server's being there."""

    def server_lost(self) -> None:
        """Learn that the server has gone down."""

    def server_found(self, lost_ns: int) -> None:
        """Learn that it is back, and when it went down."""


class APIServer:
    """The store and its rules.

    Parameters
    ----------
    sim
        The run's clock, streams and trace.
    admission
        Plug-ins in order, called on create and update.
    keep_history
        Keep every change (`history`), so that the state at any past moment can be shown.
    """

    def __init__(
        self,
        sim: Simulation,
        admission: Iterable[Admission] = (),
        keep_history: bool = True,
        watches: WatchSettings | None = None,
    ) -> None:
        self.sim = sim
        self.admission = admission
        self.watches = watches if watches != WatchSettings() else None
        self.available = True
        self.leases = Leases()
        self.resource_version = 0
        self.history: list[tuple[int, Change]] | None = [] if keep_history else None
        self.recorder: Record = _record_nothing
        self.real_name: Callable[[str, str], str] = lambda kind, name: name
        self._objects: dict[type[Object], dict[Key, Object]] = {cls: {} for cls in KINDS}
        self._latest_versions: dict[type[Object], int] = {}
        self._incarnations: dict[tuple[str, str, str], int] = {}
        self._watchers: dict[type[Object], list[Watcher]] = {cls: [] for cls in KINDS}
        self._pod_watchers: dict[str, list[Watcher]] = {}
        self._pods_of_node: dict[str, dict[Key, Pod]] = {}
        self._object_watchers: dict[tuple[type[Object], str, str], list[Watcher]] = {}
        self.lines: list[Line] = []
        self._kind_listeners: list[KindListener] = []
        self._down_since = 0
        self._removal_delay = sim.latencies.sampler("podRemoval", "kube-apiserver")

    @property
    def admission(self) -> Iterable[Admission]:
        """All admission plug-ins."""
        return [plugin for plugin, _ in self._admission]

    @admission.setter
    def admission(self, plugins: Iterable[Admission]) -> None:
        self._admission = [(plugin, handled_by(plugin)) for plugin in plugins]
        self._asked: dict[tuple[type[Object], bool], tuple[Admission, ...]] = {}

    # ---- reads ----------------------------------------------------------------------------------------------

    def find(self, cls: type[T], namespace: str, name: str) -> T | None:
        """Return an object, or None."""
        return self._objects[cls].get((namespace, name))  # type: ignore[return-value]

    def get(self, cls: type[T], namespace: str, name: str) -> T:
        """Return an object, or raise NotFound."""
        obj = self._objects[cls].get((namespace, name))
        if obj is None:
            raise NotFound(f'{cls.plural}{_group(cls)} "{name}" not found')
        return obj  # type: ignore[return-value]

    def list(self, cls: type[T], namespace: str | None = None) -> list[T]:
        """Return the objects of a kind (of a namespace), in the order of their creation."""
        objects: Iterable[Object] = self._objects[cls].values()
        if namespace is not None:
            objects = (o for o in objects if o.metadata.namespace == namespace)
        return list(objects)  # type: ignore[arg-type]

    def stored(self, cls: type[T]) -> dict[Key, T]:
        """Return the objects of a kind by (namespace, name), in the order of their creation."""
        return self._objects[cls].copy()  # type: ignore[return-value]

    def stored_pods_of_node(self, node: str) -> dict[Key, Pod]:
        """Return the pods that are bound to a node, by (namespace, name)."""
        return self._pods_of_node.get(node, {}).copy()

    def pods_of_node(self, node: str) -> Sequence[Pod]:
        """Return the pods that are bound to a node (field selector spec.nodeName)."""
        return tuple(self._pods_of_node.get(node, {}).values())

    def incarnation(self, obj: Object) -> int:
        """Return how many objects of that kind and name there have been, this one included."""
        return self._incarnations.get((obj.kind, obj.metadata.namespace, obj.metadata.name), 0)

    def incarnation_of(self, kind: str, namespace: str, name: str) -> int:
        """Return how many objects of a kind and name there have been."""
        return self._incarnations.get((kind, namespace, name), 0)

    def latest_version(self, cls: type[Object]) -> int:
        """Return the version of the last change of a kind."""
        return self._latest_versions.get(cls, 0)

    # ---- watches --------------------------------------------------------------------------------------------

    def watch(self, cls: type[Object], watcher: Watcher) -> None:
        """Call the watcher on every change of the kind from now on."""
        self._watchers[cls].append(watcher)

    def unwatch(self, cls: type[Object], watcher: Watcher) -> None:
        """End a watch."""
        self._watchers[cls].remove(watcher)

    def on_outage(self, line: Line) -> None:
        """Tell a watch when the server goes down, and when it is back."""
        self.lines.append(line)

    def off_outage(self, line: Line) -> None:
        """Tell a watch no more."""
        self.lines.remove(line)

    def in_use(self, cls: type[Object]) -> bool:
        """Tell whether there has been an object of a kind, or an outage, which changes the watches of all kinds."""
        return cls in self._latest_versions

    def on_first_use(self, listener: KindListener) -> None:
        """Call the listener with each kind that is not in use, before it is: who watches such a kind sees nothing."""
        self._kind_listeners.append(listener)

    def off_first_use(self, listener: KindListener) -> None:
        """Tell a listener no more."""
        self._kind_listeners.remove(listener)

    def _begin_use(self, cls: type[Object]) -> None:
        self._latest_versions[cls] = 0
        for listener in self._kind_listeners:
            listener(cls)

    def go_down(self) -> None:
        """Stop answering: requests fail, watches break. What is stored stays."""
        if self.available:
            for cls in KINDS:
                if not self.in_use(cls):
                    self._begin_use(cls)
            self.available = False
            self._down_since = self.sim.clock.now
            for line in self.lines:
                line.server_lost()

    def come_back(self) -> None:
        """Answer again."""
        if not self.available:
            self.available = True
            for line in self.lines:
                line.server_found(self._down_since)

    def watch_pods_of_node(self, node: str, watcher: Watcher) -> None:
        """Call the watcher on every change of pods bound to a node (field selector spec.nodeName)."""
        self._pod_watchers.setdefault(node, []).append(watcher)

    def unwatch_pods_of_node(self, node: str, watcher: Watcher) -> None:
        """End a watch of a node's pods."""
        self._pod_watchers[node].remove(watcher)

    def watch_object(self, cls: type[Object], namespace: str, name: str, watcher: Watcher) -> Callable[[], None]:
        """Call the watcher on every change of one object (field selector metadata.name); return what ends the watch."""
        key = (cls, namespace, name)
        self._object_watchers.setdefault(key, []).append(watcher)

        def stop() -> None:
            watchers = self._object_watchers.get(key, [])
            if watcher in watchers:
                watchers.remove(watcher)
                if not watchers:
                    del self._object_watchers[key]

        return stop

    def preload(self, obj: T) -> T:
        """Put an object into the store that was there before t = 0: no admission, no defaults for its status."""
        meta, kind = obj.metadata, obj.kind
        name = (kind, meta.namespace, meta.name)
        n = self._incarnations[name] = self._incarnations.get(name, 0) + 1
        obj = with_meta(
            default_object(obj),
            uid=meta.uid or _uid(kind, (meta.namespace, meta.name), n),
            creation_timestamp=meta.creation_timestamp,
            generation=meta.generation or 1,
        )
        return self._commit("ADDED", None, obj, "", NO_CAUSE)

    # ---- writes ---------------------------------------------------------------------------------------------

    def create(self, obj: T, actor: str = "", cause: int = NO_CAUSE) -> T:
        """Store a new object.

        Raises
        ------
        AlreadyExists, Invalid, Forbidden, NotFound
            As the real server would answer.
        """
        meta = obj.metadata
        if not meta.name and meta.generate_name:
            meta = replace(meta, name=meta.generate_name + self._suffix(meta.generate_name))
        if obj.namespaced:
            meta = replace(meta, namespace=meta.namespace or "default")
        key = (meta.namespace, meta.name)
        obj = replace(obj, metadata=meta)
        obj = default_object(strategy.prepare_for_create(self.sim, obj))
        obj = self._admit(obj, None)
        strategy.check_create(obj, actor)
        if key in self._objects[type(obj)]:
            raise AlreadyExists(f'{obj.plural}{_group(type(obj))} "{meta.name}" already exists')
        n = self._incarnations.get((obj.kind, *key), 0) + 1
        self._incarnations[(obj.kind, *key)] = n
        obj = with_meta(
            obj,
            uid=meta.uid or _uid(obj.kind, key, n),
            creation_timestamp=Time(self.sim.clock.truncated()),
            generation=1,
            deletion_timestamp=None,
            deletion_grace_period_seconds=None,
        )
        return self._commit("ADDED", None, obj, actor, cause)

    def update(self, obj: T, actor: str = "", cause: int = NO_CAUSE) -> T:
        """Replace an object's metadata and spec; its status stays. Conflict if the version is not the stored one."""
        old = self._stored(obj)
        new = replace(obj, status=old.status) if hasattr(old, "status") else obj
        return self._replace(old, new, actor, cause)

    def update_status(self, obj: T, actor: str = "", cause: int = NO_CAUSE) -> T:
        """Replace an object's status; all else stays. Conflict if the version is not the stored one."""
        old = self._stored(obj)
        new = strategy.prepare_for_status_update(obj, old)
        strategy.check_status_update(new, old)
        return self._write_status(old, new, actor, cause)

    def patch(
        self,
        cls: type[T],
        namespace: str,
        name: str,
        change: Callable[[T], T],
        actor: str = "",
        cause: int = NO_CAUSE,
    ) -> T:
        """Apply a function to the stored object: a patch, which has no version to conflict with. Spec and metadata."""
        old = self.get(cls, namespace, name)
        new = change(old)
        if hasattr(old, "status"):
            new = replace(new, status=old.status)
        return self._replace(old, new, actor, cause)

    def patch_status(
        self,
        cls: type[T],
        namespace: str,
        name: str,
        change: Callable[[T], T],
        actor: str = "",
        cause: int = NO_CAUSE,
    ) -> T:
        """Apply a function to the stored object and keep only what it does to the status."""
        old = self.get(cls, namespace, name)
        new = replace(old, status=change(old).status)  # type: ignore[attr-defined]
        strategy.check_status_update(new, old)
        return self._write_status(old, new, actor, cause)

    def bind(self, pod: Pod, node: str, actor: str = "", cause: int = NO_CAUSE) -> Pod:
        """Bind a pod to a node (the pods/binding subresource): sets nodeName and PodScheduled=True at once."""
        old = self.get(Pod, *pod.key)
        if old.metadata.uid != pod.metadata.uid:
            raise Conflict(f'Operation cannot be fulfilled on pods "{pod.name}": the UID in the precondition is stale')
        if old.deleting:
            raise Conflict(f"pod {pod.name} is being deleted, cannot be assigned to a host")
        if old.spec.node_name:
            raise Conflict(f'pod {pod.name} is already assigned to node "{old.spec.node_name}"')
        scheduled = Condition(type="PodScheduled", status="True", last_transition_time=Time(self.sim.clock.truncated()))
        status = replace(old.status, conditions=set_condition(old.status.conditions, scheduled), nominated_node_name="")
        return self._write(old, replace(old, spec=replace(old.spec, node_name=node), status=status), actor, cause)

    def delete(
        self,
        cls: type[T],
        namespace: str,
        name: str,
        *,
        grace_period_seconds: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
        resource_version: int | None = None,
        actor: str = "",
        cause: int = NO_CAUSE,
    ) -> T:
        """Delete an object, or begin to: pods end gracefully, finalizers hold an object back.

        Parameters
        ----------
        grace_period_seconds
            None: the object's own.
        propagation
            "Background", "Foreground", "Orphan", or None for the default (background).
        uid, resource_version
            Preconditions; Conflict if they do not hold.
        """
        old = self.get(cls, namespace, name)
        if uid is not None and uid != old.uid:
            raise Conflict(f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old.uid}")
        if resource_version is not None and resource_version != old.metadata.resource_version:
            raise Conflict(f'Operation cannot be fulfilled on {cls.plural} "{name}": the object has been modified')
        new, remove_now = strategy.begin_deletion(old, grace_period_seconds, self.sim.clock.now, self.sim.clock)
        new = _with_propagation(new, propagation)
        if new.metadata.finalizers or not remove_now:
            if not new.deleting:
                new = with_meta(
                    new, deletion_timestamp=Time(self.sim.clock.truncated()), deletion_grace_period_seconds=0
                )
            return self._write(old, new, actor, cause)
        later_ns = 0
        if isinstance(new, Pod) and new is not old:
            new = self._write(old, new, actor, cause)  # watchers see the grace become 0, then the removal
            later_ns = self._removal_delay.draw()
        return self._commit("DELETED", new, new, actor, cause, later_ns=later_ns)

    def evict(
        self,
        namespace: str,
        name: str,
        *,
        grace_period_seconds: int | None = None,
        dry_run: bool = False,
        actor: str = "",
        cause: int = NO_CAUSE,
    ) -> Pod:
        """Delete a pod if its disruption budget allows it (the pods/eviction subresource)."""
        return eviction.evict(
            self,
            namespace,
            name,
            grace_period_seconds=grace_period_seconds,
            dry_run=dry_run,
            actor=actor,
            cause=cause,
        )

    # ---- internals ------------------------------------------------------------------------------------------

    def _stored(self, obj: T) -> T:
        meta = obj.metadata
        old = self.get(type(obj), meta.namespace, meta.name)
        was = old.metadata
        if meta is was:
            return old
        version, uid = meta.resource_version, meta.uid
        if (version and version != was.resource_version) or (uid and uid != was.uid):
            raise Conflict(
                f'Operation cannot be fulfilled on {obj.plural}{_group(type(obj))} "{obj.name}": the object has been '
                "modified; please apply your changes to the latest version and try again"
            )
        return old

    def _replace(self, old: T, new: T, actor: str, cause: int) -> T:
        """Write new metadata and spec with all rules of an update."""
        was = old.metadata
        if new.metadata is not was:
            new = with_meta(
                new,
                uid=was.uid,
                resource_version=was.resource_version,
                generation=was.generation,
                creation_timestamp=was.creation_timestamp,
                deletion_timestamp=was.deletion_timestamp,
                deletion_grace_period_seconds=was.deletion_grace_period_seconds,
            )
        if getattr(new, "spec", None) is not getattr(old, "spec", None):
            new = default_object(strategy.prepare_for_update(self.sim, new, old))
        new = self._admit(new, old)
        strategy.check_update(new, old, actor)
        deleting = was.deletion_timestamp is not None
        if deleting and set(new.metadata.finalizers) - set(was.finalizers):
            raise Forbidden(f'{resource_name(type(old))} "{old.name}": no new finalizers can be added when deleting')
        if getattr(new, "spec", None) != getattr(old, "spec", None):
            new = with_meta(new, generation=was.generation + 1)
        if deleting and not strategy.is_held(new) and not new.metadata.deletion_grace_period_seconds:
            if isinstance(new, Pod) and not was.finalizers:
                return self._write(old, new, actor, cause)
            return self._commit("DELETED", old, new, actor, cause)
        return self._write(old, new, actor, cause)

    def _admit(self, obj: T, old: T | None) -> T:
        """Ask the plug-ins that handle such a request."""
        cls, new = type(obj), old is None
        plugins = self._asked.get((cls, new))
        if plugins is None:
            plugins = tuple([
                plugin for plugin, what in self._admission
                if (kinds := what.create if new else what.update) is None or cls in kinds
            ])  # fmt: skip
            self._asked[cls, new] = plugins
        for plugin in plugins:
            obj = plugin(self, obj, old)  # type: ignore[assignment]
        return obj

    def _write(self, old: T, new: T, actor: str, cause: int) -> T:
        """Store a change, unless there is none (a no-op write makes no event and no new version)."""
        if new is old or new == old:
            return old
        return self._commit("MODIFIED", old, new, actor, cause, share_all_but_status(old, new))

    def _write_status(self, old: T, new: T, actor: str, cause: int) -> T:
        """Store a change of the status, which shares the metadata unless annotations come with it."""
        if new == old:
            return old
        return self._commit("MODIFIED", old, new, actor, cause, new.metadata is old.metadata)

    def _commit(
        self,
        type_: ChangeType,
        old: T | None,
        new: T,
        actor: str,
        cause: int,
        of_status: bool = False,
        later_ns: int = 0,
    ) -> T:
        cls = type(new)
        if cls not in self._latest_versions:
            self._begin_use(cls)
        self.resource_version = self._latest_versions[cls] = version = self.resource_version + 1
        meta = replace(new.metadata, resource_version=version)
        new = replace(new, metadata=meta)
        key = (meta.namespace, meta.name)
        objects = self._objects[cls]
        if type_ == "DELETED":
            del objects[key]
        else:
            objects[key] = new
        node = new.spec.node_name if cls is Pod else ""  # type: ignore[attr-defined]  # `isinstance` is slow to say no
        if node:
            on_node = self._pods_of_node.setdefault(node, {})
            if type_ == "DELETED":
                on_node.pop(key, None)
            else:
                on_node[key] = new  # type: ignore[assignment]
        row = self.recorder(type_, old, new, of_status, actor, cause)
        change = Change(type_, old, new, row, actor, of_status, later_ns)
        if self.history is not None:
            self.history.append((self.sim.clock.now, change))
        for watcher in self._watchers[cls]:
            watcher(change)
        if node and node in self._pod_watchers:
            for watcher in self._pod_watchers[node]:
                watcher(change)
        if self._object_watchers:
            for watcher in tuple(self._object_watchers.get((cls, *key), ())):
                watcher(change)
        return new

    def _suffix(self, prefix: str) -> str:
        """Return five random characters of Kubernetes' alphabet for generateName."""
        alphabet = "bcdfghjklmnpqrstvwxz2456789"
        stream = self.sim.streams.stream(prefix, "generateName")
        return "".join(alphabet[int(stream.uniform() * len(alphabet))] for _ in range(5))


@lru_cache(maxsize=1 << 16)  # the replicates of a scenario have the same objects
def _uid(kind: str, key: Key, n: int) -> str:
    """Return a UID that depends only on what the object is, so that a run can be replayed piece by piece."""
    h = hashlib.blake2b(f"{kind}/{key[0]}/{key[1]}/{n}".encode(), digest_size=16).hexdigest()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def _group(cls: type[Object]) -> str:
    group = cls.api_version.rpartition("/")[0]
    return f".{group}" if group else ""


def _with_propagation(obj: T, propagation: str | None) -> T:
    """Add or remove the garbage collector's finalizers as a delete option asks (rest/delete.go)."""
    if propagation is None:
        return obj
    kept = tuple(f for f in obj.metadata.finalizers if f not in (ORPHAN, FOREGROUND))
    wanted = _FINALIZER.get(propagation)
    finalizers = (*kept, wanted) if wanted else kept
    return with_meta(obj, finalizers=finalizers) if finalizers != obj.metadata.finalizers else obj
