#!/usr/bin/env python3
"""Write docs/simulated.md: every field that has an effect, with what reads it and what shows that it does.

The table is found, not kept: a field counts if an object of `k8sim.api` declares it. Which module reads it, and which
file of tests is about it, is told by the words in it: its name and that of what it is a part of.
"""

from __future__ import annotations

import ast
import re
import typing
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from k8sim.api.core import PodTemplateSpec
from k8sim.api.scheme import KINDS
from k8sim.api.simulated import NOT_YET_FIELDS, UNREMARKABLE, is_simulated
from k8sim.api.struct import Struct

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "simulated.md"
ROOMS = ("apiserver", "controllers", "scheduler", "kubelet", "csi", "network")
"""Where components of Kubernetes are; the files of tests about them have the same names."""
HEAD = """# What is simulated, field by field

Written by `tools/simulated.py` from the code and the tests. Fields that are not listed are accepted if Kubernetes has
them, have no effect, and are named by `k8sim validate` and `k8sim run`; those of which `images` or `applications` tell
the effect (commands, environment, service accounts) are taken silently.

*Recorded*: how many of the recorded cases on real Kubernetes use the field, and one of them. *Test*: the file of tests
that names it, and what it is a part of, most. *Read by*: the module that does, and the Kubernetes source its rules are
from. Empty: none does by name.
"""


class Field(NamedTuple):
    """A field of a kind: its path; the attribute that holds it here, in what class; what that is a part of."""

    path: str
    attribute: str
    holder: str
    within: str


def fields(cls: type[Struct], path: str = "", within: str = "", seen: set[type] | None = None) -> Iterator[Field]:
    """Yield the leaves of an object. What has been there once (a container, a selector) is not taken apart again."""
    seen = set() if seen is None else seen
    hints = typing.get_type_hints(cls)
    for field in msgspec.structs.fields(cls):
        if field.name in ("extra", "metadata", "status"):
            continue
        here = f"{path}.{field.encode_name}" if path else field.encode_name
        here += "[]" if "tuple" in str(hints[field.name]) else ""
        parts = [part for part in _structs(hints[field.name]) if part is not PodTemplateSpec and part not in seen]
        if not parts:
            yield Field(here, field.name, cls.__name__, within)
        seen.update(parts)
        for part in parts:
            yield from fields(part, here, field.name, seen)


def _structs(hint: Any) -> Iterator[type[Struct]]:
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint
    for inner in typing.get_args(hint):
        yield from _structs(inner)


def has_effect(kind: str, path: str) -> bool:
    """Tell whether a declared field does anything."""
    unread = any(fnmatchcase(kind, k) and fnmatchcase(path, p) for k, p in NOT_YET_FIELDS)
    return not unread and not any(fnmatchcase(path, pattern) for pattern in UNREMARKABLE)


@cache
def readers() -> dict[str, Counter[Path]]:
    """Return, for the name of each attribute, the modules of Kubernetes' components that read it, and how often."""
    found: dict[str, Counter[Path]] = {}
    for path in sorted((ROOT / "k8sim").rglob("*.py")):
        if path.relative_to(ROOT / "k8sim").parts[0] in ROOMS:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    found.setdefault(node.attr, Counter())[path] += 1
    return found


def read_by(field: Field) -> str:
    """Return the module that reads a field most, with the source that its docstring names."""
    modules = {
        path: count
        for path, count in readers().get(field.attribute, Counter()).items()
        if not field.within or re.search(rf"\b({field.within}|{field.holder})\b", path.read_text())
    }
    if not modules:
        return ""
    path = max(modules, key=lambda p: (modules[p], str(p)))
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    source = re.search(r"Source: ([\w./{},-]+)", text)
    return f"`{path.relative_to(ROOT)}`" + (f" ({source[1].rstrip('.,;')})" if source else "")


@cache
def cases() -> dict[str, list[dict[str, Any]]]:
    """Return the manifests of each recorded case, those of its timeline included."""
    found = {}
    for path in sorted((ROOT / "tests" / "conformance" / "cases").glob("*.yaml")):
        documents = [d for d in yaml.safe_load_all(path.read_text()) if d]
        steps = [s for d in documents if d["kind"] == "Scenario" for s in d["spec"].get("timeline", ())]
        applied = [s["apply"] for s in steps if "apply" in s]
        found[path.stem] = [*documents, *(o for a in applied for o in (a if isinstance(a, list) else [a]))]
    return found


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            here = f"{path}.{key}" if path else key
            yield here
            yield from _paths(item, here)
    elif isinstance(value, list):
        yield f"{path}[]"
        for item in value:
            yield from _paths(item, f"{path}[]")


@cache
def used() -> dict[tuple[str, str], list[str]]:
    """Return the recorded cases that use each path of each kind; a pod template's paths count for Pod."""
    found: dict[tuple[str, str], list[str]] = {}
    for case, documents in cases().items():
        here = set()
        for document in documents:
            kind = document["kind"]
            for path in _paths({k: v for k, v in document.items() if k not in ("metadata", "status")}):
                here.add((kind, path))
                if path.startswith("spec.template.spec."):
                    here.add(("Pod", path.removeprefix("spec.template.")))
        for key in here:
            found.setdefault(key, []).append(case)
    return found


@cache
def tests() -> dict[Path, Counter[str]]:
    """Return the words of each file of tests."""
    folders = (ROOT / "tests" / room for room in (*ROOMS, "api", "storage"))
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return {path: Counter(re.findall(r"\w+", path.read_text())) for path in files}


def tested_by(field: Field, kind: str) -> str:
    """Return the file of tests in which a field's name stands most often, beside what it is a part of.

    If that is the kind itself, files that name it come first.
    """
    parts = field.path.replace("[]", "").split(".")
    around = {field.within, *parts[-2:-1]} - {"spec", ""}
    counts = {
        path: words[parts[-1]] + (words[field.attribute] if field.attribute != parts[-1] else 0)
        for path, words in tests().items()
        if not around or any(words[word] for word in around)
    }
    named = [path for path, count in counts.items() if count]
    best = max(named, key=lambda p: (not around and kind in tests()[p], counts[p], str(p)), default=None)
    return f"`{best.relative_to(ROOT)}`" if best is not None else ""


def page() -> str:
    """Return the whole page."""
    lines = [HEAD]
    for kind in KINDS:
        if not is_simulated(kind.kind, kind.api_version):
            continue
        rows = [f for f in dict.fromkeys(fields(kind)) if has_effect(kind.kind, f.path)]
        if not rows:
            continue
        lines += [f"## {kind.kind}", "", "| field | recorded | test | read by |", "| --- | --- | --- | --- |"]
        for field in rows:
            recorded = used().get((kind.kind, field.path.removesuffix("[]")), [])
            cell = f"{len(recorded)}: {recorded[0]}" if recorded else ""
            lines.append(f"| `{field.path}` | {cell} | {tested_by(field, kind.kind)} | {read_by(field)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
