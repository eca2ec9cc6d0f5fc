"""Why something began, in words: the fault or command at the far end of a chain of causes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from k8sim.report.summary import step_text

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.sim.trace import Row

_FAULTS: Final[Mapping[str, str]] = {
    "node-crash": "{node} lost power",
    "node-partition": "{node} lost its connection to the API server",
    "node-isolation": "{node} was cut off from the network",
    "kubelet-restart": "the kubelet of {node} restarted",
    "runtime-outage": "the container runtime of {node} did not answer",
    "network-plugin-outage": "the network plug-in of {node} did not work",
    "static-pod-change": "a manifest on {node} changed",
    "container-exit": "a process of {pod} ended",
    "unready": "readiness probes of {pod} failed",
    "hang": "{pod} hung",
    "slow-answers": "{pod} answered probes late",
    "node-oom": "{node} was out of memory",
    "oom-kill": "{pod} used too much memory and was killed",
    "spot-reclaim": "the cloud took {node} away",
    "zone-outage": "zone {zone} lost power",
    "zone-partition": "zone {zone} lost its connection to the API server",
    "zone-isolation": "zone {zone} was cut off from the network",
    "disk-loss": "the disk of {claim} was lost",
    "storage-outage": "the storage system did not answer",
    "registry-outage": "the image registry did not answer",
    "apiserver-outage": "the API server did not answer",
    "controller-manager-restart": "the kube-controller-manager restarted",
}
_TARGETS: Final = ("node", "pod", "zone", "claim")


class _Fallback(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return f"a {key}"


def fault_words(name: str, arguments: Mapping[str, Any]) -> str:
    """Return what a fault is, as a clause."""
    form = _FAULTS.get(name)
    if form is not None:
        return form.format_map(_Fallback({k: v for k, v in arguments.items() if v is not None}))
    targets = [str(arguments[key]) for key in _TARGETS if arguments.get(key)]
    return " of ".join([name, *targets])


def is_outside(row: Row) -> bool:
    """Tell whether a row is something done to the cluster from outside: a step of the timeline, a random fault."""
    return row.kind in ("Step", "Fault")


def row_words(result: Result, row: Row) -> str:
    """Return what a step or a random fault did, as a clause."""
    if row.kind == "Fault":
        target = row.detail.get("target")
        return fault_words(row.name, dict.fromkeys(_TARGETS, target) if target else {})
    timeline = result.scenario.timeline
    index = row.detail.get("step", -1)
    if not 0 <= index < len(timeline):
        return row.name
    step = timeline[index]
    return fault_words(step.name, step.arguments) if step.action == "fault" else step_text(step)


def root_of(result: Result, row: int) -> int:
    """Return the step or fault that a row goes back to, -1 if there is none."""
    while row >= 0:
        found = result.log[row]
        if found.kind in ("Step", "Fault"):
            return row
        row = found.cause
    return -1


def root_words(result: Result, row: int) -> str:
    """Return what a row goes back to, in words; "" if to nothing from outside."""
    root = root_of(result, row)
    return row_words(result, result.log[root]) if root >= 0 else ""
