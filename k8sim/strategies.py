"""Hypothesis strategies for scenarios, and a state machine of a cluster, for tests of your own.

Needs the extra ``k8sim[test-tools]``. Everything shrinks towards small and quiet: one replica, no step, no delay.

    from hypothesis import given
    from k8sim import strategies as k8s
    from k8sim.cluster import Cluster
    from k8sim.guarantees import check

    @given(k8s.scenarios())
    def test_no_guarantee_is_violated(scenario):
        assert not check(Cluster(scenario).run()).violations
"""

from __future__ import annotations

from typing import Any, Final

from k8sim.cluster import Cluster
from k8sim.faults.fault import World
from k8sim.guarantees import Audit
from k8sim.machines.image import ImageBehaviour
from k8sim.scenario.model import NodeGroup, Scenario, Step
from k8sim.scenario.steps import begin_step
from k8sim.sim.distributions import Constant
from k8sim.sim.units import MINUTE, SECOND

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
except ImportError as missing:  # pragma: no cover
    raise ImportError("k8sim.strategies needs Hypothesis: pip install 'k8sim[test-tools]'") from missing

Manifest = dict[str, Any]
NAME: Final = "web"
LABELS: Final = {"app": NAME}
MOST_REPLICAS: Final = 4
ZONES: Final = ("a", "b", "c")


def durations(most_s: int = 60) -> st.SearchStrategy[int]:
    """Durations in ns, in half seconds."""
    return st.integers(0, 2 * most_s).map(lambda n: n * SECOND // 2)


def clusters(most: int = 4) -> st.SearchStrategy[tuple[NodeGroup, ...]]:
    """Nodes, with or without zones."""
    zones = st.sampled_from([(), ZONES])
    return st.builds(lambda n, z: (NodeGroup("node", count=n, zones=z),), st.integers(1, most), zones)


def image_behaviours(pattern: str = "*") -> st.SearchStrategy[ImageBehaviour]:
    """Software that starts, becomes ready, and stops, sooner or later."""
    law = durations(8).map(Constant)
    return st.builds(lambda a, b, c, d: ImageBehaviour(pattern, pull=a, start=b, ready=c, stop=d), law, law, law, law)


def _template() -> st.SearchStrategy[Manifest]:
    def make(grace: int, probe: bool, hook: int) -> Manifest:
        container: Manifest = {"name": "app", "image": "app:v1"}
        if probe:
            container["readinessProbe"] = {"exec": {"command": ["ready"]}, "periodSeconds": 1}
        if hook:
            container["lifecycle"] = {"preStop": {"sleep": {"seconds": hook}}}
        spec = {"terminationGracePeriodSeconds": grace, "containers": [container]}
        return {"metadata": {"labels": dict(LABELS)}, "spec": spec}

    return st.builds(make, st.sampled_from([30, 5, 1]), st.booleans(), st.sampled_from([0, 2, 8]))


def stateful_sets(name: str = NAME) -> st.SearchStrategy[Manifest]:
    """StatefulSets: sizes, policies, partitions, claims."""

    def make(replicas: int, policy: str, partition: int, ready_s: int, claims: bool, template: Manifest) -> Manifest:
        spec: Manifest = {
            "replicas": replicas, "serviceName": name, "podManagementPolicy": policy, "minReadySeconds": ready_s,
            "selector": {"matchLabels": dict(LABELS)}, "template": template,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
        }  # fmt: skip
        if claims:
            spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": _claim_spec()}]
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}

    return st.builds(
        make, st.integers(1, MOST_REPLICAS), st.sampled_from(["OrderedReady", "Parallel"]), st.integers(0, 2),
        st.sampled_from([0, 3]), st.booleans(), _template(),
    )  # fmt: skip


def deployments(name: str = NAME) -> st.SearchStrategy[Manifest]:
    """Deployments: sizes and strategies."""

    def make(replicas: int, strategy: Manifest, template: Manifest) -> Manifest:
        spec = {"replicas": replicas, "selector": {"matchLabels": dict(LABELS)}, "template": template}
        body = {**spec, "strategy": strategy}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}

    rolling = st.builds(
        lambda surge, away: {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": away}},
        st.sampled_from([1, "50%"]), st.sampled_from([0, 1, "25%"]),
    )  # fmt: skip
    return st.builds(
        make, st.integers(1, MOST_REPLICAS), st.one_of(rolling, st.just({"type": "Recreate"})), _template()
    )


def budgets(name: str = NAME) -> st.SearchStrategy[Manifest]:
    """Disruption budgets of the pods of the other strategies."""
    numbers = st.one_of(st.integers(0, 3), st.sampled_from(["25%", "50%", "100%"]))
    bounds = st.builds(lambda key, n: {key: n}, st.sampled_from(["maxUnavailable", "minAvailable"]), numbers)
    about = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}}
    return bounds.map(lambda bound: {**about, "spec": {**bound, "selector": {"matchLabels": dict(LABELS)}}})


def storage_classes(name: str = "standard") -> st.SearchStrategy[Manifest]:
    """The default class, with either binding mode and reclaim policy."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    about = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "ebs.csi.aws.com"}
    return st.builds(
        lambda mode, policy: {
            **about, "metadata": {"name": name, "annotations": dict(annotations)}, "volumeBindingMode": mode,
            "reclaimPolicy": policy,
        },
        st.sampled_from(["WaitForFirstConsumer", "Immediate"]), st.sampled_from(["Delete", "Retain"]),
    )  # fmt: skip


def _claim_spec() -> Manifest:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def volumes(name: str = "volume") -> st.SearchStrategy[Manifest]:
    """Volumes made by hand, of several sizes and policies."""
    return st.builds(
        lambda size, policy: {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": f"{size}Gi"}, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": policy, "nfs": {"server": "nfs", "path": f"/{name}"},
            },
        },
        st.integers(1, 4), st.sampled_from(["Retain", "Delete"]),
    )  # fmt: skip


def services(name: str = NAME) -> st.SearchStrategy[Manifest]:
    """Headless services of the same pods."""
    spec = {"clusterIP": "None", "selector": dict(LABELS), "ports": [{"port": 80}]}
    return st.booleans().map(
        lambda publish: {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {**spec, "publishNotReadyAddresses": publish},
        }
    )  # fmt: skip


def kubectl_commands(nodes: int = 1, kind: str = "statefulset", name: str = NAME) -> st.SearchStrategy[str]:
    """Commands that people type at such a workload, its pods and its nodes."""
    node = st.integers(0, nodes - 1).map(lambda i: f"node-{i}")
    target = f"{kind}/{name}"
    options = [
        st.integers(0, MOST_REPLICAS).map(lambda n: f"scale {target} --replicas={n}"),
        st.sampled_from([f"rollout restart {target}", f"rollout undo {target}", f"set image {target} app=app:v2"]),
        node.map(lambda n: f"cordon {n}"),
        node.map(lambda n: f"uncordon {n}"),
        node.map(lambda n: f"drain {n} --ignore-daemonsets --delete-emptydir-data --force"),
    ]
    if kind == "statefulset":
        pod = st.integers(0, MOST_REPLICAS - 1).map(lambda i: f"{name}-{i}")
        options += [pod.map(lambda p: f"delete pod {p} --wait=false")]
        options += [pod.map(lambda p: f"delete pod {p} --force --grace-period=0")]
    return st.one_of(options)


def faults(nodes: int = 1, name: str = NAME) -> st.SearchStrategy[tuple[str, Manifest]]:
    """Faults of nodes, pods, what they stand on, and the control plane: (name, arguments)."""
    node = st.integers(0, nodes - 1).map(lambda i: f"node-{i}")
    pod = st.integers(0, MOST_REPLICAS - 1).map(lambda i: f"{name}-{i}")
    lasts = st.sampled_from([5 * SECOND, MINUTE, 8 * MINUTE])

    def lasting(names: list[str], **target: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, Manifest]]:
        return st.tuples(st.sampled_from(names), st.fixed_dictionaries({**target, "for": lasts}))

    return st.one_of(
        node.map(lambda n: ("kubelet-restart", {"node": n})),
        pod.map(lambda p: ("container-exit", {"pod": p, "code": 1})),
        pod.map(lambda p: ("oom-kill", {"pod": p})),
        lasting(["unready", "hang"], pod=pod),
        lasting(["node-partition", "node-isolation", "node-crash", "node-shutdown", "node-slow"], node=node),
        lasting(["memory-pressure", "disk-pressure"], node=node),
        lasting(["storage-outage", "registry-outage", "disk-slow", "apiserver-outage"]),
        st.just(("controller-manager-restart", {})),
    )


def _steps(nodes: int, kind: str) -> st.SearchStrategy[tuple[Step, ...]]:
    commands = st.builds(Step.kubectl, durations(120), kubectl_commands(nodes, kind))
    broken = st.builds(lambda at, f: Step(at, "fault", name=f[0], arguments=f[1]), durations(120), faults(nodes))
    return st.lists(st.one_of(commands, broken), max_size=5).map(lambda s: tuple(sorted(s, key=lambda x: x.at_ns)))


def kubectl_histories(nodes: int = 1, kind: str = "statefulset") -> st.SearchStrategy[tuple[Step, ...]]:
    """Up to five commands over two minutes."""
    steps = st.lists(st.builds(Step.kubectl, durations(120), kubectl_commands(nodes, kind)), max_size=5)
    return steps.map(lambda s: tuple(sorted(s, key=lambda x: x.at_ns)))


def fault_schedules(nodes: int = 1) -> st.SearchStrategy[tuple[Step, ...]]:
    """Up to five faults over two minutes."""
    step = st.builds(lambda at, f: Step(at, "fault", name=f[0], arguments=f[1]), durations(120), faults(nodes))
    return st.lists(step, max_size=5).map(lambda s: tuple(sorted(s, key=lambda x: x.at_ns)))


@st.composite
def scenarios(draw: st.DrawFn, duration_ns: int = 20 * MINUTE) -> Scenario:
    """Whole scenarios: a cluster, one workload with what belongs to it, commands and faults."""
    nodes = draw(clusters())
    workload = draw(st.one_of(stateful_sets(), deployments()))
    objects = [draw(storage_classes()), draw(services()), workload]
    objects += draw(st.lists(budgets(), max_size=1))
    timeline = draw(_steps(nodes[0].count, workload["kind"].lower()))
    return Scenario(
        "drawn", duration_ns=duration_ns, seed=draw(st.integers(0, 9)), nodes=nodes, timeline=timeline,
        objects=tuple(objects), images=(draw(image_behaviours()),),
    )  # fmt: skip


class ClusterMachine(RuleBasedStateMachine):
    """A cluster that Hypothesis acts on; every guarantee is checked after each action. Subclass it and add rules.

    ``self.cluster`` is the cluster, ``self.audit`` what was found, `act` does something now, `advance` lets time pass.
    """

    nodes: tuple[NodeGroup, ...] = (NodeGroup("node", count=3),)

    @initialize(workload=stateful_sets(), service=services(), storage=storage_classes(), image=image_behaviours())
    def start(self, workload: Manifest, service: Manifest, storage: Manifest, image: ImageBehaviour) -> None:
        """Make the cluster."""
        objects = (storage, service, workload)
        scenario = Scenario("machine", duration_ns=60 * MINUTE, nodes=self.nodes, objects=objects, images=(image,))
        self.cluster = Cluster(scenario)
        c = self.cluster
        self.world = World(c.sim, c.server, c.machines, scenario.namespace, c.storage, c.controller_manager)
        self.steps = 0
        self.audit = Audit(self.cluster.sim.enabled)

    @rule(text=kubectl_commands(nodes=3))
    def kubectl(self, text: str) -> None:
        """Type a command."""
        self.act(Step.kubectl(0, text))

    @rule(fault=faults(nodes=3))
    def fault(self, fault: tuple[str, Manifest]) -> None:
        """Break something."""
        self.act(Step(0, "fault", name=fault[0], arguments=fault[1]))

    @rule(by_s=st.sampled_from([1, 10, 60, 400]))
    def advance(self, by_s: int) -> None:
        """Let time pass."""
        clock = self.cluster.sim.clock
        clock.run(clock.now + by_s * SECOND)

    def act(self, step: Step) -> None:
        """Do something now."""
        begin_step(self.world, self.steps, step)
        self.steps += 1
        self.cluster.sim.clock.run(self.cluster.sim.clock.now + SECOND)

    @invariant()
    def no_guarantee_is_violated(self) -> None:
        """Check what has happened so far."""
        if hasattr(self, "audit"):
            assert self.cluster.server.history is not None
            self.audit.feed(self.cluster.server.history, self.cluster.sim.trace)
            assert not self.audit.violations, str(self.audit)
