"""Conditional defaults of the API server, applied when an object is written (pkg/apis/*/v1/defaults.go).

Unconditional defaults are the field defaults of the structs themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from k8sim.api.apps import (
    DaemonSet,
    DaemonSetUpdateStrategy,
    Deployment,
    DeploymentStrategy,
    ReplicaSet,
    RollingUpdateDaemonSet,
    RollingUpdateDeployment,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetUpdateStrategy,
)
from k8sim.api.batch import Job
from k8sim.api.core import (
    Container,
    LimitRange,
    Node,
    PersistentVolume,
    Pod,
    PodSpec,
    PodTemplateSpec,
)
from k8sim.api.csi_migration import translated
from k8sim.api.meta import Object
from k8sim.api.struct import replace

T = TypeVar("T", bound=Object)


def image_pull_policy(image: str) -> str:
    """Return the default pull policy: Always for ``latest`` or no tag and no digest, else IfNotPresent."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def default_container(container: Container) -> Container:
    """Fill in the pull policy, and requests from limits."""
    changes: dict[str, object] = {}
    if not container.image_pull_policy:
        changes["image_pull_policy"] = image_pull_policy(container.image)
    limits, requests = container.resources.limits, container.resources.requests
    missing = {k: v for k, v in limits.items() if k not in requests}
    if missing:
        changes["resources"] = replace(container.resources, requests={**requests, **missing})
    return replace(container, **changes) if changes else container


def default_pod_spec(spec: PodSpec) -> PodSpec:
    """Default every container of a pod."""
    containers = tuple(default_container(c) for c in spec.containers)
    inits = tuple(default_container(c) for c in spec.init_containers)
    if containers == spec.containers and inits == spec.init_containers:
        return spec
    return replace(spec, containers=containers, init_containers=inits)


def _pod(pod: Pod) -> Pod:
    """Default a pod; with hostNetwork its ports are the node's. A template's are not: its pods' will be."""
    spec = default_pod_spec(pod.spec)
    if spec.host_network:
        containers, inits = map(_host_ports, spec.containers), map(_host_ports, spec.init_containers)
        spec = replace(spec, containers=tuple(containers), init_containers=tuple(inits))
    return pod if spec is pod.spec else replace(pod, spec=spec)


def _host_ports(container: Container) -> Container:
    ports = (replace(port, host_port=port.host_port or port.container_port) for port in container.ports)
    return replace(container, ports=tuple(ports))


def default_template(template: PodTemplateSpec) -> PodTemplateSpec:
    """Return the pod template with the API server's conditional defaults."""
    spec = default_pod_spec(template.spec)
    return template if spec is template.spec else replace(template, spec=spec)


def _stateful_set(obj: StatefulSet) -> StatefulSet:
    strategy = obj.spec.update_strategy
    if not strategy.type:
        # Only a user who leaves out updateStrategy (or its type) gets a rollingUpdate object (workloads 1.2).
        rolling = strategy.rolling_update or RollingUpdateStatefulSetStrategy()
        strategy = StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling)
    rolling_update = strategy.rolling_update
    if strategy.type == "RollingUpdate" and rolling_update is not None and rolling_update.partition is None:
        strategy = replace(strategy, rolling_update=replace(rolling_update, partition=0))
    return replace(obj, spec=replace(obj.spec, update_strategy=strategy, template=default_template(obj.spec.template)))


def _deployment(obj: Deployment) -> Deployment:
    strategy = obj.spec.strategy
    if strategy.type == "RollingUpdate":
        rolling = strategy.rolling_update or RollingUpdateDeployment()
        if rolling.max_unavailable is None:
            rolling = replace(rolling, max_unavailable="25%")
        if rolling.max_surge is None:
            rolling = replace(rolling, max_surge="25%")
        strategy = DeploymentStrategy(type="RollingUpdate", rolling_update=rolling)
    return replace(obj, spec=replace(obj.spec, strategy=strategy, template=default_template(obj.spec.template)))


def _daemon_set(obj: DaemonSet) -> DaemonSet:
    strategy = obj.spec.update_strategy
    if strategy.type == "RollingUpdate":
        rolling = strategy.rolling_update or RollingUpdateDaemonSet()
        rolling = replace(
            rolling,
            max_unavailable=1 if rolling.max_unavailable is None else rolling.max_unavailable,
            max_surge=0 if rolling.max_surge is None else rolling.max_surge,
        )
        strategy = DaemonSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling)
    return replace(obj, spec=replace(obj.spec, update_strategy=strategy, template=default_template(obj.spec.template)))


def _limit_range(obj: LimitRange) -> LimitRange:
    items = []
    for item in obj.spec.limits:
        if item.type == "Container":
            default = {**item.max, **item.default}
            item = replace(item, default=default, default_request={**item.min, **default, **item.default_request})
        items.append(item)
    return replace(obj, spec=replace(obj.spec, limits=tuple(items)))


def _templated(obj: Any) -> Object:
    result: Object = replace(obj, spec=replace(obj.spec, template=default_template(obj.spec.template)))
    return result


def _node(obj: Node) -> Node:
    if obj.status.allocatable or not obj.status.capacity:
        return obj
    return replace(obj, status=replace(obj.status, allocatable=obj.status.capacity))


_DEFAULTS: Final[Mapping[type[Object], Callable[[Any], Object]]] = {
    Pod: _pod,
    StatefulSet: _stateful_set,
    Deployment: _deployment,
    DaemonSet: _daemon_set,
    ReplicaSet: _templated,
    Job: _templated,
    LimitRange: _limit_range,
    Node: _node,
    PersistentVolume: translated,
}


def default_object(obj: T) -> T:
    """Return the object with the API server's conditional defaults."""
    default = _DEFAULTS.get(type(obj))
    return obj if default is None else default(obj)  # type: ignore[return-value]
