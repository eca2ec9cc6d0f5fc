"""The phases of an outage: what a pod that is not Ready waits for, one thing at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Family = Literal["notice", "stop", "place", "storage", "start", "probe", "crash"]


class PhaseKind(NamedTuple):
    """A kind of phase: its family (which has a colour), its label, and what it means."""

    family: Family
    label: str
    meaning: str


FAMILIES: Final[Mapping[Family, str]] = {
    "notice": "nobody knows, or it is tolerated",
    "stop": "the old pod ends",
    "place": "no pod, or no node for it",
    "storage": "its volume",
    "start": "images and containers",
    "probe": "until it says it is ready",
    "crash": "its process is down",
}
PHASES: Final[Mapping[str, PhaseKind]] = {
    "unnoticed": PhaseKind(
        "notice", "unnoticed", "the node does not answer, and the control plane waits for its lease"
    ),
    "tolerated": PhaseKind("notice", "tolerated", "the node is known to be away; the pod's toleration runs"),
    "terminating": PhaseKind("stop", "terminating", "the pod is deleted, its containers end or cannot be reached"),
    "failed": PhaseKind("place", "failed", "the pod has ended for good; its controller has yet to delete it"),
    "gone": PhaseKind("place", "no pod", "the pod is gone; its controller has yet to make a new one"),
    "unscheduled": PhaseKind("place", "scheduling", "the scheduler has yet to choose a node"),
    "unschedulable": PhaseKind("place", "no node fits", "the scheduler has found no node"),
    "provisioning": PhaseKind("storage", "volume being made", "its volume is being made"),
    "held": PhaseKind("storage", "volume held", "its volume is still attached to another node"),
    "detaching": PhaseKind("storage", "detaching", "its volume is being detached from another node"),
    "attaching": PhaseKind("storage", "attaching", "its volume is being attached to its node"),
    "mounting": PhaseKind("storage", "mounting", "its volume is attached; the kubelet has yet to see and mount it"),
    "pulling": PhaseKind("start", "image", "an image is being pulled"),
    "init": PhaseKind("start", "init", "init containers run"),
    "starting": PhaseKind("start", "starting", "containers are being set up"),
    "crashed": PhaseKind("crash", "down", "a container has ended and has yet to be started again"),
    "backoff": PhaseKind("crash", "back-off", "the kubelet waits before it starts the container again"),
    "readying": PhaseKind("probe", "not yet ready", "containers run; readiness has yet to be seen"),
    "unready": PhaseKind("probe", "unready", "containers run, readiness probes fail"),
}


@dataclass(frozen=True)
class Phase:
    """A time during which an identity waited for one thing.

    Attributes
    ----------
    name
        A key of `PHASES`.
    start_ns, end_ns
        None: until the end of the run.
    text
        What it waited for, in words.
    until
        What ended the wait, where that was something special.
    row
        The row of the trace that began it.
    """

    name: str
    start_ns: int
    end_ns: int | None
    text: str
    until: str
    row: int

    def length_ns(self, run_end_ns: int) -> int:
        """Return how long it was within the run."""
        return (run_end_ns if self.end_ns is None else self.end_ns) - self.start_ns


@dataclass(frozen=True)
class Episode:
    """A time during which an identity was not Ready though it should have been.

    Attributes
    ----------
    kind
        "start": until it was Ready for the first time; "outage": later.
    end_ns
        None: until the end of the run.
    cause
        What it goes back to, in words; "" if to nothing in particular.
    row
        The row of the trace that began it.
    replaced
        It ended because the pod is gone for good; a pod of another name does its work.
    """

    kind: Literal["start", "outage"]
    namespace: str
    name: str
    start_ns: int
    end_ns: int | None
    cause: str
    phases: tuple[Phase, ...]
    row: int
    replaced: bool = False

    def length_ns(self, run_end_ns: int) -> int:
        """Return how long it was within the run."""
        return (run_end_ns if self.end_ns is None else self.end_ns) - self.start_ns
