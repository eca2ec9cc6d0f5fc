"""What the sidecars have in common: a program of its own with its own caches, queues and slow retries.

Source: kubernetes-csi/*/cmd/*/main.go; storage.md 0.2 (retry 1 s x 2^n, at most 5 min).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, ClassVar, Final

from k8sim.api.meta import Object
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Conflict
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.server import APIServer
from k8sim.csi.rpc import Backend, RpcError
from k8sim.sim.clock import Event, rank
from k8sim.sim.units import MINUTE, SECOND
from k8sim.sim.workqueue import Worker, WorkQueue

Key = tuple[str, str]
Steps = Generator[Event, Any, None]
Sync = Callable[[Key, Client], Steps]

FIRST_RETRY_NS: Final = SECOND
LAST_RETRY_NS: Final = 5 * MINUTE


class NotYet(Exception):
    """What a sync waits for is not there: tried again with back-off, like an error."""


class Sidecar:
    """One program beside a driver. Subclasses add queues with `loop` and handlers on ``informers``."""

    name: ClassVar[str] = "sidecar"
    workers: ClassVar[int] = 10

    def __init__(self, server: APIServer, backend: Backend) -> None:
        self.server = server
        self.sim = server.sim
        self.clock = server.sim.clock
        self.backend = backend
        self.driver = backend.driver
        self.program = f"{self.name}/{self.driver.name}"
        self.informers = SharedInformers(server, self.program)
        self._staff: list[Worker[Key, Client, Exception]] = []
        self._loops: list[tuple[WorkQueue[Key], Sync]] = []
        self._newest: dict[WorkQueue[Key], int] = {}

    def queue(self, sync: Sync) -> WorkQueue[Key]:
        """Return a queue whose keys are synced by a function."""
        made: WorkQueue[Key] = WorkQueue(self.clock, rank("csi", self.program), FIRST_RETRY_NS, LAST_RETRY_NS)
        self._loops.append((made, sync))
        return made

    def start(self) -> None:
        """Start to work on all queues."""
        for queue, sync in self._loops:
            self._hire(queue, sync, 0)

    def _hire(self, queue: WorkQueue[Key], sync: Sync, number: int) -> None:
        """Start one more worker: they come as they are needed, up to ``workers``, and one is always idle."""
        if number < self.workers:
            client = Client(self.server, self.name, rank("csi", f"{self.program}/{number}"), entity=self.program)
            serve, fail = partial(self._serve, queue, sync, number), partial(self._sync_failed, queue)
            worker = Worker(queue, client, serve, (ApiError, RpcError, NotYet), fail)
            self._staff.append(worker)
            self._newest[queue] = number
            worker.begin()

    def stop(self) -> None:
        """Kill the program."""
        for worker in self._staff:
            worker.stop()

    def _serve(self, queue: WorkQueue[Key], sync: Sync, number: int, key: Key, client: Client) -> Steps:
        """Sync a key; the first of the newest worker's keys calls for another one."""
        if number == self._newest[queue]:
            self._hire(queue, sync, number + 1)
        return sync(key, client)

    def _sync_failed(self, queue: WorkQueue[Key], key: Key, error: Exception, client: Client) -> None:
        queue.add_rate_limited(key, client.cause)
        if not isinstance(error, Conflict):
            self.on_error(key, error, client)

    def on_error(self, key: Key, error: Exception, client: Client) -> None:
        """Hook: say something about a failed sync."""

    def say(self, client: Client, obj: Object, type_: str, reason: str, message: str) -> None:
        """Record an Event."""
        client.event(obj, type_, reason, message)
