"""Explanations in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import k8sim
from k8sim.report.explain import NoSuchObject, Waterfall, chain_lines, explain, folded, sentence, still_open
from k8sim.report.outages import episodes
from k8sim.report.phases import Episode, Phase
from k8sim.result import Result
from k8sim.sim.units import MILLISECOND as MS
from k8sim.sim.units import SECOND

SCENARIO = k8sim.load(Path(__file__).parents[2] / "scenarios" / "db-node-loss.yaml")


@pytest.fixture(scope="module")
def whole() -> Result:
    return k8sim.run(SCENARIO)


@pytest.fixture(scope="module")
def at_ten_minutes() -> Result:
    return k8sim.run(replace(SCENARIO, duration_ns=600 * SECOND))


def text(view: object, width: int = 120) -> str:
    console = Console(width=width, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_the_sentence_tells_the_whole_story(whole: Result) -> None:
    (outage,) = (e for e in episodes(whole) if e.kind == "outage")
    told = sentence(outage, whole.scenario.duration_ns)
    order = [
        "db-1 was away for 13m", "silver-0 lost power", "noticed", "tolerates for 5m",
        "the kubelet of silver-0, which does not answer, until kubectl delete pod db-1 --force",
        "still attached to silver-0, until the controller detached it by force", "mounted", "readiness",
    ]  # fmt: skip
    places = [told.index(words) for words in order]
    assert places == sorted(places)


def test_an_earlier_moment_is_the_same_run_cut_short(whole: Result, at_ten_minutes: Result) -> None:
    n = len(at_ten_minutes.log)
    assert list(at_ten_minutes.log) == list(whole.log)[:n]


def test_why_nothing_happens_now(whole: Result, at_ten_minutes: Result) -> None:
    (item,) = still_open(at_ten_minutes, episodes(at_ten_minutes))
    assert item.episode.name == "db-1"
    assert item.episode.phases[-1].name == "held"
    assert item.reasons[0] == "StatefulSet db is waiting for db-1 to become Ready"
    assert "Multi-Attach error" in item.reasons[1]
    assert "Why nothing happens now" in text(explain(at_ten_minutes))
    assert still_open(whole, episodes(whole)) == []
    assert "Why nothing happens now" not in text(explain(whole))


def test_a_chain_leads_back_to_the_command(whole: Result) -> None:
    last = max(i for i, row in enumerate(whole.log) if (row.kind, row.name) == ("Pod", "db-1"))
    lines = list(chain_lines(whole, last))
    assert lines[0].endswith("Pod db-1 Ready")
    assert lines[-1].endswith("due to  kubectl delete pod db-1 --force --grace-period=0")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("db-1", "db-1 was away for"),
        ("pod/db-1", "db-1 was away for"),
        ("sts/db", "db-1 was away for"),
        ("db", "db-1 was away for"),
        ("db-0", "It has not been away since."),
        ("node/silver-0", "due to  silver-0 lost power"),
        ("pvc/data-db-1", "PersistentVolumeClaim data-db-1 Bound"),
        ("data-db-1", "PersistentVolumeClaim data-db-1 Bound"),
        ("pdb/db", "PodDisruptionBudget db Status allowed=1"),
    ],
)
def test_every_kind_of_object_can_be_asked_for(whole: Result, name: str, told: str) -> None:
    assert told in text(explain(whole, name))


def test_an_unknown_object_is_refused_with_those_there_are(whole: Result) -> None:
    with pytest.raises(NoSuchObject) as refused:
        explain(whole, "db-7")
    assert refused.value.known[:3] == ["pod/db-0", "pod/db-1", "pod/db-2"]


@pytest.mark.parametrize("width", [40, 76, 80, 100, 200])
def test_a_waterfall_fits_the_terminal(whole: Result, width: int) -> None:
    (outage,) = (e for e in episodes(whole) if e.kind == "outage")
    lines = text(Waterfall(outage, whole.scenario.duration_ns), width).splitlines()
    assert max(map(len, lines)) <= width
    assert ("█" in "".join(lines)) == (width >= 76)


def test_many_brief_phases_are_told_as_one() -> None:
    """A pod that is rejected and made anew, a hundred times in three seconds."""
    names = ("failed", "gone", "unscheduled") * 100
    steps = [Phase(name, i * 10 * MS, (i + 1) * 10 * MS, f"for {name}", "", -1) for i, name in enumerate(names)]
    pull = Phase("pulling", 3000 * MS, 5000 * MS, "for its image to be pulled", "", -1)
    outage = Episode("outage", "default", "db-0", 0, 5000 * MS, "disk-pressure", (*steps, pull), -1)
    assert sentence(outage, 5000 * MS).endswith(
        "disk-pressure; 3s of 300 brief phases: failed, no pod, scheduling; 2s for its image to be pulled."
    )
    lines = text(Waterfall(outage, 5000 * MS), 120).splitlines()
    assert ["again and again" in line for line in lines] == [True, False]
    few = replace(outage, phases=(*steps[:6], pull))
    assert len(list(folded(few, 5000 * MS))) == 7
