"""Which volume a claim gets: every volume looked at, group by group, as pv_helpers.go and index.go do.

Slow and obvious, on plain data, without k8sim. Ties are open in Kubernetes: all volumes that it may take are returned.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OracleClaim:
    name: str
    uid: str
    modes: frozenset[str]
    size: int
    volume_mode: str
    class_name: str | None
    selector: tuple[str, str] | None
    attributes: str | None


@dataclass(frozen=True)
class OracleVolume:
    name: str
    modes: frozenset[str]
    size: int
    volume_mode: str
    class_name: str
    phase: str
    terminating: bool
    labels: tuple[tuple[str, str], ...]
    claim: tuple[str, str] | None  # name and UID ("": none)
    node: str | None  # reachable from this node only
    attributes: str | None


def bound_to(volume: OracleVolume, claim: OracleClaim) -> bool:
    return volume.claim is not None and volume.claim[0] == claim.name and volume.claim[1] in ("", claim.uid)


def serves(volume: OracleVolume, claim: OracleClaim) -> bool:
    """Steps 1 to 5: what even a volume that was made for the claim must have."""
    if volume.claim is not None and not bound_to(volume, claim):
        return False
    if volume.size < claim.size:
        return False
    if volume.volume_mode != claim.volume_mode:
        return False
    if (volume.attributes or "") != (claim.attributes or ""):
        return False
    return not volume.terminating


def is_free_for(volume: OracleVolume, claim: OracleClaim) -> bool:
    """Steps 9 to 11: what any other volume must have besides."""
    if volume.phase != "Available":
        return False
    if claim.selector is not None and claim.selector not in volume.labels:
        return False
    return volume.class_name == (claim.class_name or "")


def smallest(volumes: list[OracleVolume]) -> set[str]:
    least = min((v.size for v in volumes), default=0)
    return {v.name for v in volumes if v.size == least}


def for_controller(volumes: list[OracleVolume], claim: OracleClaim, delayed: bool) -> set[str]:
    """Return what the volume controller may bind."""
    groups = {v.modes for v in volumes if v.modes >= claim.modes}
    for size in sorted({len(modes) for modes in groups}):
        answers: set[str] = set()
        for modes in groups:
            if len(modes) == size:
                answers |= _in_group([v for v in volumes if v.modes == modes], claim, delayed)
        if answers:
            return answers
    return set()


def _in_group(volumes: list[OracleVolume], claim: OracleClaim, delayed: bool) -> set[str]:
    fitting = [v for v in volumes if serves(v, claim)]
    made_for_it = {v.name for v in fitting if bound_to(v, claim)}
    if made_for_it:
        return made_for_it
    return set() if delayed else smallest([v for v in fitting if is_free_for(v, claim)])


def for_scheduler(volumes: list[OracleVolume], claim: OracleClaim, node: str, taken: set[str]) -> set[str]:
    """Return what the scheduler may choose for a pod on a node; a volume made for the claim decides alone."""
    fitting = [v for v in volumes if v.name not in taken and serves(v, claim)]
    made_for_it = [v for v in fitting if bound_to(v, claim)]
    if made_for_it:
        # Which of several comes first is open.
        return {v.name if v.node in (None, node) else "" for v in made_for_it}
    free = [v for v in fitting if is_free_for(v, claim) and v.node in (None, node) and v.modes >= claim.modes]
    return smallest(free)
