"""Who is at an address and what happens to one who connects: the pods' network as it is, not as anybody knows it.

A pod with hostNetwork is at its node's address, beside others, each on ports of its own. Ports are not simulated:
whoever comes for a service meets the pod there that the service selects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from k8sim.api.core import Pod
from k8sim.api.pods import runtime_uid
from k8sim.api.selectors import labels_match
from k8sim.apiserver.server import APIServer
from k8sim.machines.answers import FOR_EVER
from k8sim.machines.container import Container
from k8sim.machines.fleet import Fleet
from k8sim.machines.machine import Machine
from k8sim.machines.occurrence import Occurrence
from k8sim.machines.records import SandboxRecord
from k8sim.machines.sandbox import PodSandbox
from k8sim.sim.trace import NO_CAUSE

Key = tuple[str, str]
Reception = Literal["answers", "refuses", "hangs", "nobody"]
"""``refuses``: the pod is there, but nothing listens in it; ``hangs``: the process does not answer; ``nobody``: the
address is not in use, or its machine is off. At a node's address somebody always refuses: the machine itself."""


@dataclass(eq=False)
class Host:
    """The network side of one sandbox: a pod at an address.

    ``on_node`` says that the address is its node's, ``main`` is the container that answers (the first of the spec),
    ``row`` what happened to it last.
    """

    address: str
    sandbox: str
    uid: str
    key: Key
    machine: Machine
    on_node: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    main: str = ""
    containers: dict[str, Container] = field(default_factory=dict)
    there: bool = True
    row: int = NO_CAUSE

    def process(self, container: str | None = None) -> Container | None:
        """Return the process of a container (default: the first of the spec), running or not."""
        return self.containers.get(container or self.main)

    def reception(self, now_ns: int, container: str | None = None) -> Reception:
        """Tell what meets a new connection now."""
        if not self.there or not self.machine.powered:
            return "refuses" if self.on_node and self.machine.powered else "nobody"
        process = self.process(container)
        if process is None or not process.running:
            return "refuses"
        answers = process.answers
        if now_ns >= answers.hang_from or answers.hang[0] <= now_ns < answers.hang[1]:
            return "hangs"
        return "answers" if now_ns >= answers.ready_from else "refuses"

    def next_change(self, now_ns: int, container: str | None = None) -> int:
        """Return when that changes by itself, at the earliest."""
        process = self.process(container)
        if process is None or not process.running or not self.there:
            return FOR_EVER
        answers = process.answers
        return min(m for m in (answers.ready_from, answers.hang_from, *answers.hang, FOR_EVER) if m > now_ns)


Listener = Callable[[Host, Occurrence], None]


class Hosts:
    """All addresses that pods have. ``listeners`` hear of everything that happens at one.

    A pod whose sandbox has gone is forgotten: nobody is at its address, or the machine alone.
    """

    def __init__(self, server: APIServer, machines: Fleet) -> None:
        self._server = server
        self.listeners: list[Listener] = []
        self._by_address: dict[str, Host] = {}
        self._on_node: dict[str, dict[Key, Host]] = {}
        self._alone: dict[str, Host] = {}
        self._by_uid: dict[str, Host] = {}
        self.cuts = machines.cuts
        machines.meet(lambda _, machine: machine.observe(self._observe))

    def at(self, address: str, selector: Mapping[str, str]) -> Host | None:
        """Return who has an address; of the selected pods at a node's address who was there first, or the machine."""
        if address not in self._on_node:
            return self._by_address.get(address)
        selected = (h for h in self._on_node[address].values() if labels_match(selector, h.labels))
        return next(selected, self._alone[address])

    def all(self) -> list[Host]:
        """Return all pods that have an address."""
        return [*self._by_address.values(), *(h for hosts in self._on_node.values() for h in hosts.values())]

    def reaches(self, node: str, host: Host) -> bool:
        """Tell whether no cut in the network is between a node ("": outside) and a host."""
        return self.cuts.side(node) == self.cuts.side(host.machine.name)

    def _observe(self, occurrence: Occurrence) -> None:
        pod = occurrence.pod
        if occurrence.what == "network":
            self._network_changed(pod, occurrence)
            return
        host = self._by_uid.get(pod.uid)
        if host is None:
            return
        if occurrence.what == "started" and occurrence.container is not None:
            host.containers[occurrence.container.record.name] = occurrence.container
        self._tell(host, occurrence)

    def _network_changed(self, pod: PodSandbox, occurrence: Occurrence) -> None:
        known = self._by_uid.get(pod.uid)
        newest = pod.sandboxes[-1] if pod.sandboxes else None
        up = newest if newest is not None and newest.ready and occurrence.machine.powered else None
        if known is not None and (up is None or up.id != known.sandbox):
            self._remove(known)
            self._tell(known, occurrence)
        if up is not None and (known is None or known.sandbox != up.id):
            self._tell(self._add(pod, up, occurrence), occurrence)

    def _add(self, sandbox: PodSandbox, newest: SandboxRecord, occurrence: Occurrence) -> Host:
        machine = occurrence.machine
        host = Host(newest.ip, newest.id, sandbox.uid, sandbox.key, machine, row=occurrence.row)
        pod = self._server.find(Pod, *sandbox.key)
        if pod is not None and runtime_uid(pod) == sandbox.uid:
            host.main, host.labels = pod.spec.containers[0].name, pod.metadata.labels
            host.on_node = pod.spec.host_network
        if host.on_node:
            host.address = machine.host_ip
            self._alone[host.address] = Host(
                host.address, "", "", ("", machine.name), machine, on_node=True, there=False
            )
            neighbours = self._on_node.setdefault(host.address, {})
            neighbours.pop(host.key, None)  # the last one to come is the last one in it
            neighbours[host.key] = host
        else:
            self._by_address[host.address] = host
        self._by_uid[host.uid] = host
        return host

    def _remove(self, host: Host) -> None:
        host.there = False
        del self._by_uid[host.uid]
        # Another may have taken its place: a namesake at a node's address, any pod where a node's range is full.
        if host.on_node and self._on_node[host.address].get(host.key) is host:
            del self._on_node[host.address][host.key]
        elif self._by_address.get(host.address) is host:
            del self._by_address[host.address]

    def _tell(self, host: Host, occurrence: Occurrence) -> None:
        if occurrence.row != NO_CAUSE:
            host.row = occurrence.row
        for listener in list(self.listeners):
            listener(host, occurrence)
