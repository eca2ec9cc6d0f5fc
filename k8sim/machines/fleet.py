"""All machines of a cluster, those that join later included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from k8sim.machines.cuts import Cuts
from k8sim.machines.machine import Machine

Newcomer = Callable[[str, Machine], object]


class Fleet(Mapping[str, Machine]):
    """Machines by the names of their nodes, and the cuts between them.

    Who wants to know all of them is told of each that joins.
    """

    def __init__(self, machines: Mapping[str, Machine] | None = None) -> None:
        self._machines: dict[str, Machine] = dict(machines or {})
        self._told: list[Newcomer] = []
        self.cuts = Cuts()

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._machines)

    def __len__(self) -> int:
        return len(self._machines)

    def join(self, name: str, machine: Machine) -> None:
        """Add a machine."""
        self._machines[name] = machine
        for tell in self._told:
            tell(name, machine)

    def meet(self, tell: Newcomer) -> None:
        """Call a function with each machine that there is, and with each that joins."""
        self._told.append(tell)
        for name, machine in list(self._machines.items()):
            tell(name, machine)
