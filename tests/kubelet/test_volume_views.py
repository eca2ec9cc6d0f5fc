"""What a pod sees of a volume: subPath, subPathExpr, and mounts over mounts (storage.md 9.2, L42)."""

from __future__ import annotations

from typing import Any

from k8sim.api.core import Pod
from k8sim.api.scheme import decode
from k8sim.kubelet.volumespecs import view_of
from k8sim.machines.content import View


def pod(*containers: list[dict[str, Any]]) -> Pod:
    env = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "PLACE", "value": "here"},
    ]
    made = decode({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "default"},
        "spec": {
            "containers": [
                {"name": f"c{i}", "image": "app", "env": env, "volumeMounts": mounts}
                for i, mounts in enumerate(containers)
            ]
        },
    })  # fmt: skip
    assert isinstance(made, Pod)
    return made


def mount(path: str = "/data", name: str = "data", **more: str) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **more}


def test_the_whole_volume_or_a_directory_of_it() -> None:
    assert view_of(pod([mount()]), "data") == View()
    assert view_of(pod([mount(subPath="a/b/")]), "data") == View(("a/b",))
    assert view_of(pod([mount("/x", subPath="a"), mount("/y", subPath="b")]), "data") == View(("a", "b"))


def test_an_expression_names_variables_of_the_container() -> None:
    assert view_of(pod([mount(subPathExpr="$(PLACE)/$(POD_NAME)")]), "data") == View(("here/web-0",))


def test_a_deeper_mount_covers_what_is_there() -> None:
    assert view_of(pod([mount(), mount("/data/conf", "config")]), "data") == View(covered=("conf",))
    assert view_of(pod([mount(subPath="db"), mount("/data/conf", "config")]), "data") == View(("db",), ("db/conf",))
    assert view_of(pod([mount(), mount("/database", "other")]), "data") == View()


def test_what_one_container_sees_is_not_hidden() -> None:
    assert view_of(pod([mount(), mount("/data/conf", "config")], [mount()]), "data") == View()
