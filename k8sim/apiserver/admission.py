"""Admission plug-ins of the API server, in its order. What concerns storage, limits and quotas has its own module.

Source: pkg/kubeapiserver/options/plugins.go; workloads.md 4.2, 4.5, 6.1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from k8sim.api.core import Namespace, Node, Pod, Taint, Toleration
from k8sim.api.meta import Object
from k8sim.api.policy import PriorityClass
from k8sim.api.struct import replace
from k8sim.apiserver.admission_handler import handles
from k8sim.apiserver.admission_storage import STORAGE_ADMISSION
from k8sim.apiserver.errors import Forbidden, NotFound
from k8sim.apiserver.limitranger import limit_ranger
from k8sim.apiserver.quota import resource_quota
from k8sim.apiserver.settings import APIServerSettings

if TYPE_CHECKING:
    from k8sim.apiserver.server import Admission, APIServer

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
SYSTEM_PRIORITY_CLASSES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def default_admission(settings: APIServerSettings | None = None) -> tuple[Admission, ...]:
    """Return the plug-ins that are on by default, in the order in which the API server calls them."""
    return (
        namespace_lifecycle,
        limit_ranger,
        taint_nodes_by_condition,
        priority,
        DefaultTolerationSeconds(settings or APIServerSettings()),
        *STORAGE_ADMISSION,
        resource_quota,
    )


@handles(update=())
def namespace_lifecycle(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Refuse new objects in a namespace that does not exist or is being deleted.

    Source: staging/src/k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go.
    """
    if not obj.namespaced:
        return obj
    namespace = server.find(Namespace, "", obj.metadata.namespace)
    if namespace is None:
        raise NotFound(f'namespaces "{obj.namespace}" not found')
    if namespace.deleting:
        raise Forbidden(
            f'{obj.plural} "{obj.name}" is forbidden: unable to create new content in namespace {obj.namespace} '
            "because it is being terminated"
        )
    return obj


@handles(create=(Node,), update=())
def taint_nodes_by_condition(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Keep pods off a new node until it is Ready (plugin/pkg/admission/nodetaint/admission.go)."""
    assert isinstance(obj, Node)
    if any(t.key == NOT_READY and t.effect == "NoSchedule" for t in obj.spec.taints):
        return obj
    taints = (*obj.spec.taints, Taint(key=NOT_READY, effect="NoSchedule"))
    return replace(obj, spec=replace(obj.spec, taints=taints))


@handles(create=(Pod,), update=())
def priority(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Resolve a new pod's priority class (plugin/pkg/admission/priority/admission.go).

    Without a class the global default counts, the least one if there are several, else 0.
    """
    assert isinstance(obj, Pod)
    spec = obj.spec
    name, value, policy = spec.priority_class_name, 0, spec.preemption_policy
    if name in SYSTEM_PRIORITY_CLASSES:
        value = SYSTEM_PRIORITY_CLASSES[name]
    elif name:
        named = server.find(PriorityClass, "", name)
        if named is None:
            raise Forbidden(f'pods "{obj.name}" is forbidden: no PriorityClass with name {name} was found')
        value, policy = named.value, named.preemption_policy
    else:
        defaults = [c for c in server.list(PriorityClass) if c.global_default]
        if defaults:
            default = min(defaults, key=lambda c: c.value)
            name, value, policy = default.name, default.value, default.preemption_policy
    if spec.priority is not None and spec.priority != value:
        raise Forbidden(
            f'pods "{obj.name}" is forbidden: the integer value of priority ({spec.priority}) must not be provided in '
            f"pod spec; priority admission controller computed {value} from the given PriorityClass name"
        )
    return replace(obj, spec=replace(spec, priority_class_name=name, priority=value, preemption_policy=policy))


@lru_cache(maxsize=256)
def complete_tolerations(
    tolerations: tuple[Toleration, ...], seconds: tuple[tuple[str, int], ...]
) -> tuple[Toleration, ...]:
    """Add to a pod's tolerations those of some taints, each for so long, unless it has its own.

    Pods with the same tolerations share what becomes of them: so they are known to be alike.
    """
    added = [
        Toleration(key=key, operator="Exists", effect="NoExecute", toleration_seconds=toleration_seconds)
        for key, toleration_seconds in seconds
        if not any(t.key in (key, "") and t.effect in ("NoExecute", "") for t in tolerations)
    ]
    return (*tolerations, *added) if added else tolerations


@handles(create=(Pod,), update=(Pod,))
class DefaultTolerationSeconds:
    """Lets a pod bear a node that is not ready or unreachable for a while, unless it says something about that itself.

    Source: plugin/pkg/admission/defaulttolerationseconds/admission.go; workloads.md 4.5.
    """

    def __init__(self, settings: APIServerSettings) -> None:
        self._seconds = (
            (NOT_READY, settings.default_not_ready_toleration_seconds),
            (UNREACHABLE, settings.default_unreachable_toleration_seconds),
        )

    def __call__(self, server: APIServer, obj: Object, old: Object | None) -> Object:
        """Add what is missing."""
        assert isinstance(obj, Pod)
        tolerations = obj.spec.tolerations
        if isinstance(old, Pod) and old.spec.tolerations == tolerations:
            return obj
        completed = complete_tolerations(tolerations, self._seconds)
        return replace(obj, spec=replace(obj.spec, tolerations=completed)) if len(completed) > len(tolerations) else obj
