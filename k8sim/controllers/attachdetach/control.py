"""Decisions of the attach/detach controller: may this volume go to that node, may it leave it.

Source: pkg/controller/volume/attachdetach/reconciler/reconciler.go; storage.md 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from k8sim.api.core import Node, Pod
from k8sim.api.meta import condition_of
from k8sim.api.pods import is_volume_pod_terminated
from k8sim.api.volumes import OUT_OF_SERVICE_TAINT

Force = Literal["", "timeout", "out-of-service"]


@dataclass(frozen=True)
class Detach:
    """Detach now.

    ``verify`` False skips the last look at the live node; ``forced`` says why a perhaps mounted volume is taken away.
    """

    verify: bool
    forced: Force


@dataclass(frozen=True)
class Wait:
    """Not yet; ``until_ns`` is when time alone may change that (None: never)."""

    reason: str
    until_ns: int | None = None


def is_node_ready(node: Node | None) -> bool:
    """Tell whether the node exists and is Ready: an unknown node is not."""
    ready = condition_of(node.status.conditions, "Ready") if node is not None else None
    return ready is not None and ready.status == "True"


def is_out_of_service(node: Node | None) -> bool:
    """Tell whether somebody has declared the node to be off; neither effect nor readiness counts."""
    return node is not None and any(t.key == OUT_OF_SERVICE_TAINT for t in node.spec.taints)


def decide_detach(
    node: Node | None,
    mounted: bool,
    requested_ns: int,
    now_ns: int,
    max_wait_ns: int,
    force_disabled: bool,
) -> Detach | Wait:
    """Decide whether a volume that no pod wants on a node leaves it now.

    A Ready node that never reports the volume unmounted keeps it for ever. One that is not Ready loses it when
    ``max_wait_ns`` (six minutes) has passed, one marked out-of-service at once.

    Parameters
    ----------
    mounted
        The node's last word on the volume (status.volumesInUse).
    requested_ns
        Since when nobody wants it there: this controller's memory, so a restart begins anew.
    """
    deadline = requested_ns + max_wait_ns
    timed_out = now_ns > deadline and not force_disabled
    forced_by_time = timed_out and not is_node_ready(node)
    out_of_service = is_out_of_service(node)
    if mounted and not forced_by_time and not out_of_service:
        return Wait("StillMounted", None if force_disabled or timed_out else deadline + 1)
    forced: Force = ""
    if out_of_service:
        forced = "out-of-service"
    elif timed_out:
        forced = "timeout"
    return Detach(verify=not forced, forced=forced)


def wants_volumes(pod: Pod) -> bool:
    """Tell whether a pod's volumes belong on its node: it is scheduled, and not ended as storage code sees it."""
    return bool(pod.spec.node_name) and not is_volume_pod_terminated(pod)


def multi_attach_message(volume: str, namespace: str, holders: Sequence[Pod]) -> str:
    """Return what the waiting pod is told about a volume that another node has."""
    text = f'Multi-Attach error for volume "{volume}" '
    ours = sorted(p.name for p in holders if p.namespace == namespace)
    others = len(holders) - len(ours)
    if not holders:
        return text + "Volume is already exclusively attached to one node and can't be attached to another"
    if not ours:
        return text + f"Volume is already used by {others} pod(s) in different namespaces"
    if others:
        return text + f"Volume is already used by pod(s) {', '.join(ours)} and {others} pod(s) in different namespaces"
    return text + f"Volume is already used by pod(s) {', '.join(ours)}"
