"""`k8sim calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import k8sim as library
from tests.cli.conftest import SCENARIO, Run


def event(kind: str, name: str, reason: str, second: int, **more: object) -> dict[str, object]:
    return {
        "kind": "Event", "reason": reason, "involvedObject": {"kind": kind, "name": name, "uid": f"uid-{name}"},
        "firstTimestamp": f"2026-01-02T03:04:{second:02d}Z", "count": 1, **more,
    }  # fmt: skip


def attached(after_s: list[int]) -> list[dict[str, object]]:
    return [
        e
        for i, s in enumerate(after_s)
        for e in (event("Pod", f"p{i}", "Scheduled", 1), event("Pod", f"p{i}", "SuccessfulAttachVolume", 1 + s))
    ]


@pytest.fixture
def events(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(items: list[dict[str, object]]) -> Path:
        target = tmp_path / "events.json"
        target.write_text(json.dumps({"kind": "List", "items": items}))
        return target

    return write


def test_what_it_prints_is_a_block_that_a_scenario_takes(k8sim: Run, events) -> None:  # type: ignore[no-untyped-def]
    result = k8sim("calibrate", events(attached([8, 9, 10, 11, 12, 30])))
    assert result.exit_code == 0, result.stderr
    block = yaml.safe_load(result.stdout)
    assert block["latencies"]["volumeAttach"]["lognormal"]["median"] == "10.500s"
    indented = "".join(f"  {line}\n" for line in result.stdout.splitlines())
    scenario = library.loads(SCENARIO.replace("  duration: 40s\n", f"  duration: 40s\n{indented}"))
    assert scenario.latencies["volumeAttach"].quantile(0.5) == pytest.approx(10.5e9, rel=0.01)


def test_an_event_that_was_repeated_or_has_no_time_says_nothing(k8sim: Run, events) -> None:  # type: ignore[no-untyped-def]
    repeated = event("Pod", "p0", "SuccessfulAttachVolume", 50, count=7)
    timeless = event("Pod", "p1", "SuccessfulAttachVolume", 50, firstTimestamp=None)
    items = [*attached([2, 2, 2, 2, 2]), repeated, timeless]
    assert "median: 2.000s" in k8sim("calibrate", events(items)).stdout


def test_too_few_events_and_no_events_are_told(k8sim: Run, events, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    few = k8sim("calibrate", events(attached([1, 2])))
    assert few.exit_code == 2
    assert "volumeAttach: 2" in few.stderr
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[1, 2]")
    assert k8sim("calibrate", wrong).exit_code == 2
