"""What a probe worker stores, tick by tick, as doProbe of pkg/kubelet/prober/worker.go does it.

Slow and obvious, on plain data, without k8sim. Times are in ms.
"""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[int, int]


@dataclass
class OracleContainer:
    """One instance of a container: its life, and how it answers; ``started_at``: when its Started flag is set."""

    id: str
    begins: int
    ends: int
    started_at: int
    may_restart: bool
    startup_passes_from: int
    ready_from: int
    unready: Span
    hang: Span

    def answers(self, kind: str, now: int) -> bool:
        if not self.begins <= now < self.ends:
            return False  # connection refused
        if kind == "startup":
            return now >= self.startup_passes_from
        if self.hang[0] <= now < self.hang[1]:
            return False
        return kind == "liveness" or (now >= self.ready_from and not self.unready[0] <= now < self.unready[1])


@dataclass
class OracleProbe:
    kind: str
    period_s: int
    initial_delay_s: int
    success_threshold: int
    failure_threshold: int


INITIAL = {"readiness": False, "liveness": True, "startup": None}
Change = tuple[int, str, bool | None]


def verdicts(
    probe: OracleProbe, containers: list[OracleContainer], over_at: int, triggers: list[int], end: int
) -> list[Change]:
    """Return when which result was stored for which container, if it was another than before.

    ``over_at`` is when the pod's phase becomes final; triggers make an attempt, and the ticks count from there.
    """
    changes: list[Change] = []
    known, result, on_hold = "", "unset", False  # type: str, object, bool
    last: bool | None = None
    run = 0
    tick = probe.period_s * 1000
    waiting = sorted(triggers)

    def store(now: int, value: bool | None) -> None:
        nonlocal result
        if result != value:
            changes.append((now, known, value))
        result = value

    while True:
        now = tick
        if waiting and waiting[0] < tick:
            now = waiting.pop(0)
        if now >= end:
            return changes
        tick = now + probe.period_s * 1000
        seen = [c for c in containers if c.begins <= now]
        if now >= over_at:
            return changes
        if not seen:
            continue
        container = seen[-1]
        if container.id != known:
            known, result, on_hold = container.id, "unset", False
            store(now, INITIAL[probe.kind])
        if on_hold:
            continue
        if now >= container.ends:
            store(now, False)
            if not container.may_restart:
                return changes
            continue
        start = container.begins // 1000 * 1000  # startedAt has whole seconds
        if (now - start) // 1000 < probe.initial_delay_s:
            continue
        started = now >= container.started_at
        if started == (probe.kind == "startup"):
            continue
        outcome = container.answers(probe.kind, now)
        run = run + 1 if outcome == last else 1
        last = outcome
        if run < (probe.success_threshold if outcome else probe.failure_threshold):
            continue
        store(now, outcome)
        if probe.kind == "startup" or (probe.kind == "liveness" and not outcome):
            on_hold, run = True, 0
