"""Calls that go on when their caller has given up: what the next caller learns from them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from k8sim.csi.drivers import find_driver
from k8sim.csi.rpc import Backend, RpcError
from k8sim.sim.units import SECOND
from tests.csi.world import CSIWorld


class Calls:
    """Calls to a storage system that takes 15 s for each; all of them are about one volume and node."""

    def __init__(self) -> None:
        world = CSIWorld()
        self.sim = world.sim
        self.backend = Backend(find_driver("ebs.csi.aws.com"), world.storage)
        self.done: list[tuple[int, str]] = []
        world.storage.draw = lambda driver, call, entity: 15 * SECOND  # type: ignore[method-assign]

    def make(self, name: str, patience_s: int) -> None:
        def effect() -> str:
            self.done.append((self.sim.clock.now // SECOND, name))
            return name

        def call() -> Generator[Any, Any, None]:
            try:
                yield from self.backend.call(name, "v/n", effect, patience_s * SECOND)
            except RpcError:
                return

        self.sim.clock.spawn(call())

    def after(self, seconds: int) -> list[tuple[int, str]]:
        self.sim.clock.run(self.sim.clock.now + seconds * SECOND)
        return self.done


def test_the_next_caller_gets_the_result_of_a_call_that_was_given_up() -> None:
    calls = Calls()
    calls.make("volumeAttach", 10)
    assert calls.after(20) == [(15, "volumeAttach")]
    calls.make("volumeAttach", 10)
    assert calls.after(20) == [(15, "volumeAttach")]


def test_a_call_that_was_given_up_tells_nothing_once_another_has_changed_things() -> None:
    """Found by the soak: a volume counted as attached that had been detached since, and was never mounted again."""
    calls = Calls()
    calls.make("volumeAttach", 10)
    calls.after(12)
    calls.make("volumeDetach", 20)
    assert calls.after(20) == [(15, "volumeAttach"), (27, "volumeDetach")]
    calls.make("volumeAttach", 20)
    assert calls.after(20)[2:] == [(47, "volumeAttach")]
