"""A component's connection to the API server: each request takes time, names its actor, and carries its cause."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from k8sim.api.core import Pod
from k8sim.api.meta import Object
from k8sim.apiserver.errors import Unreachable
from k8sim.apiserver.server import APIServer
from k8sim.sim.clock import Event
from k8sim.sim.tokenbucket import TokenBucket
from k8sim.sim.trace import NO_CAUSE

T = TypeVar("T", bound=Object)
R = TypeVar("R")
Request = Generator[Event, Any, T]


class Client:
    """Requests of one actor. Use with ``yield from``: the change is stored when the generator returns.

    ``cause`` is the trace row that the actor is reacting to; set it before a sync. ``connected`` False (a partition)
    makes every request fail with Unreachable. ``entity`` names the streams of its delays (default: the actor), and
    ``latency`` a delay that takes the place of apiRead and apiWrite. ``limiter`` is the client's own rate limit, shared
    by all clients of a component.
    """

    def __init__(
        self,
        server: APIServer,
        actor: str,
        rank: int,
        latency: str | None = None,
        entity: str | None = None,
        limiter: TokenBucket | None = None,
    ) -> None:
        self.server = server
        self.actor = actor
        self.cause = NO_CAUSE
        self.connected = True
        self._clock = server.sim.clock
        self._rank = rank
        self._reading = latency or "apiRead"
        self._entity = entity = actor if entity is None else entity
        self._write = server.sim.latencies.sampler(latency or "apiWrite", entity)
        self._response = server.sim.latencies.sampler("apiResponse", entity)
        self._answered_ns = 0
        self._limiter = limiter

    def _leave(self, delay_ns: int) -> Event:
        """Send a request; return its arrival. It leaves when the last one has been answered: that costs no event.

        A generator for this and `_arrive` together would cost as much as all that they do.
        """
        clock = self._clock
        wait = self._answered_ns - clock.now
        if self._limiter is not None:
            wait = max(wait, self._limiter.reserve(clock.now))
        return clock.sleep((wait if wait > 0 else 0) + delay_ns, self._rank)

    def _draw(self, name: str) -> int:
        """Draw a delay that few clients ever need."""
        return self.server.sim.latencies.draw(name, self._entity)

    def _arrive(self) -> None:
        """Find the server, which answers some time after it has done what it was asked for."""
        self._answered_ns = self._clock.now + self._response.draw()
        if not self.connected or not self.server.available:
            raise Unreachable("the API server cannot be reached")

    def sleep(self, delay_ns: int) -> Event:
        """Return an event after a delay, with the client's own tie rank."""
        return self._clock.sleep(delay_ns, self._rank)

    def get(self, cls: type[T], namespace: str, name: str) -> Request[T]:
        """Read one object live."""
        yield self._leave(self._draw(self._reading))
        self._arrive()
        return self.server.get(cls, namespace, name)

    def list(self, cls: type[T], namespace: str | None = None) -> Generator[Event, Any, list[T]]:
        """Read the objects of a kind live."""
        yield self._leave(self._draw(self._reading))
        self._arrive()
        return self.server.list(cls, namespace)

    def ask(self, question: Callable[[APIServer], R]) -> Generator[Event, Any, R]:
        """Read live what a list would show, without making the list."""
        yield self._leave(self._draw(self._reading))
        self._arrive()
        return question(self.server)

    def create(self, obj: T) -> Request[T]:
        """Create an object."""
        cause = self.cause
        yield self._leave(self._write.draw() + (self._draw("podAdmission") if obj.kind == "Pod" else 0))
        self._arrive()
        return self.server.create(obj, self.actor, cause)

    def update(self, obj: T) -> Request[T]:
        """Update metadata and spec, at the version that the object carries."""
        cause = self.cause
        yield self._leave(self._write.draw())
        self._arrive()
        return self.server.update(obj, self.actor, cause)

    def update_status(self, obj: T) -> Request[T]:
        """Update the status, at the version that the object carries."""
        cause = self.cause
        yield self._leave(self._write.draw())
        self._arrive()
        return self.server.update_status(obj, self.actor, cause)

    def patch(self, cls: type[T], namespace: str, name: str, change: Callable[[T], T]) -> Request[T]:
        """Patch metadata and spec of whatever version is stored."""
        cause = self.cause
        yield self._leave(self._write.draw())
        self._arrive()
        return self.server.patch(cls, namespace, name, change, self.actor, cause)

    def patch_status(self, cls: type[T], namespace: str, name: str, change: Callable[[T], T]) -> Request[T]:
        """Patch the status of whatever version is stored."""
        cause = self.cause
        yield self._leave(self._write.draw())
        self._arrive()
        return self.server.patch_status(cls, namespace, name, change, self.actor, cause)

    def delete(self, cls: type[T], namespace: str, name: str, **options: Any) -> Request[T]:
        """Delete an object; options as in `APIServer.delete`."""
        cause = self.cause
        yield self._leave(self._write.draw())
        self._arrive()
        return self.server.delete(cls, namespace, name, actor=self.actor, cause=cause, **options)

    def evict(self, namespace: str, name: str, **options: Any) -> Request[Pod]:
        """Evict a pod; options as in `APIServer.evict`."""
        cause = self.cause
        yield self._leave(self._write.draw())
        self._arrive()
        return self.server.evict(namespace, name, actor=self.actor, cause=cause, **options)

    def bind(self, pod: Pod, node: str) -> Request[Pod]:
        """Bind a pod to a node."""
        cause = self.cause
        yield self._leave(self._write.draw())
        self._arrive()
        return self.server.bind(pod, node, self.actor, cause)

    def event(self, obj: Object, type_: str, reason: str, message: str = "") -> int:
        """Record a Kubernetes Event on an object: best effort and asynchronous, so it costs no time here.

        Returns the event's row of the trace.
        """
        meta = obj.metadata
        detail = {"object": f"{obj.kind}/{meta.name}", "type": type_, "message": message, "uid": meta.uid}
        trace = self.server.sim.trace
        return trace.append(self._clock.now, "Event", meta.name, reason, detail, self.cause, meta.namespace)
