"""The named delays: every duration that Kubernetes does not fix, with a default and where the default comes from.

A scenario overrides them under ``latencies:`` by these names, with a duration or a distribution. The defaults are those
of the recorded cases' test bed (the real programs on one machine, with a runtime that starts containers at once), so
that an uncalibrated simulation agrees with the recordings; `k8sim calibrate` takes them from a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8sim.sim.distributions import Constant, Distribution, Uniform
from k8sim.sim.streams import Streams
from k8sim.sim.units import MILLISECOND


@dataclass(frozen=True)
class Latency:
    """One named delay."""

    default: Distribution
    meaning: str
    source: str


def _ms(low: float, high: float) -> Distribution:
    return Uniform(round(low * MILLISECOND), round(high * MILLISECOND))


RECORDED = "recorded cases (time between consecutive events)"

LATENCIES: Mapping[str, Latency] = {
    "apiWrite": Latency(_ms(2, 8), "a request to the API server, until it is stored", RECORDED + "; node.md 6.3"),
    "watch": Latency(_ms(1, 6), "from a stored change to a watcher's cache", RECORDED + "; node.md 6.3"),
    "schedulingCycle": Latency(_ms(1, 4), "one scheduling cycle, until the binding is sent", RECORDED),
    "runtimeSandboxStart": Latency(_ms(1, 4), "make a sandbox and its network (CNI ADD)", RECORDED + "; real: 0.3-1 s"),
    "runtimeSandboxStop": Latency(_ms(1, 4), "stop a sandbox (CNI DEL)", RECORDED + "; real: 0.05-0.5 s, node.md 6.3"),
    "runtimeContainerStart": Latency(_ms(2, 8), "create and start a container", RECORDED + "; real: 0.1-0.4 s"),
    "imageCheck": Latency(_ms(1, 4), "ask the registry for a digest that is on the node", RECORDED + "; real: 0.2-1 s"),
    "kubectl": Latency(_ms(40, 90), "start of the kubectl program until its first request", RECORDED),
    "kubectlRequest": Latency(_ms(4, 12), "one request of kubectl after the first", RECORDED),
}


class Latencies:
    """Draws named delays, each from a stream of its own."""

    def __init__(self, streams: Streams, overrides: Mapping[str, Distribution] | None = None) -> None:
        self._streams = streams
        self._distributions: dict[str, Distribution] = {n: latency.default for n, latency in LATENCIES.items()}
        self._distributions.update(overrides or {})

    def distribution(self, name: str) -> Distribution:
        """Return the law of a named delay."""
        return self._distributions[name]

    def sampler(self, name: str, entity: str) -> Callable[[], int]:
        """Return a function that draws the next delay (ns) of that name for an entity."""
        law = self._distributions[name]
        if isinstance(law, Constant):
            fixed = law.quantile(0.5)
            return lambda: fixed
        uniform = self._streams.stream(entity, name).uniform
        if isinstance(law, Uniform):  # the common case, without a call
            low, width = law.low_ns, law.high_ns - law.low_ns
            return lambda: low + int(uniform() * width)
        quantile = law.quantile
        return lambda: quantile(uniform())

    def draw(self, name: str, entity: str) -> int:
        """Draw one delay (ns)."""
        law = self._distributions[name]
        if isinstance(law, Constant):
            return law.quantile(0.5)
        return law.quantile(self._streams.uniform(entity, name))
