"""The trace: one columnar log of typed events with a cause link.

The trace is the product. Metrics, figures, checkers, explanations and comparisons read only it. During a run a row is
five appends; nothing is formatted. Rows are numbered from 0; ``cause`` is the number of the row that led to this one,
or -1 for what the scenario itself or chance brought about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

NO_CAUSE = -1
Detail = Mapping[str, Any]


class Row(NamedTuple):
    """One event of the trace. ``t`` is in ns; ``kind`` names the kind of object, ``name`` the object."""

    t: int
    kind: str
    name: str
    event: str
    detail: Detail
    cause: int
    namespace: str


class Trace:
    """An append-only log. Columns are plain lists; `k8sim.result` makes a DataFrame of them.

    ``fault`` is the row of the fault that acts at this very moment: what has no other cause is caused by it.
    """

    __slots__ = ("causes", "details", "events", "fault", "kinds", "names", "namespaces", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.kinds: list[str] = []
        self.names: list[str] = []
        self.events: list[str] = []
        self.details: list[Detail] = []
        self.causes: list[int] = []
        self.namespaces: list[str] = []
        self.fault = NO_CAUSE

    def append(
        self,
        t: int,
        kind: str,
        name: str,
        event: str,
        detail: Detail,
        cause: int = NO_CAUSE,
        namespace: str = "",
    ) -> int:
        """Add a row and return its number."""
        self.times.append(t)
        self.kinds.append(kind)
        self.names.append(name)
        self.events.append(event)
        self.details.append(detail)
        self.causes.append(self.fault if cause == NO_CAUSE else cause)
        self.namespaces.append(namespace)
        return len(self.times) - 1

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, i: int) -> Row:
        return Row(
            self.times[i], self.kinds[i], self.names[i], self.events[i], self.details[i], self.causes[i],
            self.namespaces[i],
        )  # fmt: skip

    def __iter__(self) -> Iterator[Row]:
        return map(Row, self.times, self.kinds, self.names, self.events, self.details, self.causes, self.namespaces)

    def chain(self, i: int) -> list[Row]:
        """Return the row and what led to it, the row first."""
        rows = []
        while i != NO_CAUSE:
            rows.append(self[i])
            i = self.causes[i]
        return rows
