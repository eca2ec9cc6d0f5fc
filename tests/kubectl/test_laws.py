"""Laws: the parser never fails otherwise than by KubectlSyntaxError; merging twice is merging once."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k8sim.kubectl import Command, KubectlSyntaxError, parse
from k8sim.kubectl.grammar import VERBS
from k8sim.kubectl.parser import _flag_table
from k8sim.kubectl.strategic import strategic_merge, three_way_merge

WORDS = st.sampled_from(
    [
        "pod", "web-0", "pod/web-0", "sts", "node", "all", "a=b", "a-", "k=v:NoExecute", "k:NoSchedule-", "x,y", "--",
        "-l", "app=web", "-p", "{}", "'[]'", "--all", "-n", "", "=", "/", "-", "--=", "-x", "*", "{a: b}", "1", "-1",
    ]
)  # fmt: skip


@st.composite
def commands(draw: st.DrawFn) -> str:
    verb = draw(st.sampled_from(list(VERBS)))
    flags = st.sampled_from(sorted(_flag_table(verb))).flatmap(
        lambda flag: st.sampled_from([flag, f"{flag}=1", f"{flag}=true", f"{flag}=x", f"{flag} 5s"])
    )
    return " ".join([verb, *draw(st.lists(WORDS | flags, max_size=6))])


@given(commands() | st.text(max_size=40))
def test_any_text_is_a_command_or_a_syntax_error(text: str) -> None:
    with contextlib.suppress(KubectlSyntaxError):
        assert isinstance(parse(text), Command)


VALUES = st.none() | st.integers(0, 3) | st.text("xy", max_size=2)
ITEMS = st.lists(
    st.builds(lambda name, image: {"name": name, "image": image}, st.sampled_from("abc"), st.sampled_from("12")),
    max_size=3, unique_by=lambda item: item["name"],
)  # fmt: skip
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "replicas": VALUES, "labels": st.dictionaries(st.sampled_from("kl"), VALUES, max_size=2), "containers": ITEMS,
        "args": st.lists(st.sampled_from("pq"), max_size=2), "finalizers": st.lists(st.sampled_from("fg"), unique=True),
    },
)  # fmt: skip


def without_nulls(value: Any) -> Any:
    """Objects in the store have no nulls."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return value


LIVE = OBJECTS.map(without_nulls)


@given(LIVE, OBJECTS)
def test_a_strategic_patch_twice_is_a_strategic_patch_once(live: dict[str, Any], patch: dict[str, Any]) -> None:
    once = strategic_merge(live, patch, "Pod")
    assert strategic_merge(once, patch, "Pod") == once


@given(LIVE, LIVE, LIVE)
def test_an_object_that_was_applied_is_not_changed_by_applying_it_again(
    last: dict[str, Any], wanted: dict[str, Any], live: dict[str, Any]
) -> None:
    once = three_way_merge(last, wanted, live, "Pod")
    assert three_way_merge(wanted, wanted, once, "Pod") == once


@given(LIVE, LIVE)
def test_what_is_applied_to_nothing_is_what_is_there(last: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert three_way_merge(last, wanted, {}, "Pod") == wanted


@given(LIVE, LIVE)
def test_applying_over_what_only_apply_has_made_leaves_nothing_old(
    last: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert comparable(three_way_merge(last, wanted, last, "Pod")) == comparable(wanted)


def comparable(obj: dict[str, Any]) -> dict[str, Any]:
    """An empty mapping is as good as none, and finalizers have no order."""
    result = {k: v for k, v in obj.items() if v != {}}
    if "finalizers" in result:
        result["finalizers"] = sorted(result["finalizers"])
    return result
