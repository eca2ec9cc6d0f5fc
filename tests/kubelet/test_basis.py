"""A status that is left as it is, for its basis is the same, is what it would be if computed anew: whole scenes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from k8sim.api.core import Pod
from k8sim.api.meta import Condition
from k8sim.api.struct import replace
from tests.kubelet.bench import Bench, image

SIDE = {
    "name": "side",
    "image": "side:v1",
    "restartPolicy": "Always",
    "startupProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
}


def patched(bench: Bench, at: float, **changes: object) -> None:
    bench.at(
        at,
        lambda: bench.server.patch_status(
            Pod, "default", "app", lambda p: replace(p, status=replace(p.status, **changes))
        ),
    )


def gate_at(bench: Bench, at: float, type_: str, status: str) -> None:
    def change(pod: Pod) -> Pod:
        others = tuple(c for c in pod.status.conditions if c.type != type_)
        return replace(pod, status=replace(pod.status, conditions=(*others, Condition(type=type_, status=status))))

    bench.at(at, lambda: bench.server.patch_status(Pod, "default", "app", change))


def backs_off(bench: Bench) -> None:
    bench.pod()
    bench.exit_at(5, code=0)
    bench.exit_at(8, code=0)
    bench.delete_at(12)


def fails_off(bench: Bench) -> None:
    bench.pod("app", {"name": "a"}, {"name": "b"}, restartPolicy="OnFailure")
    bench.exit_at(5, container="a", code=1)
    bench.exit_at(8, container="a", code=1)
    bench.exit_at(9, container="b", code=0)
    bench.delete_at(12)


def gated(bench: Bench) -> None:
    bench.pod("app", readinessGates=[{"conditionType": "x.io/a"}])
    gate_at(bench, 8, "x.io/a", "True")
    gate_at(bench, 20, "x.io/a", "False")
    bench.delete_at(30)


def sidecar(bench: Bench) -> None:
    bench.pod("app", {"name": "app", "readinessProbe": {"tcpSocket": {"port": 80}}}, initContainers=[SIDE])
    bench.exit_at(20, container="side")
    bench.delete_at(40)


def said(bench: Bench) -> None:
    bench.pod()
    patched(bench, 8, reason="Why", message="because")
    bench.exit_at(9)
    bench.delete_at(30)


def restarted(bench: Bench) -> None:
    bench.pod("app", {"name": "app", "startupProbe": {"tcpSocket": {"port": 80}}})
    bench.at(6, lambda: bench.machine.restart_kubelet(0))
    bench.at(20, bench.machine.stop_runtime)
    bench.exit_at(22)
    bench.at(60, bench.machine.start_runtime)
    bench.delete_at(90)


SCENES = [backs_off, fails_off, gated, sidecar, said, restarted]


@pytest.mark.parametrize("scene", SCENES)
def test_nobody_can_tell_that_statuses_are_left_as_they_are(
    monkeypatch: pytest.MonkeyPatch, scene: Callable[[Bench], None]
) -> None:
    def versions() -> list[object]:
        bench, seen = Bench(image(start=0.5, ready=3, stop=1)), list[object]()
        bench.server.watch(Pod, lambda change: seen.append((bench.clock.now, change.type, change.new)))
        scene(bench)
        bench.run(130)
        return seen

    left = versions()
    monkeypatch.setattr("k8sim.kubelet.podsync.basis_of", lambda *_: None)
    assert left == versions()
    assert len(left) > 5
