"""Replays every scenario of traces.txt, which the real control loop wrote, and compares what each sync did.

The file says what a sync did and most of what happened in between ("**"); how a scenario begins, and the few changes
between syncs that it does not print, are in the functions below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k8sim.api.apps import StatefulSetOrdinals, StatefulSetUpdateStrategy
from tests.controllers.statefulset.world import PARALLEL, World, stateful_set

TRACES = Path(__file__).with_name("traces.txt").read_text().splitlines()
Block = tuple[str, list[str]]


def read_scenario(name: str) -> Iterator[Block]:
    """The blocks of a scenario: (header line, lines that follow it)."""
    start = TRACES.index(f"=== {name}")
    block: Block | None = None
    for line in TRACES[start + 1 :]:
        if line.startswith("=== "):
            break
        if line.startswith(("-- ", "** ")):
            if block is not None:
                yield block
            block = (line.strip(), [])
        elif block is not None:
            block[1].append(line.strip())
    if block is not None:
        yield block


def normal(lines: list[str], parallel: bool) -> list[str]:
    """Within a parallel batch order is not significant."""
    lines = [re.sub(r"^(ERR|status REJECTED) (?:StatefulSet.*?: )?", r"\1 ", line) for line in lines]
    return sorted(lines) if parallel else lines


def replay(world: World, name: str, before: dict[int, Callable[[], object]] | None = None) -> None:
    """Do what the scenario says, and compare each sync.

    ``before`` holds what happens before the n-th sync without being in the file.
    """
    parallel = world.set.spec.pod_management_policy == PARALLEL
    n = 0
    for header, expected in read_scenario(name):
        if header.startswith("** "):
            happen(world, header.removeprefix("** "))
            continue
        if before is not None and n in before:
            before[n]()
        n += 1
        expected = [line for line in expected if not line.startswith("rev ")]
        assert normal(world.sync(), parallel) == normal(expected, parallel), f"{name}: sync {n} ({header})"


def happen(world: World, what: str) -> None:
    if match := re.fullmatch(r"web-(\d+) (ready|gone|terminating)", what):
        ordinal, change = int(match[1]), match[2]
        {"ready": world.ready, "gone": world.gone, "terminating": world.terminate}[change](ordinal)
    elif match := re.fullmatch(r"(scale|image) (\w+)", what):
        world.scale(int(match[2])) if match[1] == "scale" else world.image(match[2])
    else:
        raise ValueError(what)


def test_1_ordered_create_and_scale() -> None:
    world = World(stateful_set())
    replay(world, "1a ordered create 3")
    replay(world, "1b scale 5")
    replay(world, "1c scale 2")


def test_2_partition() -> None:
    world = World(stateful_set(partition=2)).settled()
    replay(world, "2a partition 2")
    replay(world, "2b web-0 deleted under partition 2")
    replay(world, "2c web-2 deleted under partition 2")
    replay(world, "2d scale to 4 under partition 2")
    world.partition(0)
    replay(world, "2e partition 0")


def test_3_ordered_broken_rollout() -> None:
    world = World(stateful_set()).settled()
    replay(world, "3a ordered broken rollout + revert")
    replay(world, "3b manual delete of broken")


def test_3_parallel_broken_rollout() -> None:
    world = World(stateful_set(policy=PARALLEL))
    replay(world, "3c parallel create")
    replay(world, "3d parallel broken + revert", {4: lambda: world.image("foo")})


def test_3_parallel_broken_rollout_with_max_unavailable() -> None:
    world = World(stateful_set(policy=PARALLEL), {"MaxUnavailableStatefulSet": True}).settled()
    replay(world, "3e GATE ON parallel broken + revert", {4: lambda: world.image("foo")})


def test_4_ordered_scale_down_with_unready_pods() -> None:
    world = World(stateful_set(5)).settled()
    world.unready(3, 4)
    replay(world, "4a ordered scale-down with web-3,web-4 unready")
    replay(world, "4b after web-4 ready", {0: lambda: world.ready(4)})

    world = World(stateful_set(5)).settled()
    world.unready(3)
    replay(world, "4c ordered scale-down, only web-3 unready")

    world = World(stateful_set(5)).settled()
    world.unready(0)
    replay(world, "4d ordered scale-down, in-range web-0 unready")


def test_5_parallel_create_errors() -> None:
    world = World(stateful_set(4, PARALLEL))
    world.failing = {"web-0": "quota"}

    def now_the_second() -> None:
        world.failing = {"web-1": "quota"}

    replay(world, "5 parallel create errors", {2: now_the_second})


def test_6_parallel_scale_down() -> None:
    world = World(stateful_set(5, PARALLEL)).settled()
    world.unready(0)
    replay(world, "6 parallel scale 5->2")


def test_7_nil_rolling_update() -> None:
    world = World(stateful_set(strategy=StatefulSetUpdateStrategy(type="RollingUpdate"))).settled()
    replay(world, "7 nil rollingUpdate", {2: lambda: world.ready(2)})


def test_8_third_revision_before_completion() -> None:
    world = World(stateful_set(policy=PARALLEL)).settled()
    replay(
        world,
        "8 third revision before completion",
        {2: lambda: world.ready(2), 4: lambda: world.ready(1), 6: lambda: world.status(0, "Pending")},
    )


def test_9_scale_to_0_with_full_partition() -> None:
    replay(World(stateful_set(partition=3)).settled(), "9 scale to 0 with full partition")


def test_10_stuck_terminating() -> None:
    world = World(stateful_set()).settled()
    world.unready(1)
    replay(world, "10a ordered stuck terminating")

    world = World(stateful_set(policy=PARALLEL)).settled()
    world.unready(1)
    replay(
        world,
        "10b parallel stuck terminating web-1",
        {1: lambda: world.ready(3), 3: lambda: world.ready(3), 5: lambda: world.ready(2)},
    )


def test_11_ordinals_start() -> None:
    world = World(stateful_set()).settled()
    world.change(ordinals=StatefulSetOrdinals(start=5))
    replay(world, "11 ordinals.start 0->5")


def test_12_retention() -> None:
    world = World(stateful_set(when_deleted="Delete", when_scaled="Delete"))
    replay(world, "12a retention Delete/Delete create")
    replay(world, "12b", {3: lambda: world.remove_claim("datadir-web-2")})


def test_13_min_ready_seconds() -> None:
    world = World(stateful_set(min_ready_seconds=10))

    def ready() -> None:
        world.advance(100)
        world.ready(0)

    replay(
        world,
        "13 minReady",
        {1: ready, 2: lambda: world.advance(109), 3: lambda: world.advance(110)},
    )


def test_14_failed_pod() -> None:
    world = World(stateful_set()).settled()
    replay(world, "14 failed pod", {0: lambda: world.status(1, "Failed")})


def test_15_missing_pod_behind_an_unready_one() -> None:
    world = World(stateful_set()).settled()
    world.unready(0)
    replay(world, "15 missing higher blocked by unready lower", {2: lambda: world.ready(0)})


def test_16_on_delete() -> None:
    replay(World(stateful_set(strategy=StatefulSetUpdateStrategy(type="OnDelete"))).settled(), "16 OnDelete")


def test_17_quota_and_terminating_claim() -> None:
    world = World(stateful_set()).settled()
    world.failing = {"web-1": 'pods "web-1" is forbidden: exceeded quota: q'}
    replay(world, "17 quota + pvc terminating events", {1: lambda: world.terminate_claim("datadir-web-1")})


def test_18_rollback_reuses_the_revision() -> None:
    world = World(stateful_set()).settled()
    world.image("v2")
    world.settled()
    world.image("foo")
    replay(world, "18 rollback reuses revision")
    assert world.revisions() == {"A": 3, "B": 2}


def test_every_scenario_of_the_file_is_replayed() -> None:
    source = Path(__file__).read_text()
    missing = [
        line for line in TRACES if line.startswith("=== ") and "RUN" not in line and f'"{line[4:]}"' not in source
    ]
    assert not missing


@pytest.mark.parametrize("name", ["1a ordered create 3", "12b"])
def test_the_file_is_read(name: str) -> None:
    blocks = list(read_scenario(name))
    assert len(blocks) > 3
    assert any(lines for _, lines in blocks)
