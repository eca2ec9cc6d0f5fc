"""maxSurge and maxUnavailable as numbers of pods.

Source: pkg/controller/deployment/util/deployment_util.go (ResolveFenceposts); workloads.md 2.2.
"""

from __future__ import annotations

from k8sim.api.apps import Deployment
from k8sim.api.struct import IntOrString


def scaled(value: IntOrString | None, total: int, round_up: bool) -> int:
    """Return a number, or a percentage of a total (intstr.GetScaledValueFromIntOrPercent)."""
    if value is None:
        return 0
    if isinstance(value, str):
        parts = int(value.rstrip("%")) * total
        return -(-parts // 100) if round_up else parts // 100
    return value


def resolve_fenceposts(surge: IntOrString | None, unavailable: IntOrString | None, desired: int) -> tuple[int, int]:
    """Return both bounds: surge is rounded up, unavailable down; if both come out 0, one may be unavailable."""
    max_surge = scaled(surge, desired, round_up=True)
    max_unavailable = scaled(unavailable, desired, round_up=False)
    if max_surge == 0 and max_unavailable == 0:
        max_unavailable = 1
    return max_surge, max_unavailable


def _bounds(deployment: Deployment) -> tuple[int, int]:
    rolling = deployment.spec.strategy.rolling_update
    if deployment.spec.strategy.type != "RollingUpdate" or rolling is None:
        return 0, 0
    return resolve_fenceposts(rolling.max_surge, rolling.max_unavailable, deployment.spec.replicas)


def max_surge(deployment: Deployment) -> int:
    """Return how many pods more than wanted there may be."""
    return _bounds(deployment)[0]


def max_unavailable(deployment: Deployment) -> int:
    """Return how many pods fewer than wanted may be available."""
    return min(_bounds(deployment)[1], deployment.spec.replicas)
