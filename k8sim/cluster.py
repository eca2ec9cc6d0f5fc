"""Assembles one simulated cluster from a scenario and runs it."""

from __future__ import annotations

from k8sim.api.core import Namespace, Node, Pod
from k8sim.api.meta import ObjectMeta
from k8sim.api.scheme import decode
from k8sim.apiserver.admission import default_admission
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.recorder import Recorder
from k8sim.apiserver.server import APIServer
from k8sim.controllers.controller import ControllerContext
from k8sim.controllers.kube_controller_manager import KubeControllerManager
from k8sim.controllers.snapshot.controller import SnapshotController
from k8sim.csi.backups import Backups
from k8sim.csi.fates import VolumeFates
from k8sim.csi.installation import Installation
from k8sim.csi.reach import VolumeReach
from k8sim.csi.schedules import SnapshotScheduler
from k8sim.faults.fault import World
from k8sim.initialstate import is_ready, populate, read, static_pods
from k8sim.kubelet.kubelet import Kubelet
from k8sim.kubelet.staticpods import static_pod
from k8sim.machines.disks import Storage
from k8sim.machines.fleet import Fleet
from k8sim.machines.identities import Identities
from k8sim.machines.image import Images
from k8sim.machines.machine import Machine
from k8sim.machines.registry import Registry
from k8sim.result import Result
from k8sim.scenario.model import Scenario
from k8sim.scenario.readynodes import OLD
from k8sim.scenario.steps import run_timeline
from k8sim.scheduler.scheduler import Scheduler
from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND
from k8sim.workload.workload import Workload


def _simulation(scenario: Scenario, seed: int, replicate: int, tie_salt: int) -> Simulation:
    streams = Streams(seed, replicate)
    phase = int(streams.uniform("clock", "second phase") * SECOND)
    clock = Clock(second_phase_ns=phase, tie_salt=tie_salt)
    return Simulation(clock, streams, Latencies(streams, scenario.latencies), Trace(), dict(scenario.feature_gates))


class Cluster:
    """One replicate of a scenario: components, wired, at t = 0.

    Parameters
    ----------
    scenario
        What to simulate.
    seed, replicate
        Address of all chance; the seed defaults to the scenario's.
    tie_salt
        Shuffles the order of simultaneous events; results must not depend on it in law.
    keep_history
        Keep all versions of all objects for `Result.objects`.
    beside
        Another cluster in the same world: they have the clock, the trace and the storage in common, and nothing else.
        Their nodes need different names.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int | None = None,
        replicate: int = 0,
        tie_salt: int = 0,
        keep_history: bool = True,
        beside: Cluster | None = None,
    ) -> None:
        self.scenario = scenario
        settings = scenario.cluster
        self.seed = scenario.seed if seed is None else seed
        self.replicate = replicate
        self.sim: Simulation = _simulation(scenario, self.seed, replicate, tie_salt) if beside is None else beside.sim
        self.server = APIServer(self.sim, default_admission(settings.kube_api_server), keep_history, settings.watches)
        self.recorder = Recorder(self.server)
        self.server.recorder = self.recorder.record
        self.server.real_name = self.recorder.real_name
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.server.preload(Namespace(metadata=ObjectMeta(name=name, creation_timestamp=OLD)))
        self.initial_state = read(scenario.state, self.sim.clock.truncated(0))
        self._static_pods = static_pods(self.initial_state)
        dumped = {node.name: node for node in self.initial_state.nodes}
        for node in scenario.ready_nodes:
            self.server.preload(dumped.get(node.name) or node)
        self._registry = Registry(self.sim, Images(scenario.images))
        self.machines = Fleet()
        self.identities = Identities(self.sim, self.machines)
        self.kubelets: dict[str, Kubelet] = {}
        for index, node in enumerate(self.server.list(Node)):
            powered = node.name not in dumped or is_ready(node)
            self.machines.join(node.name, Machine(self.sim, node.name, self._registry, index, powered))
        self.storage: Storage = Storage(self.sim) if beside is None else beside.storage.beside()
        self.populate()
        self._observers = (
            VolumeFates(self.server, self.storage),
            VolumeReach(self.server, self.storage),
            Backups(self.server, self.storage),
        )
        for observer in self._observers:
            observer.start()
        self.controller_manager = KubeControllerManager(
            self.sim, self.server, self.storage, settings.kube_controller_manager
        )
        self.controller_manager.start()
        self.snapshots = SnapshotController(
            ControllerContext(self.sim, self.server, SharedInformers(self.server, "snapshot-controller"))
        )
        self.snapshots.start()
        self.csi = Installation(self.server, self.storage, {d.name: d for d in settings.storage_drivers})
        self.csi.start()
        SnapshotScheduler(self.server, settings.snapshot_schedules).start()
        caches = SharedInformers(self.server, "kube-scheduler")
        self.scheduler = Scheduler(self.sim, self.server, caches, settings.kube_scheduler)
        self.scheduler.start()
        for machine in self.machines.values():
            kubelet = self._kubelet(machine)
            if machine.powered:
                kubelet.start()
        world = World(
            self.sim,
            self.server,
            self.machines,
            scenario.namespace,
            self.storage,
            self.controller_manager,
            self._provide,
        )
        self.workload = Workload(
            self.server, self.machines, scenario.network, self.storage, scenario.traffic, scenario.applications
        )
        run_timeline(world, scenario)

    def populate(self) -> None:
        """Put into the store and on the machines what is there at t = 0 besides nodes."""
        populate(self.initial_state, self.server, self.machines, self.storage)

    def _kubelet(self, machine: Machine, template: Node | None = None) -> Kubelet:
        settings = self.scenario.cluster.kubelet
        manifests = [decode(manifest) for manifest in self.scenario.static_pods(machine.name)]
        new = [static_pod(m, machine.name) for m in manifests if isinstance(m, Pod)]
        static = (*self._static_pods.get(machine.name, ()), *new)
        kubelet = Kubelet(self.sim, self.server, machine, settings, self.storage, template, static)
        self.kubelets[machine.name] = kubelet
        return kubelet

    def _provide(self, template: Node) -> Machine:
        """Make a machine that is off, whose kubelet will register a Node."""
        machine = Machine(self.sim, template.name, self._registry, len(self.machines), powered=False)
        self._kubelet(machine, template)
        return machine

    def take_apart(self) -> None:
        """Let the parts refer to each other no more, so that they die with the cluster, and not when a collector comes.

        They are of no use afterwards; what `run` has returned stays as it is.
        """
        controllers = (*self.controller_manager.controllers, self.snapshots)
        for controller in controllers:
            controller.stop()  # what is under way ends while all is there that it may need
        self.csi.stop()
        self.sim.clock.forget()
        parts: tuple[object, ...] = (
            *self.server.lines,
            self.recorder,
            *self._observers,
            self.controller_manager,
            *controllers,
            self.csi,
            *self.csi.sidecars,
            self.scheduler,
            self.storage,
            self.workload,
        )
        for part in parts:
            vars(part).clear()
        for kubelet in self.kubelets.values():
            kubelet.let_go()

    def run(self) -> Result:
        """Run to the scenario's end and return what it leaves."""
        self.sim.clock.run(self.scenario.duration_ns)
        self.workload.finish()
        return Result(
            scenario=self.scenario,
            seed=self.seed,
            replicate=self.replicate,
            log=self.sim.trace,
            history=self.server.history or (),
            aliases=self.recorder.aliases,
        )


def simulate(scenario: Scenario, seed: int | None = None, replicate: int = 0, keep_history: bool = True) -> Result:
    """Assemble one replicate of a scenario, run it, and keep nothing but its result."""
    cluster = Cluster(scenario, seed, replicate, keep_history=keep_history)
    result = cluster.run()
    cluster.take_apart()
    return result
