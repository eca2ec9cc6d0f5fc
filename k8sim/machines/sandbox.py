"""A pod as the runtime of a machine knows it, and a container as it was before a run begins."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from k8sim.machines.container import Container
from k8sim.machines.records import SandboxRecord

Key = tuple[str, str]


class Earlier(msgspec.Struct, frozen=True, gc=False):
    """A container that was there before t = 0; ``finished_ns`` None: it still runs."""

    name: str
    image: str
    started_ns: int
    restart_count: int = 0
    finished_ns: int | None = None
    exit_code: int = 0
    reason: str = ""


@dataclass(slots=True)
class PodSandbox:
    """A pod as the runtime knows it: its sandboxes and containers, the newest last."""

    uid: str
    key: Key
    sandboxes: list[SandboxRecord] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
