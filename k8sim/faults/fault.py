"""What a fault is: an actor of the physical world with typed arguments that breaks something, and perhaps mends it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Protocol

from k8sim.api.core import Pod
from k8sim.apiserver.server import APIServer
from k8sim.machines.disks import Storage
from k8sim.machines.fleet import Fleet
from k8sim.machines.machine import Machine
from k8sim.sim.clock import rank
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE

Key = tuple[str, str]
ArgumentType = Literal["node", "zone", "pod", "claim", "name", "duration", "exit code", "count", "factor"]
TARGETS: tuple[ArgumentType, ...] = ("node", "zone", "pod", "claim")
"""The types of arguments that say what breaks."""


class Program(Protocol):
    """A program of the control plane that can be stopped and started again, with nothing remembered."""

    def stop(self) -> None:
        """End the process."""

    def start(self) -> None:
        """Start a new process."""


@dataclass(frozen=True)
class World:
    """What faults can break.

    Parameters
    ----------
    namespace
        Where pods and claims are that a fault names without one.
    storage
        The storage systems.
    controller_manager
        The kube-controller-manager.
    """

    sim: Simulation
    server: APIServer
    machines: Fleet
    namespace: str = "default"
    storage: Storage | None = None
    controller_manager: Program | None = None
    _held: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter, repr=False)

    def machine(self, node: str) -> Machine:
        """Return the machine of a node."""
        machine = self.machines.get(node)
        if machine is None:
            raise FaultFailed(f'there is no machine "{node}"')
        return machine

    def pod(self, name: str) -> Pod:
        """Return a pod by ``NAME`` or ``NAMESPACE/NAME``; pods of Deployments by the names that the trace shows."""
        namespace, key = self.key(name)
        pod = self.server.find(Pod, namespace, key)
        if pod is None:
            raise FaultFailed(f'there is no pod "{name}"')
        return pod

    def key(self, name: str) -> Key:
        """Return the key of a pod (or claim) by ``NAME`` or ``NAMESPACE/NAME``, whether or not it exists."""
        namespace, _, base = name.rpartition("/")
        return namespace or self.namespace, self.server.real_name("Pod", base)

    def hold(
        self, what: str, name: str, begin: Callable[[], object], end: Callable[[], object], for_ns: int | None
    ) -> None:
        """Break something for a time (None: for ever). What several faults break is mended when the last has ended."""
        self._held[what, name] += 1
        if self._held[what, name] == 1:
            begin()
        self.later(for_ns, f"{what} {name}", self._release, what, name, end)

    def _release(self, what: str, name: str, end: Callable[[], object]) -> None:
        self._held[what, name] -= 1
        if not self._held[what, name]:
            end()

    def later(self, delay_ns: int | None, entity: str, function: Callable[..., object], *args: Any) -> None:
        """Do something after a delay (None: never); the entity ranks it among what happens at the same instant."""
        if delay_ns is not None:
            row = self.sim.trace.fault
            self.sim.clock.call_after(delay_ns, self._because, row, function, *args, rank=rank("world", entity))

    def because(self, function: Callable[..., object], *args: Any) -> Callable[[], None]:
        """Return a call that the fault which acts now will be the cause of."""
        return partial(self._because, self.sim.trace.fault, function, *args)

    def _because(self, row: int, function: Callable[..., object], *args: Any) -> None:
        """Do what a fault does later; it is the fault that causes it."""
        self.sim.trace.fault = row
        function(*args)
        self.sim.trace.fault = NO_CAUSE


class FaultFailed(Exception):
    """The fault could not happen: what it names is not there."""


def argument(type_: ArgumentType, meaning: str, *, required: bool = True, default: Any = None, name: str = "") -> Any:
    """Return a dataclass field that is an argument of a fault.

    Parameters
    ----------
    default
        Of an argument that is not required.
    name
        The argument's name when it is not the field's (``for`` is a keyword of Python).
    """
    metadata = {"type": type_, "meaning": meaning, "required": required, "name": name}
    if required:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class Fault(ABC):
    """A fault. Subclasses are frozen dataclasses; their docstring's first line is what documentation says."""

    name: ClassVar[str]

    @abstractmethod
    def begin(self, world: World) -> None:
        """Break it now, and arrange for its end.

        Raises
        ------
        FaultFailed
            Nothing was done.
        """
