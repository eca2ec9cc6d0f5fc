"""A place in a scenario file: reads values of the type that is wanted there, or says where they are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from k8sim.api.fielderror import FieldPath, path_text
from k8sim.api.quantity import parse_quantity
from k8sim.api.schema import describe
from k8sim.scenario.errors import ScenarioError
from k8sim.scenario.model import Source
from k8sim.scenario.yamlsource import Document
from k8sim.sim.distributions import Distribution, parse_distribution
from k8sim.sim.units import parse_duration


class Part:
    """A value in a document, with its path."""

    def __init__(self, document: Document, path: FieldPath = ()) -> None:
        self.document = document
        self.path = path
        value = document.data
        for step in path:
            value = value[step]
        self.value: Any = value

    @property
    def source(self) -> Source:
        """File and line."""
        return Source(self.document.file, self.document.line_of(self.path))

    def error(self, problem: str, hint: str | None = None) -> ScenarioError:
        """Build the error for this value; the message begins with its path."""
        return self.document.error(self.path, f"{path_text(self.path)}: {problem}", hint)

    def child(self, key: str) -> Part | None:
        """The value under a key; None if there is none, or null."""
        if not isinstance(self.value, dict):
            raise self._unexpected("a mapping")
        return None if self.value.get(key) is None else Part(self.document, (*self.path, key))

    def mapping(self, known: Iterable[str] | None = None) -> dict[str, Part]:
        """The values that are not null by their keys; other keys than `known` are refused."""
        if not isinstance(self.value, dict):
            raise self._unexpected("a mapping")
        if known is not None:
            self._refuse_unknown(list(known))
        return {k: Part(self.document, (*self.path, k)) for k, v in self.value.items() if v is not None}

    def items(self) -> Iterator[Part]:
        """The items of a list."""
        if not isinstance(self.value, list):
            raise self._unexpected("a list")
        return (Part(self.document, (*self.path, i)) for i in range(len(self.value)))

    def require(self, key: str, hint: str | None = None) -> Part:
        """The value under a key that must be there."""
        found = self.child(key)
        if found is None:
            raise self.error(f"{key} is missing", hint)
        return found

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self._unexpected("a string")
        return self.value

    def word(self) -> str:
        """A string that is not empty."""
        if not self.text():
            raise self.error("must not be empty")
        return self.text()

    def integer(self, low: int, high: int) -> int:
        """An integer within bounds, both included."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self._unexpected("an integer")
        if not low <= self.value <= high:
            raise self.error(f"{self.value} is not between {low} and {high}")
        return self.value

    def number(self, low: float, high: float) -> float:
        """A number within bounds, both included."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self._unexpected("a number")
        if not low <= self.value <= high:
            raise self.error(f"{self.value} is not between {low:g} and {high:g}")
        return float(self.value)

    def flag(self) -> bool:
        """A boolean."""
        if not isinstance(self.value, bool):
            raise self._unexpected("true or false")
        return self.value

    def duration(self) -> int:
        """A duration, in ns."""
        duration: int = self._read(parse_duration, 'durations are written "500ms", "1m30s", "2h", "7d", or in seconds')
        return duration

    def amount(self) -> int:
        """An amount of bytes."""
        if not isinstance(self.value, str | int | float):
            raise self._unexpected("an amount")
        amount: int = self._read(parse_quantity, 'amounts are written "500Mi", "2Gi", or in bytes')
        return amount

    def distribution(self, folder: Path) -> Distribution:
        """A duration or a distribution of durations; files are looked for in `folder`."""
        distribution: Distribution = self._read(lambda value: parse_distribution(value, folder), None)
        return distribution

    def distribution_or_never(self, folder: Path) -> Distribution | None:
        """The same, and "never" is None."""
        return None if self.value == "never" else self.distribution(folder)

    def one_of(self, known: Iterable[str], what: str) -> str:
        """A string that is one of a few."""
        choices = sorted(known)
        if self.text() not in choices:
            hint = did_you_mean(self.text(), choices, f"known {what}s")
            raise self.error(f"unknown {what} {self.value!r}", hint)
        return self.text()

    def _read(self, parse: Callable[[Any], Any], hint: str | None) -> Any:
        try:
            return parse(self.value)
        except ValueError as problem:
            raise self.error(str(problem), hint) from None
        except OSError as problem:
            raise self.error(f"{problem.filename}: {problem.strerror}") from None

    def _unexpected(self, wanted: str) -> ScenarioError:
        hint = None
        if wanted == "a string" and isinstance(self.value, bool):
            hint = "YAML reads yes, no, on, off, y and n as booleans; put the word in quotes"
        elif wanted == "a string" and isinstance(self.value, int | float):
            hint = f'write it in quotes: "{self.value}"'
        return self.error(f"expected {wanted}, got {describe(self.value)}", hint)

    def _refuse_unknown(self, known: list[str]) -> None:
        for key in self.value:
            if key not in known:
                place = f"{path_text(self.path)}: " if self.path else ""
                hint = did_you_mean(key, known, "known keys here")
                raise self.document.error((*self.path, key), f"{place}unknown key {key!r}", hint)


def did_you_mean(word: str, known: Iterable[str], list_as: str) -> str:
    """A hint: the word that is like it, or all that are known."""
    choices = sorted(known)
    similar = get_close_matches(word, choices, 1, 0.7) or [c for c in choices if c.lower() == word.lower()]
    if similar:
        return f"did you mean {similar[0]}?"
    shown = choices if len(choices) <= 40 else [*choices[:40], "..."]
    return f"{list_as}: {', '.join(shown) or 'none'}"
