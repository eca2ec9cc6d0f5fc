"""What a rule is.

A rule looks at the manifests for something that experience distrusts (`Rule.suspects`, cheap and pure) and says how to
try it: an experiment on the workload's bench that measures the harm. The linter runs it on the manifests as they are
and as the rule would correct them, and reports the suspicion only if there was harm and the correction lessens it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from k8sim.api.core import Container
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm
from k8sim.lint.fix import Fix
from k8sim.lint.workload import KINDS, Path, Ref
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.units import SECOND, format_duration

Level = Literal["error", "warning", "note"]
Experiment = Callable[[Bench], Harm]

RECOVERY_NS: Final = 120 * SECOND
START_NS: Final = 15 * SECOND
STOP_NS: Final = 10 * SECOND
SLOW_NS: Final = 3 * SECOND


@dataclass(frozen=True)
class Duration:
    """How long the software takes for something, and where that is known from."""

    ns: int
    source: str

    @property
    def law(self) -> Distribution:
        """As a behaviour of an image."""
        return Constant(self.ns)

    def __str__(self) -> str:
        return f"{format_duration(self.ns)} ({self.source})"


@dataclass(frozen=True)
class Assumptions:
    """What is known of the software beyond the file; None: what the file's `images` say, else a default.

    Parameters
    ----------
    startup_ns
        From a container's start to its first answer, when it takes long: with recovery.
    shutdown_ns
        From SIGTERM to the end of the process.
    slow_ns
        How long it takes to answer a probe under overload.
    """

    startup_ns: int | None = None
    shutdown_ns: int | None = None
    slow_ns: int | None = None

    def startup(self, bench: Bench, container: Container) -> Duration | None:
        """How long a container may take to start; None: for ever, as the file says."""
        if self.startup_ns is not None:
            return Duration(self.startup_ns, "--startup")
        told = bench.told(container.image)
        if told is not None:
            laws = [told.started, told.ready, told.alive]
            return None if None in laws else Duration(max(_mean_ns(law) for law in laws), "images")
        if bench.workload.has_data(container):
            return Duration(RECOVERY_NS, "assumed for recovery: --startup")
        return Duration(START_NS, "assumed: --startup")

    def shutdown(self, bench: Bench, container: Container) -> Duration | None:
        """How long a container's process takes to stop; None: for ever, as the file says."""
        if self.shutdown_ns is not None:
            return Duration(self.shutdown_ns, "--shutdown")
        told = bench.told(container.image)
        if told is not None:
            return None if told.stop is None else Duration(_mean_ns(told.stop), "images")
        return Duration(STOP_NS, "assumed: --shutdown")

    @property
    def slow(self) -> Duration:
        """How long a probe's answer takes under overload."""
        if self.slow_ns is not None:
            return Duration(self.slow_ns, "--slow")
        return Duration(SLOW_NS, "assumed: --slow")


def _mean_ns(law: Distribution | None) -> int:
    return 0 if law is None else round(law.mean_s * SECOND)


@dataclass(frozen=True)
class Suspect:
    """Something that a rule distrusts.

    Parameters
    ----------
    ref, path
        Where it stands.
    problem
        What is wrong, one clause.
    tried
        What the experiment does, one clause.
    """

    ref: Ref
    path: Path
    problem: str
    tried: str
    experiment: Experiment
    fix: Fix


class Rule(ABC):
    """One thing that experience says is wrong.

    Attributes
    ----------
    name
        How the command line and reports call it.
    level
        How bad it is.
    kinds
        Of the workloads that it is about.
    looks_for, tries, source
        What it distrusts, how it is tried, and where it is told: what `k8sim lint --list` and docs/lint.md say.
    """

    name: ClassVar[str]
    level: ClassVar[Level]
    kinds: ClassVar[tuple[str, ...]] = KINDS
    looks_for: ClassVar[str]
    tries: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield what is suspicious about a workload."""
