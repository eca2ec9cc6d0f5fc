"""What a container runtime says of a pod when it is asked: plain frozen data, without a clock.

Source: pkg/kubelet/container/runtime.go (PodStatus, Status), the CRI's ContainerStatus and PodSandboxStatus.
"""

from __future__ import annotations

from typing import Final

import msgspec

CREATED: Final = "created"
RUNNING: Final = "running"
EXITED: Final = "exited"
UNKNOWN: Final = "unknown"


class ContainerRecord(msgspec.Struct, frozen=True, gc=False):
    """One instance of a container. Times are exact ns; ``content`` is what the image's name stood for at its start."""

    id: str
    name: str
    image: str
    state: str
    restart_count: int = 0
    created_ns: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    content: str = ""


class SandboxRecord(msgspec.Struct, frozen=True, gc=False):
    """One sandbox of a pod: its network namespace, with an address of its own."""

    id: str
    ready: bool
    ip: str
    attempt: int = 0


class RuntimePodStatus(msgspec.Struct, frozen=True, gc=False):
    """All that the runtime knows of a pod. ``containers`` and ``sandboxes`` have the newest first."""

    uid: str
    containers: tuple[ContainerRecord, ...] = ()
    sandboxes: tuple[SandboxRecord, ...] = ()
    ip: str = ""

    def find(self, name: str) -> ContainerRecord | None:
        """Return the newest instance of a container (PodStatus.FindContainerStatusByName)."""
        for record in self.containers:
            if record.name == name:
                return record
        return None
