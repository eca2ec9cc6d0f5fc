"""The trace: one log of typed events with a cause link.

The trace is the product. Metrics, figures, checkers, explanations and comparisons read only it. During a run a row is
seven cells at the end of one list; nothing is formatted, and no row is an object before somebody reads it. Rows are
numbered from 0; ``cause`` is the number of the row that led to this one, or -1 for what the scenario itself or chance
brought about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

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


_WIDTH: Final = len(Row._fields)
_row: Final = partial(tuple.__new__, Row)
"""Makes a row of its cells; `Row` is a Python function and costs twice as much."""


class Trace:
    """An append-only log; `k8sim.result` makes a DataFrame of it.

    ``fault`` is the row of the fault that acts at this very moment: what has no other cause is caused by it.
    """

    __slots__ = ("_cells", "_length", "fault")

    def __init__(self) -> None:
        self._cells: list[Any] = []  # row after row: a tuple for each would cost twice the memory of a large run
        self._length = 0
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
        number = self._length
        self._cells += (t, kind, name, event, detail, self.fault if cause == NO_CAUSE else cause, namespace)
        self._length = number + 1
        return number

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, i: int) -> Row:
        begin = range(self._length)[i] * _WIDTH
        return _row(self._cells[begin : begin + _WIDTH])

    def __iter__(self) -> Iterator[Row]:
        cells = iter(self._cells)
        return map(_row, zip(*[cells] * _WIDTH, strict=True))

    def of_kinds(self, *kinds: str) -> Iterator[tuple[int, Row]]:
        """Yield the rows of some kinds, with their numbers; the others do not even become objects."""
        cells, wanted = self._cells, frozenset(kinds)
        for i, kind in enumerate(self.column("kind")):
            if kind in wanted:
                begin = i * _WIDTH
                yield i, _row(cells[begin : begin + _WIDTH])

    def column(self, field: str) -> list[Any]:
        """Return one field of all rows."""
        return self._cells[Row._fields.index(field) :: _WIDTH]

    def chain(self, i: int) -> list[Row]:
        """Return the row and what led to it, the row first."""
        rows = []
        while i != NO_CAUSE:
            row = self[i]
            rows.append(row)
            i = row.cause
        return rows
