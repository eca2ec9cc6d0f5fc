"""What of a pod's life is not simulated is said, with its line, or refused: it is never silently left out."""

from __future__ import annotations

import pytest

from k8sim.scenario import ScenarioError, loads

HEAD = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  duration: 1m
  timeline: [%s]
---
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  %s
  containers:
    - {name: app, image: "app:v1"%s}
"""


@pytest.mark.parametrize(
    ("spec", "container", "field"),
    [
        ('ephemeralContainers: [{name: debug, image: "b:1"}]', "", "spec.ephemeralContainers"),
        ("", ", resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]", "spec.containers[].resizePolicy"),
    ],
)
def test_fields_without_effect_are_listed(spec: str, container: str, field: str):
    assert f"Pod {field}" in [note.what for note in loads(HEAD % ("", spec, container)).not_simulated]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("debug app --image=busybox", "'debug' is not supported"),
        ("patch pod app --subresource=resize -p {}", "--subresource=resize is not possible"),
    ],
)
def test_commands_are_refused(command: str, problem: str):
    with pytest.raises(ScenarioError, match=problem):
        loads(HEAD % (f'{{at: 1s, kubectl: "{command}"}}', "", ""))
