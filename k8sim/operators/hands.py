"""What operators do things with: kubectl, and the machines' switches. Everything leaves a row of kind Operator."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from k8sim.faults.fault import Fault, World
from k8sim.faults.nodes import NodeCrash, NodeShutdown
from k8sim.kubectl.parser import parse
from k8sim.kubectl.process import Process, Result
from k8sim.kubectl.run import run
from k8sim.sim.clock import Event, rank
from k8sim.sim.distributions import Distribution
from k8sim.sim.trace import NO_CAUSE

Steps = Generator[Event, Any, None]


class Hands:
    """One operator, by name; the name is in its rows and in the addresses of its delays."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.sim = world.sim
        self.clock = world.sim.clock

    def rank(self, target: str) -> int:
        """Return the tie rank of what is done to a target."""
        return rank("kubectl", f"{self.name}/{target}")

    def draw(self, law: Distribution, target: str, purpose: str = "after") -> int:
        """Draw a delay for a target; each time is another draw."""
        return law.quantile(self.sim.streams.uniform(f"operators/{self.name}/{target}", purpose))

    def note(self, event: str, target: str, cause: int = NO_CAUSE, **detail: Any) -> int:
        """Leave a row."""
        row = {"target": target, **detail}
        return self.sim.trace.append(self.clock.now, "Operator", self.name, event, row, cause)

    def kubectl(self, command: str, target: str, cause: int) -> Generator[Event, Any, Result]:
        """Run a command to its end."""
        process = Process(self.world.server, self.world.namespace, f"operators/{self.name}/{target}", cause)
        result: Result = yield from run(process, parse(command))
        return result

    def powered(self, node: str) -> bool:
        """Look whether a machine is on."""
        machine = self.world.machines.get(node)
        return machine is not None and machine.powered

    def shut_down(self, node: str, for_ns: int | None, cause: int) -> None:
        """Shut a machine down in order; `for_ns` after it is off it boots (None: never)."""
        if node in self.world.machines:
            self._fault(NodeShutdown(node=node, for_ns=for_ns), cause)

    def switch_off(self, node: str, cause: int) -> None:
        """Switch a machine off, for ever."""
        if node in self.world.machines:
            self._fault(NodeCrash(node=node), cause)

    def _fault(self, fault: Fault, cause: int) -> None:
        self.sim.trace.fault = cause
        fault.begin(self.world)
        self.sim.trace.fault = NO_CAUSE
