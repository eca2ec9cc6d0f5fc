from __future__ import annotations

from k8sim.api.core import Node, PersistentVolumeClaim, Pod
from k8sim.api.meta import Object
from k8sim.apiserver.admission_handler import handles
from k8sim.apiserver.server import Admission, APIServer
from tests.apiserver.world import make_pod, make_server


def recorded(name: str, into: list[str]) -> Admission:
    def plugin(server: APIServer, obj: Object, old: Object | None) -> Object:
        into.append(name)
        return obj

    return plugin


def test_a_plug_in_is_asked_about_what_it_handles_in_order() -> None:
    asked: list[str] = []
    server = make_server(
        admission=(
            handles(create=(Node, Pod), update=())(recorded("new pods", asked)),
            recorded("everything", asked),
            handles(create=(), update=(Pod,))(recorded("changed pods", asked)),
            handles(create=(PersistentVolumeClaim,), update=(PersistentVolumeClaim,))(recorded("claims", asked)),
        )
    )
    pod = server.create(make_pod())
    assert asked == ["new pods", "everything"]
    asked.clear()
    server.update(pod)
    assert asked == ["everything", "changed pods"]


def test_other_plug_ins_take_effect_at_once() -> None:
    asked: list[str] = []
    server = make_server(admission=(recorded("first", asked),))
    server.create(make_pod("web-0"))
    server.admission = (recorded("second", asked),)
    server.create(make_pod("web-1"))
    assert asked == ["first", "second"]
