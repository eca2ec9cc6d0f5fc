"""The collector all but sleeps during a run, and finds a dead cluster at its first look afterwards."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

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


class Ring:
    """Garbage in a cycle."""

    def __init__(self) -> None:
        self.me = self


@collector.asleep()
def _fail() -> None:
    assert gc.get_threshold()[0] == collector.MUCH
    raise ValueError("broken")


def test_it_sleeps_for_the_time_of_the_block_even_if_that_fails() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="broken"):
        _fail()
    assert gc.get_threshold() == before


def test_it_looks_when_there_is_much_that_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MUCH", 5_000)
    with collector.asleep():
        gc.collect()
        garbage = weakref.ref(Ring())
        some = [[] for _ in range(2_000)]
        assert garbage() is not None
        some += [[] for _ in range(4_000)]
        assert garbage() is None


@pytest.mark.parametrize("put_to_sleep", [gc.disable, lambda: gc.set_threshold(0)])
def test_who_had_put_it_to_sleep_before_finds_it_asleep(put_to_sleep: Callable[[], None]) -> None:
    before = gc.get_threshold()
    put_to_sleep()
    try:
        with collector.asleep():
            assert not gc.isenabled() or gc.get_threshold()[0] == 0
        assert not gc.isenabled() or gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
        gc.enable()


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
