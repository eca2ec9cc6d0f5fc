"""How long lifecycle hooks take, and how they end (pkg/kubelet/lifecycle/handlers.go; node.md 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

from k8sim.api.core import LifecycleHandler
from k8sim.sim.units import SECOND, parse_duration


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook's course.

    Parameters
    ----------
    duration_ns
        How long it takes, or None if only the image's behaviour can tell.
    succeeds
        Whether it ends well.
    in_container
        It runs in the container and dies with it.
    """

    duration_ns: int | None
    succeeds: bool = True
    in_container: bool = True


def hook_course(handler: LifecycleHandler) -> Hook:
    """Return what a handler does: ``sleep`` waits in the kubelet, ``exec`` runs in the container.

    ``exec: {command: [sleep, "N"]}`` takes N seconds, ``true`` and ``false`` end at once; what any other command or an
    HTTP request takes is up to the image.
    """
    if handler.sleep is not None:
        return Hook(handler.sleep.seconds * SECOND, in_container=False)
    if handler.exec is None:
        return Hook(None, in_container=False)
    command = list(handler.exec.command)
    if len(command) == 3 and command[0].rpartition("/")[2] in ("sh", "bash") and command[1] == "-c":
        command = command[2].split()
    name = command[0].rpartition("/")[2] if command else ""
    if name == "sleep" and len(command) == 2:
        try:
            return Hook(parse_duration(command[1]))
        except ValueError:
            return Hook(0, succeeds=False)
    if name in ("true", "false") and len(command) == 1:
        return Hook(0, succeeds=name == "true")
    return Hook(None)
