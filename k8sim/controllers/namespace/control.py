"""In which order the content of a namespace goes, and when to look again.

Source: pkg/controller/namespace/deletion/namespaced_resources_deleter.go (pods first: gate OrderedNamespaceDeletion).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from k8sim.api.core import Namespace, Pod
from k8sim.api.pods import is_pod_terminal

KUBERNETES: Final = "kubernetes"
_SECOND_NS: Final = 1_000_000_000


def needs_content_deleted(namespace: Namespace) -> bool:
    """Tell whether a namespace is being deleted and still has the finalizer of its content."""
    return namespace.deleting and KUBERNETES in namespace.spec.finalizers


def estimate_graceful_termination_seconds(pods: Iterable[Pod], deleted_at_ns: int, now_ns: int) -> int:
    """Return for how long pods that are left may still take, 0 if they should be gone by now."""
    longest = max((p.spec.termination_grace_period_seconds for p in pods if not is_pod_terminal(p)), default=0)
    return longest if now_ns - deleted_at_ns < longest * _SECOND_NS else 0
