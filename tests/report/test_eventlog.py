"""The trace as a log: one line an event, in columns, cut to the terminal."""

from __future__ import annotations

import pytest

from k8sim.report.eventlog import details, event_log

EVENTS = [
    (0.006, "Pod", "web-0", "Created", {"inc": 1, "revision": 1}),
    (1.5, "PersistentVolumeClaim", "www-web-0", "Bound", {"volume": "pv:www-web-0:1"}),
    (60.25, "Command", "kubectl", "Done", {"step": 0, "code": 1, "out": "Error: no\nsuch pod"}),
    (61.0, "Event", "web-0", "Started", {"object": "Pod/web-0", "type": "Normal"}),
]


def plain(text: str, style: str) -> str:
    return text


def marked(text: str, style: str) -> str:
    return f"<{style}>{text}</>"


def test_columns_are_aligned() -> None:
    lines = list(event_log(EVENTS, plain, None))
    assert lines[0] == "     0.006s  Pod                    web-0      Created  inc=1 revision=1"
    assert (
        len({line.index(word) for line, word in zip(lines, ["Created", "Bound", "Done", "Started"], strict=True)}) == 1
    )


def test_a_pipe_gets_one_line_an_event() -> None:
    lines = list(event_log(EVENTS, plain, None))
    assert len(lines) == len(EVENTS)
    assert "such" in lines[2]


@pytest.mark.parametrize("width", [80, 110])
def test_a_narrow_terminal_gets_short_kinds_and_lines_that_fit(width: int) -> None:
    lines = list(event_log(EVENTS, plain, width))
    assert max(map(len, lines)) <= width
    assert lines[1].split()[1] == "pvc"
    wide = " ".join(event_log(EVENTS, plain, None)).split()
    assert [w for w in " ".join(lines).split() if "=" in w] == [w for w in wide if "=" in w]


def test_no_terminal_is_too_narrow() -> None:
    assert list(event_log(EVENTS, plain, 1))


def test_colour_is_for_what_matters() -> None:
    lines = list(event_log(EVENTS, marked, None))
    assert "<cyan>Created" in lines[0]
    assert "<red>Done" in lines[2]
    assert lines[3].startswith("<dim>")


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (3, "3"), ("a b", '"a b"'), ("", '""'), ("a\nb", '"a\\nb"')]
)
def test_values_stay_on_one_line(value: object, text: str) -> None:
    assert details({"key": value}) == f"key={text}"


def test_nothing_is_no_lines() -> None:
    assert list(event_log([], plain, 80)) == []
