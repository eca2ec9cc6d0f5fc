"""Tags that move, and contents that a node has already (node.md 1.12)."""

from __future__ import annotations

import pytest

from k8sim.machines.image import ImageBehaviour, digest
from k8sim.scenario import ScenarioError, loads
from k8sim.sim.distributions import Constant
from tests.kubelet.bench import Bench, image, seconds

NEW = "app:v2"


def moving(at: float = 60, pull: float = 0) -> ImageBehaviour:
    return ImageBehaviour("app:latest", pull=Constant(seconds(pull)), moves=((seconds(at), NEW),))


def shown(bench: Bench, name: str = "app") -> str:
    return bench.stored(name).status.container_statuses[0].image_id


def starts(bench: Bench, name: str = "app") -> list[float]:
    return [r.t / 1e9 for r in bench.rows("Container", name) if r.event == "Started"]


def test_policy_always_takes_what_the_tag_names_by_then_and_pulls_it():
    bench = Bench(moving(), image(NEW, pull=20, exit_after=3))
    bench.pod("app", {"image": "app:latest", "imagePullPolicy": "Always"})
    bench.run(50)
    assert shown(bench) == digest("app:latest")
    bench.exit_at(70)
    bench.run(92)
    assert 90 < starts(bench)[1] < 91.5
    assert shown(bench) == digest(NEW)
    bench.run(96)
    assert [r for r in bench.rows("Container") if r.event == "Exited" and r.t > 90e9]  # it is the other software


def test_policy_if_not_present_keeps_what_the_node_has():
    bench = Bench(moving(), image(NEW, pull=20))
    bench.pod("app", {"image": "app:latest", "imagePullPolicy": "IfNotPresent"})
    bench.exit_at(70)
    bench.run(75)
    assert 70 < starts(bench)[1] < 71.5
    assert shown(bench) == digest("app:latest")


def test_a_tag_that_has_not_moved_is_not_pulled_again():
    bench = Bench(image(pull=20))
    bench.pod("app", {"image": "app:latest", "imagePullPolicy": "Always"})
    bench.exit_at(40)
    bench.run(50)
    assert 40 < starts(bench)[1] < 41.5


def test_a_content_that_is_there_under_another_name_is_not_pulled_again():
    bench = Bench(moving(5), image(pull=20))
    bench.pod("first", {"image": NEW})
    bench.pod_at(30, "second", {"image": "app:latest"})
    bench.run(40)
    assert starts(bench, "first")[0] > 20
    assert starts(bench, "second")[0] < 30.5
    assert shown(bench, "first") == shown(bench, "second")


def test_pods_of_one_tag_run_different_software_before_and_after():
    """A rolling restart, or a node that has never seen the image, mixes versions under one name."""
    bench = Bench(moving())
    bench.pod("before", {"image": "app:latest"})
    bench.pod_at(70, "after", {"image": "app:latest", "imagePullPolicy": "Always"})
    bench.run(80)
    assert shown(bench, "before") == digest("app:latest")
    assert shown(bench, "after") == digest(NEW)


def test_the_digest_of_a_name_without_tag_is_that_of_latest():
    assert digest("app") == digest("app:latest") != digest("app:v1")


HEAD = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: moves}
spec:
  duration: 1m
  images:
    "app:latest": {moves: %s}
"""


def test_moves_are_read_in_the_order_of_their_times():
    [behaviour] = loads(HEAD % '{2h: "app:v3", 10m: "app:v2"}').images
    assert behaviour.moves == ((seconds(600), "app:v2"), (seconds(7200), "app:v3"))


def test_a_move_without_a_time_is_refused_with_its_line():
    with pytest.raises(ScenarioError, match="is not a time") as problem:
        loads(HEAD % '{later: "app:v2"}')
    assert ":8" in str(problem.value)
