"""L1 to L3: what a process, a machine or a container has that no volume has yet."""

from __future__ import annotations

from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.pair import Pair
from tests.storage.losspaths.scenes import home, stateful_set, storage_class, world, write

DATABASE = "applications: [{name: db, statefulSet: web, preset: single, writes: 100/s, start: 60s, flush: 10s}]"
"""A hundred writes per second, which the process writes to the kernel every 10 s from its start on, at about 16 s."""
IN_THE_LAYER = DATABASE.replace("flush", "volume: nowhere, flush")


def ended(stop: str) -> Scene:
    """A database is asked to end at 100 s, has 10 s for it, and needs some time."""
    return world(
        storage_class(), stateful_set(), spec=DATABASE, stop=stop, steps=("at: 100s, kubectl: delete pod web-0",)
    ).run(200)


def killed(database: str) -> Scene:
    return scene("at: 100s, fault: oom-kill, pod: web-0", cluster=database).run(200)


def power_loss(synced: bool) -> Scene:
    dark = scene(f"at: 100s, fault: node-crash, node: {home()}").run(90)
    write(dark, synced)
    return dark.run(130)


def restarted(database: str) -> Scene:
    return scene("at: 100s, fault: container-exit, pod: web-0, code: 0", cluster=database).run(200)


PAIRS = (
    Pair(
        "L1",
        "SIGTERM grace elapses, SIGKILL: layer A lost; B survives",
        lambda: ended("30s"),
        "writes L1 ~430",
        lambda: ended("5s"),
        "the process ends within its grace period, and flushes",
    ),
    Pair(
        "L1",
        "OOM-kill and liveness kill past grace: same",
        lambda: killed(DATABASE),
        "writes L1 ~430",
        lambda: killed(DATABASE.replace("flush: 10s", "flush: 0s")),
        "it acknowledges after write(2): the kernel has everything",
        variant="killed",
    ),
    Pair(
        "L2",
        "layer A and B of all pods on the node lost; C intact",
        lambda: power_loss(False),
        "lost L2 10",
        lambda: power_loss(True),
        "what was written had been synced",
    ),
    Pair(
        "L3",
        "writable layer of the container is replaced; everything not on a volume is lost",
        lambda: restarted(IN_THE_LAYER),
        "writes L3 ~4000",
        lambda: restarted(DATABASE),
        "the data is on a volume",
    ),
)  # fmt: skip
