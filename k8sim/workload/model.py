"""What a scenario says of clients and applications: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.units import MILLISECOND, SECOND

FOR_EVER: Final = 2**62


@dataclass(frozen=True)
class Connections:
    """A pool of connections that requests go over.

    Parameters
    ----------
    count
        How many the clients keep open, together.
    lifetime_ns
        Mean time after which one is closed and opened anew by a fresh choice; `FOR_EVER`: only when it is cut.
    reconnect_ns
        Mean pause before another attempt after one that failed.
    timeout_ns
        How long it takes to notice that a machine is gone, which sends no word.
    """

    count: int
    lifetime_ns: int = FOR_EVER
    reconnect_ns: int = 1 * SECOND
    timeout_ns: int = 5 * SECOND


@dataclass(frozen=True)
class Traffic:
    """One stream of requests from like clients.

    Parameters
    ----------
    to
        The name that the clients use: a service, or a pod of one (``db-0.db``).
    rate
        Requests per s, in units (`amounts.UNIT`).
    request
        How long the server works on a request: a constant or exponential time. Long ones stand for long-lived
        connections, sessions, jobs: each is lost when its process ends first.
    connections
        A pool of keep-alive connections; None: each request has a connection of its own.
    retries
        How often a request that failed at once is sent again.
    clients, cache_ns, on_error
        For names that DNS resolves (a headless service, a pod): how many caches of an address there are, how long each
        keeps one (None: as long as the record says), and whether a failed request makes the client ask anew.
    node
        Where the clients are; "" is outside the nodes, with rules of its own (an ingress).
    after_sigterm
        Whether the server refuses or accepts new connections between SIGTERM and its end.
    container
        Which container serves; "" is the first of the spec.
    """

    name: str
    to: str
    rate: int
    namespace: str = "default"
    request: Distribution = field(default_factory=lambda: Constant(50 * MILLISECOND))
    connections: Connections | None = None
    retries: int = 0
    clients: int = 1
    cache_ns: int | None = None
    on_error: Literal["keep", "resolve"] = "keep"
    node: str = ""
    start_ns: int = 0
    stop_ns: int = FOR_EVER
    after_sigterm: Literal["refuse", "accept"] = "refuse"
    container: str = ""
