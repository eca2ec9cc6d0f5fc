"""Resource quotas: what an object is charged, whether a quota allows it, and the admission plug-in that charges it.

Amounts are in thousandths, so that one unit serves cpu, bytes and pieces.

Source: pkg/quota/v1/evaluator/core/{pods,persistent_volume_claims,services}.go, pkg/quota/v1/resources.go,
staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go; workloads.md 6.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Final

from k8sim.api.core import (
    ConfigMap,
    PersistentVolumeClaim,
    Pod,
    PodAffinityTerm,
    ResourceQuota,
    ResourceQuotaStatus,
    ScopedResourceSelectorRequirement,
    Secret,
    Service,
)
from k8sim.api.meta import Object
from k8sim.api.modifying import classes_of
from k8sim.api.pods import is_pod_terminal
from k8sim.api.quantity import format_milli, format_quantity, parse_milli
from k8sim.api.resources import CPU, pod_requests, qos_class
from k8sim.api.scheme import resource_name
from k8sim.api.struct import replace
from k8sim.api.volume_matching import claim_class
from k8sim.apiserver.admission_handler import handles
from k8sim.apiserver.errors import Forbidden
from k8sim.apiserver.limitranger import pod_limits
from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    from k8sim.apiserver.server import APIServer

Usage = Mapping[str, int]
"""Charged amounts by the resource's name in a quota, in thousandths."""

_ONE: Final = 1000
_LEGACY_COUNTS: Final[Mapping[type[Object], str]] = {
    Pod: "pods",
    PersistentVolumeClaim: "persistentvolumeclaims",
    Service: "services",
    ConfigMap: "configmaps",
    Secret: "secrets",
    ResourceQuota: "resourcequotas",
}
_COMPUTE: Final = frozenset(("cpu", "memory"))


# ---- what is charged ----------------------------------------------------------------------------------------------


def counts_against_quota(pod: Pod, now_ns: int) -> bool:
    """Tell whether a pod is charged for more than its object (QuotaV1Pod).

    Not once it has ended, nor when it is terminating and its deadline is past by the grace period again: a pod that is
    stuck is charged for twice its grace period, since the deadline includes it already.
    """
    if is_pod_terminal(pod):
        return False
    meta = pod.metadata
    if meta.deletion_timestamp is None or meta.deletion_grace_period_seconds is None:
        return True
    return now_ns <= meta.deletion_timestamp + meta.deletion_grace_period_seconds * SECOND


def count_name(cls: type[Object]) -> str:
    """Return the quota resource that counts objects of a kind: ``count/statefulsets.apps``."""
    group = resource_name(cls).partition(".")[2]
    return f"count/{cls.plural}" + (f".{group}" if group else "")


def usage(obj: Object, now_ns: int) -> dict[str, int]:
    """Return what an object is charged."""
    charged = {count_name(type(obj)): _ONE}
    legacy = _LEGACY_COUNTS.get(type(obj))
    if isinstance(obj, Pod):
        if counts_against_quota(obj, now_ns):
            charged["pods"] = _ONE
            charged.update(_compute_usage(obj))
        return charged
    if legacy is not None:
        charged[legacy] = _ONE
    if isinstance(obj, PersistentVolumeClaim):
        requested, allocated = obj.spec.resources.requests, obj.status.allocated_resources
        storage = max(parse_milli(amounts.get("storage", "0")) for amounts in (requested, allocated))
        charged["requests.storage"] = storage
        if claim_class(obj):
            suffix = f"{claim_class(obj)}.storageclass.storage.k8s.io/"
            charged[suffix + "requests.storage"] = storage
            charged[suffix + "persistentvolumeclaims"] = _ONE
    elif isinstance(obj, Service):
        ports = _ONE * len(obj.spec.ports)
        if obj.spec.type == "LoadBalancer":
            charged["services.loadbalancers"] = _ONE
        if obj.spec.type in ("NodePort", "LoadBalancer"):
            charged["services.nodeports"] = ports
    return charged


def _compute_usage(pod: Pod) -> dict[str, int]:
    charged = {}
    for name, amount in pod_requests(pod).items():
        milli = amount if name == CPU else amount * 1000
        charged["requests." + name] = milli
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
            charged[name] = milli
    for name, amount in pod_limits(pod).items():
        charged["limits." + name] = amount if name == CPU else amount * 1000
    return charged


# ---- which quotas apply -------------------------------------------------------------------------------------------


def matches_scopes(quota: ResourceQuota, obj: Object) -> bool:
    """Tell whether an object is within a quota's scopes; only pods and claims have any."""
    scopes = [ScopedResourceSelectorRequirement(scope_name=s, operator="Exists") for s in quota.spec.scopes]
    if quota.spec.scope_selector is not None:
        scopes += quota.spec.scope_selector.match_expressions
    return all(_matches_scope(s, obj) for s in scopes)


def _matches_scope(scope: ScopedResourceSelectorRequirement, obj: Object) -> bool:
    if isinstance(obj, PersistentVolumeClaim):
        return scope.scope_name == "VolumeAttributesClass" and _selects(scope, classes_of(obj))
    return isinstance(obj, Pod) and _matches_pod_scope(scope, obj)


def _selects(scope: ScopedResourceSelectorRequirement, names: Set[str]) -> bool:
    """Apply a scope's operator to the names that an object has."""
    if scope.operator == "In":
        return not names.isdisjoint(scope.values)
    if scope.operator == "NotIn":
        return names.isdisjoint(scope.values)
    return bool(names) == (scope.operator == "Exists")


def _matches_pod_scope(scope: ScopedResourceSelectorRequirement, pod: Pod) -> bool:
    match scope.scope_name:
        case "Terminating":
            return pod.spec.active_deadline_seconds is not None
        case "NotTerminating":
            return pod.spec.active_deadline_seconds is None
        case "BestEffort":
            return qos_class(pod) == "BestEffort"
        case "NotBestEffort":
            return qos_class(pod) != "BestEffort"
        case "PriorityClass":
            return _selects(scope, {pod.spec.priority_class_name} - {""})
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(pod)
    return False


def _crosses_namespaces(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    if affinity is None:
        return False
    terms: list[PodAffinityTerm] = []
    for part in (affinity.pod_affinity, affinity.pod_anti_affinity):
        if part is not None:
            terms += part.required_during_scheduling_ignored_during_execution
            terms += [t.pod_affinity_term for t in part.preferred_during_scheduling_ignored_during_execution]
    return any(t.namespaces or t.namespace_selector is not None for t in terms)


def missing_requirements(quota: ResourceQuota, pod: Pod) -> str:
    """Return what containers must specify because the quota limits it, as the API says it; "" if nothing is missing."""
    missing: dict[str, list[str]] = {}
    for resource in sorted(quota.status.hard):
        kind, _, name = resource.rpartition(".")
        kind, name = (kind, name) if kind in ("requests", "limits") else ("requests", resource)
        if name not in _COMPUTE:
            continue
        for container in pod.spec.containers + pod.spec.init_containers:
            have = container.resources.requests if kind == "requests" else container.resources.limits
            if name not in have:
                missing.setdefault(resource, []).append(container.name)
    return "; ".join(f"{resource} for: {','.join(names)}" for resource, names in missing.items())


def concerns(quota: ResourceQuota, cls: type[Object]) -> bool:
    """Tell whether a quota limits anything that objects of a kind are charged (Evaluator.MatchingResources)."""
    return any(_is_charged_for(name, cls) for name in quota.spec.hard)


def _is_charged_for(name: str, cls: type[Object]) -> bool:
    if name in (count_name(cls), _LEGACY_COUNTS.get(cls)):
        return True
    if cls is Pod:
        compute = name.startswith(("requests.", "limits.", "hugepages-")) and name != "requests.storage"
        return compute or name in ("cpu", "memory", "ephemeral-storage")
    if cls is PersistentVolumeClaim:
        return name == "requests.storage" or ".storageclass.storage.k8s.io/" in name
    return cls is Service and name.startswith("services.")


# ---- whether it fits ----------------------------------------------------------------------------------------------


def check_quota(quota: ResourceQuota, obj: Object, delta: Usage) -> ResourceQuota | None:
    """Return the quota with an object charged, or None if it is not charged to this quota.

    Raises
    ------
    Forbidden
        The quota does not allow it.
    """
    hard = quota.status.hard
    concerned = {name: amount for name, amount in delta.items() if name in hard}
    if not matches_scopes(quota, obj) or not (concerned or isinstance(obj, Pod)):
        return None
    if isinstance(obj, Pod):
        missing = missing_requirements(quota, obj)
        if missing:
            raise _forbidden(obj, f"failed quota: {quota.name}: must specify {missing}")
    unknown = sorted(name for name in concerned if name not in quota.status.used)
    if unknown:
        raise _forbidden(obj, f"status unknown for quota: {quota.name}, resources: {','.join(unknown)}")
    requested = {name: amount for name, amount in concerned.items() if amount}
    if not requested:
        return None
    used = {name: parse_milli(quota.status.used[name]) for name in requested}
    new = {name: used[name] + amount for name, amount in requested.items()}
    exceeded = sorted(name for name, amount in new.items() if amount > parse_milli(hard[name]))
    if exceeded:
        raise _forbidden(
            obj,
            f"exceeded quota: {quota.name}, requested: {_pretty(format_usage(requested, hard), exceeded)}, "
            f"used: {_pretty(format_usage(used, hard), exceeded)}, limited: {_pretty(hard, exceeded)}",
        )
    written = {**quota.status.used, **format_usage(new, hard)}
    return replace(quota, status=replace(quota.status, used=written))


def _forbidden(obj: Object, why: str) -> Forbidden:
    return Forbidden(f'{obj.plural} "{obj.name}" is forbidden: {why}')


def _pretty(amounts: Mapping[str, str], names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names)


def format_usage(amounts: Usage, like: Mapping[str, str]) -> dict[str, str]:
    """Return amounts as quantities, in powers of 1024 where the limit is."""
    return {
        name: format_milli(milli)
        if milli % 1000 or not str(like.get(name, "")).endswith("i")
        else format_quantity(milli // 1000, binary=True)
        for name, milli in amounts.items()
    }


def recompute(quota: ResourceQuota, objects: Iterable[Object], now_ns: int) -> ResourceQuotaStatus:
    """Return a quota's status counted anew from the objects of its namespace (CalculateUsage)."""
    hard = quota.spec.hard
    total = dict.fromkeys(hard, 0)
    for obj in objects:
        if matches_scopes(quota, obj):
            for name, amount in usage(obj, now_ns).items():
                if name in total:
                    total[name] += amount
    return ResourceQuotaStatus(hard=hard, used=format_usage(total, hard))


# ---- the plug-in ----------------------------------------------------------------------------------------------------


@handles(update=(PersistentVolumeClaim, Service))
def resource_quota(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Charge a new object, or a claim that asks for more, to every quota of its namespace that concerns it.

    All must allow it. The charge is written before the object is stored, and stays if that then fails.
    """
    if not obj.namespaced:
        return obj
    quotas = server.list(ResourceQuota, obj.metadata.namespace)
    if not quotas:
        return obj
    now = server.sim.clock.now
    delta = usage(obj, now)
    if old is not None:
        before = usage(old, now)
        delta = {name: max(0, amount - before.get(name, 0)) for name, amount in delta.items()}
    charged = [check_quota(quota, obj, delta) for quota in quotas]
    for quota in charged:
        if quota is not None:
            server.update_status(quota, "apiserver")
    return obj
