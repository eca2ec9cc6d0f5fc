"""The names of metrics: what ``objectives:``, stopping rules and tables call what is measured of each run.

A name is ``OWNER.metric``. The owner is a workload, a Service, an application or a stream of traffic of the scenario;
``NAMESPACE/OWNER`` outside the scenario's own namespace, ``KIND/OWNER`` for the second of a StatefulSet and a
Deployment of one name. So whether a name means something is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from k8sim.metrics.figures import FIGURES, Figure
from k8sim.scenario.errors import ScenarioError
from k8sim.scenario.model import Scenario
from k8sim.scenario.part import did_you_mean

WORKLOADS: Final = (
    Figure("workload", "ready_s", "s", "until all pods were Ready for the first time"),
    Figure("workload", "availability", "share", "of the time with a majority of the wanted pods Ready, from the first "
           "one on; like the next three not defined in a run in which it never came to that"),
    Figure("workload", "outages", "outages", "times without a majority, after the first one"),
    Figure("workload", "downtime_s", "s", "time without a majority, after the first one"),
    Figure("workload", "longest_outage_s", "s", "the longest time without a majority, after the first one"),
    Figure("workload", "short_s", "s", "time with fewer than the wanted pods Ready, once all were; else not defined"),
    Figure("workload", "pods", "pods", "that were made"),
    Figure("workload", "restarts", "restarts", "containers that were started again"),
    Figure("workload", "voluntary_disruptions", "pods", "whose deletion was asked for: evictions, rollouts, scaling, "
           "kubectl"),
    Figure("workload", "involuntary_disruptions", "pods", "that lost their node, or were deleted for a taint, by "
           "preemption, node pressure or garbage collection"),
    Figure("workload", "rollouts", "rollouts", "times in which not all wanted pods were updated"),
    Figure("workload", "longest_rollout_s", "s", "the longest, until all were updated and Ready, or the end"),
)  # fmt: skip
SERVICES: Final = (
    Figure("service", "endpoint_availability", "share", "of the time with a ready endpoint, from the first one on"),
    Figure("service", "no_endpoint_s", "s", "time without a ready endpoint, from the first one on"),
)
CAMPAIGNS: Final = (
    Figure("workload", "evictions", "pods", "evicted from nodes that did not answer"),
    Figure("workload", "forced_deletions", "pods", "that hung and were deleted by force"),
    Figure("workload", "drains", "drains", "of nodes that came to their end, and were followed by maintenance"),
    Figure("workload", "updates", "pods", "replaced by rollouts that the timeline plans"),
    Figure("workload", "data_losses", "losses", "of the last copy, after each of which a backup is restored"),
    Figure("workload", "first_loss_s", "s", "when the last copy was lost first; not defined where it never was"),
)
"""What only the lock-step engine counts."""
NAMES: Final[tuple[Figure, ...]] = (*WORKLOADS, *SERVICES, *FIGURES, *CAMPAIGNS)
"""Every name there is."""

Key = tuple[str, str, str]
"""Kind, namespace, name."""


class UnknownMetric(ValueError):
    """A name that means nothing in a scenario; ``hint`` says what would."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__(f"there is no metric {name!r}; {hint}")
        self.problem, self.hint = f"there is no metric {name!r}", hint


def metric_names(scenario: Scenario) -> list[str]:
    """Return all names that mean something in a scenario, whichever engine runs it."""
    return [f"{label}.{figure.name}" for of, label in _owners(scenario) for figure in NAMES if figure.of == of]


def check_metric(name: str, scenario: Scenario) -> None:
    """See that a name means something.

    Raises
    ------
    UnknownMetric
        It does not.
    """
    names = metric_names(scenario)
    if name in names:
        return
    label, _, metric = name.rpartition(".")
    of_owner = [known for known in names if known.rpartition(".")[0] == label]
    owners = list({known.rpartition(".")[0]: None for known in names if known.rpartition(".")[2] == metric})
    if of_owner:
        raise UnknownMetric(name, did_you_mean(name, of_owner, "there are"))
    if owners:
        raise UnknownMetric(name, did_you_mean(label, owners, f"{metric} is known of"))
    raise UnknownMetric(name, did_you_mean(name, names, "there are"))


def check_objectives(scenario: Scenario) -> None:
    """See that all objectives are about metrics that there are.

    Raises
    ------
    ScenarioError
        One is not; says where it stands.
    """
    for objective in scenario.objectives:
        try:
            check_metric(objective.metric, scenario)
        except UnknownMetric as unknown:
            file = objective.file or scenario.path or "<program>"
            raise ScenarioError(file, objective.line, f"{objective.text!r}: {unknown.problem}", unknown.hint) from None


def label_of(name: str, namespace: str, own_namespace: str) -> str:
    """Return how the names of metrics call something in a namespace."""
    return name if namespace == own_namespace else f"{namespace}/{name}"


def workload_labels(keys: Iterable[Key], own_namespace: str) -> dict[Key, str]:
    """Return how the names of metrics call workloads, in the order in which they appeared."""
    labels: dict[Key, str] = {}
    for kind, namespace, name in keys:
        label = label_of(name, namespace, own_namespace)
        labels.setdefault((kind, namespace, name), f"{kind}/{label}" if label in labels.values() else label)
    return labels


def services_of(scenario: Scenario) -> list[tuple[str, str]]:
    """Return namespace and name of the Services that a scenario makes."""
    return [(namespace, name) for _, namespace, name in _made(scenario, ("Service",))]


def _owners(scenario: Scenario) -> Iterator[tuple[str, str]]:
    own = scenario.namespace
    for label in workload_labels(_made(scenario, ("StatefulSet", "Deployment")), own).values():
        yield "workload", label
    for namespace, name in services_of(scenario):
        yield "service", label_of(name, namespace, own)
    for application in scenario.applications:
        yield "application", label_of(application.name, application.namespace, own)
    for stream in scenario.traffic:
        yield "stream", label_of(stream.name, stream.namespace, own)


def _made(scenario: Scenario, kinds: Sequence[str]) -> list[Key]:
    """Return the objects of some kinds that a scenario makes, at its beginning or by a step of its timeline."""
    manifests: list[Mapping[str, Any]] = [*scenario.manifests, *(obj for s in scenario.timeline for obj in s.objects)]
    found = []
    for manifest in manifests:
        metadata = manifest.get("metadata") or {}
        if manifest.get("kind") in kinds:
            namespace = str(metadata.get("namespace") or scenario.namespace)
            found.append((str(manifest["kind"]), namespace, str(metadata.get("name"))))
    return found
