"""What a process looks for before it takes part."""

from __future__ import annotations

from functools import partial

import pytest

from k8sim.network.control import Name
from k8sim.network.dns import DNS
from k8sim.workload.model import Startup
from k8sim.workload.startup import Boot, missing_variables, peers_needed
from tests.network.world import Net, make_endpoint, make_service

NAMES = {peer: Name(peer, "db", "default") for peer in ("db-1", "db-2")}


@pytest.mark.parametrize(("peers", "members", "needed"), [
    (None, 5, 1), (1, 5, 1), (2, 3, 2), ("majority", 3, 2), ("majority", 5, 3), ("majority", 4, 3), ("all", 3, 3),
])  # fmt: skip
def test_how_many_members_it_must_find_itself_included(peers: int | str | None, members: int, needed: int) -> None:
    assert peers_needed(peers, members) == needed


def test_variables_that_the_container_was_started_without() -> None:
    assert missing_variables(("A", "B"), {"B": "", "C": ""}) == ["A"]


class Peers:
    """db-0 boots; its peers get names, and run, when a test says so."""

    def __init__(self, startup: Startup, **environment: str) -> None:
        self.net = Net()
        self.net.server.create(make_service("db", headless=True))
        self.running: set[str] = set()
        self.joined: list[float] = []
        self.waits: list[str] = []
        runs = partial(set.__contains__, self.running)
        self.boot = Boot(
            startup, environment, "db-0", "node-0", NAMES, DNS(self.net.server), runs,
            lambda row: self.joined.append(self.net.now), self.waits.append,
        )  # fmt: skip
        self.boot.look(-1)

    def name(self, *peers: str) -> None:
        self.net.set_slice("db", *(make_endpoint(peer, f"10.0.0.{i}") for i, peer in enumerate(peers, 1)))


def test_a_majority_needs_a_name_and_a_process() -> None:
    it = Peers(Startup(peers="majority"))
    it.net.run(5)
    assert it.waits == ["1 of 2 members found; no name: db-1, db-2"]
    it.name("db-1")
    it.net.run(10)
    assert it.joined == []
    assert "1 of 2" in it.boot.why()
    it.running.add("db-1")
    it.boot.look(-1)
    assert it.joined == [10]


def test_all_members_need_all_names() -> None:
    it = Peers(Startup(peers="all"))
    it.running |= {"db-1", "db-2"}
    it.name("db-1")
    it.net.run(10)
    assert it.joined == []
    it.name("db-1", "db-2")
    it.net.run(20)
    assert len(it.joined) == 1
    assert 10 < it.joined[0] <= 11.1  # asked once a second


def test_a_missing_variable_never_comes_however_many_peers_there_are() -> None:
    it = Peers(Startup(peers="majority", environment=("DB_SERVICE_HOST",)))
    it.running.add("db-1")
    it.name("db-1")
    it.net.run(100)
    assert it.joined == []
    assert it.waits == ["the container was started without DB_SERVICE_HOST"]


def test_who_looks_for_nothing_joins_at_once() -> None:
    assert Peers(Startup()).joined == [0]
    assert Peers(Startup(environment=("A",)), A="1").joined == [0]
