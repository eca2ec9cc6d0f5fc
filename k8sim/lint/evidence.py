"""What a run shows of a workload in it: figures read from its trace, and how to say them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, Final

from k8sim.lint.workload import BARE, Ref
from k8sim.result import Result
from k8sim.sim.trace import Row
from k8sim.sim.units import SECOND, format_duration

_NOT_FAILED: Final = ("served", "in-flight", "success", "pods")
_ALIKE: Final = 1.2
"""Intervals that differ by less are told as one."""


@dataclass(frozen=True)
class Harm:
    """What an experiment did: how much, to be compared with the same after the fix, and in words. 0: none."""

    amount: float
    text: str


def about(ns: int) -> str:
    """Return a duration as people say it: whole seconds, below ten seconds a decimal."""
    unit = SECOND if ns >= 10 * SECOND else SECOND // 10
    return format_duration(round(ns / unit) * unit)


def several(number: int, noun: str) -> str:
    """Return a number with its noun: "1 pod", "3 pods"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def rows(result: Result, kind: str, event: str, since_ns: int = 0, /, **detail: Any) -> Iterator[Row]:
    """Yield the rows of a kind and event from a moment on that have these details."""
    for row in result.log:
        if row.t >= since_ns and row.kind == kind and row.event == event:
            if all(row.detail.get(key) == value for key, value in detail.items()):
                yield row


# ---- readiness ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shortage:
    """How long fewer than the needed pods were Ready, how few there were at worst, and whether it ever ended."""

    ns: int
    least: int
    ended: bool

    def text(self, needed: int, of: int) -> str:
        """Say it."""
        if not self.ns:
            return f"never fewer than {self.least} of {of} Ready"
        how_long = about(self.ns) if self.ended else f"{about(self.ns)}, to the end of the run,"
        return f"{self.least} of {several(of, 'pod')} Ready at worst, for {how_long} fewer than the {needed} it needs"


def ready_pods(result: Result, of: Ref) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield which pods of a workload are Ready, and from when on, after each change."""
    ready: frozenset[str] = frozenset()
    made = {row.name for row in rows(result, "Belonging", "Pod", kind=of.kind, workload=of.name)}
    its_own = {of.name} if of.kind == BARE else made
    for row in result.log:
        if row.kind == "Pod" and row.event in ("Ready", "NotReady", "Deleted") and row.name in its_own:
            ready = ready | {row.name} if row.event == "Ready" else ready - {row.name}
            yield row.t, ready


def shortage(result: Result, of: Ref, needed: int, since_ns: int) -> Shortage:
    """Measure when too few pods of a workload were Ready, from a moment on."""
    steps = [(0, 0), *((t, len(ready)) for t, ready in ready_pods(result, of))]
    _, before = [step for step in steps if step[0] <= since_ns][-1]
    steps = [(since_ns, before), *(step for step in steps if step[0] > since_ns)]
    end = (result.scenario.duration_ns, 0)
    short_ns = sum(later - t for (t, ready), (later, _) in pairwise([*steps, end]) if ready < needed)
    return Shortage(short_ns, min(ready for _, ready in steps), steps[-1][1] >= needed)


def ready_again_ns(result: Result, of: Ref, pods: int, since_ns: int) -> int | None:
    """Return how long after a moment so many pods of a workload were Ready, for good; None: they never were."""
    when: int | None = None
    for t, ready in ready_pods(result, of):
        if len(ready) < pods:
            when = None
        elif when is None:
            when = t
    return None if when is None else max(0, when - since_ns)


# ---- kills ----------------------------------------------------------------------------------------------------------


def probe_kills(result: Result, probe: str, since_ns: int = 0, container: str = "") -> list[Row]:
    """Return the moments at which the kubelet killed a container ("": any) for a failed probe (the event Killing)."""
    told = f"{container} failed {probe} probe"
    return [row for row in rows(result, "Event", "Killing", since_ns) if told in row.detail["message"]]


def rhythm(kills: list[Row]) -> str:
    """Say how often one pod was killed: "every 1m20s", "every 50s to 5m10s"; "" for fewer than two kills."""
    first = [row.t for row in kills if row.name == kills[0].name]
    gaps = [later - earlier for earlier, later in pairwise(first)]
    if not gaps:
        return ""
    if max(gaps) < min(gaps) * _ALIKE:
        return f"every {about(round(median(gaps)))}"
    return f"every {about(min(gaps))} to {about(max(gaps))}"


# ---- commands, requests ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """How a step of the timeline went; ``done_ns`` None: it had not ended at the end of the run."""

    began_ns: int
    done_ns: int | None
    code: int | None

    @property
    def worked(self) -> bool:
        """Whether it ended well."""
        return self.code == 0

    def took_ns(self, end_ns: int) -> int:
        """How long it took, or has taken so far."""
        return (end_ns if self.done_ns is None else self.done_ns) - self.began_ns


def command(result: Result, step: int) -> Command:
    """Return how a step of the timeline went."""
    began = result.scenario.timeline[step].at_ns
    done = next((row for row in rows(result, "Command", "Done") if row.detail["step"] == step), None)
    return Command(began, None, None) if done is None else Command(began, done.t, done.detail["code"])


def failed_requests(result: Result) -> dict[str, float]:
    """Return how many requests of all clients failed, by what became of them."""
    last: dict[str, Row] = {row.name: row for row in rows(result, "Traffic", "Counts")}
    failed: dict[str, float] = {}
    for row in last.values():
        for outcome, number in row.detail.items():
            if outcome not in _NOT_FAILED and number > 0:
                failed[outcome] = failed.get(outcome, 0.0) + number
    return failed


def lost_requests(result: Result) -> Harm:
    """Say how many requests failed, and how."""
    failed = {outcome: round(number) for outcome, number in failed_requests(result).items() if round(number)}
    if not failed:
        return Harm(0, "no request fails")
    kinds = ", ".join(f"{number} {outcome}" for outcome, number in sorted(failed.items()))
    return Harm(sum(failed.values()), f"{several(sum(failed.values()), 'request')} failed ({kinds})")
