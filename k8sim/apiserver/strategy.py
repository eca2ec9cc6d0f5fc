"""What the API server does to particular kinds: prepare, check, begin deletion (pkg/registry/*/*/strategy.go)."""

from __future__ import annotations

from typing import Any, Final, NoReturn, TypeVar

import msgspec

from k8sim.api import validation
from k8sim.api.apps import Deployment, StatefulSet, StatefulSetStatus
from k8sim.api.core import Namespace, Node, PersistentVolumeClaim, Pod
from k8sim.api.fielderror import FieldError, invalid, invalid_message
from k8sim.api.meta import Condition, Object, with_meta
from k8sim.api.pods import is_pod_terminal
from k8sim.api.scheme import encode, resource_name
from k8sim.api.struct import Time, replace
from k8sim.apiserver.errors import Forbidden, Invalid
from k8sim.sim.clock import Clock
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import SECOND

T = TypeVar("T", bound=Object)

SCHEDULING_GATED = Condition(
    type="PodScheduled",
    status="False",
    reason="SchedulingGated",
    message="Scheduling is blocked due to non-empty scheduling gates",
)

IMMORTAL_NAMESPACES = ("default", "kube-system", "kube-public")


def prepare_for_create(sim: Simulation, obj: T) -> T:
    """Drop what a client cannot set on create: the status, and fields behind feature gates that are off."""
    if hasattr(obj, "status") and obj.kind != "Node":  # a Node is created by its kubelet together with its status
        obj = replace(obj, status=type(obj.status)())
    if isinstance(obj, StatefulSet):
        obj = _drop_max_unavailable(sim, obj, None)  # type: ignore[assignment]
    elif isinstance(obj, Pod) and obj.spec.scheduling_gates:
        obj = replace(obj, status=replace(obj.status, conditions=(SCHEDULING_GATED,)))
    return obj


def prepare_for_update(sim: Simulation, obj: T, old: T) -> T:
    """Drop fields behind feature gates that are off, unless the stored object has them."""
    if isinstance(obj, StatefulSet):
        obj = _drop_max_unavailable(sim, obj, old)  # type: ignore[assignment, arg-type]
    return obj


def _drop_max_unavailable(sim: Simulation, obj: StatefulSet, old: StatefulSet | None) -> StatefulSet:
    """maxUnavailable of a StatefulSet is silently dropped while its gate is off (workloads 0.6)."""
    rolling = obj.spec.update_strategy.rolling_update
    if rolling is None or rolling.max_unavailable is None or sim.enabled("MaxUnavailableStatefulSet"):
        return obj
    had = old.spec.update_strategy.rolling_update if old is not None else None
    if had is not None and had.max_unavailable is not None:
        return obj
    strategy = replace(obj.spec.update_strategy, rolling_update=replace(rolling, max_unavailable=None))
    return replace(obj, spec=replace(obj.spec, update_strategy=strategy))


def prepare_for_status_update(obj: T, old: T) -> T:
    """Take the status, and nothing else; for a Deployment its annotations too, where its controller keeps the revision.

    Source: pkg/registry/apps/deployment/strategy.go (deploymentStatusStrategy resets only spec and labels).
    """
    new: T = replace(old, status=obj.status)  # type: ignore[attr-defined]
    if type(old) is Deployment and obj.metadata.annotations != old.metadata.annotations:
        new = with_meta(new, annotations=obj.metadata.annotations)
    return new


def check_create(obj: Object, actor: str) -> None:
    """Raise Invalid if a new object breaks a rule.

    What people write is checked in full. What controllers write comes from checked templates; all that can be wrong
    with it is a name or a label that has become too long (workloads 1.1).
    """
    if is_user(actor):
        content = _content(obj)
        if content not in _accepted:
            _raise(obj, validation.validate_create(encode(obj)))
            _accept(content)
        return
    if len(obj.metadata.name) > 253:
        _raise(obj, [invalid(("metadata", "name"), obj.name, "must be no more than 253 characters")])
    for key, value in obj.metadata.labels.items():
        if len(value) > 63:
            _raise(obj, [invalid(("metadata", "labels"), value, "must be no more than 63 characters", key)])


def check_update(obj: Object, old: Object, actor: str) -> None:
    """Raise Invalid if an update by a person breaks a rule (immutable fields among them)."""
    if is_user(actor) and obj != old:
        content = _content(old) + _content(obj)
        if content not in _accepted:
            _raise(obj, validation.validate_update(encode(obj), encode(old)))
            _accept(content)


_accepted: set[tuple[Any, ...]] = set()
"""What has been found right once: replicates of a scenario apply the same manifests."""
_MOST_ACCEPTED: Final = 10_000


def _content(obj: Object) -> tuple[Any, ...]:
    """Return what the rules look at: nothing that differs from replicate to replicate, and no status but a claim's."""
    obj = with_meta(obj, resource_version=0, generation=0, creation_timestamp=None)
    if isinstance(obj, Node):
        obj = replace(obj, spec=replace(obj.spec, taints=tuple([replace(t, time_added=None) for t in obj.spec.taints])))
    status = getattr(obj, "status", None)
    if status is not None and not isinstance(obj, PersistentVolumeClaim):
        obj = replace(obj, status=type(status)())
    return type(obj), msgspec.msgpack.encode(obj)


def _accept(content: tuple[Any, ...]) -> None:
    if len(_accepted) >= _MOST_ACCEPTED:
        _accepted.clear()
    _accepted.add(content)


def is_user(actor: str) -> bool:
    """Tell whether an actor is a person with kubectl rather than a component."""
    return actor.startswith("kubectl")


def check_status_update(obj: Object, old: Object) -> None:
    """Raise Invalid for a StatefulSet status that cannot be (workloads 1.2, 1.12)."""
    if type(obj) is not StatefulSet:
        return
    assert isinstance(old, StatefulSet)
    status = obj.status
    counts = (
        status.replicas,
        status.ready_replicas,
        status.current_replicas,
        status.updated_replicas,
        status.available_replicas,
    )
    if min(counts) < 0 or max(counts) > status.replicas:
        _refuse_counts(status)
    if status.available_replicas > status.ready_replicas:
        raise Invalid("status.availableReplicas: cannot be greater than status.readyReplicas")
    if status.collision_count < old.status.collision_count:
        raise Invalid("status.collisionCount: cannot be decremented")


def _refuse_counts(status: StatefulSetStatus) -> NoReturn:
    """Raise Invalid for the first count that is negative or more than the replicas there are."""
    counts = {
        "replicas": status.replicas,
        "readyReplicas": status.ready_replicas,
        "currentReplicas": status.current_replicas,
        "updatedReplicas": status.updated_replicas,
        "availableReplicas": status.available_replicas,
    }
    field, count = next((field, n) for field, n in counts.items() if not 0 <= n <= status.replicas)
    rule = "must be greater than or equal to 0" if count < 0 else "cannot be greater than status.replicas"
    raise Invalid(f"status.{field}: Invalid value: {count}: {rule}")


def _raise(obj: Object, errors: list[FieldError]) -> None:
    if errors:
        kind = resource_name(type(obj)).replace(obj.kind.lower(), obj.kind)
        raise Invalid(invalid_message(kind, obj.name, errors), [e.message for e in errors])


def is_held(obj: Object) -> bool:
    """Tell whether something keeps an object that is being deleted: a finalizer, or the content of a namespace."""
    return bool(obj.metadata.finalizers) or (isinstance(obj, Namespace) and bool(obj.spec.finalizers))


def begin_deletion(obj: T, grace: int | None, now_ns: int, clock: Clock) -> tuple[T, bool]:
    """Decide what a DELETE does to an object (rest.BeforeDelete, pod strategy CheckGracefulDelete).

    Returns
    -------
    object, remove
        The object as it is to be stored, and whether it is to be removed now if no finalizer holds it.
    """
    meta = obj.metadata
    if isinstance(obj, Namespace):
        if obj.name in IMMORTAL_NAMESPACES:
            raise Forbidden(f'namespaces "{obj.name}" is forbidden: this namespace may not be deleted')
        return replace(obj, status=replace(obj.status, phase="Terminating")), not obj.spec.finalizers
    if not isinstance(obj, Pod):
        return obj, True
    if meta.deletion_timestamp is not None:
        stored = meta.deletion_grace_period_seconds
        if not stored:
            return obj, True
        if grace is None or grace >= stored:
            return obj, False
        grace = max(grace, 0)
        deadline = meta.deletion_timestamp - stored * SECOND + grace * SECOND
        if grace > 0 and deadline < now_ns:
            deadline, grace = clock.truncated(now_ns), 1
        new = with_meta(
            obj,
            deletion_timestamp=Time(max(deadline, 0) if grace else clock.truncated(now_ns)),
            deletion_grace_period_seconds=grace,
        )
        return new, grace == 0
    if grace is None:
        grace = obj.spec.termination_grace_period_seconds
    if grace < 0:
        grace = 1
    if not obj.spec.node_name or is_pod_terminal(obj):
        grace = 0
    new = with_meta(
        obj,
        deletion_timestamp=Time(clock.truncated(now_ns) + grace * SECOND),
        deletion_grace_period_seconds=grace,
        generation=meta.generation + 1,
    )
    return new, grace == 0
