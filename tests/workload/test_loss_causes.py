"""Every cause of a lost write: what provokes it, and a near miss that differs in one thing and loses nothing to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from k8sim.workload.history import Content
from k8sim.workload.losses import CAUSES
from k8sim.workload.rules import Rules
from tests.workload.bare import Bare, seconds

ALONE = Rules(acks=1, election="any", empty_votes=True)
LAZY = replace(ALONE, flush_ns=4 * 10**9, sync_ns=8 * 10**9)
ASYNC = Rules(acks=1, election="any", election_delay=seconds(10), lag_ns=10**9)
SENTINEL = replace(ASYNC, keeps_role=True, empty_votes=True, lag_ns=0)
MIRROR = Rules(acks="all", election="in-sync", copy_time=seconds(20))
ZOOKEEPER = Rules(acks="majority", election="majority", election_delay=seconds(1), empty_votes=True)
Act = Callable[[Bare], None]


class Case(NamedTuple):
    """What happens from 103 s on, and what happens instead; ``rules`` and ``others`` are those of the near miss."""

    rules: Rules
    members: str
    provoke: Act
    miss: Act
    others: Rules | None = None


def then(*steps: tuple[float, Act]) -> Act:
    def act(db: Bare) -> None:
        for at, step in steps:
            db.run(at)
            step(db)

    return act


def down(*members: str, how: str = "killed") -> Act:
    return lambda db: db.down(*members, how=how)  # type: ignore[arg-type]


def up(*members: str, **how: object) -> Act:
    return lambda db: db.up(*members, **how)


def destroy(place: str, path: str) -> Act:
    return lambda db: db.destroy(place, path)


def restored(seconds_old: float) -> Act:
    """The leader's volume is replaced by one made from a snapshot."""

    def act(db: Bare) -> None:
        old = Content(db.group.path.branch, db.group.path.offset - int(seconds_old * 100 * 10**9))
        db.up("a", place="new", origin="restored", content=old)

    return act


def second_writer(db: Bare) -> None:
    """A pod of the same name starts elsewhere, on the same volume; the old process runs on for 7 s."""
    old = db.processes["a"]
    db.up("a", node="elsewhere")
    db.run(db.now + 7)
    db.group.down(old, "killed", -1)


def cut(*members: str) -> Act:
    return lambda db: db.cut(*members)


def heal(*members: str) -> Act:
    return lambda db: db.heal(*members)


CASES = {
    "unflushed": Case(LAZY, "a", down("a"), down("a", how="clean")),
    "unsynced": Case(LAZY, "a", down("a", how="machine lost"), then((104, down("a", how="clean")), (105, up("a")))),
    "container-layer": Case(
        ALONE, "a", then((103, down("a")), (103, destroy("a", "L3"))), then((103, down("a")), (104, up("a")))
    ),
    "ephemeral-volume": Case(
        ALONE, "a", then((103, down("a")), (103, destroy("a", "L4"))), then((103, down("a")), (104, up("a")))
    ),
    "volume-gone": Case(
        MIRROR, "a", destroy("a", "L10"), then((103, down("a")), (104, destroy("other", "L10")), (105, up("a")))
    ),
    "all-copies-gone": Case(
        MIRROR, "ab",
        then((103, down("a")), (103, destroy("a", "L8")), (104, up("a")), (110, down("b")), (110, destroy("b", "L8"))),
        then((103, down("a")), (103, destroy("a", "L8")), (104, up("a")), (130, down("b")), (130, destroy("b", "L8"))),
    ),
    "failover": Case(ASYNC, "ab", down("a"), down("a"), replace(ASYNC, acks=2)),
    "empty-primary": Case(
        SENTINEL, "ab",
        then((103, down("a")), (103, destroy("a", "L8")), (105, up("a"))),
        then((103, down("a")), (103, destroy("a", "L8")), (120, up("a"))),
    ),
    "empty-majority": Case(
        ZOOKEEPER, "abc",
        then((103, down("a", "b", "c")), (103, destroy("a", "L8")), (103, destroy("b", "L8")), (105, up("a", "b"))),
        then((103, down("a", "b", "c")), (103, destroy("a", "L8")), (103, destroy("b", "L8")), (105, up("a", "b"))),
        replace(ZOOKEEPER, empty_votes=False),
    ),
    "old-snapshot": Case(
        ALONE, "a", then((103, down("a", how="clean")), (104, restored(30))),
        then((103, down("a", how="clean")), (104, restored(0))),
    ),
    "split-brain": Case(
        ASYNC, "ab", then((103, cut("a")), (120, heal("a"))), then((103, cut("a")), (110, heal("a"))),
    ),
    "two-writers": Case(ALONE, "a", second_writer, second_writer, replace(ALONE, acks="majority", election="majority")),
}  # fmt: skip
WITH_STORAGE = {"torn-snapshot"}
"""Provoked where the storage is simulated."""


def causes(rules: Rules, members: str, act: Act) -> dict[str, float]:
    """Return what was lost for which cause."""
    db = Bare(rules, members)
    db.up(*members)
    db.run(103)
    act(db)
    db.run(200)
    found: dict[str, float] = {}
    for _, writes, cause in db.losses():
        found[cause] = found.get(cause, 0) + writes
    assert sum(found.values()) - sum(d["writes"] for *_, d in db.rows("Application", "Found")) == pytest.approx(db.lost)
    assert db.acknowledged == pytest.approx((db.group.position() + db.group.divergent()) / 1e9 + db.lost)
    return found


@pytest.mark.parametrize("cause", CASES)
def test_a_cause_and_its_near_miss(cause: str) -> None:
    case = CASES[cause]
    provoked = causes(case.rules, case.members, case.provoke)
    assert list(provoked) == [cause]
    assert provoked[cause] > 0
    assert cause not in causes(case.others or case.rules, case.members, case.miss)


def test_every_cause_has_a_case_and_stands_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "applications.md").read_text()
    assert [cause for cause in CAUSES if f"| `{cause}` |" not in text] == []
    assert {*CASES} | WITH_STORAGE >= {*CAUSES}
    assert {*CASES} <= {*CAUSES}


def test_what_was_never_written_is_not_lost() -> None:
    db = Bare(ALONE, "a", rate=0)
    db.up("a")
    db.run(10)
    db.destroy("a", "L8")
    assert (db.losses(), db.group.path.offset) == ([], 0)
