"""The summary of real runs: what a person reads."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import k8sim
from k8sim.report.summary import duration, first_line, summary
from k8sim.scenario import loads
from k8sim.sim.units import HOUR, MILLISECOND, MINUTE, SECOND

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"


def text(name: str) -> str:
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        console.print(summary(k8sim.run(SCENARIOS / f"{name}.yaml")))
    return " ".join(capture.get().split())


def test_a_rolling_update() -> None:
    shown = text("web-rolling-update")
    assert "3 of 3 pods Ready at the end" in shown
    assert "at worst 2 Ready" in shown
    assert shown.count("updated Ready") == 3
    assert "rollout at 1m0.1s (image registry.k8s.io/nginx-slim:0.24): finished in" in shown


def test_a_canary_that_fails() -> None:
    shown = text("web-canary")
    assert "overtaken by another" in shown
    assert "error: timed out waiting for the condition" in shown
    assert "web-0 1 0" in shown
    assert "web-2 3 0" in shown


def test_the_tutorial_ends_with_nothing() -> None:
    shown = text("web-basics-tour")
    assert "StatefulSet web: deleted" in shown
    assert shown.count(" gone") == 5
    assert "still running" not in shown
    assert "NotFound" not in shown


def test_why_nothing_happens() -> None:
    whole = (SCENARIOS / "web-canary.yaml").read_text().replace("duration: 4m", "duration: 110s")
    until_then = [line for line in whole.splitlines() if "at: 2m," not in line and "at: 3m," not in line]
    scenario = k8sim.loads("\n".join(until_then))
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        console.print(summary(k8sim.run(scenario)))
    assert "its controller is waiting for web-2 to become Ready" in capture.get()
    assert "not finished" in capture.get()


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (86 * MILLISECOND + 123, "86ms"),
        (6 * SECOND + 742 * MILLISECOND, "6.7s"),
        (MINUTE + 59 * MILLISECOND, "1m0.1s"),
        (HOUR + 400 * MILLISECOND, "1h"),
        (0, "0s"),
    ],
)
def test_durations_are_rounded_for_reading(ns: int, shown: str) -> None:
    assert duration(ns) == shown


def test_only_the_first_line_of_an_output() -> None:
    assert first_line("a\nb") == "a …"
    assert first_line("a\n") == "a"


def test_static_pods_are_those_of_their_node() -> None:
    static = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: static}
spec:
  duration: 1m
  nodes:
    - name: node
      staticPods:
        - {apiVersion: v1, kind: Pod, metadata: {name: etcd}, spec: {containers: [{name: etcd, image: "etcd:3"}]}}
"""
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        console.print(summary(k8sim.run(loads(static))))
    assert "Static pods of node-0: 1 pod Ready at the end" in capture.get()
