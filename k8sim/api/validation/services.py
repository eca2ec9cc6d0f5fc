"""Services, disruption budgets, quotas, priorities.

Source: pkg/apis/{core,policy,scheduling}/validation/validation.go.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, duplicate, forbidden, invalid, required
from k8sim.api.quantity import parse_milli
from k8sim.api.validation.metadata import check_label_selector
from k8sim.api.validation.names import (
    check_labels,
    dns_label,
    each,
    int_or_percent,
    number_or_port_name,
    one_of,
    port_number,
)

_MAX_USER_PRIORITY: Final = 1_000_000_000
_MAX_AFFINITY_SECONDS: Final = 86_400


def _check_affinity(client_ip: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    """Check for how long a client keeps its endpoint (pkg/apis/core/validation, validateClientIPAffinityConfig)."""
    seconds = client_ip.get("timeoutSeconds")
    if seconds is not None and not 0 < seconds <= _MAX_AFFINITY_SECONDS:
        where = (*path, "sessionAffinityConfig", "clientIP", "timeoutSeconds")
        yield invalid(where, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}")


def check_service(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a Service."""
    spec = manifest.get("spec") or {}
    path: FieldPath = ("spec",)
    kind = spec.get("type") or "ClusterIP"
    ports = spec.get("ports") or ()
    headless = spec.get("clusterIP") == "None"
    yield from one_of(kind, (*path, "type"), "ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if not ports and not headless and kind != "ExternalName":
        yield required((*path, "ports"))
    if headless and kind in ("NodePort", "LoadBalancer"):
        yield invalid((*path, "clusterIPs", 0), "None", f"may not be set to 'None' for {kind} services", None)
    if kind == "ExternalName" and not spec.get("externalName"):
        yield required((*path, "externalName"))
    yield from check_labels(spec.get("selector"), (*path, "selector"))
    yield from one_of(spec.get("sessionAffinity"), (*path, "sessionAffinity"), "ClientIP", "None")
    yield from _check_affinity((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}, path)
    for field in ("externalTrafficPolicy", "internalTrafficPolicy"):
        yield from one_of(spec.get(field), (*path, field), "Cluster", "Local")
    names, numbers = set(), set()
    for i, port in enumerate(ports):
        here: FieldPath = (*path, "ports", i)
        name = port.get("name") or ""
        if not name and len(ports) > 1:
            yield required((*here, "name"))
        elif name:
            yield from each((*here, "name"), name, dns_label(name))
            if name in names:
                yield duplicate((*here, "name"), name)
            names.add(name)
        yield from port_number(port["port"], (*here, "port"))
        yield from one_of(port.get("protocol"), (*here, "protocol"), "SCTP", "TCP", "UDP")
        if port.get("targetPort") not in (None, "", 0):
            yield from number_or_port_name(port["targetPort"], (*here, "targetPort"))
        identity = (port.get("protocol") or "TCP", port["port"])
        if identity in numbers:
            yield duplicate(here, dict(port))
        numbers.add(identity)


def check_disruption_budget(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a PodDisruptionBudget."""
    spec = manifest.get("spec") or {}
    path: FieldPath = ("spec",)
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield FieldError(
            path,
            "Invalid value",
            "minAvailable and maxUnavailable cannot be both set",
            dict(spec),
            key="maxUnavailable",
            hint="keep one of the two",
        )
    yield from int_or_percent(spec.get("minAvailable"), (*path, "minAvailable"))
    yield from int_or_percent(spec.get("maxUnavailable"), (*path, "maxUnavailable"))
    yield from check_label_selector(spec.get("selector"), (*path, "selector"))
    yield from one_of(
        spec.get("unhealthyPodEvictionPolicy"),
        (*path, "unhealthyPodEvictionPolicy"),
        "AlwaysAllow",
        "IfHealthyBudget",
    )


def check_resource_quota(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a ResourceQuota."""
    for name, amount in ((manifest.get("spec") or {}).get("hard") or {}).items():
        if parse_milli(amount) < 0:
            yield invalid(("spec", "hard", name), str(amount), "must be greater than or equal to 0")


def check_limit_range(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a LimitRange: min <= defaultRequest <= default <= max."""
    for i, item in enumerate((manifest.get("spec") or {}).get("limits") or ()):
        path: FieldPath = ("spec", "limits", i)
        low, high = item.get("min") or {}, item.get("max") or {}
        for name, amount in low.items():
            if name in high and parse_milli(amount) > parse_milli(high[name]):
                detail = f"min value {amount} is greater than max value {high[name]}"
                yield invalid((*path, "min", name), str(amount), detail)
        for field in ("defaultRequest", "default"):
            for name, amount in (item.get(field) or {}).items():
                if name in high and parse_milli(amount) > parse_milli(high[name]):
                    detail = f"{field} value {amount} is greater than max value {high[name]}"
                    yield invalid((*path, field, name), str(amount), detail)


def check_priority_class(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a PriorityClass."""
    name = (manifest.get("metadata") or {}).get("name") or ""
    if name.startswith("system-"):
        detail = "priority class names with 'system-' prefix are reserved for system use only"
        yield forbidden(("metadata", "name"), detail)
    elif (manifest.get("value") or 0) > _MAX_USER_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {_MAX_USER_PRIORITY}"
        yield forbidden(("value",), detail)
    yield from one_of(manifest.get("preemptionPolicy"), ("preemptionPolicy",), "Never", "PreemptLowerPriority")
