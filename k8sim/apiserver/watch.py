"""Changes of stored objects, as watchers see them."""

from __future__ import annotations

from typing import Literal

import msgspec

from k8sim.api.meta import Object
from k8sim.sim.trace import NO_CAUSE

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of one object.

    ``old`` is None for ADDED. For DELETED ``new`` is the last state. ``row`` is the trace row that stands for the
    change: whatever a watcher does because of it names this row as its cause. ``of_status``: the change is known to
    leave metadata and spec as they were; most changes are of this kind, and most handlers dismiss them.
    ``later_ns``: by how much it is stored later than what the same request stored before it.
    """

    type: ChangeType
    old: Object | None
    new: Object
    row: int = NO_CAUSE
    actor: str = ""
    of_status: bool = False
    later_ns: int = 0
