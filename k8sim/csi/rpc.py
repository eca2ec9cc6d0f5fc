"""Calls to a storage system: they take time, go on when the caller gives up, and fail as gRPC does.

Source: CSI specification (codes and idempotency), kubernetes-csi sidecars (timeouts); storage.md 0.2, 4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from k8sim.csi.drivers import Driver
from k8sim.machines.disks import Storage
from k8sim.sim.clock import Event, rank
from k8sim.sim.units import SECOND

T = TypeVar("T")

IN_BACKGROUND: Final = frozenset({"Canceled", "DeadlineExceeded", "Unavailable", "Aborted"})
"""Codes after which the call may still be at work."""


class RpcError(Exception):
    """A call failed with a gRPC code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code
        self.message = message


@dataclass
class _Call(Generic[T]):
    """A call at work in the storage system."""

    ends_ns: int
    over: bool = False
    result: T | None = None
    error: RpcError | None = None


class Backend:
    """The storage system of one driver, as its sidecars call it.

    A call that takes longer than its caller waits goes on; the next call of that name and object finds it at work, or
    gets its result, unless another call has changed the object since.
    """

    def __init__(self, driver: Driver, storage: Storage) -> None:
        self.driver = driver
        self.storage = storage
        self.clock = storage.sim.clock
        self._rank = rank("world", driver.name)
        self._calls: dict[str, dict[str, _Call[Any]]] = {}

    def call(self, name: str, target: str, effect: Callable[[], T], timeout_ns: int) -> Generator[Event, Any, T]:
        """Make a call: ``effect`` happens when it ends, and may raise RpcError.

        Parameters
        ----------
        name
            Its named latency.
        target
            What it is about; calls with the same name and target are one call.
        """
        call: _Call[T] | None = self._calls.get(target, {}).get(name)
        if call is None:
            duration = self.storage.draw(self.driver.name, name, f"{self.driver.name}/{target}")
            call = self._calls.setdefault(target, {})[name] = _Call(self.clock.now + duration)
            self.clock.call_at(call.ends_ns, self._end, name, target, call, effect, rank=self._rank)
        remaining = call.ends_ns - self.clock.now
        if remaining > timeout_ns:
            yield self.clock.sleep(timeout_ns, self._rank)
            raise RpcError("DeadlineExceeded", "context deadline exceeded")
        if remaining >= 0:
            yield self.clock.sleep(remaining, self._rank | 1)
        self._end(name, target, call, effect)  # the caller may wake before the call's own end, at the same instant
        self._forget(target, name)
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]

    def _end(self, name: str, target: str, call: _Call[T], effect: Callable[[], T]) -> None:
        if call.over:
            return
        for other in [other for other, abandoned in self._calls.get(target, {}).items() if abandoned.over]:
            self._forget(target, other)  # what it has to tell is no longer so
        call.over = True
        failure = self.storage.failure_of(self.driver.name, name)
        try:
            if failure:
                raise RpcError(failure, "the storage system does not answer")
            call.result = effect()
        except RpcError as error:
            call.error = error

    def _forget(self, target: str, name: str) -> None:
        calls = self._calls.get(target, {})
        calls.pop(name, None)
        if not calls:
            self._calls.pop(target, None)


CREATE_TIMEOUT_NS: Final = 10 * SECOND
ATTACH_TIMEOUT_NS: Final = 15 * SECOND
EXPAND_TIMEOUT_NS: Final = 10 * SECOND
SNAPSHOT_TIMEOUT_NS: Final = 60 * SECOND
