"""A run in a few numbers: against runs and histories whose numbers are known, and against the table."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.metrics import Metrics
from k8sim.metrics.figures import FIGURES, Figures, figures
from k8sim.scenario import load
from k8sim.scenario.objectives import parse_objective
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@cache
def figures_of(name: str) -> Figures:
    result = Cluster(load(SCENARIOS / f"{name}.yaml"), keep_history=False).run()
    return figures(result.log, result.scenario.duration_ns)


def test_a_failover_in_numbers() -> None:
    found = figures_of("async-failover-loses-writes")
    assert found.numbers["pg.writes_lost"] == found.numbers["pg.writes_lost_failover"] == pytest.approx(500)
    assert found.numbers["pg.write_outages"] == 1
    (outage,) = found.lists["pg.write_outage_s"]
    assert found.numbers["pg.write_downtime_s"] == found.numbers["pg.longest_write_outage_s"] == outage
    assert found.numbers["pg.writes_refused"] == pytest.approx(1000 * outage)
    assert found.numbers["pg.read_availability"] == 1
    assert (found.numbers["pg.fewest_copies"], found.numbers["pg.at_risk_s"]) == (2, 0)


def test_requests_by_outcome() -> None:
    numbers = figures_of("graceful-shutdown-compared").numbers
    assert numbers["drains.requests"] == pytest.approx(15000)
    assert numbers["drains.requests_failed"] == 0
    assert numbers["exits.requests_cut"] == pytest.approx(20)
    parts = [numbers[f"exits.requests_{o}"] for o in ("refused", "no_endpoint", "stale_address", "unanswered", "cut")]
    assert numbers["exits.requests_failed"] == pytest.approx(sum(parts))
    assert numbers["exits.success"] == pytest.approx(numbers["exits.requests_served"] / (15000 - 20), abs=1e-4)


def test_every_figure_is_in_the_table_and_every_row_of_it_is_there() -> None:
    for of, scenario, name in (
        ("application", "async-failover-loses-writes", "pg"),
        ("stream", "graceful-shutdown-compared", "exits"),
    ):
        there = {key for key in figures_of(scenario).numbers if key.startswith(f"{name}.")}
        assert there == {f"{name}.{f.name}" for f in FIGURES if f.of == of}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.name)
def test_an_objective_can_name_each(figure: object) -> None:
    assert parse_objective(f"P(db.{figure.name} > 0) < 1e-4").metric == f"db.{figure.name}"  # type: ignore[attr-defined]


def history(*rows: tuple[float, str, str, str, dict[str, object]], namespace: str = "default") -> Trace:
    log = Trace()
    for t, kind, name, event, detail in rows:
        log.append(int(t * SECOND), kind, name, event, detail, -1, namespace)
    return log


def test_shards_at_risk_count_once_and_two_writers_add_up() -> None:
    log = history(
        (
            0,
            "Application",
            "db",
            "Copies",
            {"shard": 0, "full": 1, "wanted": 2, "members": ["a"], "voters": ["a", "b"]},
        ),
        (
            1,
            "Application",
            "db",
            "Copies",
            {"shard": 0, "full": 2, "wanted": 2, "members": ["a", "b"], "voters": ["a", "b"]},
        ),
        (
            1,
            "Application",
            "db",
            "Copies",
            {"shard": 1, "full": 2, "wanted": 2, "members": ["a", "b"], "voters": ["a", "b"]},
        ),
        (
            2,
            "Application",
            "db",
            "Copies",
            {"shard": 1, "full": 1, "wanted": 2, "members": ["a"], "voters": ["a", "b"]},
        ),
        (3, "Application", "db", "Copies", {"shard": 0, "full": 0, "wanted": 2, "members": [], "voters": ["a", "b"]}),
        (
            5,
            "Application",
            "db",
            "Copies",
            {"shard": 0, "full": 2, "wanted": 2, "members": ["a", "b"], "voters": ["a", "b"]},
        ),
        (6, "Member", "a", "TwoProcesses", {"application": "db"}),
        (
            9,
            "Application",
            "db",
            "Copies",
            {"shard": 1, "full": 2, "wanted": 2, "members": ["a", "b"], "voters": ["a", "b"]},
        ),
        (10, "Member", "a", "OneProcess", {"application": "db"}),
        (11, "Member", "b", "TwoProcesses", {"application": "db"}),
    )
    numbers = figures(log, 20 * SECOND).numbers
    assert numbers["db.at_risk_s"] == 9 - 2  # the first second is a start, no risk
    assert numbers["db.fewest_copies"] == 0
    assert numbers["db.two_writers_s"] == 4 + 9
    assert math.isnan(numbers["db.write_availability"])


def test_what_lasts_at_the_end_counts_up_to_there_and_other_namespaces_are_named() -> None:
    log = history(
        (1, "Application", "db", "WritesAvailable", {}),
        (4, "Application", "db", "WritesUnavailable", {"reason": "no leader"}),
        namespace="shop",
    )
    found = figures(log, 11 * SECOND)
    assert found.numbers["shop/db.write_downtime_s"] == 7
    assert found.numbers["shop/db.write_availability"] == pytest.approx(0.3)
    assert found.lists["shop/db.write_outage_s"] == (7.0,)


def test_majorities_count_from_the_first_and_shards_that_overlap_count_once() -> None:
    log = history(
        (0, "Application", "db", "QuorumLost", {"shard": 0, "reason": "nobody yet"}),
        (1, "Application", "db", "Quorum", {"shard": 0}),
        (1, "Application", "db", "Quorum", {"shard": 1}),
        (4, "Application", "db", "QuorumLost", {"shard": 0, "reason": "no majority"}),
        (6, "Application", "db", "QuorumLost", {"shard": 1, "reason": "no majority"}),
        (7, "Application", "db", "Quorum", {"shard": 0}),
        (9, "Application", "db", "Quorum", {"shard": 1}),
        (15, "Application", "db", "QuorumLost", {"shard": 1, "reason": "no majority"}),
        (16, "Application", "db", "TwoLeaders", {"members": ["a"]}),
        (18, "Application", "db", "OneLeader", {"members": ["a"]}),
    )
    numbers = figures(log, 20 * SECOND).numbers
    assert numbers["db.no_quorum_s"] == (9 - 4) + (20 - 15)
    assert numbers["db.two_leaders_s"] == 2


def test_a_member_is_in_sync_while_it_is_in_every_shard_that_it_has_a_copy_of() -> None:
    """Shards on two of three members each: b has a copy of both, c of the second only."""

    def copies(t: float, shard: int, *full: str) -> tuple[float, str, str, str, dict[str, object]]:
        voters = [["a", "b"], ["b", "c"]][shard]
        detail = {"shard": shard, "full": len(full), "wanted": 2, "members": list(full), "voters": voters}
        return t, "Application", "db", "Copies", detail

    log = history(copies(1, 0, "a", "b"), copies(2, 1, "b", "c"), copies(5, 1, "c"), copies(8, 1, "b", "c"))
    clocks = Metrics(log, 20 * SECOND).clocks
    found = {m: list(zip(g.start_s, g.end_s.fillna(20), strict=True)) for m, g in clocks.groupby("member")}
    assert found == {"a": [(1, 20)], "b": [(1, 5), (8, 20)], "c": [(2, 20)]}
