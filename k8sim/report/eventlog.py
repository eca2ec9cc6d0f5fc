"""The trace as a log that people read: one line an event."""

from __future__ import annotations

import textwrap
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
_SHORT: Final = {
    "PersistentVolumeClaim": "pvc", "PersistentVolume": "pv", "EndpointSlice": "slice", "PodDisruptionBudget": "pdb",
    "StatefulSet": "sts", "Deployment": "deploy", "Command": "step", "Event": "event", "Pod": "pod", "Node": "node",
}  # fmt: skip
_NAME_WIDTH_MAX: Final = 40
_WIDE: Final = 120
_ROOM_MIN: Final = 24
_INDENT: Final = 14


def event_log(events: Iterable[PublicEvent], paint: Paint, width: int | None) -> Iterator[str]:
    """Yield the lines of the log: one an event, and more where a detail does not fit into a narrow terminal.

    Parameters
    ----------
    events
        The public trace.
    paint
        Adds colour.
    width
        Of the terminal; below `_WIDE` kinds have kubectl's short names. None: of no concern (a pipe).
    """
    rows = list(events)
    short = width is not None and width < _WIDE
    kinds = max((len(_kind(kind, short)) for _, kind, *_ in rows), default=0)
    names = min(max((len(name) for _, _, name, *_ in rows), default=0), _NAME_WIDTH_MAX)
    words = max((len(event) for _, kind, _, event, _ in rows if kind != "Event"), default=0)
    for t, kind, name, event, detail in rows:
        head = f"{t:10.3f}s  {_kind(kind, short):{kinds}}  {name:{names}}  "
        word = f"{event:{words}}  " if detail else event
        first, *more = _wrapped(details(detail), len(head) + len(word), width)
        if kind == "Event":  # what Kubernetes says about itself, less than what it does
            yield from (paint(line, "dim") for line in (head + word + first, *more))
        else:
            style = _style(event, detail)
            yield head + (paint(word, style) if style else word) + first
            yield from more


def _kind(kind: str, short: bool) -> str:
    return _SHORT.get(kind, kind) if short else kind


def _wrapped(text: str, column: int, width: int | None) -> list[str]:
    """Return a text that begins in a column, cut into lines, the further ones indented."""
    if width is None or column + len(text) <= width:
        return [text]
    indent = column if width - column >= _ROOM_MIN else _INDENT
    lines = textwrap.wrap(
        text, max(width, indent + _ROOM_MIN), initial_indent=" " * column, subsequent_indent=" " * indent,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
    return [lines[0][column:], *lines[1:]]


def _style(event: str, detail: dict[str, Any]) -> str:
    if "code" in detail:
        return _GOOD if detail["code"] == 0 else _BAD
    return _STYLES.get(event, "")


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
