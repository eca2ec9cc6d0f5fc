"""Variants of a scenario: what they set, and where a mistake is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sim.scenario import ScenarioError
from k8sim.scenario.loader import load, load_variants, loads_variants
from k8sim.scenario.sweep import Variant
from k8sim.sim.distributions import Constant
from k8sim.sim.units import SECOND

HEAD = """apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: sweep}
spec:
  nodes: [{name: node, count: 3}]
  images: {"app:*": {ready: 1s}}
  sweep:
%s
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: app, image: "app:v1"}]
      tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]
"""


def variants(*lines: str) -> list[Variant]:
    return loads_variants(HEAD % "\n".join("    " + line for line in lines), "sweep.yaml")


def test_a_grid_is_every_combination() -> None:
    made = variants("StatefulSet/web spec.replicas: [1, 3]", 'spec.images."app:*".ready: [1s, 5s, 9s]')
    assert len(made) == 6
    last = made[-1].scenario
    assert last.objects[0]["spec"]["replicas"] == 3
    assert last.images[0].ready == Constant(9 * SECOND)
    assert made[0].label == 'StatefulSet/web spec.replicas=1, spec.images."app:*".ready=1s'


def test_zipped_fields_go_side_by_side_and_multiply_with_the_grid() -> None:
    toleration = "StatefulSet/web spec.template.spec.tolerations[key=node.kubernetes.io/unreachable].tolerationSeconds"
    made = variants(
        "grid: {spec.duration: [1h, 2h]}",
        "zip:",
        f"  {toleration}: [300, 30]",
        "  StatefulSet/web spec.template.spec.containers[app].image: ['app:v1', 'app:v2']",
    )
    assert len(made) == 4
    pods = [v.scenario.objects[0]["spec"]["template"]["spec"] for v in made]
    seen = [(p["tolerations"][0]["tolerationSeconds"], p["containers"][0]["image"]) for p in pods]
    assert seen == [(300, "app:v1"), (30, "app:v2")] * 2


def test_fields_that_are_not_there_are_made() -> None:
    (variant,) = variants("StatefulSet/web spec.updateStrategy.rollingUpdate.partition: [1]")
    assert variant.scenario.objects[0]["spec"]["updateStrategy"] == {"rollingUpdate": {"partition": 1}}


def test_without_a_sweep_there_is_one_variant(tmp_path: Path) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text((HEAD % "    {}").replace("  sweep:\n    {}\n", ""))
    assert load_variants(path) == [Variant({}, load(path))]


@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        (["StatefulSet/web spec.replicas:", "  - 3", "  - many"], 10, "spec.replicas: "),
        (["StatefulSet/web spec.replicsa: [3]"], 8, 'unknown field "spec.replicsa"'),
        (["StatefulSet/wed spec.replicas: [3]"], 8, "there is no StatefulSet/wed"),
        (["spec.sweep.x: [3]"], 8, "cannot be swept"),
        (["metadata.name: [a]"], 8, "cannot be swept"),
        (["spec.duration: []"], 8, "no values"),
        (["spec.duration: 1h"], 8, "expected a list"),
        (["spec..duration: [1h]"], 8, "is not a field"),
        (["spec.nodes[7].count: [1]"], 8, "no item [7]"),
        (["zip: {spec.seed: [1, 2], spec.duration: [1h]}"], 8, "not of one length (2, 1)"),
        (["grid: {spec.seed: [1]}", "zip: {spec.seed: [2]}"], 7, "swept twice"),
    ],
)
def test_mistakes_are_named_with_their_line(lines: list[str], line: int, problem: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        variants(*lines)
    assert problem in caught.value.problem
    assert caught.value.line == line
