"""The base of all API objects: frozen, cheap to copy with a change, faithful to fields that we do not simulate.

Objects are immutable versions. A change makes a new object (`replace`), so a stale cache is just an older
reference. A field that a manifest has and that no room of the simulator reads is kept in ``extra`` under its wire
name: it is shown by ``k8sim get -o yaml``, survives patches, and never influences the simulation.
"""

from __future__ import annotations

from typing import Any, NewType

import msgspec

Time = NewType("Time", int)
"""A moment in ns of simulated time (t = 0 is when the scenario's objects are applied); RFC 3339 on the wire."""

IntOrString = int | str


class Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A part of an API object. ``extra`` holds the fields that are kept for display only."""

    extra: dict[str, Any] | None = None


replace = msgspec.structs.replace
