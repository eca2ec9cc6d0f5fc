"""One node's machine: power, network link, images on disk, and a container runtime.

The runtime follows the scripted CRI runtime of the recordings: StopContainer waits for the shorter of the process'
stop time and the timeout, and gives exit code 0 or 137; a second stop with a shorter timeout kills at its own deadline;
stopping a sandbox kills what is left in it; every sandbox has its own address.

Everything here is truth, not knowledge: the kubelet learns of it by looking (`snapshot`), or by being told that it is
worth looking (`Agent`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from k8sim.api.struct import replace
from k8sim.machines.agent import Agent, NetworkPluginDown, RuntimeDown
from k8sim.machines.answers import FOR_EVER
from k8sim.machines.container import KILLED, Container, draw_lifetime
from k8sim.machines.disturbances import Disturbances
from k8sim.machines.occurrence import Observer, Occurrence, What
from k8sim.machines.pressure import Pressures
from k8sim.machines.records import CREATED, EXITED, RUNNING, ContainerRecord, RuntimePodStatus, SandboxRecord
from k8sim.machines.registry import Registry
from k8sim.machines.sandbox import Earlier, PodSandbox
from k8sim.sim.clock import Steps, rank
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import SECOND

Key = tuple[str, str]
ADDRESSES: Final = 2000
"""How many pods of one machine can have addresses of their own at once."""


class Machine:
    """A node's machine.

    Parameters
    ----------
    sim
        The run.
    name
        The node's name.
    registry
        Where images come from, and how their software behaves.
    index
        The node's number: its address and its pods' addresses follow from it.
    powered
        It is on already; else it has yet to boot for the first time.
    """

    def __init__(self, sim: Simulation, name: str, registry: Registry, index: int = 0, powered: bool = True) -> None:
        self.sim = sim
        self.name = name
        self.registry = registry
        self.powered = powered
        self.connected = True
        self.runtime_up = True
        self.network_plugin_up = True
        self.boot = int(powered)
        self.agent: Agent | None = None
        self.pressures = Pressures()
        self.slowdown = 1.0
        self.observers: list[Observer] = []
        self.images: dict[str, str] = {}
        self.restart_counts: dict[str, dict[str, int]] = {}
        self.host_ip = f"172.{16 + (index >> 16) % 16}.{(index >> 8) % 256}.{index % 256}"
        self._index = index
        self._addresses = 0
        self._ids = 0
        self._clock = sim.clock
        self._rank = rank("world", name)
        self._pods: dict[str, PodSandbox] = {}
        self._disturbances = Disturbances()

    @property
    def boot_id(self) -> str:
        """The identity of this boot."""
        return f"{self.name}-boot-{self.boot}"

    # ---- what the runtime does ----------------------------------------------------------------------------------

    def snapshot(self, uid: str) -> RuntimePodStatus:
        """Return what the runtime knows of a pod (kuberuntime GetPodStatus)."""
        pod = self._pods.get(uid)
        if pod is None:
            return RuntimePodStatus(uid)
        newest = pod.sandboxes[-1] if pod.sandboxes else None
        return RuntimePodStatus(
            uid,
            tuple([c.record for c in reversed(pod.containers)]),
            tuple(reversed(pod.sandboxes)),
            newest.ip if newest is not None and newest.ready else "",
        )

    def pods(self) -> list[PodSandbox]:
        """Return all pods that the runtime knows."""
        return list(self._pods.values())

    def last_row(self, uid: str) -> int:
        """Return the trace row of what happened last to a container of a pod."""
        pod = self._pods.get(uid)
        row = NO_CAUSE
        for container in pod.containers if pod is not None else ():
            if container.row > row:
                row = container.row
        return row

    def row_of_answers(self, uid: str) -> int:
        """Return the trace row that explains how a pod answers probes now: a fault's, or its containers' last."""
        pod = self._pods.get(uid)
        if pod is None:
            return NO_CAUSE
        row = self._disturbances.row_at(pod.key, self._clock.now)
        return row if row != NO_CAUSE else self.last_row(uid)

    def find_container(self, uid: str, container_id: str) -> Container | None:
        """Return an instance of a container by its ID."""
        pod = self._pods.get(uid)
        if pod is not None:
            for container in pod.containers:
                if container.record.id == container_id:
                    return container
        return None

    def runs(self, uid: str, container: str) -> bool:
        """Tell whether a process of a container lives."""
        pod = self._pods.get(uid)
        return pod is not None and any(c.running and c.record.name == container for c in pod.containers)

    def run_sandbox(self, uid: str, key: Key, attempt: int, host_network: bool = False) -> Steps:
        """Make a sandbox and its network; returns its record.

        Raises
        ------
        RuntimeDown
            Like all requests to the runtime.
        NetworkPluginDown
            Unless it is to be in the host's network.
        """
        self._ask_runtime()
        yield self._clock.sleep(self._delay("runtimeSandboxStart"), self._rank)
        self._ask_runtime()
        self._ask_network_plugin(host_network)
        pod = self._pods.get(uid)
        if pod is None:
            pod = self._pods[uid] = PodSandbox(uid, key)
        record = SandboxRecord(self._id(), True, self._address(), attempt)
        pod.sandboxes.append(record)
        self._tell("network", pod)
        self._changed(uid)
        return record

    def start_container(self, uid: str, name: str, image: str, restart_count: int, cause: int = NO_CAUSE) -> Steps:
        """Create and start a container in the pod's newest sandbox; returns the `Container`."""
        self._ask_runtime()
        pod = self._pods[uid]
        entity = f"{uid}/{name}"
        content = self.images.get(image, image)
        lifetime = draw_lifetime(self.registry.behaviour(content), self.sim.streams, entity, restart_count)
        now = self._clock.now
        record = ContainerRecord(self._id(), name, image, CREATED, restart_count, created_ns=now, content=content)
        delay = self._delay("runtimeContainerStart") + lifetime.start_ns
        yield self._clock.sleep(delay, self._rank)
        self._ask_runtime()
        container = Container(self._clock, entity, record, lifetime)
        pod.containers.append(container)
        self.restart_counts.setdefault(uid, {})[name] = restart_count
        container.begin()
        container.answers = self._disturbances.applied(pod.key, container.answers)
        container.row = self._note(pod, "Started", {"container": name, "restart": restart_count}, cause)
        if lifetime.exit_ns is not None:
            end = (pod, container, lifetime.exit_code, None, lifetime.exit_reason)
            self._clock.call_after(lifetime.exit_ns, self._end, *end, rank=self._rank)
        self._tell("started", pod, container, container.row)
        self._changed(uid)
        return container

    def has_run(self, uid: str, key: Key, containers: Iterable[Earlier]) -> PodSandbox:
        """Let a pod have been on the machine since before t = 0; nothing tells of it."""
        pod = self._pods[uid] = PodSandbox(uid, key, [SandboxRecord(self._id(), True, self._address())])
        counts = self.restart_counts[uid] = {}
        for earlier in containers:
            name, image, count = earlier.name, earlier.image, earlier.restart_count
            entity = f"{uid}/{name}"
            lifetime = draw_lifetime(self.registry.behaviour(image), self.sim.streams, entity, count)
            began = earlier.started_ns
            record = ContainerRecord(self._id(), name, image, RUNNING, count, created_ns=began, content=image)
            container = Container(self._clock, entity, record, lifetime)
            container.begin(earlier.started_ns)
            if earlier.finished_ns is not None:
                container.ended_earlier(earlier.finished_ns, earlier.exit_code, earlier.reason)
            elif lifetime.exit_ns is not None:
                due = max(self._clock.now, earlier.started_ns + lifetime.exit_ns)
                end = (pod, container, lifetime.exit_code, None, lifetime.exit_reason)
                self._clock.call_at(due, self._end, *end, rank=self._rank)
            pod.containers.append(container)
            counts[name] = max(count, counts.get(name, 0))
            self.images.setdefault(image, image)
        return pod

    def observe(self, observer: Observer) -> None:
        """Tell somebody of what happens from now on, and of the pods that are there already."""
        self.observers.append(observer)
        for pod in self._pods.values():
            observer(Occurrence("network", self, pod))
            for container in filter(lambda c: c.running, pod.containers):
                observer(Occurrence("started", self, pod, container, container.row))

    def stop_container(self, uid: str, container: Container, timeout_s: int, cause: int = NO_CAUSE) -> Steps:
        """Send SIGTERM, then SIGKILL after a timeout; returns when the process has ended (CRI StopContainer)."""
        if container.running:
            self._ask_runtime()
            pod = self._pods[uid]
            self._signal(pod, container, timeout_s * SECOND, cause)
            if container.running:
                yield container.ended()
                if container.running:
                    raise RuntimeDown

    def _signal(self, pod: PodSandbox, container: Container, timeout_ns: int, cause: int) -> None:
        now = self._clock.now
        stop = container.lifetime.stop_ns
        if timeout_ns <= 0:
            self._end(pod, container, KILLED, cause)
            return
        if container.term_at_ns is None:
            container.term_at_ns = now
            detail = {"container": container.record.name, "timeout": timeout_ns}
            self._note(pod, "SIGTERM", detail, cause)
            self._tell("stopping", pod, container, cause)
            if stop is not None:
                self._clock.call_after(stop, self._end, pod, container, 0, cause, rank=self._rank)
        deadline = now + timeout_ns
        ends = None if stop is None else container.term_at_ns + stop
        if deadline < container.kill_at_ns:
            container.kill_at_ns = deadline
            if ends is None or deadline < ends:
                self._clock.call_at(deadline, self._kill, pod, container, deadline, cause, rank=self._rank)

    def _kill(self, pod: PodSandbox, container: Container, deadline: int, cause: int) -> None:
        if container.kill_at_ns <= deadline:
            self._end(pod, container, KILLED, cause)

    def stop_sandbox(self, uid: str, host_network: bool = False) -> Steps:
        """Stop a pod's sandboxes and take down their network; what is left in them is killed."""
        pod = self._pods.get(uid)
        if pod is None or True not in [s.ready for s in pod.sandboxes]:
            return
        self._ask_runtime()
        yield self._clock.sleep(self._delay("runtimeSandboxStop"), self._rank)
        self._ask_runtime()
        self._ask_network_plugin(host_network)
        for container in pod.containers:
            self._end(pod, container, KILLED)
        pod.sandboxes = [replace(s, ready=False) for s in pod.sandboxes]
        self._tell("network", pod)
        self._changed(uid)

    def remove_containers(self, uid: str, ids: set[str]) -> None:
        """Remove the records of ended containers."""
        pod = self._pods.get(uid)
        if pod is not None:
            pod.containers = [c for c in pod.containers if c.record.state == RUNNING or c.record.id not in ids]

    def remove_pod(self, uid: str) -> None:
        """Remove all that the runtime keeps of a pod, killing what runs."""
        self.restart_counts.pop(uid, None)
        pod = self._pods.pop(uid, None)
        if pod is not None:
            for container in pod.containers:
                self._end(pod, container, KILLED)
            pod.sandboxes = [replace(s, ready=False) for s in pod.sandboxes]
            self._tell("network", pod)

    def hook_began(self, uid: str, container: Container, hook: str, cause: int = NO_CAUSE) -> None:
        """Note that a hook (postStart, preStop) has begun in a container."""
        pod = self._pods.get(uid)
        if pod is not None:
            self._note(pod, "HookBegan", {"container": container.record.name, "hook": hook}, cause)
            self._tell("hook", pod, container, cause, hook)

    def hook_ended(self, uid: str, container: Container, hook: str, succeeded: bool) -> None:
        """Note that a hook has ended: by itself, or with its container."""
        pod = self._pods.get(uid)
        if pod is not None:
            detail = {"container": container.record.name, "hook": hook, "succeeded": succeeded}
            self._note(pod, "HookEnded", detail, container.row)

    # ---- faults -------------------------------------------------------------------------------------------------

    def crash(self) -> None:
        """Lose power: the kubelet and all containers are gone at once; images and other files stay."""
        if not self.powered:
            return
        self.powered = False
        pods, self._pods = self._pods, {}
        for pod in pods.values():
            for container in pod.containers:
                if container.running:
                    container.record = replace(container.record, state=EXITED, finished_ns=self._clock.now)
                    cause = container.row if self.sim.trace.fault == NO_CAUSE else NO_CAUSE
                    container.row = self._note(pod, "Lost", {"container": container.record.name}, cause)
                    self._tell("lost", pod, container, container.row)
            self._tell("network", pod)
        if self.agent is not None:
            self.agent.power_lost()

    def boot_up(self) -> None:
        """Get power back: a new boot, with an empty runtime; the kubelet starts."""
        if self.powered:
            return
        self.powered = True
        self.boot += 1
        if self.agent is not None:
            self.agent.booted()

    def shut_down(self, power_off: Callable[[], None] | None = None) -> None:
        """Shut the machine down in order: its agent may hold that up for a while; then power is lost.

        ``power_off`` is called then, in place of `crash`, and has to see to that.
        """
        power_off = power_off or self.crash
        if self.powered and (self.agent is None or not self.agent.shutdown_requested(power_off)):
            power_off()

    def set_pressure(
        self,
        signal: str,
        until_ns: int | None = None,
        evictions: int | None = None,
        cause: int = NO_CAUSE,
        available: int | None = None,
    ) -> None:
        """Let the machine run short of "memory", "nodefs", "imagefs" or "pid".

        It lasts until a moment (None: for ever), or until that many pods have been evicted (None: however many).
        ``available`` says how much there is; else it is too little for any threshold.
        """
        self.pressures.begin(signal, until_ns, evictions, cause, available)
        if self.agent is not None:
            self.agent.pressure_changed()

    def partition(self) -> None:
        """Cut the machine off from the API server; containers go on."""
        if self.connected:
            self.connected = False
            if self.agent is not None:
                self.agent.link_lost()

    def heal(self) -> None:
        """End a partition."""
        if not self.connected:
            self.connected = True
            if self.agent is not None:
                self.agent.link_restored()

    def stop_runtime(self) -> None:
        """Let the container runtime not answer any more; containers go on (each has a shim of its own)."""
        if self.runtime_up:
            self.runtime_up = False
            self._drop_stops()
            for pod in self._pods.values():
                for container in pod.containers:
                    container.wake()
            if self.agent is not None:
                self.agent.runtime_stopped()

    def start_runtime(self) -> None:
        """Let the container runtime answer again; it finds its containers as they are by then."""
        if not self.runtime_up:
            self.runtime_up = True
            if self.agent is not None:
                self.agent.runtime_started()

    def _ask_runtime(self) -> None:
        if not self.runtime_up:
            raise RuntimeDown

    def _ask_network_plugin(self, host_network: bool) -> None:
        if not self.network_plugin_up and not host_network:
            raise NetworkPluginDown

    def set_network_plugin(self, up: bool) -> None:
        """Let the network plug-in (CNI) work or not; pods that have a network keep it."""
        if self.network_plugin_up is not up:
            self.network_plugin_up = up
            if self.agent is not None:
                self.agent.network_plugin_changed()

    def _drop_stops(self) -> None:
        """Let stops that are under way send no SIGKILL: they die with their caller, or with the runtime."""
        for pod in self._pods.values():
            for container in pod.containers:
                container.kill_at_ns = FOR_EVER

    def restart_kubelet(self, after_ns: int = 0) -> None:
        """End the kubelet's process, and start another one after a time; containers go on."""
        self._drop_stops()
        if self.powered and self.agent is not None:
            self.agent.restarted(after_ns)

    def exit_container(self, key: Key, container: str | None = None, code: int = 1, reason: str = "") -> bool:
        """Let the process of a pod's container (default: its first) end now; False if there is none.

        ``reason`` is what the runtime says of it; by default Completed or Error.
        """
        for pod in self._running(key):
            for c in pod.containers:
                if c.running and (container is None or c.record.name == container):
                    self._end(pod, c, code, None if self.sim.trace.fault == NO_CAUSE else NO_CAUSE, reason)
                    return True
        return False

    def set_unready(self, key: Key, until_ns: int | None = None) -> None:
        """Let the readiness probes of a pod fail from now on, until a moment (None: for ever).

        It is the name that counts: a pod that takes it meanwhile is unready, too.
        """
        self._disturbances.unready(key, self._window(until_ns), self.sim.trace.fault)
        for pod in self._running(key):
            self._answers_changed(pod)

    def set_hang(self, key: Key, until_ns: int | None = None) -> None:
        """Let the liveness and readiness probes of a pod fail from now on, until a moment (None: for ever)."""
        self._disturbances.hang(key, self._window(until_ns), self.sim.trace.fault)
        for pod in self._running(key):
            self._answers_changed(pod)

    def set_slow(self, key: Key, takes_ns: int, until_ns: int | None = None) -> None:
        """Let a pod take that long to answer any probe from now on, until a moment (None: for ever)."""
        self._disturbances.slow(key, self._window(until_ns), takes_ns, self.sim.trace.fault)
        for pod in self._running(key):
            self._answers_changed(pod)

    # ---- internals ----------------------------------------------------------------------------------------------

    def _running(self, key: Key) -> Iterator[PodSandbox]:
        """Yield the pods of that name that have a sandbox, the newest first."""
        for pod in reversed(list(self._pods.values())):
            if pod.key == key:
                yield pod

    def _window(self, until_ns: int | None) -> tuple[int, int]:
        return self._clock.now, FOR_EVER if until_ns is None else until_ns

    def _answers_changed(self, pod: PodSandbox) -> None:
        for container in pod.containers:
            container.answers = self._disturbances.applied(pod.key, container.answers)
            self._tell("answers", pod, container, container.row)
        if self.agent is not None:
            self.agent.answers_changed(pod.uid)

    def _end(
        self, pod: PodSandbox, container: Container, code: int, cause: int | None = None, reason: str = ""
    ) -> None:
        if not container.running:
            return
        container.end(code, reason)
        name = container.record.name
        cause = container.row if cause is None else cause
        container.row = self._note(pod, "Exited", {"container": name, "code": code}, cause)
        self._tell("ended", pod, container, container.row)
        if self.agent is not None:
            self.agent.answers_changed(pod.uid)
        self._changed(pod.uid)

    def set_ready_from(self, uid: str, container: Container, when_ns: int) -> None:
        """Let the software in a container decide from when on its readiness probe passes."""
        if container.running and container.answers.ready_from != when_ns:
            container.answers = replace(container.answers, ready_from=when_ns)
            pod = self._pods.get(uid)
            if pod is not None:
                self._answers_changed(pod)

    def _tell(
        self, what: What, pod: PodSandbox, container: Container | None = None, row: int = NO_CAUSE, hook: str = ""
    ) -> None:
        for observer in self.observers:
            observer(Occurrence(what, self, pod, container, row, hook))

    def _changed(self, uid: str) -> None:
        if self.agent is not None:
            self.agent.runtime_changed(uid)

    def _note(self, pod: PodSandbox, event: str, detail: dict[str, object], cause: int) -> int:
        namespace, name = pod.key
        detail = {**detail, "node": self.name, "uid": pod.uid}
        return self.sim.trace.append(self._clock.now, "Container", name, event, detail, cause, namespace)

    def _delay(self, name: str) -> int:
        """Draw what the runtime takes for something; ``slowdown`` times as long on a slow machine."""
        return int(self.sim.latencies.draw(name, self.name) * self.slowdown)

    def _id(self) -> str:
        self._ids += 1
        return f"{self.name}/{self._ids}"

    def _address(self) -> str:
        """Return the next address of the machine's range that no pod has; of a full one the next all the same.

        Source: containernetworking/plugins/plugins/ipam/host-local/backend/allocator/allocator.go (Get).
        """
        address = ""
        for _ in range(ADDRESSES):
            self._addresses += 1
            number = self._index * 2048 + (self._addresses - 1) % ADDRESSES + 1
            address = f"10.{(number >> 16) % 256}.{(number >> 8) % 256}.{number % 256}"
            if self._addresses <= ADDRESSES or not self._is_taken(address):
                break
        return address

    def _is_taken(self, address: str) -> bool:
        return any(s.ready and s.ip == address for pod in self._pods.values() for s in pod.sandboxes)
