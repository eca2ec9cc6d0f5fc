"""What cells are made of: durations, label selectors, and the layout of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from k8sim.api.meta import LabelSelector
from k8sim.sim.units import SECOND

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"
_PADDING = 3
_MIN_WIDTH = 6


def human_duration(ns: int) -> str:
    """Return a duration as kubectl shows ages: "45s", "5m30s", "3h", "2d4h" (apimachinery/pkg/util/duration)."""
    seconds = int(ns / SECOND)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def age(since_ns: int | None, now_ns: int) -> str:
    """Return how long ago a moment was."""
    return UNKNOWN if since_ns is None else human_duration(now_ns - since_ns)


def pairs(labels: Mapping[str, str]) -> str:
    """Return labels as ``a=b,c=d``, sorted."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or NONE


def selector_text(selector: LabelSelector | None) -> str:
    """Return a selector as kubectl writes it."""
    if selector is None:
        return NONE
    terms = [f"{key}={selector.match_labels[key]}" for key in sorted(selector.match_labels)]
    for r in selector.match_expressions:
        values = ",".join(sorted(r.values))
        terms.append(
            {"In": f"{r.key} in ({values})", "NotIn": f"{r.key} notin ({values})", "Exists": r.key}.get(
                r.operator, f"!{r.key}"
            )
        )
    return ",".join(terms) or NONE


def shortened(items: Sequence[str], most: int = 3) -> str:
    """Return the first items, and how many more there are."""
    if not items:
        return UNSET
    more = len(items) - most
    return ",".join(items[:most]) + (f" + {more} more..." if more > 0 else "")


def layout(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table: columns padded by three spaces, the last one not at all."""
    table = [[name.upper() for name in heading], *map(list, rows)] if heading else list(map(list, rows))
    if not table:
        return []
    widths = [max(_MIN_WIDTH, max(len(row[i]) for row in table) + _PADDING) for i in range(len(table[0]))]
    widths[-1] = 0
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
