"""Which of an owner's objects have changed since its last sync."""

from __future__ import annotations

from collections.abc import Iterable


class Changed:
    """Names by owner UID: a handler marks them, the owner's sync takes them, so that it looks only at what is new."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, None]] = {}

    def mark(self, owner: str, name: str) -> None:
        """Remember that an object which the owner has, or had, has changed."""
        self._names.setdefault(owner, {})[name] = None

    def take(self, owner: str) -> Iterable[str]:
        """Return the marked names in order, and forget them."""
        return self._names.pop(owner, ())

    def forget(self, owner: str) -> None:
        """Drop an owner that is gone."""
        self._names.pop(owner, None)
