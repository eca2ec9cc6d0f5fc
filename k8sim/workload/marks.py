"""Snapshots and clones of volumes that have an application's data: which content a position of a volume stands for.

The storage counts bytes on each volume's own line; an application's content may also be cut back. So whenever the
storage asks how far a volume is, the answer is a number that stands for the content at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from k8sim.machines.content import Disk
from k8sim.machines.disks import Storage
from k8sim.workload.amounts import UNIT
from k8sim.workload.group import Group
from k8sim.workload.history import Content

Contents = tuple[Content, ...]
"""One for each group."""


class Marks:
    """The contents that volumes had when somebody asked."""

    def __init__(self, storage: Storage, groups: Sequence[Group]) -> None:
        self._storage = storage
        self._groups = groups
        self._marks: dict[str, dict[int, Contents]] = {}

    def watch(self, location: str, place: str) -> None:
        """Answer the storage's questions about a volume from now on."""
        disk = self._storage.disk(location)
        if disk.gauge is None:
            disk.gauge = partial(self._gauge, location, place)
        disk.written = max(disk.written, 1)

    def origin(self, location: str) -> tuple[str, Contents | None]:
        """Return what a volume begins with: ("new", None), or ("restored", the contents of its source then).

        It is ("torn", None) if its snapshot was taken under a process that wrote, and cannot be read.
        """
        disk = self._storage.disk(location)
        if disk.born_from:
            line, position = disk.born_from[-1]
            contents = self._marks.get(line, {}).get(position)
            if contents is not None:
                return ("torn", None) if self._is_torn(disk) else ("restored", contents)
        return "new", None

    def _is_torn(self, disk: Disk) -> bool:
        snapshot, chance = self._storage.snapshots.get(disk.made_from), self._groups[0].rules.torn_restore
        if snapshot is None or snapshot.quiesced or not snapshot.in_use:
            return False
        return self._storage.sim.streams.uniform(disk.name, "torn restore") < chance

    def _gauge(self, location: str, place: str) -> int:
        contents = tuple(group.on_disk(place) for group in self._groups)
        marks = self._marks.setdefault(location, {})
        if marks and next(reversed(marks.values())) == contents:
            return next(reversed(marks))
        size = sum(c.offset * g.rules.write_bytes // UNIT for c, g in zip(contents, self._groups, strict=True))
        position = max(size, max(marks, default=0) + 1)
        marks[position] = contents
        disk = self._storage.disk(location)
        disk.written = max(disk.written, position)
        return position
