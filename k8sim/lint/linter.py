"""Runs the rules on a file: suspicion, experiment, experiment with the correction, finding."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from k8sim.lint.bench import Bench, NeverReady
from k8sim.lint.evidence import Harm
from k8sim.lint.manifests import as_applied
from k8sim.lint.rule import Assumptions, Level, Rule, Suspect
from k8sim.lint.rules import RULES
from k8sim.lint.rules.budgets import separable
from k8sim.lint.workload import Path, Ref, Workload, bare_pods, manifest_of, ref_of, workloads
from k8sim.scenario.loader import Loaded
from k8sim.scenario.model import Source

IGNORE: Final = "k8sim.dev/lint-ignore"
"""Annotation of a workload or budget: names of rules that are not applied to it, separated by commas."""
WORTH: Final = 0.9
"""A correction lessens a harm if at most this share of it is left."""
_TO_END: Final = "it is to end, and the rules are about what is to serve: nothing of it is tried"
_UNTRIED: Final[Mapping[str, str]] = {
    "DaemonSet": "its pods stay on their nodes, drains pass them over, and no rule knows how many it needs: nothing of "
    "it is tried; its probes, images and grace period would be if its template stood in a Deployment of one pod",
    "ReplicaSet": "it has no rollouts, which many rules are about: nothing of it is tried; a Deployment would be",
    **dict.fromkeys(("Pod", "Job", "CronJob"), _TO_END),
}
"""Kinds that have pods and are not tried, or not always, and why."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, with what the simulator saw.

    Parameters
    ----------
    source, subject
        Where it stands: file and line, object.
    problem, tried
        What is wrong, and what was done to the simulated workload.
    as_is, fixed
        What came of it with the manifests as they are and as the fix would have them.
    fix
        The correction, a line for each field or object.
    """

    rule: str
    level: Level
    source: Source
    subject: str
    problem: str
    tried: str
    as_is: Harm
    fix: tuple[str, ...]
    fixed: Harm


@dataclass(frozen=True)
class Untried:
    """Something that could not be tried, or not entirely, and why."""

    source: Source
    subject: str
    why: str


@dataclass(frozen=True)
class Report:
    """All that came of a file."""

    findings: tuple[Finding, ...]
    untried: tuple[Untried, ...]
    workloads: int
    experiments: int


def lint(file: Loaded, assumed: Assumptions | None = None, rules: Sequence[Rule] = RULES) -> Report:
    """Try what the rules distrust about the workloads of a file.

    Parameters
    ----------
    file
        Scenario or plain manifests (`k8sim.scenario.loader.load_with_manifests`).
    assumed
        What is known of the software beyond the file.
    """
    file = replace(file, scenario=as_applied(file))
    run = _Run(file, assumed or Assumptions(), rules)
    refs, pods = workloads(file.scenario), bare_pods(file.scenario)
    for ref in (*refs, *pods):
        run.workload(ref)
    order = {rule.name: number for number, rule in enumerate(rules)}
    findings = sorted(run.findings, key=lambda f: (f.source.file, f.source.line or 0, order[f.rule]))
    untried = (*run.untried, *_shared_budgets(file, refs), *_other_kinds(file, pods), *_misspelt(file))
    return Report(tuple(findings), untried, len(refs) + len(pods), run.experiments)


class _Run:
    def __init__(self, file: Loaded, assumed: Assumptions, rules: Iterable[Rule]) -> None:
        self._file = file
        self._assumed = assumed
        self._rules = rules
        self.findings: list[Finding] = []
        self.untried: list[Untried] = []
        self._told: set[tuple[str, Ref, Path]] = set()
        self.experiments = 0

    def workload(self, ref: Ref) -> None:
        """Apply all rules to one workload."""
        bench = Bench(self._file.scenario, ref, self._file.bare)
        skipped = []
        for rule in (rule for rule in self._rules if ref.kind in rule.kinds):
            for suspect in rule.suspects(bench, self._assumed):
                if rule.name in self._ignored(suspect.ref) | self._ignored(ref):
                    continue
                if (rule.name, suspect.ref, suspect.path) in self._told:  # a storage class of several workloads
                    continue
                try:
                    self._try(rule, suspect, bench)
                except NeverReady:
                    skipped.append(rule.name)
        if skipped:
            names = ", ".join(dict.fromkeys(skipped))
            why = f"its pods never are all Ready, though nothing happens to them; not tried: {names}"
            self.untried.append(Untried(_place(self._file, ref), str(ref), why))

    def _try(self, rule: Rule, suspect: Suspect, bench: Bench) -> None:
        self.experiments += 1
        as_is = suspect.experiment(bench)
        if as_is.amount <= 0:
            return
        self.experiments += 1
        fixed = _outcome(suspect, bench.corrected(suspect.fix))
        if fixed is None or fixed.amount > WORTH * as_is.amount:
            return
        finding = Finding(
            rule.name,
            rule.level,
            _place(self._file, suspect.ref, suspect.path),
            str(suspect.ref),
            suspect.problem,
            suspect.tried,
            as_is,
            tuple(suspect.fix.lines(self._file.scenario)),
            fixed,
        )
        self.findings.append(finding)
        self._told.add((rule.name, suspect.ref, suspect.path))

    def _ignored(self, ref: Ref) -> set[str]:
        return ignored_rules(manifest_of(self._file.scenario, ref))


def ignored_rules(manifest: Mapping[str, Any]) -> set[str]:
    """Return the rules that are not to be applied to an object."""
    annotations = manifest["metadata"].get("annotations") or {}
    return {name.strip() for name in (annotations.get(IGNORE) or "").split(",")}


def _outcome(suspect: Suspect, corrected: Bench) -> Harm | None:
    """Return what comes of the corrected manifests; None: they do not work at all."""
    try:
        return suspect.experiment(corrected)
    except NeverReady:
        return None


def _place(file: Loaded, ref: Ref, path: Path = ()) -> Source:
    """Return where a part of an object stands; of what is not there the nearest part around it."""
    manifest = next(m for m in file.manifests if ref.names(m.data, file.scenario.namespace))
    return Source(manifest.document.file, manifest.document.line_of(path))


def _shared_budgets(file: Loaded, refs: Iterable[Ref]) -> Iterator[Untried]:
    """Budgets of several workloads whose pods have the same labels: no other budget could do better."""
    shared: dict[Ref, None] = {}
    for workload in (Workload(file.scenario, ref) for ref in refs):
        for budget in workload.budgets:
            if not all(separable(workload, other) for other in workload.sharers(budget)):
                shared[Ref("PodDisruptionBudget", workload.ref.namespace, budget.name)] = None
    for ref in shared:
        yield Untried(_place(file, ref), str(ref), "it counts pods of several workloads, which no labels tell apart")


def _other_kinds(file: Loaded, tried: Collection[Ref]) -> Iterator[Untried]:
    for manifest in file.manifests:
        ref = ref_of(manifest.data, file.scenario.namespace)
        if ref.kind in _UNTRIED and ref not in tried and not manifest.data["metadata"].get("ownerReferences"):
            yield Untried(manifest.source, str(ref), _UNTRIED[ref.kind])


def _misspelt(file: Loaded) -> Iterator[Untried]:
    """Names in the annotation that are no rule's: what they were to keep quiet is not."""
    known = {rule.name for rule in RULES}
    for manifest in file.manifests:
        for name in sorted(ignored_rules(manifest.data) - known - {""}):
            line = manifest.document.line_of(("metadata", "annotations", IGNORE))
            subject = str(ref_of(manifest.data, file.scenario.namespace))
            yield Untried(Source(manifest.document.file, line), subject, f"{IGNORE}: there is no rule {name!r}")
