"""One run of kubectl: a program that starts, sends requests one after the other, prints, and ends with a code.

Source: staging/src/k8s.io/kubectl/pkg/cmd/util/helpers.go (errors), cli-runtime/pkg/resource (finding objects).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple, TypeVar

from k8sim.api.meta import Object
from k8sim.api.scheme import kind_class, resource_name
from k8sim.api.selectors import selector_matches
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Invalid, NotFound, Unreachable
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.kubectl.command import Command
from k8sim.kubectl.fieldselector import has_fields, parse_field_selector
from k8sim.kubectl.selector import parse_selector
from k8sim.kubectl.wire import Change as WireChange
from k8sim.kubectl.wire import rewritten
from k8sim.sim.clock import Event, rank
from k8sim.sim.trace import NO_CAUSE

T = TypeVar("T", bound=Object)
R = TypeVar("R")
Steps = Generator[Event, Any, R]


class Result(NamedTuple):
    """What a command leaves."""

    code: int
    out: str
    err: str


class CommandError(Exception):
    """kubectl itself gives up: it prints ``error: ...`` and ends with code 1."""


class Process:
    """One run of kubectl.

    Parameters
    ----------
    namespace
        Of objects that name none.
    entity
        Names the streams of its delays, so that a further command changes nobody else's.
    cause
        The trace row that everything it does goes back to.
    """

    def __init__(self, server: APIServer, namespace: str, entity: str, cause: int = NO_CAUSE) -> None:
        self.server = server
        self.sim = server.sim
        self.clock = server.sim.clock
        self.namespace = namespace
        self.entity = entity
        self.rank = rank("kubectl", entity)
        self.client = self.new_client()
        self.client.cause = cause
        self.code = 0
        self._out: list[str] = []
        self._err: list[str] = []

    def new_client(self, part: str = "") -> Client:
        """Return a connection; each goroutine of a command has one, so that their delays are their own."""
        entity = f"{self.entity}/{part}" if part else self.entity
        client = Client(self.server, "kubectl", rank("kubectl", entity), "kubectlRequest", entity)
        if part:
            client.cause = self.client.cause
        return client

    def start(self) -> Steps[None]:
        """Take the time until the first request is sent."""
        yield self.clock.sleep(self.sim.latencies.draw("kubectl", self.entity), self.rank)

    def round_trip(self) -> Steps[None]:
        """Take the time of a request of which only that matters."""
        delay = self.sim.latencies.draw("kubectlRequest", f"{self.entity}/discovery")
        yield self.clock.sleep(delay, self.rank)

    @property
    def result(self) -> Result:
        """Code and output so far."""
        return Result(self.code, "\n".join(self._out), "\n".join(self._err))

    # ---- output ---------------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        """Print a line."""
        self._out.append(line)

    def report(self, obj: Object, what: str) -> None:
        """Print what was done to an object: ``statefulset.apps/web scaled``."""
        self.say(f"{resource_name(type(obj))}/{obj.name} {what}")

    def warn(self, line: str) -> None:
        """Print a line to stderr."""
        self._err.append(line)

    def fail(self, error: ApiError | CommandError, cls: type[Object] | None = None, name: str = "") -> None:
        """Print an error; the command will end with code 1."""
        self.code = 1
        self._err.append(error_text(error, cls, name))

    # ---- objects --------------------------------------------------------------------------------------------

    def namespace_of(self, command: Command, cls: type[Object]) -> str:
        """Return the namespace in which a command looks for a kind."""
        return (command.options.namespace or self.namespace) if cls.namespaced else ""

    def find(self, command: Command, ignore_not_found: bool = False) -> Steps[list[Object]]:
        """Return the objects that a command speaks of: GET each name, or LIST each kind.

        An object that cannot be had is an error of the command, and the others go on.
        """
        found: list[Object] = []
        for kind, name in command.targets:
            cls = class_of(kind)
            try:
                found.append((yield from self.client.get(cls, self.namespace_of(command, cls), name)))
            except NotFound as error:
                if not ignore_not_found:
                    self.fail(error)
            except ApiError as error:
                self.fail(error)
        for kind in command.kinds:
            try:
                found += yield from self.list(class_of(kind), command)
            except ApiError as error:
                self.fail(error)
        return found

    def list(self, cls: type[T], command: Command) -> Steps[list[T]]:
        """LIST a kind with the command's selectors, sorted by name as the server returns it."""
        namespace: str | None = self.namespace_of(command, cls)
        if getattr(command.options, "all_namespaces", False) or not cls.namespaced:
            namespace = None
        selector = parse_selector(getattr(command.options, "selector", ""))
        fields = parse_field_selector(getattr(command.options, "field_selector", ""))
        objects = yield from self.client.list(cls, namespace)
        chosen = (o for o in objects if selector_matches(selector, o.metadata.labels) and has_fields(o, fields))
        return sorted(chosen, key=lambda o: o.key)

    def each(self, objects: Iterable[T], act: Callable[[T], Steps[None]]) -> Steps[None]:
        """Act on one object after the other; an error of one does not stop the rest."""
        for obj in objects:
            try:
                yield from act(obj)
            except (ApiError, CommandError) as error:
                self.fail(error, type(obj), obj.name)

    def patch(self, obj: T, change: WireChange) -> Steps[T]:
        """PATCH an object with a change of its plain form."""
        return (yield from self.client.patch(type(obj), *obj.key, lambda o: rewritten(o, change, self._warn_field)))

    def patch_status(self, obj: T, change: WireChange) -> Steps[T]:
        """PATCH the status of an object."""
        return (
            yield from self.client.patch_status(type(obj), *obj.key, lambda o: rewritten(o, change, self._warn_field))
        )

    def _warn_field(self, problem: str) -> None:
        self.warn(f"Warning: {problem}")

    def watch(self, cls: type[Object], namespace: str, name: str) -> ObjectWatch:
        """Watch one object; close it when done."""
        return ObjectWatch(self, cls, namespace, name)


class ObjectWatch:
    """A watch of one object with the lag of a watch, for commands that wait."""

    def __init__(self, process: Process, cls: type[Object], namespace: str, name: str) -> None:
        self._server = process.server
        self._clock = process.clock
        self._cls = cls
        self._key = (namespace, name)
        self._rank = process.rank
        self._lag = process.sim.latencies.sampler("watch", f"{process.entity}/{cls.kind}/{name}")
        self._last = 0
        self._changes: list[Change] = []
        self._waiting: Event | None = None
        self._server.watch(cls, self._on_commit)

    def _on_commit(self, change: Change) -> None:
        if change.new.key == self._key:
            self._last = max(self._clock.now + change.later_ns + self._lag.draw(), self._last)
            self._clock.call_at(self._last, self._arrive, change, rank=self._rank)

    def _arrive(self, change: Change) -> None:
        self._changes.append(change)
        if self._waiting is not None:
            self._clock.fire(self._waiting, None, self._rank)

    def next(self, deadline_ns: int | None) -> Steps[Change | None]:
        """Return the next change, or None when the deadline (None: there is none) comes first."""
        if not self._changes:
            self._waiting = self._clock.event()
            if deadline_ns is not None:
                self._clock.call_at(deadline_ns, self._clock.fire, self._waiting, None, self._rank, rank=self._rank)
            yield self._waiting
            self._waiting = None
        return self._changes.pop(0) if self._changes else None

    def close(self) -> None:
        """End the watch."""
        self._server.unwatch(self._cls, self._on_commit)


def suffix(dry_run: str) -> str:
    """Return what a command adds to what it says when it only says it (cmd/util PrintFlagsWithDryRunStrategy)."""
    return {"client": " (dry run)", "server": " (server dry run)"}.get(dry_run, "")


def class_of(kind: str) -> type[Object]:
    """Return the class of a kind that the parser has let through."""
    cls = kind_class(kind)
    assert cls is not None
    return cls


def error_text(error: ApiError | CommandError, cls: type[Object] | None = None, name: str = "") -> str:
    """Return an error as kubectl prints it (cmd/util checkErr, StandardErrorMessage)."""
    if isinstance(error, CommandError):
        return f"error: {error}"
    if isinstance(error, Unreachable):
        return f"Unable to connect to the server: {error.message}"
    if isinstance(error, Invalid) and cls is not None and error.causes:
        text = f'The {cls.kind} "{name}" is invalid: '
        causes = list(dict.fromkeys(error.causes))
        return text + (causes[0] if len(causes) == 1 else "".join(f"\n* {cause}" for cause in causes))
    if isinstance(error, Invalid):
        return error.message
    return f"Error from server ({error.reason}): {error.message}"
