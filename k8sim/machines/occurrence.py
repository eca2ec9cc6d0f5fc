"""What happens in a machine's runtime, as told to those who watch it: the network, and the software in containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from k8sim.sim.trace import NO_CAUSE

if TYPE_CHECKING:
    from k8sim.machines.container import Container
    from k8sim.machines.machine import Machine
    from k8sim.machines.sandbox import PodSandbox

What = Literal["started", "hook", "stopping", "ended", "lost", "answers", "network"]
"""A process has started, a hook has begun (``hook`` says which), SIGTERM has been sent, the process has ended, it is
gone with its machine, it answers probes differently, the pod's sandbox has come or gone."""


class Occurrence(msgspec.Struct, frozen=True):
    """One thing that has happened to a pod on a machine. ``row`` is the trace row that stands for it or led to it."""

    what: What
    machine: Machine
    pod: PodSandbox
    container: Container | None = None
    row: int = NO_CAUSE
    hook: str = ""


Observer = Callable[[Occurrence], None]
