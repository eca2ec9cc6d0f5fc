"""YAML as Kubernetes reads it, with lines."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.scenario.errors import ScenarioError
from k8sim.scenario.yamlsource import Document, read_text, resolve_plain


def one(text: str) -> Document:
    (document,) = read_text(text, "f.yaml")
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("on", True), ("y", True), ("No", False), ("OFF", False), ("n", False), ("true", True),
        ("~", None), ("", None), ("null", None), ("nul", "nul"), ("1", 1), ("-7", -7), ("0644", 0o644), ("0o17", 15),
        ("0x1F", 31), ("0b101", 5), ("1_000", 1000), ("089", 89), ("1.5", 1.5), ("3.0", 3), ("1e3", 1000), (".5", 0.5),
        ("12:30:45", "12:30:45"), ("2001-01-01", "2001-01-01"), ("1.2.3", "1.2.3"), ("1Gi", "1Gi"), ("-", "-"),
        ("1e400", "1e400"), (".inf", ".inf"), ("=", "="), ("0x", "0x"), ("+1", 1), ("1" * 500, "1" * 500),
    ],
)  # fmt: skip
def test_plain_scalars_as_go_yaml_resolves_them(text: str, value: object) -> None:
    resolved = resolve_plain(text)
    assert resolved == value
    assert type(resolved) is type(value)


@given(st.text(max_size=20))
def test_every_plain_scalar_has_a_value(text: str) -> None:
    resolve_plain(text)


def test_quoted_words_are_strings() -> None:
    assert one("a: 'yes'\nb: \"1\"\nc: !!str 1\nd: ! on\n").data == {"a": "yes", "b": "1", "c": "1", "d": "on"}


def test_keys_are_strings_as_in_json() -> None:
    assert one("{1: a, on: b, null: c, 1.5: d}").data == {"1": "a", "true": "b", "null": "c", "1.5": "d"}


def test_documents_that_hold_nothing_are_left_out() -> None:
    assert [d.data for d in read_text("# a\n---\n---\na: 1\n---\n# b\n---\n{}\n...\n---\nb: 2\n", "f")] == [
        {"a": 1},
        {},
        {"b": 2},
    ]


def test_merge_keys_fill_in_what_is_not_there() -> None:
    document = one("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 0\n")
    assert document.data["z"] == {"a": 0, "b": 2, "c": 4}
    assert document.line_of(("z", "a")) == 5
    assert document.line_of(("z", "c")) == 2


def test_lines_of_keys_items_and_what_is_missing() -> None:
    document = read_text("a: 1\n---\nspec:\n  list:\n    - x: 1\n      w:\n        2\n    - {z: 3}\n", "f")[1]
    assert document.line == 3
    assert document.line_of(("spec",)) == 3
    assert document.line_of(("spec", "list", 0, "w")) == 6
    assert document.line_of(("spec", "list", 1, "z")) == 8
    assert document.line_of(("spec", "list", 1, "missing", "deeper")) == 8
    part = document.part(("spec", "list", 0))
    assert (part.line, part.line_of(("w",)), part.data) == (5, 6, {"x": 1, "w": 2})


def test_an_anchor_may_be_used_often() -> None:
    document = one("a: &a [1, 2]\nb: [*a, *a]\n")
    assert document.data["b"] == [[1, 2], [1, 2]]
    assert document.line_of(("b", 1, 0)) == 1  # where it is written


def test_windows_text_with_a_byte_order_mark_loads(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from k8sim.scenario.yamlsource import read_file

    path = tmp_path / "f.yaml"
    path.write_bytes("\ufeffa: 1\r\nb: 'ä'\r\n".encode())
    assert read_file(path)[0].data == {"a": 1, "b": "ä"}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_text_gives_documents_or_a_scenario_error(raw: bytes) -> None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return
    with suppress(ScenarioError):
        assert all(document.data is not None for document in read_text(text, "f.yaml"))
