"""Applications and traffic in files: what is read, and what is refused with its line."""

from __future__ import annotations

import pytest

from k8sim.scenario import Scenario, ScenarioError, loads
from k8sim.sim.units import MILLISECOND, SECOND
from k8sim.workload.amounts import UNIT
from k8sim.workload.presets import PRESETS

HEAD = """\
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  duration: 10m
  nodes: [{name: node, count: 1}]
"""
SET = """\
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  ordinals: {start: 5}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db}]}
"""


def read(section: str) -> Scenario:
    return loads(HEAD + section + SET)


def test_a_preset_and_what_is_set_beside_it() -> None:
    text = "  applications:\n    - {name: db, statefulSet: db, preset: raft, writes: 30/m, lag: 2s, unclean: 5m}\n"
    (db,) = read(text).applications
    assert db.members == ("db-5", "db-6", "db-7")
    assert db.writes == UNIT // 2
    assert (db.rules.acks, db.rules.lag_ns, db.rules.unclean) == ("majority", 2 * SECOND, True)
    assert db.rules.election_delay == PRESETS["raft"].rules.election_delay


def test_a_set_that_does_not_say_how_many_has_one_member() -> None:
    """A null is the same as nothing."""
    section = "  applications:\n    - {name: db, statefulSet: db, preset: raft, writes: 10/s}\n"
    (db,) = loads(HEAD + section + SET.replace("replicas: 3", "replicas: null")).applications
    assert db.members == ("db-5",)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_used_and_says_where_it_comes_from(preset: str) -> None:
    text = f"  applications: [{{name: db, statefulSet: db, preset: {preset}, writes: 1/s}}]\n"
    (db,) = read(text).applications
    assert db.rules == PRESETS[preset].rules
    assert db.shards == (3 if PRESETS[preset].shards < 0 else 1)
    assert PRESETS[preset].source


def test_a_stream_and_the_networks_settings() -> None:
    text = (
        "  cluster: {dns: {corefile: nodelocal}, kubeProxy: {minSyncPeriod: 500ms}}\n"
        "  traffic: [{name: shop, to: db-5.db, rate: 100/s, client: {caches: 3, keep: 10s}, connections: {count: 5}}]\n"
    )
    scenario = read(text)
    (shop,) = scenario.traffic
    assert (shop.rate, shop.clients, shop.cache_ns) == (100 * UNIT, 3, 10 * SECOND)
    assert scenario.network.dns.denial_ns == 5 * SECOND
    assert scenario.network.proxy.min_sync_period_ns == 500 * MILLISECOND


@pytest.mark.parametrize(
    ("section", "line", "problem"),
    [
        ("  applications:\n    - {name: a, statefulSet: bd, writes: 1/s}\n", 8, "there is no StatefulSet 'bd'"),
        ("  applications:\n    - {name: a, writes: 1/s}\n", 8, "say whose pods the members are"),
        ("  applications:\n    - {name: a, statefulSet: db}\n", 8, "writes is missing"),
        ("  applications:\n    - {name: a, statefulSet: db, writes: fast}\n", 8, "'fast' is no rate"),
        ("  applications:\n    - {name: a, statefulSet: db, writes: 1/s, preset: rafd}\n", 8, "unknown preset"),
        ("  applications:\n    - {name: a, statefulSet: db, writes: 1/s, copies: 4}\n", 8, "4 copies need as many"),
        ("  applications:\n    - {name: a, statefulSet: db, writes: 1/s, acks: most}\n", 8, "acknowledges nothing"),
        ("  applications:\n    - {name: a, statefulSet: db, writes: 1/s, lags: 1s}\n", 8, "unknown key 'lags'"),
        ("  traffic:\n    - {name: t, to: db}\n", 8, "rate is missing"),
        ("  traffic:\n    - {name: t, to: a.b.c.d, rate: 1/s}\n", 8, "is no name of the cluster"),
        ("  traffic:\n    - {name: t, to: db, rate: 1/s, from: nod-0}\n", 8, "there is no node 'nod-0'"),
        ("  traffic:\n    - {name: t, to: db, rate: 1/s, request: {uniform: [1s, 2s]}}\n", 8, "only a constant or an"),
        ("  traffic:\n    - {name: t, to: db, rate: 1/s, start: 5m, stop: 1m}\n", 8, "is not after the start"),
        ("  traffic:\n    - {name: t, to: db, rate: 1/s}\n    - {name: t, to: db, rate: 1/s}\n", 9, "a second stream"),
        ("  cluster:\n    dns: {corefile: kubadm}\n", 8, "unknown Corefile"),
    ],
)
def test_mistakes_come_with_their_line(section: str, line: int, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(section)
    assert problem in str(caught.value)
    assert caught.value.line == line
