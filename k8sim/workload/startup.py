"""What a process does between its start and taking part: looks for its variables, its peers' names, its peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from k8sim.network.control import Name
from k8sim.network.dns import DNS, Wait
from k8sim.sim.trace import NO_CAUSE
from k8sim.workload.model import Startup
from k8sim.workload.rules import majority


def peers_needed(peers: int | str | None, members: int) -> int:
    """Return how many members a process must find, itself included."""
    if peers is None:
        return 1
    if peers == "majority":
        return majority(members)
    return members if peers == "all" else int(peers)


def missing_variables(wanted: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the variables that a container should have and has not."""
    return [name for name in wanted if name not in environment]


class Boot:
    """The start-up of one process. It finds the names of its peers one by one; who has a name must also run.

    Parameters
    ----------
    names
        The DNS names of the other members.
    runs
        Tells whether a member has a running process.
    joins
        Called with the trace row of what was missing last.
    waits
        Called with what is still missing, when that changes.
    """

    def __init__(
        self,
        startup: Startup,
        environment: Mapping[str, str],
        member: str,
        node: str,
        names: Mapping[str, Name],
        dns: DNS,
        runs: Callable[[str], bool],
        joins: Callable[[int], None],
        waits: Callable[[str], None],
    ) -> None:
        self.needed = peers_needed(startup.peers, len(names) + 1)
        self.joined = False
        self._missing = missing_variables(startup.environment, environment)
        self._names = names
        self._runs = runs
        self._joins = joins
        self._waits = waits
        self._why = ""
        self._found: dict[str, None] = {}
        self._asking: list[Wait] = []
        if startup.peers is not None and not self._missing:
            for peer, name in names.items():
                self._asking.append(dns.wait(name, node, startup.retry_ns, partial(self._answered, peer)))

    def look(self, row: int) -> None:
        """Join if nothing is missing any more."""
        if self.joined:
            return
        why = self.why()
        if not why:
            self.joined = True
            self.cancel()
            self._joins(row)
        elif why != self._why:
            self._why = why
            self._waits(why)

    def why(self) -> str:
        """Return what is missing, "" if nothing is."""
        if self._missing:
            return f"the container was started without {', '.join(self._missing)}"
        if self.needed <= 1:
            return ""
        running = [peer for peer in self._found if self._runs(peer)]
        if len(running) + 1 >= self.needed:
            return ""
        nameless = [peer for peer in self._names if peer not in self._found]
        if nameless:
            return f"{len(running) + 1} of {self.needed} members found; no name: {', '.join(nameless)}"
        return f"{len(running) + 1} of {self.needed} members found; not running: " + ", ".join(
            peer for peer in self._found if not self._runs(peer)
        )

    def cancel(self) -> None:
        """Ask no more: the process has joined or ended."""
        for wait in self._asking:
            wait.cancel()

    def _answered(self, peer: str, addresses: tuple[str, ...], row: int) -> None:
        self._found[peer] = None
        self.look(row if row >= 0 else NO_CAUSE)
