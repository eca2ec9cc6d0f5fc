"""A container as the runtime runs it: one process that starts, answers, ends by itself, or is made to end."""

from __future__ import annotations

from typing import Final

import msgspec

from k8sim.api.struct import replace
from k8sim.machines.answers import FOR_EVER, NEVER, Answers
from k8sim.machines.image import ImageBehaviour
from k8sim.machines.records import EXITED, RUNNING, ContainerRecord
from k8sim.sim.clock import Clock, Event
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.streams import Streams
from k8sim.sim.trace import NO_CAUSE

KILLED: Final = 137


class Lifetime(msgspec.Struct, frozen=True, gc=False):
    """What chance has decided about one instance of a container. None: never."""

    start_ns: int
    started_ns: int | None
    ready_ns: int | None
    hang_ns: int | None
    answer_ns: int | None
    exit_ns: int | None
    exit_code: int
    exit_reason: str
    alive_ns: int | None
    stop_ns: int | None


def draw_lifetime(behaviour: ImageBehaviour, streams: Streams, entity: str, instance: int) -> Lifetime:
    """Draw all durations of one instance; each has a stream of its own, addressed by the instance's number."""

    def draw(law: Distribution | None, purpose: str) -> int | None:
        if law is None:
            return None
        if isinstance(law, Constant):
            return law.ns
        return law.quantile(streams.uniform_at(entity, purpose, instance))

    return Lifetime(
        start_ns=draw(behaviour.start, "start") or 0,
        started_ns=draw(behaviour.started, "started"),
        ready_ns=draw(behaviour.ready, "ready"),
        hang_ns=draw(behaviour.hang, "hang"),
        answer_ns=draw(behaviour.answer, "answer"),
        exit_ns=draw(behaviour.exit_after, "exit"),
        exit_code=behaviour.exit_code,
        exit_reason=behaviour.exit_reason,
        alive_ns=draw(behaviour.alive, "alive"),
        stop_ns=draw(behaviour.stop, "stop"),
    )


class Container:
    """One instance. ``record`` is what the runtime says of it; ``answers`` what it says to probes.

    ``row`` is the trace row that stands for its start, then for its end.
    """

    __slots__ = ("_clock", "_ended", "answers", "identity", "kill_at_ns", "lifetime", "record", "row", "term_at_ns")

    def __init__(self, clock: Clock, identity: str, record: ContainerRecord, lifetime: Lifetime) -> None:
        self._clock = clock
        self.identity = identity
        self.record = record
        self.lifetime = lifetime
        self.answers = Answers()
        self.row = NO_CAUSE
        self.term_at_ns: int | None = None
        self.kill_at_ns = FOR_EVER
        self._ended: Event | None = None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.record.state == RUNNING

    def begin(self, since_ns: int | None = None) -> None:
        """Let the process begin now, or have begun earlier."""
        now = self._clock.now if since_ns is None else since_ns
        life = self.lifetime
        self.record = replace(self.record, state=RUNNING, started_ns=now)
        self.answers = Answers(
            started_from=NEVER if life.started_ns is None else now + life.started_ns,
            ready_from=NEVER if life.ready_ns is None else now + life.ready_ns,
            alive_from=NEVER if life.alive_ns is None else now + life.alive_ns,
            hang_from=NEVER if life.hang_ns is None else now + life.hang_ns,
            takes_ns=FOR_EVER if life.answer_ns is None else life.answer_ns,
        )

    def ended_earlier(self, finished_ns: int, code: int, reason: str) -> None:
        """Note when and how the process has ended."""
        reason = reason or ("Completed" if code == 0 else "Error")
        self.record = replace(self.record, state=EXITED, finished_ns=finished_ns, exit_code=code, reason=reason)

    def end(self, code: int, reason: str = "") -> None:
        """Note that the process ends now, and wake who waits for it."""
        self.ended_earlier(self._clock.now, code, reason)
        self.wake()

    def wake(self) -> None:
        """Wake who waits for the process' end: it has come, or nobody is there any more who would tell."""
        ended, self._ended = self._ended, None
        if ended is not None:
            self._clock.fire(ended)

    def ended(self) -> Event:
        """Return an event of the process' end; one event serves all who wait."""
        if self._ended is None:
            self._ended = self._clock.event()
            if not self.running:
                self._clock.fire(self._ended)
        return self._ended
