"""What pods request and what nodes have to give, as integers; quality of service.

Source: staging/src/k8s.io/component-helpers/resource/helpers.go, pkg/apis/core/v1/helper/qos/qos.go; node.md 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from k8sim.api.core import Container, Pod, PodSpec
from k8sim.api.pods import is_sidecar
from k8sim.api.quantity import parse_milli, parse_quantity

Amounts = Mapping[str, int]
"""Resources by name: cpu in thousandths of a core, everything else in base units (bytes, pieces)."""

CPU: Final = "cpu"
MEMORY: Final = "memory"
PODS: Final = "pods"
EPHEMERAL_STORAGE: Final = "ephemeral-storage"

NON_ZERO_REQUESTS: Final[Amounts] = {CPU: 100, MEMORY: 200 * 1024 * 1024}
"""What the scheduler's scores take a container to use that requests nothing (pkg/scheduler/util/pod_resources.go)."""


def amounts(quantities: Mapping[str, str]) -> dict[str, int]:
    """Return quantities as integers."""
    return {name: parse_milli(q) if name == CPU else parse_quantity(q) for name, q in quantities.items()}


def pod_requests(pod: Pod) -> Amounts:
    """Return a pod's effective request per resource (resource.PodRequests).

    max(containers + sidecars, any init container + the sidecars before it) + overhead.
    """
    return _requests(pod.spec)[0]


def pod_non_zero_requests(pod: Pod) -> Amounts:
    """Return the same with a default for containers that do not request cpu or memory: what the scores reckon with."""
    return _requests(pod.spec)[1]


_Requests = tuple[Amounts, Amounts, str]
"""A pod's effective request, the same with defaults, and its quality of service."""
# Objects are immutable versions that share parts: the containers of a template's pods are mostly one tuple. So the
# result is kept by the identity of the parts; the parts are kept with it, so that an identity is not used again.
_known: dict[tuple[int, int, int], tuple[_Requests, object]] = {}
_MOST_KNOWN: Final = 8192


def _requests(spec: PodSpec) -> _Requests:
    key = (id(spec.containers), id(spec.init_containers), id(spec.overhead) if spec.overhead else 0)
    known = _known.get(key)
    if known is not None:
        return known[0]
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    result = (_aggregate(spec, {}), _aggregate(spec, NON_ZERO_REQUESTS), _qos_class(spec))
    _known[key] = (result, (spec.containers, spec.init_containers, spec.overhead))
    return result


def _aggregate(spec: PodSpec, defaults: Amounts) -> Amounts:
    total: dict[str, int] = {}
    for container in spec.containers:
        _add(total, _container(container, defaults))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.init_containers:
        request = _container(container, defaults)
        if is_sidecar(container.restart_policy):
            _add(total, request)
            _add(sidecars, request)
            _raise(peak, sidecars)
        else:
            _add(request, sidecars)
            _raise(peak, request)
    _raise(total, peak)
    if spec.overhead:
        _add(total, amounts(spec.overhead))
    return total


def _container(container: Container, defaults: Amounts) -> dict[str, int]:
    return {**defaults, **amounts(container.resources.requests)}


def _add(total: dict[str, int], more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise(total: dict[str, int], least: Amounts) -> None:
    for name, amount in least.items():
        if amount > total.get(name, 0):
            total[name] = amount


def qos_class(pod: Pod) -> str:
    """Return Guaranteed, Burstable or BestEffort (qos.ComputePodQOS): init containers count like all others."""
    return _requests(pod.spec)[2]


def _qos_class(spec: PodSpec) -> str:
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    all_limited = True
    for container in spec.containers + spec.init_containers:
        _add(requests, _compute(container.resources.requests))
        limit = _compute(container.resources.limits)
        _add(limits, limit)
        all_limited = all_limited and len(limit) == 2
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if all_limited and requests == limits else "Burstable"


def _compute(quantities: Mapping[str, str]) -> Amounts:
    """Return cpu and memory, where they are not zero."""
    return {k: v for k, v in amounts({k: q for k, q in quantities.items() if k in (CPU, MEMORY)}).items() if v}
