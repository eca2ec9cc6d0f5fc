"""Which of many selectors select an object, without asking all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8sim.api.meta import LabelSelector
from k8sim.api.selectors import selector_matches

Key = tuple[str, str]
_Pair = tuple[str, str, str]


class SelectorIndex:
    """Selectors of namespaced objects (services, budgets), filed under one label pair that each of them demands.

    A null selector selects nothing. A selector that demands no pair (empty, or of expressions other than In) is asked
    about every object of its namespace.
    """

    def __init__(self) -> None:
        self._selectors: dict[Key, LabelSelector] = {}
        self._by_pair: dict[_Pair, dict[Key, None]] = {}
        self._unfiled: dict[str, dict[Key, None]] = {}

    def put(self, key: Key, selector: LabelSelector | None) -> None:
        """Add or replace the selector of an object."""
        self.discard(key)
        if selector is None:
            return
        self._selectors[key] = selector
        for bucket in self._buckets(key[0], selector):
            bucket[key] = None

    def discard(self, key: Key) -> None:
        """Remove the selector of an object."""
        selector = self._selectors.pop(key, None)
        if selector is not None:
            for bucket in self._buckets(key[0], selector):
                bucket.pop(key, None)

    def matching(self, namespace: str, labels: Mapping[str, str]) -> list[Key]:
        """Return the keys of the selectors that select these labels, in the order of their names."""
        candidates: dict[Key, None] = dict(self._unfiled.get(namespace, ()))
        for name, value in labels.items():
            demanding = self._by_pair.get((namespace, name, value))
            if demanding is not None:
                candidates |= demanding
        return sorted([key for key in candidates if selector_matches(self._selectors[key], labels)])

    def _buckets(self, namespace: str, selector: LabelSelector) -> Iterable[dict[Key, None]]:
        pairs = _demanded(selector)
        if not pairs:
            return (self._unfiled.setdefault(namespace, {}),)
        return [self._by_pair.setdefault((namespace, *pair), {}) for pair in pairs]


def _demanded(selector: LabelSelector) -> list[tuple[str, str]]:
    """Return label pairs of which an object must have one; none if the selector does not say."""
    for pair in selector.match_labels.items():
        return [pair]
    for requirement in selector.match_expressions:
        if requirement.operator == "In":
            return [(requirement.key, value) for value in requirement.values]
    return []
