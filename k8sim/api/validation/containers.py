"""Containers: ports, probes, hooks, resources, mounts.

Source: pkg/apis/core/validation/validation.go.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, duplicate, forbidden, invalid, not_found, required
from k8sim.api.quantity import parse_milli
from k8sim.api.validation.names import (
    dns_label,
    each,
    non_negative,
    number_or_port_name,
    one_of,
    port_name,
    port_number,
    qualified_name,
)

_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_RESOURCES: Final = frozenset(("cpu", "memory", "ephemeral-storage"))
DEFAULT_GRACE: Final = 30


def check_containers(spec: Mapping[str, Any], volumes: Collection[str], path: FieldPath) -> Iterator[FieldError]:
    """Check all containers of a pod; names are unique among them.

    Parameters
    ----------
    spec
        The pod's spec.
    volumes
        Names that mounts may refer to.
    """
    grace = spec.get("terminationGracePeriodSeconds")
    grace = DEFAULT_GRACE if grace is None else grace
    names: set[str] = set()
    containers = spec.get("containers") or ()
    if not containers:
        yield required((*path, "containers"))
    for i, container in enumerate(containers):
        here: FieldPath = (*path, "containers", i)
        yield from _check_container(container, volumes, names, grace, here)
        yield from _check_probes(container, here)
        yield from _check_lifecycle(container.get("lifecycle"), grace, (*here, "lifecycle"))
    yield from _check_host_ports(containers, (*path, "containers"))
    for i, container in enumerate(spec.get("initContainers") or ()):
        here = (*path, "initContainers", i)
        yield from _check_container(container, volumes, names, grace, here)
        if container.get("restartPolicy") == "Always":  # a sidecar
            yield from _check_probes(container, here)
            yield from _check_lifecycle(container.get("lifecycle"), grace, (*here, "lifecycle"))
            continue
        for field in ("lifecycle", *_PROBES):
            if container.get(field) is not None:
                yield forbidden((*here, field), "may not be set for init containers without restartPolicy=Always")


def _check_container(
    container: Mapping[str, Any], volumes: Collection[str], names: set[str], grace: int, path: FieldPath
) -> Iterator[FieldError]:
    del grace
    name = container.get("name") or ""
    if not name:
        yield required((*path, "name"))
    else:
        yield from each((*path, "name"), name, dns_label(name))
        if name in names:
            yield duplicate((*path, "name"), name)
        names.add(name)
    image = container.get("image") or ""
    if not image:
        yield required((*path, "image"))
    elif image != image.strip():
        yield invalid((*path, "image"), image, "must not have leading or trailing whitespace")
    yield from one_of(container.get("imagePullPolicy"), (*path, "imagePullPolicy"), "Always", "IfNotPresent", "Never")
    yield from one_of(container.get("restartPolicy"), (*path, "restartPolicy"), "Always", "Never", "OnFailure")
    yield from _check_ports(container.get("ports") or (), (*path, "ports"))
    yield from _check_env(container.get("env") or (), (*path, "env"))
    yield from _check_mounts(container, volumes, path)
    yield from check_resources(container.get("resources") or {}, (*path, "resources"))


def _check_ports(ports: Sequence[Mapping[str, Any]], path: FieldPath) -> Iterator[FieldError]:
    names = set()
    for i, port in enumerate(ports):
        here: FieldPath = (*path, i)
        name = port.get("name")
        if name:
            yield from each((*here, "name"), name, port_name(name))
            if name in names:
                yield duplicate((*here, "name"), name)
            names.add(name)
        yield from port_number(port["containerPort"], (*here, "containerPort"))
        if port.get("hostPort"):
            yield from port_number(port["hostPort"], (*here, "hostPort"))
        yield from one_of(port.get("protocol"), (*here, "protocol"), "SCTP", "TCP", "UDP")


def _check_host_ports(containers: Sequence[Mapping[str, Any]], path: FieldPath) -> Iterator[FieldError]:
    seen = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            identity = (port.get("hostIP") or "", port["hostPort"], port.get("protocol") or "TCP")
            if identity in seen:
                yield duplicate((*path, i, "ports", j, "hostPort"), f"{identity[2]}/{identity[0]}/{identity[1]}")
            seen.add(identity)


def _check_env(env: Sequence[Mapping[str, Any]], path: FieldPath) -> Iterator[FieldError]:
    for i, variable in enumerate(env):
        if not variable.get("name"):
            yield required((*path, i, "name"))
        elif "=" in variable["name"]:
            yield invalid((*path, i, "name"), variable["name"], "must not contain '='")
        if variable.get("value") and variable.get("valueFrom") is not None:
            yield invalid((*path, i, "valueFrom"), "", "may not be specified when `value` is not empty")


def _check_mounts(container: Mapping[str, Any], volumes: Collection[str], path: FieldPath) -> Iterator[FieldError]:
    seen = set()
    for field, place in (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")):
        for i, mount in enumerate(container.get(field) or ()):
            here: FieldPath = (*path, field, i)
            name, target = mount.get("name") or "", mount.get(place) or ""
            if not name:
                yield required((*here, "name"))
            elif name not in volumes:
                yield not_found((*here, "name"), name)
            if not target:
                yield required((*here, place))
            elif target in seen:
                yield invalid((*here, place), target, "must be unique")
            seen.add(target)


def _check_probes(container: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    for field in _PROBES:
        probe = container.get(field)
        if probe is None:
            continue
        here: FieldPath = (*path, field)
        yield from _check_handler(probe, here)
        yield from non_negative(
            probe,
            here,
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        )
        grace = probe.get("terminationGracePeriodSeconds")
        if field == "readinessProbe":
            if grace is not None:
                yield invalid((*here, "terminationGracePeriodSeconds"), grace, "must not be set for readinessProbes")
        else:
            if grace is not None and grace <= 0:
                yield invalid((*here, "terminationGracePeriodSeconds"), grace, "must be greater than 0")
            if (probe.get("successThreshold") or 1) != 1:
                yield invalid((*here, "successThreshold"), probe["successThreshold"], "must be 1")


def _check_lifecycle(lifecycle: Mapping[str, Any] | None, grace: int, path: FieldPath) -> Iterator[FieldError]:
    for field in ("postStart", "preStop"):
        handler = (lifecycle or {}).get(field)
        if handler is None:
            continue
        yield from _check_handler(handler, (*path, field))
        sleep = handler.get("sleep")
        if sleep is not None and not 0 <= sleep["seconds"] <= grace:
            yield invalid(
                (*path, field, "sleep"),
                sleep["seconds"],
                f"must be non-negative and less than terminationGracePeriodSeconds ({grace})",
            )


def _check_handler(handler: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    given = [field for field in _HANDLERS if handler.get(field) is not None]
    if not given:
        yield required(path, "must specify a handler type")
    for extra in given[1:]:
        yield forbidden((*path, extra), "may not specify more than 1 handler type")
    if "exec" in given and not handler["exec"].get("command"):
        yield required((*path, "exec", "command"))
    for field in ("httpGet", "tcpSocket"):
        if field in given:
            yield from number_or_port_name(handler[field]["port"], (*path, field, "port"))
    if "grpc" in given:
        yield from port_number(handler["grpc"]["port"], (*path, "grpc", "port"))
    if "httpGet" in given:
        yield from one_of(handler["httpGet"].get("scheme"), (*path, "httpGet", "scheme"), "HTTP", "HTTPS")


def check_resources(resources: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    """Check requests and limits: of known resources, not negative, requests within limits."""
    limits = resources.get("limits") or {}
    for field in ("limits", "requests"):
        for name, amount in (resources.get(field) or {}).items():
            here: FieldPath = (*path, field)
            if name not in _RESOURCES and "/" not in name and not name.startswith("hugepages-"):
                yield invalid(here, name, "must be a standard resource for containers", name)
            yield from each(here, name, qualified_name(name), name)
            value = parse_milli(amount)
            if value < 0:
                yield invalid((*here, name), str(amount), "must be greater than or equal to 0")
            elif field == "requests" and name in limits and value > parse_milli(limits[name]):
                detail = f"must be less than or equal to {name} limit of {limits[name]}"
                yield invalid(here, str(amount), detail, name)
