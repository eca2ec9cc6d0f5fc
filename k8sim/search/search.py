"""Looks for a history of commands and faults that breaks a guarantee, an objective or a hope; then makes it small.

First the scenario itself, then single actions of each kind, then histories of up to four actions: new ones, changed
ones of those that showed something new (other reasons for waiting, other events), and what an operator might do about
the pods that such a history has brought into trouble. Each kind of finding is kept once, with the smallest history
found for it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from k8sim.cluster import Cluster
from k8sim.guarantees import PATIENCE, Finding, Guarantee, check
from k8sim.result import Result
from k8sim.runner.measures import measure
from k8sim.scenario.model import Scenario, Step
from k8sim.scenario.objectives import Objective
from k8sim.search.shrink import smaller_histories, smaller_scenarios
from k8sim.search.space import BROKEN_IMAGES, GAPS, Chooser, Space, moved
from k8sim.sim.units import MINUTE, SECOND

TAIL: Final = PATIENCE + 10 * MINUTE
"""How long a run goes on after the last action: the longest fault, and the patience of liveness."""
SETTLE: Final = 10 * MINUTE
MOST_STEPS: Final = 4
DRAWS: Final = 3
"""How many actions of each kind are tried alone (those of one target are all the same, and run once)."""
LONG: Final = 10 * MINUTE
"""How long faults last when each is tried alone: long enough for the control plane to act."""
REACTION: Final = 20 * SECOND
"""How soon an operator does something about a pod in trouble."""
OWN_DOING: Final = frozenset(
    {
        ("settles", "bad template"), ("settles", "nodes missing"), ("settles", "quota"),
        ("settles", "apiserver-outage"), ("settles", "storage-outage"), ("settles", "registry-outage"),
        ("majority-stays-ready", "a delete"), ("majority-stays-ready", "a silent node"),
        ("majority-stays-ready", "a failing pod"),
    }
)  # fmt: skip
"""Findings that say no more than that the history broke something and did not mend it."""


class Signature(NamedTuple):
    """What makes two findings the same: the guarantee, and why it was not kept."""

    guarantee: str
    why: str

    @property
    def names(self) -> tuple[str, str]:
        """How a search may ask for it."""
        return self.guarantee, f"{self.guarantee}:{self.why}"


@dataclass(frozen=True)
class Counterexample:
    """A history that breaks something.

    Attributes
    ----------
    scenario
        Replays it: the scenario with these steps as its timeline.
    finding
        What is broken.
    """

    signature: Signature
    scenario: Scenario
    finding: Finding
    result: Result


@dataclass
class Report:
    """What a search did.

    Attributes
    ----------
    runs, histories, kinds
        How many runs it made, of how many different histories, out of how many kinds of actions.
    """

    counterexamples: list[Counterexample] = field(default_factory=list)
    runs: int = 0
    shrinking: int = 0
    histories: int = 0
    kinds: int = 0


def search(
    scenario: Scenario,
    budget: int = 300,
    seed: int = 0,
    wanted: Iterable[str] = (),
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Search.

    Parameters
    ----------
    budget
        How many runs to make before shrinking what was found.
    seed
        Of the search's choices; the simulation's seed is the scenario's.
    wanted
        Names of guarantees, also with the reason (``settles:unschedulable``), or texts of objectives; by default all.
        The search ends once all are found.
    """
    return _Search(scenario, seed, frozenset(wanted), progress).run(budget)


class _Search:
    def __init__(
        self, scenario: Scenario, seed: int, wanted: frozenset[str], progress: Callable[[Report], None]
    ) -> None:
        self.base = replace(scenario, images=(*BROKEN_IMAGES, *scenario.images), failures=())
        self.space = Space(scenario)
        self.choose = Chooser(seed, "histories")
        self.wanted = wanted
        self.progress = progress
        self.report = Report(kinds=len(self.space.kinds))
        self.found: dict[Signature, tuple[Step, ...]] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._features: set[tuple[str, str, str]] = set()
        self._corpus: list[tuple[Step, ...]] = []
        self._reactions: deque[tuple[Step, ...]] = deque()
        self.start = 0
        self._first = False

    # ---- runs -------------------------------------------------------------------------------------------------------

    def attempt(self, steps: tuple[Step, ...], base: Scenario | None = None) -> tuple[Result, dict[Signature, Finding]]:
        """Run a history, of the scenario or of a smaller one, and return what it breaks."""
        result = Cluster(with_history(base or self.base, steps)).run()
        found: dict[Signature, Finding] = {}
        for finding in check(result).findings:
            signature = Signature(finding.guarantee.name, finding.excuse)
            if signature not in OWN_DOING and (not self.wanted or self.wanted & set(signature.names)):
                found.setdefault(signature, finding)
        for objective in self.base.objectives:
            broken = broken_objective(objective, result)
            if broken is not None and (not self.wanted or objective.text in self.wanted):
                found.setdefault(Signature(objective.text, ""), broken)
        return result, found

    # ---- the search -------------------------------------------------------------------------------------------------

    def run(self, budget: int) -> Report:
        """Search, then shrink."""
        for steps in self._histories():
            if self.report.runs >= budget or self._done():
                break
            key = tuple((s.at_ns, s.action, s.command, s.name, str(s.arguments)) for s in steps)
            if key in self._seen:
                continue
            self._seen.add(key)
            self._try(steps)
        self.report.histories = len(self._seen)
        for signature, steps in self.found.items():
            self._shrink(signature, steps)
        return self.report

    def _done(self) -> bool:
        return bool(self.wanted) and {name for s in self.found for name in s.names} >= self.wanted

    def _try(self, steps: tuple[Step, ...]) -> None:
        self.report.runs += 1
        result, found = self.attempt(steps)
        if not steps:
            self.start = _settled(result, self.base)
        new = _features(result) - self._features
        if new and steps:
            self._features |= new
            self._corpus.append(steps)
        if steps and len(steps) < MOST_STEPS and (new or self._first):
            self._reactions.extend(_in_order((*steps, step)) for step in self._operator(result, steps))
        for signature in found:
            if signature not in self.found or len(steps) < len(self.found[signature]):
                self.found[signature] = steps
        self.progress(self.report)

    def _histories(self) -> Iterator[tuple[Step, ...]]:
        yield ()
        for turn in range(DRAWS):
            self._first = turn == 0
            for make in self.space.kinds.values():
                step = make(self.choose)
                if "for" in step.arguments:
                    step = replace(step, arguments={**step.arguments, "for": LONG})
                yield (moved(step, self.start),)
        tries = 0
        while tries < 100_000:
            tries += 1
            for _ in range(min(2, len(self._reactions))):
                yield self._reactions.popleft()
            if self._corpus and self.choose.chance(0.5):
                yield self._changed(self.choose.of(self._corpus))
            else:
                yield self._fresh(1 + self.choose.below(3))

    def _operator(self, result: Result, steps: tuple[Step, ...]) -> Iterator[Step]:
        """Yield what somebody might do who sees the pod that is worst off: all that one does to a pod, or a rollout."""
        for at, pod in _in_trouble(result, steps[0].at_ns)[:1]:
            for reaction in self.space.reactions(pod, self.choose):
                yield moved(reaction, (at // SECOND + 1) * SECOND + REACTION)

    def _fresh(self, n: int) -> tuple[Step, ...]:
        at = self.start
        steps = []
        for _ in range(n):
            steps.append(moved(self.space.action(self.choose), at))
            at += self.choose.of(GAPS)
        return tuple(steps)

    def _changed(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        position = self.choose.below(len(steps))
        what = self.choose.below(3)
        if what == 0 and len(steps) < MOST_STEPS:
            at = steps[position].at_ns + self.choose.of(GAPS)
            return _in_order((*steps, moved(self.space.action(self.choose), at)))
        if what == 1 and len(steps) > 1:
            return steps[:position] + steps[position + 1 :]
        new = moved(self.space.action(self.choose), steps[position].at_ns)
        return (*steps[:position], new, *steps[position + 1 :])

    # ---- shrinking --------------------------------------------------------------------------------------------------

    def _shrink(self, signature: Signature, steps: tuple[Step, ...]) -> None:
        """Take the smallest of ever smaller histories, then of ever smaller scenarios, that still break the same."""
        base, changed = self.base, True
        while changed:
            changed = False
            for smaller in smaller_histories(steps):
                if self._breaks(signature, smaller, base):
                    steps, changed = smaller, True
                    break
        changed = True
        while changed:
            changed = False
            for fewer in smaller_scenarios(base):
                if self._breaks(signature, steps, fewer) and (not steps or not self._breaks(signature, (), fewer)):
                    base, changed = fewer, True
                    break
        result, found = self.attempt(steps, base)
        self.report.shrinking += 1
        scenario = without_unused(with_history(base, steps))
        self.report.counterexamples.append(Counterexample(signature, scenario, found[signature], result))

    def _breaks(self, signature: Signature, steps: tuple[Step, ...], base: Scenario) -> bool:
        self.report.shrinking += 1
        return signature in self.attempt(steps, base)[1]


def with_history(base: Scenario, steps: tuple[Step, ...]) -> Scenario:
    """Return the scenario with more steps, long enough for their consequences."""
    last = max((s.at_ns + (s.arguments.get("for") or 0) for s in (*base.timeline, *steps)), default=0)
    duration = max(last, SETTLE) + TAIL
    return replace(base, timeline=(*base.timeline, *steps), duration_ns=duration)


def without_unused(scenario: Scenario) -> Scenario:
    """Return the scenario without the broken images that its timeline does not use."""
    text = " ".join(f"{step.command} {step.arguments.get('image', '')}" for step in scenario.timeline)
    unused = {b.pattern for b in BROKEN_IMAGES if b.pattern.rpartition(":")[2] not in text}
    return replace(scenario, images=tuple(b for b in scenario.images if b.pattern not in unused))


def _in_order(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(sorted(steps, key=lambda s: s.at_ns))


def _settled(result: Result, scenario: Scenario) -> int:
    """Return when the undisturbed cluster has come to rest (at most after ten minutes), on a whole second."""
    last = max((t for t, c in result.history if c.new.kind == "Pod" and t < SETTLE), default=0)
    last = max([last, *(s.at_ns for s in scenario.timeline)])
    return (last // SECOND + 10) * SECOND


def _in_trouble(result: Result, since: int) -> list[tuple[int, str]]:
    """Return pods that were not well after a time, and when that began; each once, those never well again first."""
    began: dict[str, int] = {}
    over: dict[str, int] = {}
    for row in result.log:
        if row.kind != "Pod" or row.t < since:
            continue
        if row.event in ("NotReady", "Terminating", "Unschedulable", "Waiting"):
            over.pop(row.name, None)
            began.setdefault(row.name, row.t)
        elif row.event == "Ready":
            over[row.name] = row.t
    return [(began[name], name) for name in sorted(began, key=lambda n: (n in over, began[n]))]


def _features(result: Result) -> set[tuple[str, str, str]]:
    """Return what is special about a run, for the choice of histories worth changing."""
    features = set()
    for row in result.log:
        if row.kind in ("Controller", "Scheduler", "Volume", "Eviction", "Zone", "Application", "Member"):
            reason = "".join(ch for ch in str(row.detail.get("reason", "")) if not ch.isdigit())
            features.add((row.kind, row.event, reason[:60]))
        elif row.kind == "Event":
            features.add(("Event", row.event, ""))
    return features


def broken_objective(objective: Objective, result: Result) -> Finding | None:
    """Return a finding if a single run does not reach an objective."""
    figures = measure(result)
    values = figures.lists.get(objective.metric) or ()
    if objective.metric in figures.numbers:
        values = (figures.numbers[objective.metric],)
    broken = [v for v in values if not math.isnan(v) and not _reached(objective, v)]
    if not broken:
        return None
    about = Guarantee(objective.text, objective.text, "one run", "probabilities", "the scenario", "wish")
    last = max((i for i, row in enumerate(result.log) if row.kind in ("Step", "Pod")), default=-1)
    worst = max(broken) if objective.relation.startswith("<") else min(broken)
    return Finding(about, result.scenario.duration_ns, objective.metric, f"is {worst:g}", last)


def _reached(objective: Objective, value: float) -> bool:
    compare = {
        "<": value.__lt__, "<=": value.__le__, ">": value.__gt__, ">=": value.__ge__, "==": value.__eq__,
        "!=": value.__ne__,
    }  # fmt: skip
    if isinstance(objective.statistic, tuple):
        _, relation, threshold = objective.statistic
        happens = bool(compare[relation](threshold))
        return happens != objective.relation.startswith("<")
    return bool(compare[objective.relation](objective.bound))
