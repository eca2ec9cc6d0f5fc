"""Whatever the schema accepts, validation answers with field errors: it never fails itself."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.schema import _table, built_in_kind, check
from k8sim.api.scheme import decode, encode
from k8sim.api.simulated import unsimulated_fields
from k8sim.api.validation import pods_refused, validate_create, validate_update

WORDS = [
    "a",
    "web",
    "app.kubernetes.io/name",
    "Always",
    "Never",
    "Exists",
    "In",
    "",
    "None",
    "10%",
    "Bad Name",
    "RollingUpdate",
]
QUANTITIES = ["1", "500m", "1Gi", 2, 0, "-1", 1.5]


def value_of(draw: st.DrawFn, type_: str, depth: int) -> Any:
    if type_ == "t":
        return "2026-01-31T12:00:00Z"
    if type_ in "sy":
        return draw(st.sampled_from(WORDS))
    if type_ == "i":
        return draw(st.integers(-1, 3))
    if type_ == "b":
        return draw(st.booleans())
    if type_ == "f":
        return draw(st.sampled_from([0.5, 1]))
    if type_ == "q":
        return draw(st.sampled_from(QUANTITIES))
    if type_ == "x":
        return draw(st.sampled_from([0, 1, 80, "http", "25%", "150%"]))
    if type_ == "o":
        return draw(st.sampled_from([1, "a", {"b": []}]))
    if type_[0] == "[":
        return [value_of(draw, type_[1:], depth + 1) for _ in range(draw(st.integers(0, 2 if depth < 8 else 0)))]
    if type_[0] == "{":
        keys = draw(st.lists(st.sampled_from([*WORDS, "cpu", "storage"]), max_size=2, unique=True))
        return {key: value_of(draw, type_[1:], depth + 1) for key in keys}
    return struct(draw, type_, depth)


def struct(draw: st.DrawFn, name: str, depth: int) -> dict[str, Any]:
    model = _table().models[name]
    optional = sorted(set(model.fields) - set(model.required) - {"status", "resourceVersion"})
    most = 3 if depth < 6 else 0
    chosen = draw(st.lists(st.sampled_from(optional), max_size=most, unique=True)) if optional and most else []
    return {key: value_of(draw, model.fields[key], depth + 1) for key in [*model.required, *chosen]}


@st.composite
def manifests(draw: st.DrawFn, api_version: str, kind: str) -> dict[str, Any]:
    found = built_in_kind(api_version, kind)
    assert found is not None
    manifest = {**struct(draw, found.model, 0), "apiVersion": api_version, "kind": kind}
    for field in ("metadata", "spec"):
        if field in _table().models[found.model].fields:
            manifest[field] = struct(draw, _table().models[found.model].fields[field], 1)
    return manifest


KINDS = [
    ("v1", "Pod"), ("apps/v1", "StatefulSet"), ("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"), ("v1", "PersistentVolume"), ("storage.k8s.io/v1", "StorageClass"),
    ("policy/v1", "PodDisruptionBudget"), ("v1", "Node"), ("v1", "ResourceQuota"), ("v1", "LimitRange"),
    ("batch/v1", "Job"), ("batch/v1", "CronJob"), ("apps/v1", "DaemonSet"), ("scheduling.k8s.io/v1", "PriorityClass"),
]  # fmt: skip


@pytest.mark.parametrize(("api_version", "kind"), KINDS, ids=lambda x: x)
@settings(max_examples=40)
@given(data=st.data())
def test_validation_answers(api_version: str, kind: str, data: st.DataObject) -> None:
    manifest: dict[str, Any] = data.draw(manifests(api_version, kind))
    found = built_in_kind(api_version, kind)
    assert found is not None
    assert check(manifest, found) == []
    errors = validate_create(manifest)
    assert all(error.message for error in [*errors, *pods_refused(manifest)])
    # An update that changes nothing changes nothing that is immutable.
    assert {e.message for e in validate_update(manifest, manifest)} <= {e.message for e in errors}
    list(unsimulated_fields(manifest))


@pytest.mark.parametrize(("api_version", "kind"), KINDS, ids=lambda x: x)
@settings(max_examples=20)
@given(data=st.data())
def test_typed_objects_can_be_validated_too(api_version: str, kind: str, data: st.DataObject) -> None:
    manifest = encode(decode(data.draw(manifests(api_version, kind))))
    validate_create(manifest)
    validate_update(manifest, manifest)
