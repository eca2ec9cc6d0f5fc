"""The faults that a timeline can name, and their arguments. What they do is elsewhere in this room."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

ArgumentType = Literal["node", "name", "duration", "exit code"]


@dataclass(frozen=True)
class Argument:
    """One argument of a fault: what it is, and whether it may be left out."""

    type: ArgumentType
    required: bool = True


@dataclass(frozen=True)
class FaultShape:
    """How a fault is written in a timeline."""

    meaning: str
    arguments: Mapping[str, Argument]


_NODE = Argument("node")
_NAME = Argument("name")
_FOR = Argument("duration")

FAULTS: Final[Mapping[str, FaultShape]] = {
    "node-crash": FaultShape(
        "power loss: kubelet and containers gone at once; after `for` (absent: never) the machine boots",
        {"node": _NODE, "for": Argument("duration", required=False)},
    ),
    "node-partition": FaultShape(
        "the kubelet cannot reach the API server; containers go on", {"node": _NODE, "for": _FOR}
    ),
    "kubelet-restart": FaultShape("the kubelet restarts; containers go on", {"node": _NODE}),
    "container-exit": FaultShape(
        "the process ends now", {"pod": _NAME, "container": _NAME, "code": Argument("exit code")}
    ),
    "unready": FaultShape("readiness probes of the pod fail", {"pod": _NAME, "for": _FOR}),
    "hang": FaultShape("liveness and readiness probes of the pod fail", {"pod": _NAME, "for": _FOR}),
}
