"""Caches of denials, and clients that wait for a name; workloads.md 7.6 (11, 12), node.md 9.7 (13, 14)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.network.control import Name
from k8sim.network.dns import DNS
from k8sim.network.settings import COREFILES, DNSSettings
from k8sim.sim.units import SECOND
from tests.network.world import Net, make_endpoint, make_service

DB0 = Name("db-0", "db", "default")


def make_dns(net: Net, corefile: str | DNSSettings = "kubeadm") -> DNS:
    net.server.create(make_service("db", headless=True))
    return DNS(net.server, corefile if isinstance(corefile, DNSSettings) else COREFILES[corefile])


def test_a_name_follows_its_slice_after_the_lag_of_a_watch() -> None:
    net = Net()
    dns = make_dns(net)
    net.at(1, net.set_slice, "db", make_endpoint("db-0", "10.0.0.1"))
    net.at(5, net.set_slice, "db", make_endpoint("db-0", "10.0.0.1", ready=False, terminating=True))
    net.run(0.999)
    assert dns.lookup(DB0) == ()
    net.run(1.1)
    assert dns.lookup(DB0) == ("10.0.0.1",)
    net.run(5.1)
    assert dns.lookup(DB0) == ()
    assert [row[2] for row in net.rows("DNS") if row[1] == "db-0.db.default"] == [{"addresses": ["10.0.0.1"]}, {}]


@pytest.mark.parametrize(("corefile", "seen_after"), [("kubeadm", 2.0), ("nodelocal", 5.0), ("addons", 30.0)])
def test_how_long_a_denial_hides_a_name_that_has_appeared(corefile: str, seen_after: float) -> None:
    net = Net()
    dns = make_dns(net, corefile)
    got: list[float] = []
    net.at(0.0, dns.lookup, DB0, "node-0")
    net.at(1.0, net.set_slice, "db", make_endpoint("db-0", "10.0.0.1"))
    for t in range(2, 40):
        net.at(t, lambda t=t: got.append(t) if dns.lookup(DB0, "node-0") else None)
    net.run(40)
    assert got[0] == seen_after


def test_a_success_is_kept_too_and_hides_a_new_address() -> None:
    net = Net()
    dns = make_dns(net, "nodelocal")
    net.set_slice("db", make_endpoint("db-0", "10.0.0.1"))
    net.at(1, dns.lookup, DB0, "node-0")
    net.at(2, net.set_slice, "db", make_endpoint("db-0", "10.0.0.2"))
    net.run(30.9)
    assert dns.lookup(DB0, "node-0") == ("10.0.0.1",)
    assert dns.lookup(DB0, "node-1") == ("10.0.0.2",)
    net.run(31.1)
    assert dns.lookup(DB0, "node-0") == ("10.0.0.2",)


def test_a_client_that_waits_costs_nothing_meanwhile_and_sees_the_name_at_its_next_question() -> None:
    net = Net()
    dns = make_dns(net)
    answered: list[float] = []
    net.at(0.25, lambda: dns.wait(DB0, "node-0", SECOND, lambda addresses, row: answered.append(net.now)))
    net.at(3600.5, net.set_slice, "db", make_endpoint("db-0", "10.0.0.1"))
    before = net.clock.events_scheduled
    net.run(7200)
    assert answered == [pytest.approx(3601.25)]
    assert net.clock.events_scheduled - before < 30


def test_a_wait_that_is_cancelled_is_never_answered() -> None:
    net = Net()
    dns = make_dns(net)
    wait = dns.wait(DB0, "node-0", SECOND, lambda addresses, row: pytest.fail("answered"))
    net.at(5, wait.cancel)
    net.at(6, net.set_slice, "db", make_endpoint("db-0", "10.0.0.1"))
    net.run(20)


@settings(max_examples=60, deadline=None)
@given(
    starts=st.lists(st.integers(0, 9000), min_size=1, max_size=3, unique=True),
    every=st.sampled_from([700, 1000, 2500]),
    denial=st.sampled_from([0, 2000, 5000]),
    scope=st.sampled_from(["none", "node", "cluster"]),
    appears=st.integers(1, 60000),
)
def test_waiting_is_the_same_as_polling(starts: list[int], every: int, denial: int, scope: str, appears: int) -> None:
    """Every client that waits is answered exactly when one that really asks again and again is."""
    config = DNSSettings(success_ns=0, denial_ns=denial * 10**6, cache=scope)  # type: ignore[arg-type]
    horizon = appears + every + denial + 12000

    def world() -> tuple[Net, DNS]:
        net = Net()
        dns = make_dns(net, config)
        net.at((appears + 0.5) / 1000, net.set_slice, "db", make_endpoint("db-0", "10.0.0.1"))
        return net, dns

    net, dns = world()
    waited: dict[int, int] = {}
    for start in starts:
        node = f"node-{start % 2}"
        call = lambda a, r, s=start: waited.__setitem__(s, net.clock.now)  # noqa: E731
        net.at(start / 1000, lambda node=node, call=call: dns.wait(DB0, node, every * 10**6, call))
    net.run(horizon / 1000)

    net2, dns2 = world()
    polled: dict[int, int] = {}

    def poll(start: int) -> None:
        if dns2.lookup(DB0, f"node-{start % 2}"):
            polled[start] = net2.clock.now
        else:
            net2.clock.call_after(every * 10**6, poll, start, rank=dns2._rank)

    for start in starts:
        net2.at(start / 1000, poll, start)
    net2.run(horizon / 1000)
    assert waited == polled
