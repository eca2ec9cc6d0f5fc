"""Taints and what bears them (component-helpers/scheduling/corev1/helpers.go, api/core/v1/toleration.go)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from k8sim.api.core import Taint, Toleration


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Tell whether a toleration bears a taint (Toleration.ToleratesTaint); an empty key or effect bears all."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and bool(toleration.key) and toleration.value == taint.value


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration], effects: Collection[str]) -> Taint | None:
    """Return the first taint of some effects that no toleration bears (FindMatchingUntoleratedTaint)."""
    tolerations = tuple(tolerations)
    for taint in taints:
        if taint.effect in effects and not any(tolerates(t, taint) for t in tolerations):
            return taint
    return None
