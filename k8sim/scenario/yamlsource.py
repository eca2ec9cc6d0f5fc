"""YAML files as plain data that remembers its lines.

Reads what Kubernetes reads (sigs.k8s.io/yaml, which is go-yaml v2 turned into JSON): yes/no/on/off are
booleans, dates and 12:30:45 are strings, keys are strings, an integral float is an integer. Stricter where a
slip would be silent: a key may stand once, and tags that build objects are refused. Limits are checked while
reading, so that a hostile file costs little.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

import yaml

from k8sim.scenario.errors import ScenarioError

MAX_FILE_BYTES: Final = 16 * 2**20
MAX_DEPTH: Final = 100
MAX_ALIASED_NODES: Final = 200_000  # nodes that exist only because an alias repeats them

Path_ = tuple[str | int, ...]
#: Children of a node: a line and their own children, by key or index; None for a scalar.
Marks = dict[Any, tuple[int, "Marks"]] | None


@dataclass(frozen=True)
class Document:
    """One YAML document.

    Parameters
    ----------
    file, line
        Where it begins.
    data
        Plain dicts (string keys), lists, strings, numbers, booleans and None.
    marks
        Lines of its parts, in the same shape.
    """

    file: str
    line: int
    data: Any
    marks: Marks = None

    def line_of(self, path: Path_) -> int:
        """Line of a part; of the nearest enclosing part if the path leads nowhere."""
        line, marks = self.line, self.marks
        for step in path:
            if marks is None or step not in marks:
                break
            line, marks = marks[step]
        return line

    def part(self, path: Path_) -> "Document":
        """A part as a document of its own."""
        data, marks = self.data, self.marks
        for step in path:
            data = data[step]
            marks = marks[step][1] if marks is not None and step in marks else None
        return Document(self.file, self.line_of(path), data, marks)

    def error(self, path: Path_, problem: str, hint: str | None = None) -> ScenarioError:
        """Build the error for something wrong with a part."""
        return ScenarioError(self.file, self.line_of(path), problem, hint)


def read_file(path: Path, name: str | None = None) -> list[Document]:
    """Documents of a file, without those that are empty or hold only comments.

    Parameters
    ----------
    path
        The file.
    name
        What messages call it; its path by default.
    """
    name = name or str(path)
    try:
        status = path.stat()
        if S_ISDIR(status.st_mode):
            raise ScenarioError(name, None, "is a directory", "name a scenario file in it")
        if not S_ISREG(status.st_mode):
            raise ScenarioError(name, None, "is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise ScenarioError(name, None, f"is larger than {MAX_FILE_BYTES // 2**20} MiB", "split it")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ScenarioError(name, None, "no such file") from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        raise ScenarioError(name, None, f"cannot be read: {getattr(problem, 'strerror', problem)}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise ScenarioError(name, line, "is not UTF-8 text", "is this a YAML file?") from None
    return read_text(text, name)


def read_text(text: str, name: str) -> list[Document]:
    """Documents of a text, without those that are empty or hold only comments."""
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ScenarioError(name, line, "is a binary file", "is this a YAML file?")
    try:
        return [document for document in _Builder(text, name).documents() if document.data is not None]
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = None if mark is None else mark.line + 1
        hint = _syntax_hint(text, where)
        raise ScenarioError(name, where, f"is not valid YAML: {_reason(problem)}", hint) from None
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise ScenarioError(name, line, f"is not valid YAML: {problem.reason}") from None
    except yaml.YAMLError as problem:
        raise ScenarioError(name, None, f"is not valid YAML: {problem}") from None


def _reason(problem: yaml.MarkedYAMLError) -> str:
    if "maximum nesting depth" in str(problem.problem):  # libyaml reads ahead of us
        return f"it is nested deeper than {MAX_DEPTH} levels"
    parts = [part for part in (problem.context, problem.problem) if part]
    return ", ".join(parts) or "syntax error"


def _syntax_hint(text: str, line: int | None) -> str | None:
    lines = text.split("\n")
    source = lines[line - 1] if line is not None and line <= len(lines) else ""
    if "\t" in source:
        return "YAML is indented with spaces, not with tabs"
    if "{{" in source:
        return "this looks like a Helm template: load what `helm template` prints"
    return None


@dataclass(slots=True)
class _Node:
    data: Any
    marks: Marks
    size: int  # nodes, itself and those repeated by aliases included


class _Builder:
    """Builds data straight from the parser's events, one document at a time."""

    def __init__(self, text: str, name: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)
        self._name = name
        self._anchors: dict[str, _Node | None] = {}  # None while the node is being read
        self._aliased = 0

    def documents(self) -> Iterator[Document]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                first = next(self._events)
                node = self._node(first, 0)
                yield Document(self._name, first.start_mark.line + 1, node.data, node.marks)

    def _error(self, event: Any, problem: str, hint: str | None = None) -> ScenarioError:
        return ScenarioError(self._name, event.start_mark.line + 1, problem, hint)

    def _node(self, event: Any, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(self._scalar(event), None, 1)
        else:
            if depth >= MAX_DEPTH:
                raise self._error(event, f"is nested deeper than {MAX_DEPTH} levels")
            if isinstance(event, yaml.MappingStartEvent):
                self._check_tag(event, "map", "set", "omap")
                node = self._mapping(event, depth)
            else:
                self._check_tag(event, "seq", "omap", "pairs")
                node = self._sequence(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            if event.anchor in self._anchors:
                raise self._error(event, f"the anchor &{event.anchor} contains itself")
            raise self._error(event, f"unknown alias *{event.anchor}", f"define &{event.anchor} first")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            raise self._error(
                event,
                f"aliases repeat more than {MAX_ALIASED_NODES} nodes",
                "write the repeated parts out, or repeat less",
            )
        return node

    def _sequence(self, depth: int) -> _Node:
        data: list[Any] = []
        marks: dict[Any, tuple[int, Marks]] = {}
        size = 1
        for event in iter(self._events.__next__, None):
            if isinstance(event, yaml.SequenceEndEvent):
                break
            item = self._node(event, depth + 1)
            marks[len(data)] = (event.start_mark.line + 1, item.marks)
            data.append(item.data)
            size += item.size
        return _Node(data, marks, size)

    def _mapping(self, start: Any, depth: int) -> _Node:
        data: dict[str, Any] = {}
        marks: dict[Any, tuple[int, Marks]] = {}
        merged: list[_Node] = []
        size = 1
        for event in iter(self._events.__next__, None):
            if isinstance(event, yaml.MappingEndEvent):
                break
            is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
            key = self._key(event, depth)
            value_event = next(self._events)
            value = self._node(value_event, depth + 1)
            size += 1 + value.size
            if is_merge:
                merged += self._merge_sources(value_event, value)
                continue
            if key in data:
                first = marks[key][0]
                problem = f"the key {key!r} stands twice (first in line {first})"
                raise self._error(event, problem, "remove one of them")
            data[key] = value.data
            marks[key] = (event.start_mark.line + 1, value.marks)
        for source in merged:  # a key of the mapping itself wins, then the earlier source
            for key, item in source.data.items():
                if key not in data:
                    data[key] = item
                    marks[key] = (start.start_mark.line + 1, None)
                    if source.marks is not None and key in source.marks:
                        marks[key] = source.marks[key]
        return _Node(data, marks, size)

    def _merge_sources(self, event: Any, value: _Node) -> list[_Node]:
        if isinstance(value.data, dict):
            return [value]
        if isinstance(value.data, list) and all(isinstance(item, dict) for item in value.data):
            marks = value.marks or {}
            return [_Node(item, marks[i][1], 1) for i, item in enumerate(value.data)]
        raise self._error(event, "the merge key << needs a mapping or a list of mappings")

    def _key(self, event: Any, depth: int) -> str:
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            raise self._error(
                event,
                "a key is a mapping or a list",
                "if this is a Helm template ({{ ... }}), load what `helm template` prints",
            )
        key = self._node(event, depth + 1).data
        if isinstance(key, str):
            return key
        if key is None:
            return "null"
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, int | float):
            return str(key)
        raise self._error(event, "a key is a mapping or a list")

    def _check_tag(self, event: Any, *allowed: str) -> None:
        if event.tag is None or event.tag == "!" or event.tag.removeprefix(_STANDARD) in allowed:
            return
        problem = f"the tag {_short(event.tag)} is not allowed here"
        raise self._error(event, problem, "write plain YAML without tags")

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag is None and event.implicit[0]:
            return resolve_plain(event.value)
        if tag is None or tag == "!":
            return event.value
        self._check_tag(event, "str", "int", "float", "bool", "null", "timestamp", "binary")
        kind = tag.removeprefix(_STANDARD)
        if kind in ("str", "timestamp", "binary"):
            return event.value
        value = resolve_plain(event.value)
        if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            return value
        if type(value).__name__ != {"null": "NoneType"}.get(kind, kind):
            raise self._error(event, f"{event.value!r} is not a {_short(tag)}")
        return value


_STANDARD = "tag:yaml.org,2002:"
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MAX_DIGITS: Final = 400  # no number that a float can hold is longer


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag


def resolve_plain(text: str) -> Any:
    """Value of a plain scalar as go-yaml v2 resolves it.

    Source: sigs.k8s.io/yaml, goyaml.v2/resolve.go. A not-a-number or infinity stays text: JSON has none.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > _MAX_DIGITS:
        return text
    number = text.replace("_", "")
    if _INTEGER.fullmatch(number):
        sign = -1 if number[0] == "-" else 1
        digits = number.lstrip("+-").lower()
        if digits[0] == "0" and digits[1:].isdigit():  # 0644: octal, as in YAML 1.1
            return sign * int(digits, 8)
        return sign * int(digits, 0)
    if _FLOAT.fullmatch(number):
        value = float(number)
        if math.isinf(value):
            return text
        # JSON writes 3.0 as 3, so an integer field accepts it.
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    return text
