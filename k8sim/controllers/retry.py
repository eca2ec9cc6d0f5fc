"""Retries after a conflict (client-go/util/retry)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Conflict
from k8sim.sim.clock import Event
from k8sim.sim.units import MILLISECOND

R = TypeVar("R")


@dataclass(frozen=True)
class Backoff:
    """How often to try, and how long to wait in between: each wait is ``factor`` times the last, plus up to 10 %."""

    steps: int
    delay_ns: int
    factor: int

    def wait_after(self, error: ApiError, attempts: int, client: Client) -> Event:
        """Return the wait after the last of some failed attempts; raise its error unless it is a conflict to retry."""
        if attempts >= self.steps or not isinstance(error, Conflict):
            raise error
        delay_ns = self.delay_ns * self.factor ** (attempts - 1)
        return client.sleep(client.server.sim.streams.jitter_ns(client.actor, "conflict retry", delay_ns, 0.1))


DEFAULT_RETRY = Backoff(5, 10 * MILLISECOND, 1)
"""For conflicts with other clients (retry.DefaultRetry)."""
DEFAULT_BACKOFF = Backoff(4, 10 * MILLISECOND, 5)
"""For conflicts with an active controller (retry.DefaultBackoff)."""


def retry_on_conflict(
    client: Client, backoff: Backoff, attempt: Callable[[], Generator[Event, Any, R]]
) -> Generator[Event, Any, R]:
    """Call ``attempt`` until it does not raise Conflict; the last Conflict is raised on."""
    attempts = 0
    while True:
        attempts += 1
        try:
            return (yield from attempt())
        except Conflict as conflict:
            yield backoff.wait_after(conflict, attempts, client)
