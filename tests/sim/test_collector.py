"""The collector sleeps during a run, and finds a dead cluster at its first look afterwards."""

from __future__ import annotations

import gc
import weakref

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import loads
from k8sim.sim import collector

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: one-node}
spec: {duration: 1s, nodes: [{name: node, count: 1}]}
"""


@collector.asleep()
def _fail() -> None:
    assert not gc.isenabled()
    raise ValueError("broken")


def test_it_sleeps_for_the_time_of_the_block_even_if_that_fails() -> None:
    with pytest.raises(ValueError, match="broken"):
        _fail()
    assert gc.isenabled()


def test_who_had_put_it_to_sleep_before_finds_it_asleep() -> None:
    with collector.asleep():
        with collector.asleep():
            pass
        assert not gc.isenabled()


def test_a_cluster_that_ran_meanwhile_dies_at_the_first_look_at_the_youngest() -> None:
    scenario = loads(SCENARIO)
    with collector.blind_to_the_past():
        with collector.asleep():
            cluster = Cluster(scenario)
            cluster.run()
        alive = weakref.ref(cluster)
        del cluster
        gc.collect(0)
        assert alive() is None
