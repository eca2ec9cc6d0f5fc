"""Clients of a workload's Services, for experiments that count what they lose."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from k8sim.lint.bench import Bench
from k8sim.sim.distributions import Constant
from k8sim.sim.units import MILLISECOND
from k8sim.workload.amounts import UNIT
from k8sim.workload.model import FOR_EVER, Traffic

RATE: Final = 100 * UNIT
REQUEST_NS: Final = 100 * MILLISECOND


def clients(bench: Bench, start_ns: int) -> tuple[Traffic, ...]:
    """Return the file's own clients of the workload's first Service, or else 100 short requests a second to it."""
    service, namespace = bench.workload.services[0].name, bench.ref.namespace
    own = [t for t in bench.workload.scenario.traffic if (t.to, t.namespace) == (service, namespace)]
    if own:
        return tuple(replace(stream, start_ns=start_ns, stop_ns=FOR_EVER) for stream in own)
    return (Traffic(service, service, RATE, namespace, Constant(REQUEST_NS), start_ns=start_ns),)
