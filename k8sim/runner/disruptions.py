"""How often workloads were disrupted and rolled out. `k8sim.runner.names` says what the names mean."""

from __future__ import annotations

from k8sim.metrics.figures import Figures
from k8sim.metrics.pods import INVOLUNTARY, VOLUNTARY, pod_lives
from k8sim.metrics.rollouts import rollouts
from k8sim.result import Result
from k8sim.runner.names import workload_labels


def disruptions(result: Result) -> Figures:
    """Count disruptions and rollouts of workloads."""
    lives = pod_lives(result.log)
    labels = workload_labels(lives.wanted, result.scenario.namespace)
    numbers: dict[str, float] = {}
    for label in labels.values():
        numbers |= {f"{label}.{what}_disruptions": 0.0 for what in (VOLUNTARY, INVOLUNTARY)}
        numbers |= {f"{label}.rollouts": 0.0, f"{label}.longest_rollout_s": 0.0}
    for life in lives.pods.values():
        owner = labels.get((life.kind, life.key[0], life.workload))
        if life.disruption is not None and owner is not None:
            numbers[f"{owner}.{life.disruption[0]}_disruptions"] += 1
    for kind, namespace, name, _, _, lasted_s, _ in rollouts(result.log, lives.wanted, result.scenario.duration_ns):
        owner = labels.get((str(kind), str(namespace), str(name)))
        if owner is not None and isinstance(lasted_s, float):
            numbers[f"{owner}.rollouts"] += 1
            numbers[f"{owner}.longest_rollout_s"] = max(numbers[f"{owner}.longest_rollout_s"], lasted_s)
    return Figures(numbers, {})
