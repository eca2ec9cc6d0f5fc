from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from k8sim.api.apps import ControllerRevision
from k8sim.api.core import Container, Node, NodeSpec, PodSpec, PodTemplateSpec, Taint
from k8sim.api.meta import ObjectMeta
from k8sim.api.scheme import decode, kind_class
from k8sim.api.struct import Time
from k8sim.kubectl.wire import rewritten
from tests.kubectl.world import DEPLOYMENT, POD, STATEFUL_SET, World

CASES = Path(__file__).parents[1] / "conformance" / "cases"


@pytest.mark.parametrize("manifest", [DEPLOYMENT, POD, STATEFUL_SET])
def test_no_change_of_the_plain_form_is_no_change(manifest: str) -> None:
    obj = World().create(manifest)
    assert rewritten(obj, lambda data: data) == obj


def test_exact_times_survive() -> None:
    taint = Taint(key="a", effect="NoExecute", time_added=Time(123_456_789))
    node = Node(metadata=ObjectMeta(name="n", creation_timestamp=Time(-5)), spec=NodeSpec(taints=(taint,)))
    assert rewritten(node, lambda data: data) == node


def test_the_template_of_a_revision_stays_typed() -> None:
    template = PodTemplateSpec(spec=PodSpec(containers=(Container(name="a", image="b"),)))
    revision = ControllerRevision(metadata=ObjectMeta(name="r"), revision=1, data=template)
    assert rewritten(revision, lambda data: {**data, "revision": 2}).data is template


@pytest.mark.skipif(not CASES.is_dir(), reason="the recorded cases are not here")
def test_no_manifest_of_the_recorded_cases_is_changed_by_no_change() -> None:
    for path in sorted(CASES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and kind_class(document["kind"]) is not None:
                obj = decode(document)
                assert rewritten(obj, lambda data: data) == obj
