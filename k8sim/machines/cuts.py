"""Cuts in the network: which machines cannot reach the others. What is behind the same cuts reaches each other.

A cut says nothing of a kubelet: a fault that cuts a machine off takes its link to the API server as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Side = tuple[str, ...]
"""The cuts that a machine is behind, sorted; () is where the control plane and everybody outside are."""
Listener = Callable[[int], object]
"""Called, after who reaches whom has changed, with the trace row of what did it."""


class Cuts:
    """All cuts that there are now."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._behind: dict[str, dict[str, None]] = {}

    def side(self, node: str) -> Side:
        """Return on which side of all cuts a machine is."""
        behind = self._behind.get(node)
        return tuple(sorted(behind)) if behind else ()

    def begin(self, cut: str, nodes: Iterable[str], row: int) -> None:
        """Cut machines off from all others, together."""
        for node in nodes:
            self._behind.setdefault(node, {})[cut] = None
        self._tell(row)

    def end(self, cut: str, row: int) -> None:
        """Mend a cut."""
        for cuts in self._behind.values():
            cuts.pop(cut, None)
        self._tell(row)

    def _tell(self, row: int) -> None:
        for listener in list(self.listeners):
            listener(row)
