"""What is tried to make a scenario smaller, and what is left alone."""

from __future__ import annotations

from typing import Any

from k8sim.scenario import load
from k8sim.scenario.model import Scenario
from k8sim.search.shrink import smaller_scenarios
from tools.stories import CASES, nodes_of, replicas_of


def kinds(scenario: Scenario) -> list[str]:
    return [m["kind"] for m in scenario.objects]


def container(scenario: Scenario) -> Any:
    workload = next(m for m in scenario.objects if m["kind"] == "StatefulSet")
    return workload["spec"]["template"]["spec"]["containers"][0]


def test_objects_nodes_replicas_and_fields_are_taken_away_one_at_a_time() -> None:
    whole = load(CASES / "database.yaml")
    smaller = list(smaller_scenarios(whole))
    assert [kinds(s) for s in smaller[:3]] == [
        ["StatefulSet", "PodDisruptionBudget"],
        ["Service", "PodDisruptionBudget"],
        ["Service", "StatefulSet"],
    ]
    assert nodes_of(smaller[3]) == nodes_of(whole) - 1
    assert replicas_of(smaller[4]) == replicas_of(whole) - 1
    assert "readinessProbe" in container(whole)
    assert "readinessProbe" not in container(smaller[5])
    assert len(smaller) == 6


def test_classes_stay_as_without_them_nothing_runs() -> None:
    for scenario in smaller_scenarios(load(CASES / "zonal-spread.yaml")):
        assert "StorageClass" in kinds(scenario)


def test_an_application_goes_with_its_workload_and_keeps_its_services() -> None:
    whole = load(CASES / "cold-start.yaml")
    smaller = list(smaller_scenarios(whole))
    assert [[a.name for a in s.applications] for s in smaller[:3]] == [
        ["parallel", "published"], ["rabbit", "published"], ["rabbit", "parallel"],
    ]  # fmt: skip
    assert all(len(s.objects) == len(whole.objects) - 2 for s in smaller[:3])
    assert all(kinds(s).count("Service") == 3 for s in smaller[3:])
