"""`k8sim calibrate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import k8sim as library
from k8sim.report.calibration import pattern_of
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


def pulled(image: str, took: str, i: int) -> dict[str, object]:
    message = f'Successfully pulled image "{image}" in {took} (9m including waiting). Image size: 154000000 bytes.'
    return event("Pod", f"q{i}", "Pulled", 1, message=message)


def pod(image: str, ready_after_s: int, containers: int = 1, probe: bool = True) -> dict[str, object]:
    container = {"name": "app", "image": image, **({"readinessProbe": {"tcpSocket": {"port": 1}}} if probe else {})}
    running = {"state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": f"2026-01-02T03:04:{5 + ready_after_s:02d}Z"}
    return {
        "kind": "Pod",
        "spec": {"containers": [container] * containers},
        "status": {"containerStatuses": [running] * containers, "conditions": [ready]},
    }


def test_pulls_and_readiness_are_laws_of_the_image_whatever_its_tag(k8sim: Run, events) -> None:  # type: ignore[no-untyped-def]
    pulls = [
        pulled(f"reg:5000/postgres:{i}", took, i) for i, took in enumerate(["1.5s", "2s", "2.5s", "1m3s", "900ms"])
    ]
    pods = [pod("reg:5000/postgres:17@sha256:ab", s) for s in (10, 12, 14, 16, 18)]
    unclear = [pod("reg:5000/postgres:17", 50, containers=2), pod("reg:5000/postgres:17", 50, probe=False)]
    result = k8sim("calibrate", events([*pulls, *pods, *unclear]))
    assert result.exit_code == 0, result.stderr
    block = yaml.safe_load(result.stdout)
    assert list(block) == ["images"]
    [(pattern, laws)] = block["images"].items()
    assert pattern == "reg:5000/postgres:*"
    assert {name: law["lognormal"]["median"] for name, law in laws.items()} == {"pull": "2.000s", "ready": "14.000s"}
    indented = "".join(f"  {line}\n" for line in result.stdout.splitlines())
    scenario = library.loads(
        SCENARIO.split("  images:")[0].replace("  duration: 40s\n", f"  duration: 40s\n{indented}")
    )
    assert scenario.images[0].pull.quantile(0.5) == pytest.approx(2e9, rel=0.01)


@pytest.mark.parametrize(
    ("image", "pattern"),
    [("nginx", "nginx*"), ("nginx:1.27", "nginx:*"), ("r:5000/a/b", "r:5000/a/b*"), ("a@sha256:0f", "a*")],
)
def test_the_pattern_of_an_image_leaves_tag_and_digest_open(image: str, pattern: str) -> None:
    assert pattern_of(image) == pattern


def test_several_files_are_one_sample(k8sim: Run, tmp_path: Path) -> None:
    names = []
    for i, items in enumerate((attached([2, 2]), attached([2, 2, 2]))):
        for item in items:
            item["involvedObject"]["uid"] += f"-{i}"  # type: ignore[index]
        names.append(tmp_path / f"{i}.json")
        names[-1].write_text(json.dumps({"items": items}))
    assert "# 5 delays" in k8sim("calibrate", *names).stdout
