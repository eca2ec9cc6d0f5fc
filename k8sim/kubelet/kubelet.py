"""The kubelet of one node, through all its processes: a process begins at `start`, after a boot, or after a restart.

Source: pkg/kubelet/kubelet.go (Run), pkg/kubelet/config/apiserver.go; node.md 5.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sim.api.core import Node, Pod
from k8sim.api.pods import is_mirror_pod, is_pod_ready, runtime_uid
from k8sim.api.struct import replace
from k8sim.apiserver.informer import Informer
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.kubelet.devices import Mounts
from k8sim.kubelet.nodestatus import begin_leases
from k8sim.kubelet.process import KubeletProcess
from k8sim.kubelet.settings import KubeletSettings
from k8sim.kubelet.staticpods import with_image
from k8sim.machines.disks import Storage
from k8sim.machines.machine import Machine
from k8sim.sim.clock import rank
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import SECOND

NODE_SYNC_POLL = SECOND
"""A new process watches pods only after it has seen its node, for which it looks once a second."""


class Kubelet:
    """The kubelet of a node.

    Parameters
    ----------
    sim, server
        The run, and the API server that it talks to.
    machine
        The machine it runs on; the kubelet becomes its agent.
    settings
        Its configuration.
    storage
        The disks that can be attached to the machine.
    template
        What it registers, if there is no Node of its name.
    static_pods
        The pods of the manifests on the machine.
    """

    def __init__(
        self,
        sim: Simulation,
        server: APIServer,
        machine: Machine,
        settings: KubeletSettings | None = None,
        storage: Storage | None = None,
        template: Node | None = None,
        static_pods: tuple[Pod, ...] = (),
    ) -> None:
        self.sim = sim
        self.server = server
        self.machine = machine
        self.settings = settings or KubeletSettings()
        self.storage = storage
        self.mounts = Mounts()
        self.name = machine.name
        self._process: KubeletProcess | None = None
        self._ended: KubeletProcess | None = None  # the last that has ended; calls of it may still be due
        self._idle_since: int | None = None
        self._clock = sim.clock
        self._rank = rank("kubelet", self.name)
        self._node: Node | None = server.find(Node, "", self.name) or template
        self._informer: Informer[Pod] | None = None
        self._settled: tuple[Pod, ...] = ()
        self._static_pods = static_pods
        self._starts = 0
        machine.agent = self

    # ---- processes ----------------------------------------------------------------------------------------------

    @property
    def process(self) -> KubeletProcess | None:
        """The process, or None while none runs. That of an idle node is not made before it is needed."""
        if self._process is None and self._idle_since is not None:
            self._take_up(self._new_process(self._idle_since, begins_now=False))
        return self._process

    def _take_up(self, process: KubeletProcess) -> None:
        """Go on with the pods that were there before t = 0: they are as their statuses say, so they could wait."""
        process.sources_ready = True
        pods, self._settled = self._settled, ()
        mirrors = {runtime_uid(pod): pod for pod in pods if is_mirror_pod(pod)}
        static = [replace(p, status=mirrors[p.uid].status) if p.uid in mirrors else p for p in self._static_pods]
        for pod in static:
            process.pleg.know(pod.uid)
        process.run_static_pods(static)
        process.take_over(pods)

    def start(self) -> None:
        """Begin at t = 0, as a process that has been running for `KubeletSettings.started_before_ns`.

        With pods that are there already, it has started after them, so that it takes them as their statuses say.
        """
        begin_leases(self.sim, self.server, self.name, self.settings)
        self._list_pods(known=True)
        now = self._clock.now
        self._idle_since = now if self._settled else now - self.settings.started_before_ns
        if self._static_pods or not all(is_pod_ready(pod) and not pod.deleting for pod in self._settled):
            self._take_up(self._new_process(self._idle_since, begins_now=False))

    def _list_pods(self, known: bool = False) -> None:
        """List and watch the node's pods; ``known``: those that are there have been there all along."""
        if self._informer is None:
            self._informer = Informer(self.server, Pod, f"kubelet/{self.name}", node=self.name)
            self._settled = tuple(self._informer.list()) if known else ()
            self._informer.add_handler(self._on_pod, replay=not known)
        else:
            self._informer.restart()

    def _new_process(self, started_ns: int, begins_now: bool) -> KubeletProcess:
        self._idle_since = None
        self._process = KubeletProcess(
            self.sim, self.server, self.machine, self.settings, self.storage, self.mounts, self._rank, self._node,
            started_ns, begins_now,
        )  # fmt: skip
        return self._process

    def _start_again(self, after_ns: int = 0) -> None:
        """Begin a new process after a boot or a restart."""
        self._starts += 1
        delay = after_ns + self.sim.latencies.draw("kubeletStart", self.name)
        self._clock.call_after(delay, self._started_again, self._starts, rank=self._rank)

    def _started_again(self, start: int) -> None:
        if start != self._starts or self.process is not None:
            return
        # The wait for the node begins first, and is over when probes with a period of a second count as young, or just
        # not any more (NewMainKubelet: makePodSourceConfig, prober.NewManager).
        made = self._clock.now + self.sim.latencies.draw("kubeletAssembly", self.name)
        process = self._new_process(made, begins_now=True)
        if self.machine.connected:
            self._register(process)
        for pod in self.machine.pods():
            process.pleg.changed(pod.uid)
        process.run_static_pods(self._static_pods)
        self._clock.call_after(NODE_SYNC_POLL, self._node_is_known, process, rank=self._rank)

    def _register(self, process: KubeletProcess) -> None:
        """Do what a process does first when it reaches the API server."""
        process.node_status.begin_leases()
        process.spawn(process.node_status.register(self._node))

    def _node_is_known(self, process: KubeletProcess) -> None:
        if process.alive and self.machine.connected and not process.sources_ready:
            self._watch_pods(process)

    def _watch_pods(self, process: KubeletProcess) -> None:
        """List and watch the node's pods, for the first time in a process' life."""
        process.sources_ready = True
        self._list_pods()
        process.show_static_pods()
        process.kill_orphans_soon()

    def _on_pod(self, change: Change) -> None:
        process = self._process or self.process
        if process is not None:
            process.loop.take(process.handle_pod, change)

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.look_at_node()
            self._node = process.node
            process.end()
            self._ended = process
        elif self._idle_since is not None:
            self._idle_since, self._settled = None, ()
            self._node = self.server.find(Node, "", self.name) or self._node
            self.server.leases.end(self.name, self._clock.now)
        if self._informer is not None:
            self._informer.disconnect()

    def let_go(self) -> None:
        """Let the machine refer to the kubelet no more, nor the parts of its processes to each other."""
        self.machine.agent = None
        for process in (self._process, self._ended):
            if process is not None:
                process.let_go()

    # ---- what the machine tells (machines.Agent) ----------------------------------------------------------------

    def runtime_changed(self, uid: str) -> None:
        """Let the next relist see it."""
        process = self.process
        if process is not None:
            process.attend(uid)
            process.pleg.changed(uid)

    def answers_changed(self, uid: str) -> None:
        """Let the probes reckon anew."""
        process = self.process
        if process is not None:
            process.attend(uid)
            process.prober.answers_changed(uid)

    def power_lost(self) -> None:
        """The process is gone, and what was mounted with what had not been written."""
        self._end_process()
        self.mounts.staged.clear()
        if self.storage is not None:
            self.storage.power_lost(self.name)
        self._starts += 1  # a start that was under way is off

    def booted(self) -> None:
        """A new process starts."""
        self._start_again()

    def restarted(self, after_ns: int) -> None:
        """The process ends, and a new one starts after a time."""
        self._end_process()
        self._start_again(after_ns)

    def runtime_stopped(self) -> None:
        """Nothing can be started, stopped or looked at."""
        if self.process is not None:
            self.process.runtime_stopped()

    def runtime_started(self) -> None:
        """It can be again."""
        if self.process is not None:
            self.process.runtime_started()

    def network_plugin_changed(self) -> None:
        """Let the next check of the runtime see it."""
        if self.process is not None:
            self.process.runtime_state.network_changed()

    def manifest_changed(self, name: str | None, image: str | None) -> bool:
        """Somebody lets manifests of static pods name another image, or takes them away."""
        full_name = None if name is None else f"{name}-{self.name.lower()}"
        changed = [pod for pod in self._static_pods if full_name in (None, pod.name)]
        kept = [pod for pod in self._static_pods if pod not in changed]
        new = [] if image is None else [with_image(pod, image) for pod in changed]
        self._static_pods = (*kept, *new)
        if self.process is not None:
            self.process.static_pods_changed(self._static_pods)
        return bool(changed)

    def pressure_changed(self) -> None:
        """Look at the eviction signals."""
        if self.process is not None:
            self.process.on_demand.eviction.pressure_changed()

    def shutdown_requested(self, power_off: Callable[[], None]) -> bool:
        """Stop the pods first, if the kubelet is configured to."""
        process = self.process
        if process is None:
            return False
        shutdown = process.on_demand.shutdown
        if not shutdown.enabled:
            return False
        if not shutdown.shutting_down:
            process.spawn(shutdown.shut_down(power_off))
        return True

    def link_lost(self) -> None:
        """Nothing arrives, nothing gets out."""
        if self.process is not None:
            self.process.look_at_node()
            self.process.client.connected = False
            self.process.node_status.end_leases()
        if self._informer is not None:
            self._informer.disconnect()

    def link_restored(self) -> None:
        """List and watch again, renew the lease, send what waits."""
        process = self.process
        if process is None:
            return
        process.client.connected = True
        if not process.sources_ready:  # it has started without a connection
            self._register(process)
            self._watch_pods(process)
            process.status.link_restored()
            return
        process.node_status.begin_leases()
        process.node_status.report_on_grid()
        if self._informer is not None:
            self._informer.reconnect()
        process.status.link_restored()
