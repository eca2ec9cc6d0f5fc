"""Beyond one machine: a real Dask cluster of several worker processes, one of which is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from k8sim.runner.experiment import experiment
from k8sim.scenario.loader import loads_variants
from tests.runner.test_experiment import SCENARIO

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # not ours to mend


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as made:
        yield made


def test_a_cluster_gives_the_same_results_and_survives_a_killed_worker(cluster: Any) -> None:
    variants = loads_variants(SCENARIO)
    killed: list[int] = []

    def kill(progress: object) -> None:
        if not killed:
            killed.append(next(w.pid for w in cluster.workers.values()))
            os.kill(killed[0], signal.SIGKILL)

    address = cluster.scheduler_address.replace("tcp://", "dask://")
    batch = experiment(variants, 6, executor=address, on_progress=kill)
    assert killed
    pd.testing.assert_frame_equal(batch.frame, experiment(variants, 6).frame)


def test_other_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="dask://"):
        experiment(loads_variants(SCENARIO), 2, executor="http://localhost")
