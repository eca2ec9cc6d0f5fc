"""When kube-proxy programs what; workloads.md 7.6 (7, 10), node.md 9.7 (8, 9)."""

from __future__ import annotations

from k8sim.network.proxy import Proxy
from tests.network.world import Net, make_endpoint, make_service

WEB = ("default", "web")


def test_two_changes_in_a_row_the_second_waits_a_second() -> None:
    net = Net()
    net.server.create(make_service("web"))
    proxy = Proxy(net.server, "node-0")
    one, two = make_endpoint("web-0", "10.0.0.1"), make_endpoint("web-1", "10.0.0.2")
    net.at(10.0, net.set_slice, "web", one)
    net.at(10.3, net.set_slice, "web", one, two)
    net.run(20)
    (first, _, a), (second, _, b) = net.rows("Proxy", "Programmed")
    assert 10.0 < first < 10.1
    assert 1.0 < second - first < 1.1
    assert a["addresses"] == ["10.0.0.1"]
    assert b["addresses"] == ["10.0.0.1", "10.0.0.2"] == list(proxy.endpoints(WEB))


def test_changes_that_come_meanwhile_are_programmed_together() -> None:
    net = Net()
    net.server.create(make_service("web"))
    Proxy(net.server, "node-0")
    for i in range(1, 6):
        net.at(10 + i / 10, net.set_slice, "web", make_endpoint("web-0", f"10.0.0.{i}"))
    net.run(20)
    programmed = [row[2]["addresses"] for row in net.rows("Proxy", "Programmed")]
    assert programmed == [["10.0.0.1"], ["10.0.0.5"]]


def test_the_last_endpoint_is_used_while_it_terminates() -> None:
    net = Net()
    net.server.create(make_service("web"))
    proxy = Proxy(net.server, "node-0")
    net.set_slice("web", make_endpoint("web-0", "10.0.0.1"))
    net.at(5, net.set_slice, "web", make_endpoint("web-0", "10.0.0.1", ready=False, terminating=True))
    net.run(8)
    assert proxy.endpoints(WEB) == ("10.0.0.1",)
    net.at(9, net.set_slice, "web")
    net.run(11)
    assert proxy.endpoints(WEB) == ()


def test_nodes_converge_at_different_times() -> None:
    net = Net()
    net.server.create(make_service("web"))
    for i in range(4):
        Proxy(net.server, f"node-{i}")
    net.at(10, net.set_slice, "web", make_endpoint("web-0", "10.0.0.1"))
    net.run(20)
    assert len({t for t, _, _ in net.rows("Proxy", "Programmed")}) == 4
