from __future__ import annotations

import pytest

from k8sim.api.core import Node, NodeSelector, NodeSelectorTerm
from k8sim.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from k8sim.api.selectors import node_selector_matches, requirement_matches, selector_matches


@pytest.mark.parametrize(
    ("operator", "values", "labels", "expected"),
    [
        ("In", ("a", "b"), {"k": "b"}, True), ("In", ("a",), {"k": "c"}, False), ("In", ("a",), {}, False),
        ("NotIn", ("a",), {"k": "b"}, True), ("NotIn", ("a",), {"k": "a"}, False), ("NotIn", ("a",), {}, True),
        ("Exists", (), {"k": ""}, True), ("Exists", (), {}, False),
        ("DoesNotExist", (), {}, True), ("DoesNotExist", (), {"k": "x"}, False),
        ("Gt", ("5",), {"k": "6"}, True), ("Gt", ("5",), {"k": "5"}, False), ("Lt", ("5",), {"k": "4"}, True),
        ("Gt", ("5",), {"k": "six"}, False), ("Gt", ("5",), {}, False),
    ],
)  # fmt: skip
def test_operators(operator: str, values: tuple[str, ...], labels: dict[str, str], expected: bool) -> None:
    assert requirement_matches(LabelSelectorRequirement(key="k", operator=operator, values=values), labels) is expected


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not selector_matches(None, {"a": "b"})
    assert selector_matches(LabelSelector(), {})


def test_labels_and_expressions_are_anded() -> None:
    selector = LabelSelector(
        match_labels={"app": "web"}, match_expressions=(LabelSelectorRequirement(key="tier", operator="Exists"),)
    )
    assert selector_matches(selector, {"app": "web", "tier": "x"})
    assert not selector_matches(selector, {"app": "web"})
    assert not selector_matches(selector, {"tier": "x"})


def test_node_terms_are_ored_and_an_empty_term_matches_nothing() -> None:
    node = Node(metadata=ObjectMeta(name="n1", labels={"zone": "a"}))
    in_b = NodeSelectorTerm(match_expressions=(LabelSelectorRequirement(key="zone", operator="In", values=("b",)),))
    named = NodeSelectorTerm(
        match_fields=(LabelSelectorRequirement(key="metadata.name", operator="In", values=("n1",)),)
    )
    assert node_selector_matches(None, node)
    assert node_selector_matches(NodeSelector(node_selector_terms=(in_b, named)), node)
    assert not node_selector_matches(NodeSelector(node_selector_terms=(in_b,)), node)
    assert not node_selector_matches(NodeSelector(node_selector_terms=(NodeSelectorTerm(),)), node)
