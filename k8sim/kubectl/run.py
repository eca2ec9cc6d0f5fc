"""Which function runs which command."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from k8sim.apiserver.errors import ApiError
from k8sim.kubectl.command import Command
from k8sim.kubectl.process import CommandError, Process, Result, Steps
from k8sim.kubectl.verbs import changes, delete, drain, get, keys, nodes, rollout, waiting

FUNCTIONS: Mapping[str, Callable[[Process, Command], Steps[None]]] = {
    "annotate": keys.annotate,
    "cordon": nodes.cordon,
    "delete": delete.delete,
    "drain": drain.drain,
    "get": get.get,
    "label": keys.label,
    "patch": changes.patch,
    "rollout history": rollout.history,
    "rollout pause": rollout.pause,
    "rollout restart": rollout.restart,
    "rollout resume": rollout.resume,
    "rollout status": rollout.status,
    "rollout undo": rollout.undo,
    "scale": changes.scale,
    "set env": changes.set_env,
    "set image": changes.set_image,
    "set resources": changes.set_resources,
    "taint": keys.taint,
    "uncordon": nodes.uncordon,
    "wait": waiting.wait,
}


def run(process: Process, command: Command) -> Steps[Result]:
    """Run a command from the start of the program to its end; use with ``yield from``."""
    yield from process.start()
    real_name = process.server.real_name  # pods of Deployments are known by the names that the trace gives them
    targets = tuple(target._replace(name=real_name(*target)) for target in command.targets)
    command = dataclasses.replace(command, targets=targets)
    try:
        yield from FUNCTIONS[command.verb](process, command)
    except (ApiError, CommandError) as error:
        process.fail(error)
    return process.result
