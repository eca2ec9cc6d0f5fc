"""The trace as a log that people read: one line an event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    from k8sim.result import PublicEvent
    from k8sim.sim.trace import Row

Paint = Callable[[str, str], str]
"""(text, style) -> text with colour codes, or without."""

_GOOD: Final = "green"
_BAD: Final = "red"
_WATCH: Final = "yellow"
_STYLES: Final = {
    "Ready": _GOOD, "Bound": _GOOD, "Available": _GOOD, "Untainted": _GOOD, "Uncordoned": _GOOD,
    "NotReady": _BAD, "Exited": _BAD, "Lost": _BAD, "Failed": _BAD, "Unknown": _BAD, "Deleted": _BAD,
    "Waiting": _WATCH, "Unschedulable": _WATCH, "Terminating": _WATCH, "Released": _WATCH, "Tainted": _WATCH,
    "Cordoned": _WATCH, "Removed": _WATCH,
    "Created": "cyan", "Started": "cyan",
}  # fmt: skip
_NAME_WIDTH_MAX: Final = 40


def event_log(events: Iterable[PublicEvent], paint: Paint, width: int | None) -> Iterator[str]:
    """Yield one line an event.

    Parameters
    ----------
    events
        The public trace.
    paint
        Adds colour.
    width
        Of the terminal, to cut lines at; None: never cut (a pipe).
    """
    rows = list(events)
    kinds = max((len(kind) for _, kind, *_ in rows), default=0)
    names = min(max((len(name) for _, _, name, *_ in rows), default=0), _NAME_WIDTH_MAX)
    words = min(max((len(event) for *_, event, _ in rows), default=0), 24)
    for t, kind, name, event, detail in rows:
        head = f"{t:10.3f}s  {kind:{kinds}}  {name:{names}}  "
        word = f"{event:{words}}"
        tail = "  " + details(detail) if detail else ""
        if width is not None:
            room = width - len(head) - len(word)
            if room < 0:
                word = word[: max(len(word) + room, 0)]
            if len(tail) > max(room, 0):
                tail = tail[: room - 1] + "…" if room > 0 else ""
        yield _line(paint, kind, head, word, tail, _style(event, detail)).rstrip()


def _style(event: str, detail: dict[str, Any]) -> str:
    if "code" in detail:
        return _GOOD if detail["code"] == 0 else _BAD
    return _STYLES.get(event, "")


def _line(paint: Paint, kind: str, head: str, word: str, tail: str, style: str) -> str:
    if kind == "Event":  # what Kubernetes says about itself, less than what it does
        return paint(head + word + tail, "dim")
    return head + (paint(word, style) if style else word) + tail


def details(detail: Any) -> str:
    """Return a detail as ``key=value`` words."""
    return " ".join(f"{key}={_value(value)}" for key, value in detail.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if not text or any(c.isspace() for c in text):
        return '"' + text.replace('"', "'").replace("\n", "\\n") + '"'
    return text


def plain_row(row: Row) -> str:
    """Return an internal row as one line, for bug reports."""
    cause = f" <- row {row.cause}" if row.cause >= 0 else ""
    return f"{row.t / SECOND:.6f}s {row.kind} {row.namespace}/{row.name} {row.event} {details(row.detail)}{cause}"
