"""What a guarantee is: a promise with its source, what of it is checked, and when it is known not to be kept."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from k8sim.apiserver.watch import Change
from k8sim.guarantees.circumstances import CONTROLLED
from k8sim.guarantees.world import World
from k8sim.sim.trace import NO_CAUSE, Row

Kind = Literal["safety", "liveness", "wish"]
Verdict = Literal["kept", "violated", "not kept, as Kubernetes says", "not promised", "not exercised"]


@dataclass(frozen=True)
class Guarantee:
    """The header of a checker.

    Parameters
    ----------
    name
        How it is called in reports and on the command line.
    promise
        What Kubernetes says, in one sentence.
    checks, does_not_check
        What a run without a finding has shown, and what it has not.
    source
        Where the rule is told: a path in the Kubernetes tree, or a page of its documentation.
    kind
        safety: it must never be broken. liveness: it must come true in the end. wish: what operators hope for and
        Kubernetes does not promise.
    not_kept_under
        Circumstances (a fault's name, or a word of `CIRCUMSTANCES`) under which Kubernetes itself does not keep it,
        and why.
    """

    name: str
    promise: str
    checks: str
    does_not_check: str
    source: str
    kind: Kind = "safety"
    not_kept_under: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One time that a guarantee was not kept.

    Attributes
    ----------
    excuse
        The circumstance under which Kubernetes does not keep it; "" if there is none: a violation. Of a wish: what
        brought it about.
    row
        The trace row that showed it; its causes tell why.
    """

    guarantee: Guarantee
    t_ns: int
    subject: str
    problem: str
    row: int = NO_CAUSE
    excuse: str = ""

    @property
    def verdict(self) -> Verdict:
        """What kind of finding it is."""
        if self.guarantee.kind == "wish":
            return "not promised"
        return "not kept, as Kubernetes says" if self.excuse else "violated"

    def __str__(self) -> str:
        why = self.guarantee.not_kept_under.get(self.excuse, "")
        because = f" [{self.excuse}: {why}]" if self.excuse else ""
        return f"{self.t_ns / 1e9:.3f}s {self.guarantee.name}: {self.subject}: {self.problem}{because}"


class Due(NamedTuple):
    """What has to happen: since or until when, to whom, the trace row that made it necessary, and on which node."""

    t: int
    subject: str
    row: int
    node: str = ""


class Checker(ABC):
    """Watches one run for one guarantee. Subclasses override what they need.

    ``kinds`` are the kinds of objects whose changes `change` gets, ``rows`` the kinds of trace rows that `row` gets.
    The world shows the state after the change. ``edits`` are the kinds of objects whose change by hand is the "manual
    edit" (or "finalizers removed") under which Kubernetes does not keep the guarantee.
    """

    about: ClassVar[Guarantee]
    kinds: ClassVar[tuple[str, ...]] = ()
    rows: ClassVar[tuple[str, ...]] = ()
    edits: ClassVar[tuple[str, ...]] = CONTROLLED

    def __init__(self, world: World) -> None:
        self.world = world
        self.exercised = 0
        self.findings: list[Finding] = []
        self._said: set[tuple[str, str]] = set()

    def change(self, change: Change) -> None:
        """Look at one change of an object."""

    def row(self, row: Row, number: int) -> None:
        """Look at one row of the trace."""

    def end(self) -> None:
        """Look at what is left at the end of the run."""

    def violated(
        self, subject: str, problem: str, row: int | None = None, excuse: str | None = None, node: str = ""
    ) -> None:
        """Report a finding, once for each subject and problem.

        Parameters
        ----------
        row
            The trace row that shows it; by default the last one.
        excuse
            The circumstance; None lets the header's decide, of those that have occurred so far.
        node
            Where it happened: faults of other nodes are no excuse.
        """
        if (subject, problem) in self._said:
            return
        self._said.add((subject, problem))
        if excuse is None:
            excuse = next((word for word in self.about.not_kept_under if self._has_occurred(word, node)), "")
        number = self.world.row if row is None else row
        self.findings.append(Finding(self.about, self.world.now, subject, problem, number, excuse))

    def _has_occurred(self, word: str, node: str) -> bool:
        if word in ("manual edit", "finalizers removed"):
            by_hand = self.world.edited if word == "manual edit" else self.world.unprotected
            return any(kind in by_hand for kind in self.edits)
        return self.world.excuses(word, node)
