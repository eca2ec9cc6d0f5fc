"""Damaged scenario files: text that is cut, doubled or replaced, and YAML whose tree is changed at random places."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml

from k8sim.search.space import Chooser

ROOT: Final = Path(__file__).parents[2]
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FILES: Final = sorted(
    [
        *(ROOT / "tests" / "conformance" / "cases").glob("*.yaml"),
        *(ROOT / "tests" / "search" / "cases").glob("*.yaml"),
        *(ROOT / "scenarios").glob("*.yaml"),
    ]
)
TEXTS: Final = (
    "", "null", "[]", "{}", "-1", "1e99", '"\\0"', "yes", "9" * 40, "*", "{a: b}", "0x7", "~", "!!python/none",
    "&a [*a]", "2001-01-01", "|", ">", "? :", "'", "<<: *x", "- - -", "\t", "é", "\u202e", "%", "@", "`",
    "1_000", ".inf",
)  # fmt: skip
VALUES: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 2**70, 1e300, float("inf"), float("nan"), "", "x", "1Gi", "-5s", "100%", "5%%", "a" * 5000,
    "\u0000", [], {}, [None], [[]], {"": ""}, {"a": {"b": {"c": {}}}}, [1, "a", {}],
)  # fmt: skip


def damaged(number: int) -> str:
    """Return the text of a damaged file; the same for the same number."""
    choose = Chooser(number, "damage")
    text = choose.of(FILES).read_text("utf-8")
    return damaged_tree(text, choose) if number % 2 else damaged_text(text, choose)


def damaged_text(text: str, choose: Chooser) -> str:
    """Replace, double, cut or insert lines."""
    lines = text.splitlines()
    for _ in range(choose.of((1, 1, 1, 3))):
        i = choose.below(len(lines))
        how = choose.below(4)
        if how == 0 and ":" in lines[i]:
            lines[i] = lines[i].partition(":")[0] + ": " + choose.of(TEXTS)
        elif how == 1:
            lines[i] = lines[choose.below(len(lines))]
        elif how == 2:
            lines[i] = lines[i][: choose.below(len(lines[i]) + 1)]
        else:
            lines.insert(i, " " * choose.below(8) + lines[choose.below(len(lines))].lstrip())
    return "\n".join(lines)


def damaged_tree(text: str, choose: Chooser) -> str:
    """Change the documents' values, and write them again."""
    documents = list(yaml.load_all(text, LOADER))
    for _ in range(choose.of((1, 1, 1, 3))):
        holder, key = _place(documents, choose)
        how = choose.below(5)
        if how == 0:
            del holder[key]
        elif how == 1:
            holder[key] = _other(holder[key], choose)
        elif how == 2:
            other, there = _place(documents, choose)
            holder[key] = deepcopy(other[there]) if (other, there) != (holder, key) else None
        elif how == 3:
            holder[key] = [holder[key], holder[key]]
        elif isinstance(holder, dict):
            holder[choose.of(("name", "kind", "spec", "metadata", "replicas", "x", 7, None, True))] = holder[key]
        if not documents:
            documents = [None]
    return str(yaml.dump_all(documents, None, DUMPER, allow_unicode=True))


def _other(value: Any, choose: Chooser) -> Any:
    """Return another value, as often as not of the same type."""
    if choose.chance(0.5) or isinstance(value, dict | list) or value is None:
        return choose.of(VALUES)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return choose.of((0, 1, -value, value + 1, 10 * value, 1000 * value))
    return choose.of((value + "x", value[1:], value.upper(), f"{value} {value}", f"{value}-2", "node-1", "30s", "2Gi"))


def _place(documents: list[Any], choose: Chooser) -> tuple[Any, Any]:
    """Return a container of the tree and one of its keys, from anywhere between the root and the leaves."""
    holder: Any = documents
    key: Any = choose.below(len(documents))
    while isinstance(holder[key], dict | list) and holder[key] and choose.chance(0.95):
        holder = holder[key]
        key = choose.of(list(holder)) if isinstance(holder, dict) else choose.below(len(holder))
    return holder, key
