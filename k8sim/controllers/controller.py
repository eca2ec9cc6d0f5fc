"""What all controllers have in common: informers feed keys into a queue, workers sync one key at a time.

A handler may only add keys; a sync may only read its caches and write through its client.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.server import APIServer
from k8sim.machines.disks import Storage
from k8sim.sim.clock import Event, Task, rank
from k8sim.sim.simulation import Simulation
from k8sim.sim.tokenbucket import TokenBucket
from k8sim.sim.workqueue import Worker, WorkQueue

Key = tuple[str, str]
Sync = Generator[Event, Any, None]


@dataclass(frozen=True)
class ControllerContext:
    """What kube-controller-manager hands to each of its controllers.

    ``kube_api_qps`` and ``kube_api_burst`` limit the requests of each controller's client. Kubernetes' defaults are 20
    per second and 30 at once; None is no limit, as in the recorded cases, whose limit was raised. ``life`` is how many
    lives the process has had before: what is drawn once a life depends on that, not on when a controller is made.
    """

    sim: Simulation
    server: APIServer
    informers: SharedInformers
    storage: Storage | None = None
    kube_api_qps: float | None = None
    kube_api_burst: int = 30
    life: int = 0


class Controller(ABC):
    """A level-triggered controller.

    Subclasses set ``name`` and ``workers``, register handlers in ``__init__``, and implement `sync`, which raises
    `ApiError` to be retried with back-off. Each worker has a client of its own, so a cause never leaks between keys.
    """

    name: ClassVar[str]
    workers: ClassVar[int] = 5
    max_retries: ClassVar[int | None] = None
    base_delay_ns: ClassVar[int] = 5_000_000
    max_delay_ns: ClassVar[int] = 1_000_000_000_000

    def __init__(self, context: ControllerContext) -> None:
        self.sim = context.sim
        self.clock = context.sim.clock
        self.server = context.server
        self.informers = context.informers
        self.rank = rank("kube-controller-manager", self.name)
        self.queue: WorkQueue[Key] = WorkQueue(self.clock, self.rank, self.base_delay_ns, self.max_delay_ns)
        self.tasks: list[Task] = []
        self.staff: list[Worker[Key, Client, ApiError]] = []
        self.stopped = False
        qps = context.kube_api_qps
        self.limiter = TokenBucket(qps, context.kube_api_burst) if qps is not None else None

    def start(self) -> None:
        """Start the workers."""
        self.queue.employ(self._hire, self.workers)

    def _hire(self, number: int) -> None:
        if not self.stopped:
            self.employ(Worker(self.queue, self.client(str(number)), self.sync, (ApiError,), self._sync_failed))

    def employ(self, worker: Worker[Key, Client, ApiError]) -> None:
        """Let a worker begin that ends with the controller."""
        self.staff.append(worker)
        worker.begin()

    def client(self, part: str = "") -> Client:
        """Return a connection, with a tie rank for a part of the controller; all share the controller's rate limit."""
        its_rank = rank("kube-controller-manager", f"{self.name}/{part}") if part else self.rank
        return Client(self.server, self.name, its_rank, limiter=self.limiter)

    def stop(self) -> None:
        """Kill the controller with all that it was doing."""
        self.stopped = True
        for worker in self.staff:
            worker.stop()
        for task in self.tasks:
            task.kill()

    def _sync_failed(self, key: Key, error: ApiError, client: Client) -> None:
        if self.max_retries is not None and self.queue.failures(key) >= self.max_retries:
            self.queue.forget(key)
        else:
            self.queue.add_rate_limited(key, client.cause)
        self.on_error(key, error, client)

    @abstractmethod
    def sync(self, key: Key, client: Client) -> Sync | None:
        """Bring one object's world in line with its spec; None if that is done without a request."""

    def on_error(self, key: Key, error: ApiError, client: Client) -> None:
        """Hook for controllers that say something about a failed sync."""
