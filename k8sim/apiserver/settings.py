"""The API server's own settings, under the names of its flags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class APIServerSettings:
    """Flags of kube-apiserver (plugin/pkg/admission/defaulttolerationseconds/admission.go).

    How many seconds a pod that says nothing about it may stay on a node that is not ready, or not reachable.
    """

    default_not_ready_toleration_seconds: int = 300
    default_unreachable_toleration_seconds: int = 300
