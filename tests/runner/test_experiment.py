"""Batches: the same figures however they are computed, and nothing is lost but what was in flight."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from k8sim.runner.executors import WorkerLost, Workers, workers
from k8sim.runner.experiment import Progress, Until, experiment
from k8sim.runner.shards import Shard, shards_of
from k8sim.runner.store import Store, StoreProblem
from k8sim.scenario.loader import loads_variants
from k8sim.scenario.objectives import parse_objective
from k8sim.scenario.sweep import Variant

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: small}
spec:
  duration: 30s
  nodes: [{name: node}]
  images: {"*": {start: 1s, ready: {exponential: {mean: 2s}}, stop: 1s}}
  timeline: [{at: 10s, kubectl: delete pod web-0}]
  sweep: {StatefulSet/web spec.replicas: [1, 2]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "app:v1", readinessProbe: {exec: {command: [a]}, periodSeconds: 1}}]}
"""


@pytest.fixture(scope="module")
def variants() -> list[Variant]:
    return loads_variants(SCENARIO)


@pytest.fixture(scope="module")
def expected(variants: list[Variant]) -> pd.DataFrame:
    return experiment(variants, 6).frame


def test_variants_and_replicates_are_rows(expected: pd.DataFrame) -> None:
    assert list(expected["variant"]) == [0] * 6 + [1] * 6
    assert list(expected["replicate"]) == list(range(6)) * 2
    assert list(expected["StatefulSet/web spec.replicas"]) == [1] * 6 + [2] * 6


def test_results_are_the_same_for_any_number_of_workers(variants: list[Variant], expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(experiment(variants, 6, jobs=2).frame, expected)
    with ThreadPoolExecutor(3) as pool:
        pd.testing.assert_frame_equal(experiment(variants, 6, jobs=3, executor=pool).frame, expected)


def test_a_batch_shows_itself_in_jupyter(variants: list[Variant]) -> None:
    [first, *_] = variants
    promising = replace(first.scenario, objectives=(parse_objective("web.restarts <= 0"),))
    page = experiment([replace(first, scenario=promising)], replicates=2)._repr_html_()
    assert "<b>small</b>: 2 replicates of 1 variants" in page
    assert "web.restarts &lt;= 0" in page
    assert "<td>web.availability</td>" in page


def test_variants_see_the_same_chance(variants: list[Variant]) -> None:
    batch = experiment(variants, 30)
    ((label, difference),) = batch.differences("web.ready_s")
    assert label == "StatefulSet/web spec.replicas=2"
    assert difference.estimate.low > 0
    ((_, away),) = batch.differences("web.short_s")
    assert away.variance_reduction > 1.5


def test_a_batch_is_resumed_where_it_was(tmp_path: Path, variants: list[Variant], expected: pd.DataFrame) -> None:
    experiment(variants, 4, folder=tmp_path)
    seen: list[Progress] = []
    resumed = experiment(variants, 6, folder=tmp_path, resume=True, on_progress=seen.append)
    pd.testing.assert_frame_equal(resumed.frame, expected)
    assert (seen[-1].resumed, seen[-1].total) == (8, 12)


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path, variants: list[Variant]) -> None:
    experiment(variants, 2, folder=tmp_path)
    with pytest.raises(StoreProblem, match="already"):
        experiment(variants, 2, folder=tmp_path)
    with pytest.raises(StoreProblem, match="something else"):
        experiment(variants[:1], 2, folder=tmp_path, resume=True)


def test_a_batch_that_is_interrupted_keeps_what_is_done(variants: list[Variant]) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    batch = experiment(variants, 6, on_progress=interrupt)
    assert not batch.complete
    assert [r.replicates for r in batch.results] == [3, 2]


def test_until_stops_at_a_round(variants: list[Variant]) -> None:
    assert experiment(variants[:1], 400, until=Until("web.short_s", 100.0)).replicates == 50
    assert experiment(variants[:1], 60, until=Until("web.short_s", 1e-9)).replicates == 60


# ---- workers that die -------------------------------------------------------------------------------------------


def die_once(path: str) -> str:
    try:
        Path(path).touch(exist_ok=False)
    except FileExistsError:
        return path
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def die(path: str) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return path


def test_a_killed_worker_costs_a_retry(tmp_path: Path) -> None:
    items = [str(tmp_path / name) for name in "abc"]
    with workers(2) as pool:
        assert sorted(done for _, done in pool.in_order_of_completion(die_once, items)) == items


def test_work_that_kills_every_worker_ends_the_batch(tmp_path: Path) -> None:
    with workers(2) as pool, pytest.raises(WorkerLost):
        list(pool.in_order_of_completion(die, ["a"]))


def test_a_given_executor_is_left_open() -> None:
    with ProcessPoolExecutor(1) as pool:
        own: Executor = pool
        assert list(Workers(1, own).in_order_of_completion(str, [1, 2])) == [(1, "1"), (2, "2")]
        assert pool.submit(int).result() == 0


# ---- the program is killed --------------------------------------------------------------------------------------

PROGRAM = """
import sys
from k8sim.runner.experiment import experiment
from k8sim.scenario.loader import load_variants
if __name__ == "__main__":
    experiment(load_variants(sys.argv[1]), 30, jobs=2, folder=sys.argv[2])
"""


def test_kill_9_loses_at_most_the_shards_in_flight(tmp_path: Path) -> None:
    scenario, program, folder = tmp_path / "small.yaml", tmp_path / "program.py", tmp_path / "out"
    scenario.write_text(SCENARIO)
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen([sys.executable, program, scenario, folder], env=environment, start_new_session=True)
    deadline = time.monotonic() + 600
    while child.poll() is None and len(list(folder.glob("*.parquet"))) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: TID251 -- waits for another process
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    found = Store.shards_of_folder(folder)
    assert len(found) >= 4
    seen: list[Progress] = []
    batch = experiment(scenario, 30, folder=folder, resume=True, on_progress=seen.append)
    assert seen[-1].resumed == sum(shard.count for shard in found)
    pd.testing.assert_frame_equal(batch.frame, experiment(scenario, 30, jobs=2).frame)


@pytest.mark.parametrize("end", [1, 7, 23])
def test_shards_cover_a_range_once(end: int) -> None:
    shards = list(shards_of(3, 0, end, 5))
    assert [r for s in shards for r in range(s.first, s.first + s.count)] == list(range(end))
    assert shards_of(0, 7, 12, 5).__next__() == Shard(0, 7, 3)
