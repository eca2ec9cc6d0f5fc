from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.meta import LabelSelector, LabelSelectorRequirement
from k8sim.api.selector_index import SelectorIndex
from k8sim.api.selectors import selector_matches

KEYS, VALUES = st.sampled_from("ab"), st.sampled_from("xy")
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.builds(
    lambda key, operator, values: LabelSelectorRequirement(key=key, operator=operator, values=tuple(values)),
    KEYS,
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.lists(VALUES, max_size=2),
)
SELECTORS = st.none() | st.builds(
    lambda labels, requirements: LabelSelector(match_labels=labels, match_expressions=tuple(requirements)),
    LABELS,
    st.lists(REQUIREMENTS, max_size=2),
)
PLACE = st.sampled_from(["default", "other"])


@given(st.lists(st.tuples(PLACE, st.sampled_from("123"), SELECTORS)), st.lists(st.tuples(PLACE, LABELS)))
def test_the_index_finds_what_asking_every_selector_finds(
    history: list[tuple[str, str, LabelSelector | None]], asked: list[tuple[str, dict[str, str]]]
) -> None:
    """The last selector of a name counts; a null one selects nothing."""
    index, selectors = SelectorIndex(), {}
    for namespace, name, selector in history:
        index.put((namespace, name), selector)
        selectors[namespace, name] = selector
    for namespace, labels in asked:
        found = sorted(k for k, s in selectors.items() if k[0] == namespace and selector_matches(s, labels))
        assert index.matching(namespace, labels) == found
