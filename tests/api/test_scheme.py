from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from k8sim.api import decode, encode, kind_class, resolve_kind
from k8sim.api.core import Pod
from k8sim.api.scheme import format_time, parse_time, resource_name

CASES = sorted((Path(__file__).parents[1] / "conformance" / "cases").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_manifest_survives_the_round_trip(path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        if kind_class(manifest["kind"]) is not None:
            obj = decode(manifest)
            assert decode(encode(obj)) == obj


def test_what_is_not_simulated_is_kept_for_display() -> None:
    manifest = {
        "kind": "Pod",
        "metadata": {"name": "p", "managedFields": [{"manager": "x"}]},
        "spec": {"containers": [{"name": "c", "image": "i", "tty": True}], "dnsPolicy": "Default"},
    }
    pod = decode(manifest)
    assert isinstance(pod, Pod)
    assert pod.spec.extra == {"dnsPolicy": "Default"}
    back = encode(pod)
    assert back["spec"]["containers"][0]["tty"] is True
    assert back["metadata"]["managedFields"] == [{"manager": "x"}]


def test_empty_and_absent_are_kept_apart_where_kubernetes_does() -> None:
    claim = decode({"kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {"storageClassName": ""}})
    assert encode(claim)["spec"]["storageClassName"] == ""
    budget = decode({"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"selector": {}}})
    assert encode(budget)["spec"]["selector"] == {}
    without = decode({"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"maxUnavailable": 1}})
    assert "selector" not in encode(without)["spec"]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"replicas": "three"}, "spec.replicas"),
        ({"replicas": True}, "spec.replicas"),
        ({"template": {"spec": {"containers": {"name": "x"}}}}, "spec.template.spec.containers"),
        ({"template": {"spec": {"containers": [{"ports": [{"containerPort": "http"}]}]}}}, "ports[0].containerPort"),
    ],
)
def test_a_wrong_type_is_named_by_its_path(spec: dict[str, object], path: str) -> None:
    with pytest.raises(TypeError, match=path.replace("[", r"\[").replace("]", r"\]")):
        decode({"kind": "StatefulSet", "metadata": {"name": "web"}, "spec": spec})


def test_numeric_quantities_become_text() -> None:
    pod = decode({"kind": "Pod", "spec": {"containers": [{"resources": {"requests": {"cpu": 2, "memory": 1.5}}}]}})
    assert isinstance(pod, Pod)
    assert pod.spec.containers[0].resources.requests == {"cpu": "2", "memory": "1.5"}


@pytest.mark.parametrize(
    ("word", "kind"),
    [("sts", "StatefulSet"), ("statefulsets.apps", "StatefulSet"), ("po", "Pod"), ("PVC", "PersistentVolumeClaim"),
     ("poddisruptionbudget", "PodDisruptionBudget"), ("widgets", None)],
)  # fmt: skip
def test_kubectls_words_for_kinds(word: str, kind: str | None) -> None:
    assert resolve_kind(word) == kind


def test_names_of_resources() -> None:
    names = [resource_name(kind_class(k)) for k in ("Pod", "StatefulSet", "PodDisruptionBudget")]  # type: ignore[arg-type]
    assert names == ["pod", "statefulset.apps", "poddisruptionbudget.policy"]


def test_times_are_shown_in_whole_seconds() -> None:
    assert format_time(90_999_999_999) == "2026-01-01T00:01:30Z"
    assert parse_time(format_time(90_999_999_999)) == 90_000_000_000
    assert parse_time("2025-12-31T23:59:59.5+00:00") == -500_000_000


def test_null_in_a_map_of_strings_is_the_empty_string() -> None:
    pod = decode({"kind": "Pod", "metadata": {"name": "p", "annotations": {"a": None}, "labels": None}})
    assert (pod.metadata.annotations, pod.metadata.labels) == ({"a": ""}, {})
