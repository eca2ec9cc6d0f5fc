"""Outages and their phases."""

from __future__ import annotations

from pathlib import Path

import pytest

import k8sim
from k8sim.report.outages import episodes
from k8sim.report.phases import PHASES, Episode
from k8sim.report.readiness import readiness
from k8sim.result import Result
from k8sim.sim.units import SECOND

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "conformance" / "cases"


@pytest.fixture(scope="module")
def db() -> Result:
    return k8sim.run(ROOT / "scenarios" / "db-node-loss.yaml")


def outages(result: Result) -> list[Episode]:
    return [e for e in episodes(result) if e.kind == "outage"]


def of_case(name: str) -> list[Episode]:
    return outages(k8sim.run(CASES / f"{name}.yaml"))


def test_a_lost_node_phase_by_phase(db: Result) -> None:
    (outage,) = outages(db)
    assert outage.name == "db-1"
    assert outage.cause == "silver-0 lost power"
    assert outage.start_ns == 60 * SECOND  # not when it was noticed
    seconds = {p.name: p.length_ns(db.scenario.duration_ns) / SECOND for p in outage.phases}
    assert list(seconds) == [
        "unnoticed", "tolerated", "terminating", "gone", "unscheduled", "attaching", "held", "detaching", "mounting",
        "pulling", "starting", "readying",
    ]  # fmt: skip
    assert 40 < seconds["unnoticed"] < 56  # a grace period of 50 s, counted from the last lease
    assert seconds["tolerated"] == pytest.approx(300, abs=0.5)
    assert seconds["held"] == pytest.approx(360, abs=1)  # maxWaitForUnmountDuration
    assert seconds["pulling"] == pytest.approx(2, abs=0.1)


def test_phases_say_what_ended_them(db: Result) -> None:
    (outage,) = outages(db)
    until = {p.name: p.until for p in outage.phases if p.until}
    assert until["terminating"] == "kubectl delete pod db-1 --force --grace-period=0"
    assert until["held"] == "the controller detached it by force"


CHECKED = [
    "node-crash-defaults", "node-crash-returns-before-eviction", "pod-crashloop-backoff", "pod-liveness-restart",
    "pod-readiness-flap", "pod-init-containers", "pod-image-missing", "sts-anti-affinity-pending", "drain-one-node",
    "deploy-rolling-surge", "sts-delete-pod", "node-taint-noexecute",
]  # fmt: skip


@pytest.mark.parametrize("name", CHECKED)
def test_phases_tile_their_episode_and_episodes_of_a_pod_do_not_overlap(name: str) -> None:
    last_end: dict[tuple[str, str], int | None] = {}
    for episode in episodes(k8sim.run(CASES / f"{name}.yaml")):
        assert episode.phases
        assert all(p.name in PHASES and p.text for p in episode.phases)
        edges = [edge for p in episode.phases for edge in (p.start_ns, p.end_ns)]
        assert edges[0] == episode.start_ns
        assert edges[-1] == episode.end_ns
        assert edges[1:-1:2] == edges[2::2]
        key = (episode.namespace, episode.name)
        before = last_end.get(key, 0)
        assert before is not None
        assert before <= episode.start_ns
        last_end[key] = episode.end_ns


@pytest.mark.parametrize("name", CHECKED)
def test_what_the_api_server_saw_away_was_away(name: str) -> None:
    """Each absence of a StatefulSet's pod is part of an outage that ends at the same moment."""
    result = k8sim.run(CASES / f"{name}.yaml")
    found = outages(result)
    for workload in readiness(result.history, result.scenario.duration_ns):
        if workload.kind != "StatefulSet":
            continue
        for identity in workload.identities.values():
            for absence in identity.absences if identity.wanted else ():
                around = [e for e in found if e.name == identity.name and e.start_ns <= absence.start_ns]
                assert any(e.end_ns == absence.end_ns for e in around), (identity.name, absence)


def test_a_crash_loop_shows_its_back_off() -> None:
    first, *later = of_case("pod-crashloop-backoff")
    assert first.phases[0].name == "crashed"
    assert first.phases[0].text == "app ended with code 1"
    assert any(p.name == "backoff" for e in later for p in e.phases)


def test_a_failed_readiness_probe_is_no_crash() -> None:
    found = of_case("pod-readiness-flap")
    assert found
    assert {p.name for e in found for p in e.phases} == {"unready"}


def test_a_pod_without_a_node_says_what_the_scheduler_said() -> None:
    (outage,) = of_case("sts-anti-affinity-pending")
    last = outage.phases[-1]
    assert (last.name, outage.end_ns) == ("unschedulable", None)
    assert last.text == "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules"


def test_a_rolling_update_of_a_deployment_is_no_outage() -> None:
    assert of_case("deploy-rolling-surge") == []


def test_a_pod_of_a_deployment_whose_node_dies_waits_for_its_eviction() -> None:
    (outage,) = (e for e in of_case("node-crash-defaults") if ":" in e.name)
    assert outage.cause == "first-0 lost power"
    assert [p.name for p in outage.phases] == ["unnoticed", "tolerated", "terminating"]
