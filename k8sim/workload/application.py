"""An application in a cluster: turns what happens to its pods' processes and volumes into what its copies go through.

It sees processes, machines and disks as they are. A partition that cuts a kubelet off from the API server does not cut
the members off from each other or from their clients; a cut in the network (`k8sim.machines.cuts`) does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from k8sim.api.apps import ReplicaSet, StatefulSet
from k8sim.api.core import Container as ContainerSpec
from k8sim.api.core import Pod
from k8sim.api.meta import controller_of
from k8sim.api.pods import is_pod_terminal
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.machines.answers import NEVER
from k8sim.machines.container import Container
from k8sim.machines.disks import Storage
from k8sim.machines.fleet import Fleet
from k8sim.machines.machine import Machine
from k8sim.machines.occurrence import Occurrence
from k8sim.network.control import Name
from k8sim.network.dns import DNS
from k8sim.network.environment import ServiceEnvironments
from k8sim.sim.clock import rank
from k8sim.sim.trace import NO_CAUSE
from k8sim.workload.copies import Process
from k8sim.workload.group import Group
from k8sim.workload.marks import Marks
from k8sim.workload.members import Members
from k8sim.workload.model import Application as Spec
from k8sim.workload.places import data_directory, data_location, is_layer
from k8sim.workload.startup import Boot


@dataclass(eq=False)
class Running:
    """A process of a member."""

    process: Process
    pod: Pod
    machine: Machine
    container: Container
    location: str
    ready_from: int
    boot: Boot | None = None
    joined: bool = False


class Application:
    """One application."""

    def __init__(
        self,
        server: APIServer,
        machines: Fleet,
        storage: Storage,
        dns: DNS,
        environments: ServiceEnvironments | None,
        spec: Spec,
    ) -> None:
        self.spec = spec
        self.sim = server.sim
        self._server = server
        self._storage = storage
        self._dns = dns
        self._environments = environments
        self._clock = server.sim.clock
        self._rank = rank("application", spec.name)
        self._running: dict[str, Running] = {}
        self._ours: dict[str, bool] = {}
        self._places: dict[str, dict[str, None]] = {}
        self._judging = False
        self._cuts = machines.cuts
        self.groups = self._make_groups()
        self.members = Members(self)
        self._marks = Marks(storage, self.groups)
        machines.meet(lambda _, machine: machine.observe(self._observe))
        machines.cuts.listeners.append(self._network_changed)
        storage.observers.append(self._on_volume)
        server.watch(Pod, self._on_pod)
        self._clock.call_at(spec.start_ns, self._begin, rank=self._rank)
        if spec.backup is not None:
            self._clock.call_after(spec.backup.every_ns, self._back_up, rank=self._rank)

    def _make_groups(self) -> list[Group]:
        spec = self.spec
        count = len(spec.members)
        copies = count if spec.copies is None else spec.copies
        made = []
        for i in range(spec.shards):
            voters = [spec.members[(i + j) % count] for j in range(copies)] if copies < count else list(spec.members)
            rate = spec.writes * (i + 1) // spec.shards - spec.writes * i // spec.shards
            shard = i if spec.shards > 1 else None
            names = (spec.name, spec.rules, voters, rate, spec.namespace, shard)
            made.append(Group(self.sim, *names, spec.ghost_share, self.changed, self._cuts.side))
        return made

    def _begin(self) -> None:
        for group in self.groups:
            group.begin()

    def finish(self) -> None:
        """Write down what has become of the writes at the end."""
        for group in self.groups:
            group.service.write_counts()

    # ---- processes --------------------------------------------------------------------------------------------------

    def is_ours(self, pod: Pod) -> bool:
        """Tell whether a pod belongs to the application's workload."""
        known = self._ours.get(pod.uid)
        if known is None:
            owner = controller_of(pod)
            if owner is not None and owner.kind == "ReplicaSet":
                found = self._server.find(ReplicaSet, pod.namespace, owner.name)
                owner = controller_of(found) if found is not None else None
            known = owner is not None and (owner.kind, owner.name) == (self.spec.kind, self.spec.workload)
            self._ours[pod.uid] = known and pod.namespace == self.spec.namespace
        return self._ours[pod.uid]

    def member_of(self, pod: Pod) -> str:
        """Return which member a pod is."""
        return pod.name if self.spec.kind == "StatefulSet" else self.spec.members[0]

    def _observe(self, occurrence: Occurrence) -> None:
        container = occurrence.container
        if container is None:
            if not occurrence.machine.powered:
                self._machine_lost(occurrence.machine.name, occurrence.row)
            return
        if occurrence.what == "started":
            self._started(occurrence, container)
            return
        running = self._running.get(container.record.id)
        if running is None:
            return
        if occurrence.what in ("ended", "lost"):
            self._ended(running, occurrence)
        elif occurrence.what == "hook" and occurrence.hook == "preStop":
            self.members.leaves(running, occurrence.row)

    def _started(self, occurrence: Occurrence, container: Container) -> None:
        pod = self._server.find(Pod, *occurrence.pod.key)
        if pod is None or pod.uid != occurrence.pod.uid or not self.is_ours(pod):
            return
        spec = next((c for c in pod.spec.containers if c.name == container.record.name), None)
        if spec is None or (self.spec.container or pod.spec.containers[0].name) != spec.name:
            return
        machine, member = occurrence.machine, self.member_of(pod)
        location = data_location(self._server, pod, spec, container.record.id, self.spec.volume)
        place = f"{location}{data_directory(pod, spec, self.spec.volume)}#{member}"
        self._places.setdefault(location, {})[place] = None
        process = Process(member, container.record.id, machine.name, place, self._clock.now)
        running = Running(process, pod, machine, container, location, container.answers.ready_from)
        others = [r for r in self._running.values() if r.process.member == member]
        self._running[container.record.id] = running
        for other in others:
            nodes = [other.machine.name, machine.name]
            self.groups[0].note_member(member, "TwoProcesses", occurrence.row, nodes=nodes)
        if not self.members.may_start(running, occurrence.row):
            self._exit(running, 0)
            return
        if self.spec.ready != "process":
            machine.set_ready_from(pod.uid, container, NEVER)
        self._boot(running, spec, occurrence.row)

    def _boot(self, running: Running, spec: ContainerSpec, row: int) -> None:
        startup, pod = self.spec.startup, running.pod
        running.boot = Boot(
            startup,
            self._environment(pod, spec),
            running.process.member,
            running.machine.name,
            self._peer_names(running) if startup.peers is not None else {},
            self._dns,
            partial(self._reaches, running),
            partial(self._join, running),
            partial(self._waits, running, row),
        )
        if startup.give_up_ns is not None:
            self._clock.call_after(startup.give_up_ns, self._give_up, running, rank=self._rank)
        running.boot.look(row)
        self._look_again(row)

    def _environment(self, pod: Pod, spec: ContainerSpec) -> dict[str, str]:
        """Return what the container was given: services that its kubelet knew of, and what its spec sets."""
        services = self._environments.variables(pod.spec.node_name, pod) if self._environments is not None else {}
        return {**services, **{str(e.get("name")): "" for e in spec.env}}

    def _peer_names(self, running: Running) -> Mapping[str, Name]:
        found = self._server.find(StatefulSet, self.spec.namespace, self.spec.workload)
        service = found.spec.service_name if found is not None else ""
        names = dict.fromkeys(v for group in self.groups for v in group.voters)
        return {v: Name(v, service, self.spec.namespace) for v in names if v != running.process.member}

    def _runs(self, member: str) -> bool:
        return any(r.process.member == member for r in self._running.values())

    def _reaches(self, running: Running, member: str) -> bool:
        """Tell whether a process finds another of a member running, on its side of all cuts."""
        side = self._cuts.side(running.machine.name)
        others = [r for r in self._running.values() if r.process.member == member]
        return any(self._cuts.side(other.machine.name) == side for other in others)

    def _look_again(self, row: int) -> None:
        for other in list(self._running.values()):
            if other.boot is not None and not other.joined:
                other.boot.look(row)

    def _waits(self, running: Running, row: int, why: str) -> None:
        self.groups[0].note_member(running.process.member, "Waiting", row, reason=why)

    def _give_up(self, running: Running) -> None:
        if not running.joined and running.container.running:
            self._exit(running, 0)

    def _exit(self, running: Running, delay_ns: int) -> None:
        """Let the process end with an error, as soon as its start has been noted everywhere."""
        self._clock.call_after(
            delay_ns, running.machine.exit_container, running.pod.key, running.container.record.name, 1, rank=self._rank
        )

    def _join(self, running: Running, row: int) -> None:
        running.joined = True
        process = running.process
        if self.spec.startup.peers is not None or self.spec.startup.environment:
            row = self.groups[0].note_member(process.member, "Joined", row)
        origin, contents = self._marks.origin(running.location)
        for i, group in enumerate(self.groups):
            if self.members.takes_part(group, process.member):
                group.up(process, row, origin, contents[i] if contents else None)
        self._marks.watch(running.location, process.place)
        self.changed()

    def _ended(self, running: Running, occurrence: Occurrence) -> None:
        del self._running[running.container.record.id]
        if running.boot is not None:
            running.boot.cancel()
        if occurrence.what == "lost":
            self._down(running, "machine lost", occurrence.row)
        else:
            self._down(running, "clean" if running.container.record.exit_code == 0 else "killed", occurrence.row)
        member = running.process.member
        if any(r.process.member == member for r in self._running.values()):
            self.groups[0].note_member(member, "OneProcess", occurrence.row)
        if is_layer(running.location):
            self._destroyed(running.location, "L3", occurrence.row)
        elif self._server.find(Pod, *running.pod.key) is None and f"/{running.pod.uid}/" in running.location:
            self._destroyed(running.location, "L4", occurrence.row)

    def _down(self, running: Running, how: str, row: int, path: str = "") -> None:
        for group in self.groups:
            group.down(running.process, how, row, path)  # type: ignore[arg-type]

    # ---- machines and volumes ---------------------------------------------------------------------------------------

    def _machine_lost(self, node: str, row: int) -> None:
        for group in self.groups:
            group.machine_lost(node, row)

    def _network_changed(self, row: int) -> None:
        for group in self.groups:
            group.network_changed(row)
        self._look_again(row)

    def _on_volume(self, event: str, name: str, detail: Mapping[str, object], row: int) -> None:
        if name not in self._places:
            return
        if event == "Destroyed":
            self._destroyed(name, str(detail["path"]), row)
        elif event == "Unmounted":
            for group in self.groups:
                for place in self._places[name]:
                    group.written_back(place)
        elif event == "PulledAway" and detail["fenced"]:
            for running in list(self._running.values()):
                if running.location == name and running.machine.name == detail["node"]:
                    self._down(running, "fenced", row, str(detail["path"]))

    def _destroyed(self, location: str, path: str, row: int) -> None:
        for group in self.groups:
            for place in self._places.get(location, ()):
                group.destroyed(place, path, row)

    def _on_pod(self, change: Change) -> None:
        """Give up the emptyDir of a pod that is gone: no other pod will ever see it."""
        pod = change.new
        assert isinstance(pod, Pod)
        if change.type == "DELETED" or is_pod_terminal(pod):
            for location in [name for name in self._places if f"/{pod.uid}/" in name]:
                if not any(r.location == location for r in self._running.values()):
                    self._destroyed(location, "L4", change.row)

    # ---- backups ----------------------------------------------------------------------------------------------------

    def _back_up(self) -> None:
        backup = self.spec.backup
        assert backup is not None
        for group in self.groups:
            if group.back_up(backup.keep):
                group.note("BackedUp", NO_CAUSE)
        self._clock.call_after(backup.every_ns, self._back_up, rank=self._rank)

    def _restore_if_needed(self, group: Group) -> None:
        """Begin to bring a backup back when every member that is there has nothing, and some are there."""
        backup = self.spec.backup
        if backup is None or not group.backups or group.leader is not None or group.restoring or group.virgin:
            return
        there = [s for s in group.standings() if s.there]
        if there and all(s.empty for s in there) and len(there) == len([v for v in group.voters if self._runs(v)]):
            group.restoring = True
            row = group.note("Restoring", NO_CAUSE, member=there[0].name)
            self._clock.call_after(backup.restore_ns, self._restore, group, there[0].name, row, rank=self._rank)

    def _restore(self, group: Group, member: str, row: int) -> None:
        group.restoring = False
        group.restore(member, row)

    # ---- readiness --------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Draw consequences outside the groups, once, after whatever has just changed."""
        if not self._judging:
            self._judging = True
            self._clock.call_after(0, self._judge, rank=self._rank)

    def _judge(self) -> None:
        self._judging = False
        for group in self.groups:
            self._restore_if_needed(group)
            self.members.admit(group)
        if self.spec.ready == "process":
            return
        for running in list(self._running.values()):
            when = max(running.ready_from, self._clock.now) if self._is_ready(running) else NEVER
            answers = running.container.answers
            if when == NEVER or answers.ready_from > when:
                running.machine.set_ready_from(running.pod.uid, running.container, when)

    def _is_ready(self, running: Running) -> bool:
        """Tell whether the application lets a process' readiness probe pass."""
        if not running.joined:
            return False
        groups = [g for g in self.groups if self.members.takes_part(g, running.process.member)]
        replicas = [g.replicas.get(running.process.member) for g in groups]
        states = [r.state for r in replicas if r is not None and r.process == running.process]
        if self.spec.ready == "in-sync":
            return len(states) == len(groups) and all(s in ("leader", "in-sync") for s in states)
        if self.spec.ready == "leader":
            return "leader" in states
        if self.spec.ready == "serving":
            return all(not g.service.why_closed for g in groups)
        return True

    # ---- membership's view ------------------------------------------------------------------------------------------

    def is_running(self, running: Running) -> bool:
        """Tell whether a process has not ended."""
        return running.container.record.id in self._running

    def wipe(self, running: Running, row: int) -> None:
        """Let a member's own doing remove its data."""
        for group in self.groups:
            group.destroyed(running.process.place, "cleaned", row)

    @property
    def share(self) -> Fraction:
        """Return the share of shards that can be written to now."""
        return Fraction(sum(not g.service.why_closed for g in self.groups), len(self.groups))
