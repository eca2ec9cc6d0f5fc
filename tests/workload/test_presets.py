"""Ready-made rules: what each is named after, where its figures come from, and that an application can run on it."""

from __future__ import annotations

import re

import pytest

from k8sim.workload.presets import PRESETS
from tests.workload.small_cluster import EMPTY_DIR, losses, of, run

CITED = re.compile(r"etcd|ZooKeeper|Patroni|Redis|MySQL|Kafka|Gibson|by definition")


@pytest.mark.parametrize("name", PRESETS)
def test_each_says_what_it_is_and_where_its_figures_come_from(name: str) -> None:
    preset = PRESETS[name]
    assert preset.meaning
    assert CITED.search(preset.source)


def test_the_behaviours_that_are_asked_for_are_there() -> None:
    assert {"raft", "zookeeper", "primary-replica", "single", "shards", "cache"} <= {*PRESETS}


@pytest.mark.parametrize("name", PRESETS)
def test_each_runs_in_a_cluster_and_a_restart_in_time_loses_nothing_that_it_keeps(name: str) -> None:
    spec = (
        f"  applications: [{{name: db, statefulSet: db, preset: {name}, writes: 100/s, start: 60s}}]\n"
        "  timeline: [{at: 3m, kubectl: delete pod db-0}]\n"
    )
    volume = {"volume": EMPTY_DIR} if name == "cache" else {}
    rows, metrics = run(spec, replicas=3, **volume)
    last = of(rows, "Application", "Counts")[-1][3]
    assert last["acknowledged"] > 0
    found = losses(metrics)
    if name == "cache":  # meant to be lost: the part of one of three
        assert [cause for _, cause, _ in found] == ["ephemeral-volume"]
        assert found[0][0] == pytest.approx(100 / 3 * 121, rel=0.02)
    else:
        assert found == []
