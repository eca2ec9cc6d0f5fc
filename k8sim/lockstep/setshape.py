"""A StatefulSet and what surrounds it, as a campaign has them: pods, places, volumes, the times of a container."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from k8sim.api.apps import StatefulSet
from k8sim.api.core import Node, PersistentVolumeClaim, Pod, PodAffinityTerm, PodSpec, Taint
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.resources import PODS, amounts, pod_requests
from k8sim.api.scheme import decode
from k8sim.api.selectors import selector_matches
from k8sim.api.storage import StorageClass
from k8sim.api.storage_classes import IS_DEFAULT
from k8sim.controllers.disruption.control import expected_and_desired
from k8sim.controllers.tainteviction.control import get_matching_tolerations, get_min_toleration_time
from k8sim.csi.drivers import Driver, find_driver, with_parameters
from k8sim.lockstep.campaign import NEVER, Pinning
from k8sim.machines.image import Images
from k8sim.scenario.model import HOSTNAME_LABEL, ZONE_LABEL, Scenario
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.latencies import LATENCIES
from k8sim.sim.units import SECOND

NOTHING: Final = Constant(0)
_UNREACHABLE: Final = Taint(key="node.kubernetes.io/unreachable", effect="NoExecute")
_KEEPING_AWAY: Final = (
    Taint(key="node.kubernetes.io/unreachable", effect="NoSchedule"),
    Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule"),
)
"""What keeps new pods away from nodes that are known to be dead, or are drained."""
_SURELY: Final = 0.9999
_PINNING: Final[dict[str, Pinning]] = {"zone": "zone", "node": "node", "": "none"}


@dataclass
class Notes:
    """What was found on the way: why there is no campaign, and what a campaign has in a coarser form."""

    outside: list[str]
    simplified: list[str]

    def unless(self, condition: bool, problem: str) -> None:
        """Note a problem, unless a condition holds."""
        if not condition:
            self.outside.append(problem)


@dataclass(frozen=True)
class SetShape:
    """What of a `Campaign` follows from the set, and the names of its pods and claims."""

    settings: dict[str, Any]
    pods: tuple[str, ...]
    claims: tuple[str, ...]


def read_set(scenario: Scenario, the_set: StatefulSet, nodes: Sequence[Node], notes: Notes) -> SetShape:
    """Read a StatefulSet, its budget, its storage class and the behaviour of its image."""
    spec, name = the_set.spec, the_set.name
    pod = Pod(metadata=spec.template.metadata, spec=spec.template.spec)
    notes.unless(spec.min_ready_seconds == 0, "minReadySeconds")
    first = spec.ordinals.start if spec.ordinals is not None else 0
    pods = tuple(f"{name}-{first + i}" for i in range(spec.replicas))
    templates = spec.volume_claim_templates
    driver = _driver(scenario, templates, notes)
    per_node = _per_node(pod, nodes, spec.replicas, notes)
    if driver is not None:
        _check_limits(driver, per_node * len(templates), notes)
    if len(templates) > 1:
        notes.simplified.append("volumeClaimTemplates: the volumes of a pod are attached like one")
    settings = {
        "replicas": spec.replicas,
        "ordered": spec.pod_management_policy == "OrderedReady",
        "toleration_ns": _toleration_ns(pod.spec, notes),
        "max_unavailable": _max_unavailable(scenario, the_set, notes),
        "per_node": per_node,
        "pinning": _PINNING.get(driver.topology, "none") if driver is not None else "none",
        **_attachment(scenario, driver),
        **_container(scenario, pod.spec, notes),
    }
    return SetShape(settings, pods, tuple(f"{t.name}-{p}" for t in templates for p in pods))


# ---- places ---------------------------------------------------------------------------------------------------------


def _toleration_ns(spec: PodSpec, notes: Notes) -> int:
    for taint in _KEEPING_AWAY:
        tolerated, _ = get_matching_tolerations([taint], spec.tolerations)
        notes.unless(not tolerated, f"pods that tolerate {taint.key}:{taint.effect}")
    _, used = get_matching_tolerations([_UNREACHABLE], spec.tolerations)
    if not used:
        return 300 * SECOND  # the admission plug-in DefaultTolerationSeconds
    seconds = get_min_toleration_time(used)
    return NEVER if seconds is None else seconds * SECOND


def _max_unavailable(scenario: Scenario, the_set: StatefulSet, notes: Notes) -> int:
    replicas, labels = the_set.spec.replicas, the_set.spec.template.metadata.labels
    namespace = the_set.namespace or scenario.namespace
    budgets = [decode(m) for m in scenario.objects if m["kind"] == "PodDisruptionBudget"]
    mine = [
        b
        for b in budgets
        if isinstance(b, PodDisruptionBudget)
        and (b.namespace or scenario.namespace) == namespace
        and selector_matches(b.spec.selector, labels)
    ]
    notes.unless(len(mine) <= 1, "several disruption budgets for the same pods")
    if not mine:
        return replicas
    policy = mine[0].spec.unhealthy_pod_eviction_policy
    notes.unless(policy in (None, "IfHealthyBudget"), f"unhealthyPodEvictionPolicy: {policy}")
    return replicas - min(expected_and_desired(mine[0], replicas, replicas)[1], replicas)


def _per_node(pod: Pod, nodes: Sequence[Node], replicas: int, notes: Notes) -> int:
    """Return how many pods a node takes, by anti-affinity and by room."""
    spec = pod.spec
    alone = any(port.host_port or spec.host_network for c in spec.containers for port in c.ports)
    notes.unless(not spec.node_selector and not spec.node_name, "a node selector")
    if spec.affinity is not None:
        notes.unless(spec.affinity.node_affinity is None and spec.affinity.pod_affinity is None, "affinity")
        anti = spec.affinity.pod_anti_affinity
        for term in anti.required_during_scheduling_ignored_during_execution if anti is not None else ():
            alone = alone or (own := _is_own(term, pod) and term.topology_key == HOSTNAME_LABEL)
            notes.unless(own, "anti-affinity other than among the pods of the set on one node")
        if anti is not None and anti.preferred_during_scheduling_ignored_during_execution:
            notes.simplified.append("affinity: what is preferred is taken as spreading over zones, then over nodes")
    for spread in spec.topology_spread_constraints:
        soft = spread.when_unsatisfiable == "ScheduleAnyway" and spread.topology_key in (ZONE_LABEL, HOSTNAME_LABEL)
        notes.unless(soft, f"a topology spread constraint that is hard, or of something else ({spread.topology_key})")
    if spec.topology_spread_constraints:
        notes.simplified.append("topologySpreadConstraints: taken as spreading over zones, then over nodes")
    wanted = {**pod_requests(pod), PODS: 1}
    rooms = {min(_room(node, wanted), replicas) for node in nodes}
    notes.unless(len(rooms) == 1, "nodes of different size")
    return 1 if alone else min(rooms, default=1)


def _is_own(term: PodAffinityTerm, pod: Pod) -> bool:
    plain = not (term.namespaces or term.namespace_selector or term.match_label_keys or term.mismatch_label_keys)
    return plain and term.label_selector is not None and selector_matches(term.label_selector, pod.metadata.labels)


def _room(node: Node, wanted: dict[str, int]) -> int:
    there = amounts(node.status.allocatable or node.status.capacity)
    return min(there.get(resource, 0) // amount for resource, amount in wanted.items() if amount)


# ---- volumes --------------------------------------------------------------------------------------------------------


def _driver(scenario: Scenario, templates: Sequence[PersistentVolumeClaim], notes: Notes) -> Driver | None:
    """Return the driver of the set's volumes; None: it has none."""
    if not templates:
        return None
    classes = [decode(m) for m in scenario.objects if m["kind"] == "StorageClass"]
    known = {c.name: c for c in classes if isinstance(c, StorageClass)}
    default = next((name for name, c in known.items() if c.metadata.annotations.get(IS_DEFAULT) == "true"), None)
    names = {template.spec.storage_class_name or default for template in templates}
    notes.unless(len(names) == 1, "claims of different storage classes")
    chosen = known.get(str(next(iter(names))))
    if chosen is None:
        notes.outside.append("claims without a storage class that makes volumes")
        return None
    drivers = {driver.name: driver for driver in scenario.cluster.storage_drivers}
    driver = with_parameters(find_driver(chosen.provisioner, drivers), chosen.parameters)
    notes.unless(driver.topology in _PINNING, f"volumes that two zones of a region reach ({chosen.provisioner})")
    waits = chosen.volume_binding_mode == "WaitForFirstConsumer" or driver.topology == ""
    notes.unless(waits, "volumes that are made before their pods are placed (volumeBindingMode: Immediate)")
    notes.unless(not chosen.allowed_topologies, "allowedTopologies")
    return driver


def _check_limits(driver: Driver, volumes: int, notes: Notes) -> None:
    """Note what a driver may refuse, if a node is to have so many volumes."""
    notes.unless(driver.capacity_bytes is None, f"storage that may be full ({driver.name})")
    places = driver.volumes_per_node
    enough = places is None or volumes <= places - driver.slots_taken
    notes.unless(enough, f"more volumes than can be attached to a node ({driver.name})")


def _attachment(scenario: Scenario, driver: Driver | None) -> dict[str, Distribution]:
    if driver is None or not driver.attach:
        return {"attach": NOTHING, "detach": NOTHING}
    laws = {name: LATENCIES[name].default for name in ("volumeAttach", "volumeDetach")}
    laws |= {name: law for name, law in {**scenario.latencies, **driver.laws}.items() if name in laws}
    return {"attach": laws["volumeAttach"], "detach": laws["volumeDetach"]}


# ---- the container --------------------------------------------------------------------------------------------------


def _container(scenario: Scenario, spec: PodSpec, notes: Notes) -> dict[str, Distribution]:
    """Return how long it takes to start, to be Ready, to stop."""
    notes.outside += _unusual(spec)
    image = Images(scenario.images).of(spec.containers[0].image)
    never = [word for word in ("started", "ready", "alive") if getattr(image, word) is None]
    notes.unless(not never and not image.missing, f"an image that is never there ({', '.join(never) or 'missing'})")
    notes.unless(image.hang is None and image.exit_after is None, "an image that hangs or exits by itself")
    notes.unless(image.answer == NOTHING, "an image that takes its time to answer probes")
    notes.unless(not image.moves, "an image whose tag moves")
    notes.unless(
        spec.containers[0].liveness_probe is None or image.alive == NOTHING,
        "a liveness probe of an image that is not alive at once",
    )
    if image.pull != NOTHING:
        notes.simplified.append("images: pull is taken as nothing")
    probe = spec.containers[0].readiness_probe
    if probe is not None:
        late = probe.initial_delay_seconds + probe.period_seconds * probe.success_threshold
        notes.simplified.append(f"readinessProbe: passes when the image is ready, not up to {late}s later")
    ready = image.ready if probe is not None and image.ready is not None else NOTHING
    grace = Constant(spec.termination_grace_period_seconds * SECOND)
    return {"start": image.start, "catch_up": ready, "stop": _within(image.stop, grace, notes)}


def _unusual(spec: PodSpec) -> Iterator[str]:
    if len(spec.containers) != 1 or spec.init_containers:
        yield "pods with several containers or init containers"
    if spec.containers[0].startup_probe is not None:
        yield "a startup probe"
    if spec.containers[0].lifecycle is not None:
        yield "container hooks"
    if any(volume.ephemeral or volume.persistent_volume_claim for volume in spec.volumes):
        yield "volumes of claims that are not the set's own"
    if spec.restart_policy != "Always" or spec.readiness_gates or spec.scheduling_gates:
        yield "restartPolicy, readiness gates or scheduling gates"


def _within(stop: Distribution | None, grace: Constant, notes: Notes) -> Distribution:
    """Return how long a container takes to stop: SIGKILL comes after the grace period."""
    if stop is None:
        return grace
    if isinstance(stop, Constant):
        return Constant(min(stop.ns, grace.ns))
    notes.unless(stop.quantile(_SURELY) <= grace.ns, "stop at random, and longer than the grace period")
    return stop
