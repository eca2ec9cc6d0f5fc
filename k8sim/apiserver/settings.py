"""The API server's own settings, under the names of its flags."""

from __future__ import annotations

from dataclasses import dataclass

from k8sim.sim.units import SECOND


@dataclass(frozen=True)
class APIServerSettings:
    """Flags of kube-apiserver (plugin/pkg/admission/defaulttolerationseconds/admission.go).

    How many seconds a pod that says nothing about it may stay on a node that is not ready, or not reachable.
    """

    default_not_ready_toleration_seconds: int = 300
    default_unreachable_toleration_seconds: int = 300


@dataclass(frozen=True)
class WatchSettings:
    """How badly watches behave: not at all, by default.

    All of it happens in clusters now and then (client-go/tools/cache: slow deliveries, resyncs, watches that end and
    are followed by a new list), and level-triggered controllers have to reach the same end. Tests turn it up.

    Parameters
    ----------
    late_share, late_by_ns
        How many of the changes are late, and by how much at most. Changes of one kind keep their order.
    repeated_share
        How many of the changes are told to the handlers once more.
    broken_share
        After how many of the changes the watch ends, and the program lists anew.
    """

    late_share: float = 0.0
    late_by_ns: int = SECOND
    repeated_share: float = 0.0
    broken_share: float = 0.0
