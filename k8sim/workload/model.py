"""What a scenario says of clients and applications: plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.units import MILLISECOND, SECOND
from k8sim.workload.rules import Rules

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
        keeps one (None: as long as the record says), and whether a failed request makes the client ask anew. For a
        service with session affinity: how many addresses clients have.
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


@dataclass(frozen=True)
class Startup:
    """What a process waits for before it takes part.

    Parameters
    ----------
    peers
        How many members, itself included, it must find: by their DNS names, and running. None: it does not look.
    environment
        Variables that its container must have been given at its start.
    retry_ns
        How often it asks DNS again.
    give_up_ns
        After so long without success it exits with code 1; None: it waits for ever.
    """

    peers: int | Literal["majority", "all"] | None = None
    environment: tuple[str, ...] = ()
    retry_ns: int = 1 * SECOND
    give_up_ns: int | None = None


@dataclass(frozen=True)
class Membership:
    """How members come and go while the application runs.

    Parameters
    ----------
    join
        ``static``: the voters are fixed. ``start``: a new member becomes a voter when it is in sync.
    leave
        ``never``: who is away stays a voter. ``preStop``: the hook removes the member, ``leave_after_ns`` after it
        began, and its data ``clean_after_ns`` after that; if the hook is cut off before, it does not.
    removed
        What a process does that starts with the data of a member that was removed: ``crash``, or ``rejoin`` as new.
    """

    join: Literal["static", "start"] = "static"
    leave: Literal["never", "preStop"] = "never"
    leave_after_ns: int = 1 * SECOND
    clean_after_ns: int = 0
    removed: Literal["crash", "rejoin"] = "crash"


@dataclass(frozen=True)
class Backup:
    """Backups of what the leader has: every so often, so many kept, and how long it takes to bring one back."""

    every_ns: int
    keep: int = 7
    restore_ns: int = 0


Ready = Literal["process", "joined", "in-sync", "leader", "serving"]


@dataclass(frozen=True)
class Application:
    """Replicated (or not) data in the pods of one workload.

    Parameters
    ----------
    workload
        The name of the StatefulSet or Deployment whose pods are the members.
    kind
        Of a StatefulSet each pod name is a member; the pods of a Deployment are incarnations of one member.
    members
        The voters at the beginning.
    shards, copies
        How many independent parts the data has, and on how many members each is (None: on all).
    rules
        How each part works.
    writes
        Writes per s that clients want to make, in units.
    start_ns
        When they begin.
    volume, container
        Which volume has the data and which container is the member ("": the first; without a volume the data is in the
        container's own file system).
    ready
        What a readiness probe is told: that the ``process`` answers (as `images` say), that it has ``joined``, is
        ``in-sync``, is ``leader``, or that the application is ``serving`` writes. The last four need the first, too.
    ghost_share
        Which share of the writes goes on to a process that another with its identity has replaced, as a fraction.
    preset
        Where the parameters came from.
    """

    name: str
    workload: str
    members: tuple[str, ...]
    rules: Rules
    writes: int
    namespace: str = "default"
    kind: Literal["StatefulSet", "Deployment"] = "StatefulSet"
    shards: int = 1
    copies: int | None = None
    start_ns: int = 0
    volume: str = ""
    container: str = ""
    ready: Ready = "process"
    startup: Startup = field(default_factory=Startup)
    membership: Membership = field(default_factory=Membership)
    backup: Backup | None = None
    ghost_share: tuple[int, int] = (1, 2)
    preset: str = ""
