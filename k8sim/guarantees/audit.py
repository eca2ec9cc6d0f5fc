"""Checks a run against all guarantees: afterwards, or while it goes on.

    from k8sim.guarantees import check

    audit = check(result)
    assert not audit.violations, audit

A live audit takes what is new whenever it is asked to; `follow` steps a cluster and stops at the first violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from k8sim.apiserver.watch import Change
from k8sim.guarantees.catalogue import CHECKERS
from k8sim.guarantees.circumstances import SECOND
from k8sim.guarantees.guarantee import Checker, Finding, Guarantee, Verdict
from k8sim.guarantees.world import World
from k8sim.sim.trace import Trace

PATIENCE: Final = 900 * SECOND
"""How long after the last disturbance the cluster must have come to rest: the longest wait that Kubernetes has by
itself is 50 s (a node is silent) + 300 s (tolerations) + 360 s (forced detach)."""

History = Sequence[tuple[int, Change]]


class Run(Protocol):
    """What has been run: a `k8sim.result.Result` is one."""

    @property
    def scenario(self) -> Any:
        """The scenario."""

    @property
    def log(self) -> Trace:
        """The trace."""

    @property
    def history(self) -> History:
        """All changes of objects."""


class Audit:
    """One run, as far as it has been fed, and what was found in it.

    Parameters
    ----------
    gates
        Tells whether a feature gate is on.
    checkers
        Which guarantees to check; by default all.
    patience_ns
        How long after the last disturbance liveness is judged.
    """

    def __init__(
        self,
        gates: Callable[[str], bool] = lambda gate: False,
        checkers: Iterable[type[Checker]] = CHECKERS,
        patience_ns: int = PATIENCE,
    ) -> None:
        self.world = World(gates, patience_ns)
        self.checkers = [checker(self.world) for checker in checkers]
        self._by_kind: dict[str, list[Checker]] = {}
        self._by_row: dict[str, list[Checker]] = {}
        for checker in self.checkers:
            for kind in checker.kinds:
                self._by_kind.setdefault(kind, []).append(checker)
            for kind in checker.rows:
                self._by_row.setdefault(kind, []).append(checker)
        self._changes = 0
        self._rows = 0

    def feed(self, history: History, log: Trace) -> None:
        """Take in what is new in a history and a trace: of one instant the changes first, then the rows."""
        while self._changes < len(history) or self._rows < len(log):
            change_t = history[self._changes][0] if self._changes < len(history) else None
            row_t = log[self._rows].t if self._rows < len(log) else None
            if change_t is not None and (row_t is None or change_t <= row_t):
                self._change(*history[self._changes])
                self._changes += 1
            else:
                self._row(log, self._rows)
                self._rows += 1

    def _change(self, t: int, change: Change) -> None:
        self.world.apply(t, change)
        for checker in self._by_kind.get(change.new.kind, ()):
            checker.change(change)

    def _row(self, log: Trace, number: int) -> None:
        row = log[number]
        self.world.see(row, number)
        for checker in self._by_row.get(row.kind, ()):
            checker.row(row, number)

    def end(self, now: int) -> Audit:
        """Judge what had to come true by the end of the run."""
        self.world.now = now
        for checker in self.checkers:
            checker.end()
        return self

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of time."""
        return sorted((f for c in self.checkers for f in c.findings), key=lambda f: (f.t_ns, f.guarantee.name))

    @property
    def violations(self) -> list[Finding]:
        """Findings that Kubernetes' promises do not allow."""
        return [f for f in self.findings if f.verdict == "violated"]

    def verdicts(self) -> dict[str, tuple[Guarantee, Verdict, int]]:
        """Return for each guarantee: what came of it, and how often it was put to the test."""
        result: dict[str, tuple[Guarantee, Verdict, int]] = {}
        for checker in self.checkers:
            found = [f.verdict for f in checker.findings]
            verdict: Verdict = "kept" if checker.exercised else "not exercised"
            if found:
                verdict = "violated" if "violated" in found else found[0]
            result[checker.about.name] = (checker.about, verdict, checker.exercised)
        return result

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings)) or "all guarantees were kept"


def check(
    run: Run, checkers: Iterable[type[Checker]] = CHECKERS, patience_ns: int = PATIENCE, *, gates: Any = None
) -> Audit:
    """Check a finished run.

    Parameters
    ----------
    run
        A `Result` whose history was kept.
    checkers
        Which guarantees; by default all.
    patience_ns
        How long after the last disturbance liveness is judged (default 15 min).
    """
    switched = dict(run.scenario.feature_gates)
    audit = Audit(gates or (lambda gate: bool(switched.get(gate, False))), checkers, patience_ns)
    audit.feed(run.history, run.log)
    return audit.end(run.scenario.duration_ns)


def follow(cluster: Any, every_ns: int = SECOND, checkers: Iterable[type[Checker]] = CHECKERS) -> Audit:
    """Run a `Cluster` to its end or to the first violation, looking every so often; return the audit."""
    audit = Audit(cluster.sim.enabled, checkers)
    end = cluster.scenario.duration_ns
    while cluster.sim.clock.now < end and not audit.violations:
        cluster.sim.clock.run(min(end, cluster.sim.clock.now + every_ns))
        audit.feed(cluster.server.history, cluster.sim.trace)
    return audit if audit.violations else audit.end(end)
