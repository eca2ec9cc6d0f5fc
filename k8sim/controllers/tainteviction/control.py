"""How long a pod may stay on a node with NoExecute taints.

Source: pkg/controller/tainteviction/taint_eviction.go, pkg/apis/core/v1/helper/helpers.go; workloads.md 4.6.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8sim.api.core import Node, Taint, Toleration


def no_execute_taints(node: Node) -> tuple[Taint, ...]:
    """Return the taints that drive pods away."""
    taints = node.spec.taints
    return tuple(t for t in taints if t.effect == "NoExecute") if taints else ()


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Tell whether a toleration matches a taint (Toleration.ToleratesTaint); empty key or effect match all."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def get_matching_tolerations(
    taints: Sequence[Taint], tolerations: Sequence[Toleration]
) -> tuple[bool, tuple[Toleration, ...]]:
    """Return whether all taints are tolerated, and by what: the first toleration that matches each taint."""
    used = []
    for taint in taints:
        match = next((t for t in tolerations if tolerates(t, taint)), None)
        if match is None:
            return False, ()
        used.append(match)
    return True, tuple(used)


def get_min_toleration_time(tolerations: Sequence[Toleration]) -> int | None:
    """Return the least tolerationSeconds, 0 for a negative one; None for ever."""
    seconds = [t.toleration_seconds for t in tolerations if t.toleration_seconds is not None]
    return max(0, min(seconds)) if seconds else None


def seconds_to_stay(taints: Sequence[Taint], tolerations: Sequence[Toleration]) -> int | None:
    """Return for how many seconds a pod may stay, None for ever."""
    all_tolerated, used = get_matching_tolerations(taints, tolerations)
    return get_min_toleration_time(used) if all_tolerated else 0
