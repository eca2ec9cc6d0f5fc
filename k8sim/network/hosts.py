"""Who is at an address and what happens to one who connects: the pods' network as it is, not as anybody knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from k8sim.api.core import Pod
from k8sim.apiserver.server import APIServer
from k8sim.machines.answers import FOR_EVER
from k8sim.machines.container import Container
from k8sim.machines.fleet import Fleet
from k8sim.machines.machine import Machine, PodSandbox
from k8sim.machines.occurrence import Occurrence
from k8sim.sim.trace import NO_CAUSE

Key = tuple[str, str]
Reception = Literal["answers", "refuses", "hangs", "nobody"]
"""``refuses``: the pod is there, but nothing listens in it; ``hangs``: the process does not answer; ``nobody``: the
address is not in use, or its machine is off."""


@dataclass(eq=False)
class Host:
    """The network side of one sandbox: a pod at an address.

    ``main`` is the container that answers (the first of the spec), ``row`` what happened to it last.
    """

    address: str
    uid: str
    key: Key
    machine: Machine
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
            return "nobody"
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
    """All addresses of pods. ``listeners`` hear of everything that happens at one."""

    def __init__(self, server: APIServer, machines: Fleet) -> None:
        self._server = server
        self.listeners: list[Listener] = []
        self._by_address: dict[str, Host] = {}
        self._by_uid: dict[str, Host] = {}
        self.cuts = machines.cuts
        machines.meet(lambda _, machine: machine.observe(self._observe))

    def at(self, address: str) -> Host | None:
        """Return who has, or had last, an address."""
        return self._by_address.get(address)

    def all(self) -> list[Host]:
        """Return everybody who has, or had last, an address."""
        return list(self._by_address.values())

    def reaches(self, node: str, host: Host) -> bool:
        """Tell whether no cut in the network is between a node ("": outside) and a host."""
        return self.cuts.side(node) == self.cuts.side(host.machine.name)

    def reception(self, address: str, now_ns: int, container: str | None = None) -> Reception:
        """Tell what meets a new connection to an address."""
        host = self._by_address.get(address)
        return "nobody" if host is None else host.reception(now_ns, container)

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
        up = newest is not None and newest.ready and occurrence.machine.powered
        if known is not None and known.there and not (up and newest is not None and newest.ip == known.address):
            known.there = False
            self._tell(known, occurrence)
        if up and newest is not None and (known is None or known.address != newest.ip):
            host = Host(newest.ip, pod.uid, pod.key, occurrence.machine, self._main(pod), row=occurrence.row)
            self._by_uid[pod.uid] = self._by_address[newest.ip] = host
            self._tell(host, occurrence)
        if not up and not occurrence.machine.powered:
            self._by_uid.pop(pod.uid, None)  # after the boot the pod gets a new sandbox and a new address

    def _main(self, pod: PodSandbox) -> str:
        known = self._server.find(Pod, *pod.key)
        return known.spec.containers[0].name if known is not None and known.uid == pod.uid else ""

    def _tell(self, host: Host, occurrence: Occurrence) -> None:
        if occurrence.row != NO_CAUSE:
            host.row = occurrence.row
        for listener in list(self.listeners):
            listener(host, occurrence)
