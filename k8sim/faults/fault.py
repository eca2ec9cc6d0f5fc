"""What a fault is: an actor of the physical world with typed arguments that breaks something, and perhaps mends it."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from k8sim.api.core import Node, Pod
from k8sim.sim.ranks import rank
from k8sim.sim.trace import NO_CAUSE

if TYPE_CHECKING:
    from k8sim.apiserver.server import APIServer
    from k8sim.machines.disks import Storage
    from k8sim.machines.fleet import Fleet
    from k8sim.machines.machine import Machine
    from k8sim.sim.simulation import Simulation

Key = tuple[str, str]
ArgumentType = Literal["node", "zone", "pod", "claim", "name", "duration", "exit code", "count", "factor", "amount"]
TARGETS: tuple[ArgumentType, ...] = ("node", "zone", "pod", "claim")
"""The types of arguments that say what breaks."""


Notified = Callable[[str, int], object]


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
    provider
        Makes a machine that is off, whose kubelet will register the given Node.
    retired
        Machines that will never be on again.
    """

    sim: Simulation
    server: APIServer
    machines: Fleet
    namespace: str = "default"
    storage: Storage | None = None
    controller_manager: Program | None = None
    provider: Callable[[Node], Machine] | None = None
    retired: dict[str, None] = dataclasses.field(default_factory=dict)
    _notified: list[Notified] = dataclasses.field(default_factory=list, repr=False)
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

    # ---- machines that come and go ------------------------------------------------------------------------------

    def provide(self, template: Node, off: bool = False) -> None:
        """Add a machine; it boots at once, or is left off."""
        if self.provider is None:
            raise FaultFailed("there is nobody who provides machines")
        machine = self.provider(template)
        self.machines.join(template.name, machine)
        if not off:
            machine.boot_up()

    def retire(self, node: str) -> None:
        """Take a machine out of service for good: what else holds it down, it will not boot."""
        self.retired[node] = None
        self._held["power", node] += 1

    def on_notice(self, notified: Notified) -> None:
        """Call a function with the node's name and the time that is left when a machine will be taken away."""
        self._notified.append(notified)

    def give_notice(self, node: str, lead_ns: int) -> None:
        """Say that a machine will be taken away."""
        for notified in self._notified:
            notified(node, lead_ns)

    # ---- what is broken for a time ------------------------------------------------------------------------------

    def hold(
        self, what: str, name: str, begin: Callable[[], object], end: Callable[[], object], for_ns: int | None
    ) -> None:
        """Break something for a time (None: for ever). What several faults break is mended when the last has ended."""
        self._held[what, name] += 1
        if self._held[what, name] == 1 or name in self.retired:
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
    """A fault. Subclasses are frozen dataclasses; their docstring's first line is what documentation says.

    ``transient``: without a ``for`` it ends by itself; others last for ever.
    """

    name: ClassVar[str]
    transient: ClassVar[bool] = False

    @abstractmethod
    def begin(self, world: World) -> None:
        """Break it now, and arrange for its end.

        Raises
        ------
        FaultFailed
            Nothing was done.
        """
