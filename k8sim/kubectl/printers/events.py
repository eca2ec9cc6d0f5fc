"""Kubernetes Events as kubectl get events prints them, from the trace: equal ones are one line with a count."""

from __future__ import annotations

from collections.abc import Iterable

from k8sim.kubectl.printers.text import human_duration, layout
from k8sim.sim.trace import Row

COLUMNS = ("Last Seen", "Type", "Reason", "Object", "Message")


def events_table(rows: Iterable[Row], now_ns: int) -> list[str]:
    """Return the lines of a table of the trace's rows of kind "Event", in the order of their last occurrence."""
    seen: dict[tuple[str, str, str, str], list[int]] = {}
    for row in rows:
        if row.kind == "Event" and row.t <= now_ns:
            key = (row.detail["type"], row.event, row.detail["object"], row.detail.get("message", ""))
            seen.setdefault(key, []).append(row.t)
    lines = []
    for (type_, reason, obj, message), times in sorted(seen.items(), key=lambda item: item[1][-1]):
        last = human_duration(now_ns - times[-1])
        if len(times) > 1:
            last += f" (x{len(times)} over {human_duration(now_ns - times[0])})"
        kind, _, name = obj.partition("/")
        lines.append([last, type_, reason, f"{kind.lower()}/{name}", message])
    return layout(COLUMNS, lines)
