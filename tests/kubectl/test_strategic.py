from __future__ import annotations

from typing import Any

import pytest

from k8sim.kubectl.patch import PatchError
from k8sim.kubectl.strategic import strategic_merge, three_way_merge


def merge(original: dict[str, Any], patch: dict[str, Any], kind: str = "Pod") -> dict[str, Any]:
    before = repr(original)
    result = strategic_merge(original, patch, kind)
    assert repr(original) == before
    return result


def test_containers_merge_by_name_and_a_new_one_comes_first() -> None:
    original = {"containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}]}
    patch = {"containers": [{"name": "a", "image": "a:2"}, {"name": "new", "image": "n:1"}]}
    assert [c["name"] for c in merge(original, patch)["containers"]] == ["a", "new", "b"]
    assert merge(original, {"containers": [{"name": "new"}]})["containers"][0] == {"name": "new"}
    assert merge(original, patch)["containers"][0] == {"name": "a", "image": "a:2", "args": ["x"]}


def test_atomic_lists_are_replaced() -> None:
    assert merge({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}) == {"tolerations": [{"key": "b"}]}


def test_ports_merge_by_the_key_of_their_kind() -> None:
    container = {"ports": [{"containerPort": 80}, {"containerPort": 81}]}
    assert len(merge(container, {"ports": [{"containerPort": 80, "name": "x"}]})["ports"]) == 2
    service = {"ports": [{"port": 80, "name": "a"}]}
    assert merge(service, {"ports": [{"port": 80, "name": "b"}]}, "Service") == {"ports": [{"port": 80, "name": "b"}]}


def test_null_removes_and_nulls_in_new_parts_vanish() -> None:
    assert merge({"a": 1, "b": 2}, {"a": None}) == {"b": 2}
    assert merge({}, {"a": {"b": None, "c": 1}}) == {"a": {"c": 1}}


def test_directives() -> None:
    pod = {"containers": [{"name": "a"}, {"name": "b"}], "metadata": {"finalizers": ["x", "y"]}}
    deleted = merge(pod, {"containers": [{"name": "a", "$patch": "delete"}]})
    assert deleted["containers"] == [{"name": "b"}]
    replaced = merge(pod, {"containers": [{"$patch": "replace"}, {"name": "c"}]})
    assert replaced["containers"] == [{"name": "c"}]
    assert merge({"a": {"x": 1, "y": 2}}, {"a": {"$patch": "replace", "z": 3}}) == {"a": {"z": 3}}
    assert merge({"a": {"x": 1, "y": 2}}, {"a": {"$retainKeys": ["y"], "y": 3}}) == {"a": {"y": 3}}
    primitives = merge(pod, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"], "finalizers": ["z"]}})
    assert primitives["metadata"] == {"finalizers": ["y", "z"]}
    ordered = merge(pod, {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a"}]})
    assert [c["name"] for c in ordered["containers"]] == ["b", "a"]


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(PatchError, match="merge key"):
        merge({"containers": [{"name": "a"}]}, {"containers": [{"image": "b"}]})
    with pytest.raises(PatchError, match="Unknown patch type"):
        merge({"a": {}}, {"a": {"$patch": "frobnicate"}})


def test_apply_removes_what_it_set_before_and_keeps_what_others_set() -> None:
    last = {"spec": {"replicas": 3, "minReadySeconds": 5}}
    live = {"spec": {"replicas": 7, "minReadySeconds": 5, "paused": True}}
    assert three_way_merge(last, {"spec": {}}, live, "Deployment") == {"spec": {"paused": True}}
    assert three_way_merge(last, {"spec": {"replicas": 2}}, live, "Deployment")["spec"] == {
        "paused": True,
        "replicas": 2,
    }


def test_apply_of_lists() -> None:
    last = {"containers": [{"name": "a"}, {"name": "old"}]}
    live = {"containers": [{"name": "injected"}, {"name": "a", "image": "x"}, {"name": "old"}]}
    wanted = {"containers": [{"name": "new"}, {"name": "a"}]}
    result = three_way_merge(last, wanted, live, "Pod")["containers"]
    assert [c["name"] for c in result] == ["new", "injected", "a"]
    assert result[-1] == {"name": "a", "image": "x"}


def test_apply_of_a_strategy_and_of_a_volume_drops_what_is_not_sent() -> None:
    live = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}}
    assert three_way_merge({}, {"strategy": {"type": "Recreate"}}, live, "Deployment")["strategy"] == {
        "type": "Recreate"
    }
    volumes = {"volumes": [{"name": "v", "emptyDir": {}}]}
    wanted = {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}
    assert three_way_merge({}, wanted, volumes, "Pod") == wanted
