"""LimitRanger: defaults and bounds for what pods and claims request.

Source: plugin/pkg/admission/limitranger/admission.go; workloads.md 6.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from k8sim.api.core import Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod
from k8sim.api.meta import Object
from k8sim.api.quantity import parse_milli
from k8sim.api.resources import CPU, pod_requests
from k8sim.api.struct import replace
from k8sim.apiserver.admission_handler import handles
from k8sim.apiserver.errors import Forbidden

if TYPE_CHECKING:
    from k8sim.apiserver.server import APIServer

Quantities = Mapping[str, str]
Milli = Mapping[str, int]


@handles(create=(Pod, PersistentVolumeClaim), update=(PersistentVolumeClaim,))
def limit_ranger(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Complete and check a new pod, or a new or changed claim, by the limit ranges of its namespace."""
    if isinstance(obj, Pod):
        for limits in server.list(LimitRange, obj.metadata.namespace):
            obj = apply_defaults(obj, limits)
            _refuse(obj, check_pod(obj, limits))
    elif isinstance(obj, PersistentVolumeClaim):
        if isinstance(old, PersistentVolumeClaim) and old.spec.resources == obj.spec.resources:
            return obj
        for limits in server.list(LimitRange, obj.namespace):
            _refuse(obj, check_claim(obj, limits))
    return obj


def _refuse(obj: Object, errors: list[str]) -> None:
    if errors:
        text = errors[0] if len(errors) == 1 else "[" + ", ".join(errors) + "]"
        raise Forbidden(f'{obj.plural} "{obj.name}" is forbidden: {text}')


def apply_defaults(pod: Pod, limits: LimitRange) -> Pod:
    """Give containers the requests and limits they lack (defaultPodLimitFunc)."""
    for item in limits.spec.limits:
        if item.type == "Container" and (item.default or item.default_request):
            spec = pod.spec
            pod = replace(
                pod,
                spec=replace(
                    spec,
                    containers=tuple(_complete(c, item) for c in spec.containers),
                    init_containers=tuple(_complete(c, item) for c in spec.init_containers),
                ),
            )
    return pod


def _complete(container: Container, item: LimitRangeItem) -> Container:
    resources = container.resources
    limits = {**item.default, **resources.limits}
    requests = {**item.default_request, **resources.requests}
    if limits == resources.limits and requests == resources.requests:
        return container
    return replace(container, resources=replace(resources, limits=limits, requests=requests))


def check_pod(pod: Pod, limits: LimitRange) -> list[str]:
    """Return what a pod breaks (PodValidateLimitFunc)."""
    errors: list[str] = []
    for item in limits.spec.limits:
        if item.type == "Container":
            for container in pod.spec.containers + pod.spec.init_containers:
                resources = container.resources
                errors += _check(item, _milli(resources.requests), _milli(resources.limits))
        elif item.type == "Pod":
            errors += _check(item, _in_milli(pod_requests(pod)), _in_milli(pod_limits(pod)))
    return errors


def check_claim(claim: PersistentVolumeClaim, limits: LimitRange) -> list[str]:
    """Return what a claim breaks: only its request counts (PersistentVolumeClaimValidateLimitFunc)."""
    errors = []
    request = _milli(claim.spec.resources.requests)
    for item in limits.spec.limits:
        if item.type != "PersistentVolumeClaim":
            continue
        for name, least in sorted(item.min.items()):
            if request.get(name, 0) < parse_milli(least):
                errors.append(f"minimum {name} usage per {item.type} is {least}, but request is {_said(claim, name)}")
        for name, most in sorted(item.max.items()):
            if request.get(name, 0) > parse_milli(most):
                errors.append(f"maximum {name} usage per {item.type} is {most}, but request is {_said(claim, name)}")
    return errors


def _said(claim: PersistentVolumeClaim, name: str) -> str:
    return claim.spec.resources.requests.get(name, "0")


def _check(item: LimitRangeItem, requests: Milli, limits: Milli) -> Iterable[str]:
    """Check one set of requests and limits, in thousandths."""
    kind = item.type
    for name, text in sorted(item.min.items()):
        least = parse_milli(text)
        if name not in requests:
            yield f"minimum {name} usage per {kind} is {text}. No request is specified"
        elif requests[name] < least:
            yield f"minimum {name} usage per {kind} is {text}, but request is {_show(requests[name])}"
        elif name in limits and limits[name] < least:
            yield f"minimum {name} usage per {kind} is {text}, but limit is {_show(limits[name])}"
    for name, text in sorted(item.max.items()):
        most = parse_milli(text)
        if name not in limits:
            yield f"maximum {name} usage per {kind} is {text}. No limit is specified"
        elif limits[name] > most:
            yield f"maximum {name} usage per {kind} is {text}, but limit is {_show(limits[name])}"
        elif name in requests and requests[name] > most:
            yield f"maximum {name} usage per {kind} is {text}, but request is {_show(requests[name])}"
    for name, text in sorted(item.max_limit_request_ratio.items()):
        ratio = f"{name} max limit to request ratio per {kind} is {text}"
        if not requests.get(name):
            yield f"{ratio}, but no request is specified or request is 0"
        elif not limits.get(name):
            yield f"{ratio}, but no limit is specified or limit is 0"
        elif Fraction(limits[name], requests[name]) * 1000 > parse_milli(text):
            yield f"{ratio}, but provided ratio is {limits[name] / requests[name]:f}"


def _show(milli: int) -> str:
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def _milli(quantities: Quantities) -> Milli:
    return {name: parse_milli(q) for name, q in quantities.items()}


def _in_milli(amounts: Mapping[str, int]) -> Milli:
    return {name: amount if name == CPU else amount * 1000 for name, amount in amounts.items()}


def pod_limits(pod: Pod) -> Mapping[str, int]:
    """Return a pod's effective limit per resource, summed as its requests are (resource.PodLimits)."""

    def swap(containers: tuple[Container, ...]) -> tuple[Container, ...]:
        return tuple(replace(c, resources=replace(c.resources, requests=c.resources.limits)) for c in containers)

    spec = pod.spec
    spec = replace(spec, containers=swap(spec.containers), init_containers=swap(spec.init_containers), overhead={})
    return pod_requests(replace(pod, spec=spec))
