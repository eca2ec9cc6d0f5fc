"""Which services a kubelet knows when it starts a container; workloads.md 7.3, 7.6 (8, 9, 13)."""

from __future__ import annotations

from k8sim.api.core import Pod, PodSpec
from k8sim.api.meta import ObjectMeta
from k8sim.machines.fleet import Fleet
from k8sim.network.environment import ServiceEnvironments
from tests.network.world import Net, make_service

POD = Pod(metadata=ObjectMeta(name="db-0", namespace="default"), spec=PodSpec())


class Nodes:
    def __init__(self, *names: str) -> None:
        self.net = Net()
        self.fleet = Fleet()
        self.environments = ServiceEnvironments(self.net.server, self.fleet)
        for name in names:
            self.fleet.join(name, object())  # type: ignore[arg-type]

    def knows(self, node: str, variable: str = "WEB_SERVICE_HOST") -> bool:
        return variable in self.environments.variables(node, POD)


def test_a_service_that_is_slightly_older_than_the_container_may_be_missing() -> None:
    """The race of the watch: each kubelet hears of it after a lag of its own."""
    nodes = Nodes("a", "b")
    nodes.net.at(10, nodes.net.server.create, make_service("web"))
    nodes.net.run(10.001)
    assert not nodes.knows("a")
    nodes.net.run(11)
    assert nodes.knows("a")
    assert nodes.knows("b")


def test_headless_services_have_no_variables_and_the_api_server_always_has() -> None:
    nodes = Nodes("a")
    nodes.net.server.create(make_service("web", headless=True))
    nodes.net.run(5)
    assert not nodes.knows("a")
    assert nodes.knows("a", "KUBERNETES_SERVICE_HOST")


def test_a_kubelet_that_is_cut_off_does_not_hear_of_new_services_until_the_cut_is_mended() -> None:
    nodes = Nodes("a", "b")
    nodes.fleet.cuts.begin("node a", ["a"], -1)
    nodes.net.server.create(make_service("web"))
    nodes.net.run(5)
    assert (nodes.knows("a"), nodes.knows("b")) == (False, True)
    nodes.fleet.cuts.end("node a", -1)
    nodes.net.run(6)
    assert nodes.knows("a")
