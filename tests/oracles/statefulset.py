"""What a StatefulSet's controller does in one pass, written as the walk over all pods that Kubernetes makes.

Slow and obvious, on plain data, without k8sim: stateful_set_control.go (updateStatefulSet and what it calls) with
retention policies Retain and claims that exist or not. The order of one pass is the order of the functions here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Request = tuple[str, int, str]
"""(create, 2, new): what is asked of the API server, for which ordinal, and of which revision if that matters."""


@dataclass
class OraclePod:
    ordinal: int
    phase: str = ""  # "": only in memory
    ready: bool = False
    ready_for_s: int = 0
    terminating: bool = False
    revision: str = ""
    labelled: bool = True
    lacks_claims: bool = False

    @property
    def created(self) -> bool:
        return self.phase != ""


@dataclass
class OracleSet:
    replicas: int
    start: int
    ordered: bool
    strategy: str  # OnDelete, RollingUpdate, or RollingUpdate without a rollingUpdate object: "null"
    partition: int
    min_ready_s: int
    max_unavailable: int | str | None
    gate: bool
    current: str
    update: str
    status_current_replicas: int
    deleting: bool
    pods: list[OraclePod] = field(default_factory=list)


def running_and_ready(pod: OraclePod) -> bool:
    return pod.phase == "Running" and pod.ready


def available(sts: OracleSet, pod: OraclePod) -> bool:
    return pod.ready and pod.ready_for_s >= sts.min_ready_s


def unavailable(sts: OracleSet, pod: OraclePod) -> bool:
    return not available(sts, pod) or pod.terminating


def revision_of_new_pod(sts: OracleSet, ordinal: int) -> str:
    if sts.strategy == "RollingUpdate" and ordinal < sts.start + sts.partition:
        return sts.current
    if sts.strategy == "null" and ordinal < sts.start + sts.status_current_replicas:
        return sts.current
    return sts.update


class Stop(Exception):
    """The pass is over."""


def requests(sts: OracleSet) -> list[list[Request]]:
    """Return batches of requests; those of one batch are under way at the same time."""
    slots = []
    for ordinal in range(sts.start, sts.start + sts.replicas):
        found = [p for p in sts.pods if p.ordinal == ordinal]
        slots.append(found[0] if found else OraclePod(ordinal, revision=revision_of_new_pod(sts, ordinal)))
    outside = [p for p in sts.pods if not sts.start <= p.ordinal < sts.start + sts.replicas]
    condemned = sorted(outside, key=lambda p: p.ordinal, reverse=True)
    sick = [p for p in slots if unavailable(sts, p)] or [p for p in condemned[::-1] if unavailable(sts, p)]
    first_unavailable = sick[0] if sick else None
    done: list[list[Request]] = []
    if sts.deleting:
        return done
    try:
        for batch in batches(sts, slots):
            done.append([])
            for pod in batch:
                process_replica(sts, pod, done[-1])
        for batch in batches(sts, condemned):
            done.append([])
            for pod in batch:
                process_condemned(sts, pod, first_unavailable, done[-1])
        if sts.strategy != "OnDelete":
            done.append([])
            (update_with_gate if sts.gate else update)(sts, slots, done)
    except Stop:
        pass
    return [batch for batch in done if batch]


def batches(sts: OracleSet, pods: list[OraclePod]) -> list[list[OraclePod]]:
    if sts.ordered:
        return [[pod] for pod in pods]
    result, size = [], 1
    while pods:
        result.append(pods[:size])
        pods = pods[size:]
        size = min(2 * size, 500)
    return result


def process_replica(sts: OracleSet, pod: OraclePod, batch: list[Request]) -> None:
    if pod.phase in ("Failed", "Succeeded"):
        if not pod.terminating:
            batch.append(("delete", pod.ordinal, ""))
        if sts.ordered:
            raise Stop
        return
    if not pod.created:
        batch.append(("create", pod.ordinal, pod.revision))
        if sts.ordered:
            raise Stop
        return
    if pod.phase == "Pending" and pod.lacks_claims:
        batch.append(("create claims", pod.ordinal, ""))
    if sts.ordered and (pod.terminating or not running_and_ready(pod) or not available(sts, pod)):
        raise Stop
    if not pod.labelled:
        batch.append(("update", pod.ordinal, ""))


def process_condemned(
    sts: OracleSet, pod: OraclePod, first_unavailable: OraclePod | None, batch: list[Request]
) -> None:
    if pod.terminating:
        if sts.ordered:
            raise Stop
        return
    healthy = running_and_ready(pod) and available(sts, pod)
    if sts.ordered and not healthy and pod is not first_unavailable:
        raise Stop
    batch.append(("delete", pod.ordinal, ""))
    if sts.ordered:
        raise Stop


def lowest_to_update(sts: OracleSet) -> int:
    return sts.partition if sts.strategy == "RollingUpdate" else 0


def update(sts: OracleSet, slots: list[OraclePod], done: list[list[Request]]) -> None:
    for i in range(len(slots) - 1, lowest_to_update(sts) - 1, -1):
        pod = slots[i]
        if pod.revision != sts.update and not pod.terminating:
            done[-1].append(("replace", pod.ordinal, ""))
            return
        if unavailable(sts, pod):
            return


def update_with_gate(sts: OracleSet, slots: list[OraclePod], done: list[list[Request]]) -> None:
    limit: int = 1
    if isinstance(sts.max_unavailable, str):
        limit = int(sts.max_unavailable.rstrip("%")) * sts.replicas // 100
    elif sts.max_unavailable is not None:
        limit = sts.max_unavailable
    limit = max(limit, 1)
    away = sum(unavailable(sts, p) for p in slots)
    for i in range(len(slots) - 1, lowest_to_update(sts) - 1, -1):
        if away >= limit:
            return
        if slots[i].revision != sts.update and not slots[i].terminating:
            done.append([("replace", slots[i].ordinal, "")])
            away += 1


def counts(sts: OracleSet) -> dict[str, int]:
    """Return the counts of the status at the beginning of the pass."""
    alive = [p for p in sts.pods if not p.terminating]
    return {
        "replicas": len(sts.pods),
        "ready": sum(running_and_ready(p) for p in sts.pods),
        "available": sum(running_and_ready(p) and available(sts, p) for p in sts.pods),
        "current": sum(p.revision == sts.current for p in alive),
        "updated": sum(p.revision == sts.update for p in alive),
    }
