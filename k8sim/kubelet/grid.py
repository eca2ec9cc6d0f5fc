"""The moments at which a loop of the kubelet comes round."""

from __future__ import annotations

from k8sim.sim.simulation import Simulation


class Grid:
    """Every so often, since the process began, or since long ago.

    Most loops of most kubelets never have anything to do: where theirs lies is drawn when somebody first asks.

    Parameters
    ----------
    node, purpose
        Whose loop it is: they name its draw.
    phase_ns
        A moment at which it comes round; None: it has been running for long.
    """

    __slots__ = ("_node", "_phase_ns", "_purpose", "_sim", "period_ns")

    def __init__(self, sim: Simulation, node: str, purpose: str, period_ns: int, phase_ns: int | None) -> None:
        self._sim = sim
        self._node = node
        self._purpose = purpose
        self._phase_ns = phase_ns
        self.period_ns = period_ns

    @property
    def phase_ns(self) -> int:
        """One of the moments."""
        if self._phase_ns is None:
            self._phase_ns = int(self._sim.streams.uniform(self._node, self._purpose) * self.period_ns) - self.period_ns
        return self._phase_ns

    def next(self, from_ns: int) -> int:
        """Return the first of the moments that is not before a time."""
        return self._sim.clock.next_on_grid(self.phase_ns, self.period_ns, from_ns)
