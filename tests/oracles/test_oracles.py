"""Decisions against the oracles of this folder, on some thousand random states each; tools/oracles.py takes more."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from k8sim.api.apps import (
    ControllerRevision,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetOrdinals,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulSetUpdateStrategy,
)
from k8sim.api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStatus,
    Node,
    NodeSelector,
    NodeSelectorTerm,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    Pod,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
    Probe,
    ResourceRequirements,
    TCPSocketAction,
    VolumeNodeAffinity,
)
from k8sim.api.meta import (
    Condition,
    LabelSelector,
    LabelSelectorRequirement,
    ObjectMeta,
    OwnerReference,
    with_meta,
)
from k8sim.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from k8sim.api.struct import Time, replace
from k8sim.api.volume_matching import VolumeIndex, find_matching_volume
from k8sim.apiserver.errors import InternalError, TooManyRequests
from k8sim.apiserver.eviction import eviction_verdict
from k8sim.controllers.disruption.control import (
    Tally,
    budget_status,
    build_disrupted_pod_map,
    expected_and_desired,
)
from k8sim.controllers.statefulset import control
from k8sim.controllers.statefulset.identity import new_stateful_set_pod
from k8sim.controllers.statefulset.replicas import Replicas
from k8sim.kubelet.prober import ProbeManager
from k8sim.machines.answers import Answers, ProbeKind
from k8sim.search.space import Chooser
from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace
from k8sim.sim.units import HOUR, MILLISECOND, SECOND
from tests.oracles import budgets, probes, statefulset, volumes

Check = Callable[[Chooser], None]
CHECKS: Final[dict[str, Check]] = {}
"""What is checked on one random state, by the name of what decides."""


def on_random_states(decision: str, states: int) -> Callable[[Check], Callable[[], None]]:
    """Run a check on so many random states."""

    def decorate(check: Check) -> Callable[[], None]:
        CHECKS[decision] = check

        def run() -> None:
            choose = Chooser(0, decision)
            for _ in range(states):
                check(choose)

        return run

    return decorate


# ---- StatefulSets ---------------------------------------------------------------------------------------------------

NOW: Final = 1000 * SECOND
TEMPLATE: Final = PodTemplateSpec(metadata=ObjectMeta(labels={"app": "web"}), spec=PodSpec())
CURRENT, UPDATE = (
    ControllerRevision(metadata=ObjectMeta(name=name), revision=number, data=TEMPLATE)
    for number, name in enumerate(("old", "new"))
)
CLAIMS: Final = (PersistentVolumeClaim(metadata=ObjectMeta(name="data")),)


def random_set(choose: Chooser) -> statefulset.OracleSet:
    replicas, start = choose.below(6), choose.of((0, 0, 3))
    gate = choose.chance(0.3)
    sts = statefulset.OracleSet(
        replicas=replicas,
        start=start,
        ordered=choose.chance(0.5),
        strategy=choose.of(("RollingUpdate", "RollingUpdate", "null", "OnDelete")),
        partition=choose.below(replicas + 2),
        min_ready_s=choose.of((0, 0, 10)),
        max_unavailable=choose.of((None, 1, 2, "30%", "50%", "100%")),
        gate=gate,
        current="old",
        update=choose.of(("new", "new", "old")),
        status_current_replicas=choose.below(replicas + 1),
        deleting=choose.chance(0.03),
    )
    if sts.strategy != "RollingUpdate":
        sts.max_unavailable = None
    healthy = choose.of((0.5, 0.95))
    for ordinal in range(max(0, start - 2), start + replicas + 3):
        if choose.chance(0.8):
            sts.pods.append(random_pod(choose, sts, ordinal, healthy))
    return sts


def random_pod(choose: Chooser, sts: statefulset.OracleSet, ordinal: int, healthy: float) -> statefulset.OraclePod:
    phase = "Running" if choose.chance(healthy) else choose.of(("Running", "Pending", "Failed", "Succeeded"))
    ready = phase == "Running" and choose.chance(healthy)
    return statefulset.OraclePod(
        ordinal,
        phase,
        ready,
        choose.of((0, 5, 10, 60)) if ready else 0,
        terminating=not choose.chance(healthy),
        revision=choose.of(("old", "new", "")) if choose.chance(0.5) else sts.update,
        labelled=choose.chance(healthy),
        lacks_claims=choose.chance(0.3),
    )


def real_set(sts: statefulset.OracleSet) -> StatefulSet:
    rolling = RollingUpdateStatefulSetStrategy(partition=sts.partition, max_unavailable=sts.max_unavailable)
    strategy = StatefulSetUpdateStrategy(
        type="OnDelete" if sts.strategy == "OnDelete" else "RollingUpdate",
        rolling_update=rolling if sts.strategy == "RollingUpdate" else None,
    )
    spec = StatefulSetSpec(
        replicas=sts.replicas,
        selector=LabelSelector(match_labels={"app": "web"}),
        template=TEMPLATE,
        volume_claim_templates=CLAIMS,
        pod_management_policy="OrderedReady" if sts.ordered else "Parallel",
        update_strategy=strategy,
        min_ready_seconds=sts.min_ready_s,
        ordinals=StatefulSetOrdinals(start=sts.start) if sts.start else None,
    )
    metadata = ObjectMeta(
        name="web", namespace="default", uid="set", deletion_timestamp=Time(NOW) if sts.deleting else None
    )
    status = StatefulSetStatus(current_replicas=sts.status_current_replicas)
    return StatefulSet(metadata=metadata, spec=spec, status=status)


def real_pod(sts: StatefulSet, pod: statefulset.OraclePod) -> Pod:
    made = new_stateful_set_pod(sts, sts.spec.template, pod.ordinal, pod.revision)
    labels = dict(made.metadata.labels)
    if not pod.revision:
        del labels["controller-revision-hash"]
    if not pod.labelled:
        labels["statefulset.kubernetes.io/pod-name"] = "another"
    made = with_meta(made, labels=labels, deletion_timestamp=Time(NOW) if pod.terminating else None)
    since = Time(NOW - pod.ready_for_s * SECOND)
    ready = Condition(type="Ready", status="True" if pod.ready else "False", last_transition_time=since)
    return replace(made, status=PodStatus(phase=pod.phase, conditions=(ready,)))


def asked(action: Any) -> statefulset.Request:
    """Return what an action of a plan asks for, in the oracle's words."""
    if isinstance(action, control.CreatePod):
        return ("create", action.ordinal, action.pod.metadata.labels["controller-revision-hash"])
    if isinstance(action, control.DeletePod):
        ordinal = int(action.pod.name.rpartition("-")[2])
        return ("replace" if action.for_update else "delete", ordinal, "")
    kind = {control.CreateMissingClaims: "create claims", control.UpdatePod: "update"}[type(action)]
    return (kind, action.ordinal, "")


@on_random_states("statefulset", 3000)
def test_statefulset_control(choose: Chooser) -> None:
    state = random_set(choose)
    sts = real_set(state)
    lacking = {f"data-web-{p.ordinal}" for p in state.pods if p.lacks_claims}

    def claim(name: str) -> PersistentVolumeClaim | None:
        return None if name in lacking else with_meta(CLAIMS[0], name=name)

    update = UPDATE if state.update == "new" else CURRENT
    pods = [real_pod(sts, p) for p in state.pods]
    plan = control.update_stateful_set(
        sts, Replicas(sts, update.name, claim, pods, NOW), claim, CURRENT, update, 0, NOW, state.gate
    )
    batches = [[asked(action) for lane in batch for action in lane] for batch in plan.batches]
    expected = statefulset.requests(state)
    assert [sorted(batch) for batch in batches] == [sorted(batch) for batch in expected], state
    status = plan.status
    assert {
        "replicas": status.replicas,
        "ready": status.ready_replicas,
        "available": status.available_replicas,
        "current": status.current_replicas,
        "updated": status.updated_replicas,
    } == statefulset.counts(state), state


# ---- budgets --------------------------------------------------------------------------------------------------------


def random_budget(choose: Chooser) -> budgets.OracleBudget:
    value = choose.of((None, 0, 1, 2, 5, "0%", "1%", "30%", "33%", "50%", "67%", "100%"))
    least = choose.chance(0.5)
    granted = {f"web-{choose.below(8)}": 1000 - choose.of((0, 60, 119, 120, 121, 300)) for _ in range(choose.below(3))}
    policy = choose.of(("", "IfHealthyBudget", "AlwaysAllow"))
    return budgets.OracleBudget(value if least else None, None if least else value, policy, granted)


def random_budget_pod(choose: Chooser, name: str, owners: list[str]) -> budgets.OraclePod:
    phase = choose.of(("Running", "Running", "Running", "Pending", "Succeeded", "Failed", "Unknown"))
    return budgets.OraclePod(name, phase, choose.chance(0.6), choose.chance(0.15), choose.of(owners))


def real_budget(budget: budgets.OracleBudget) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name="budget", namespace="default", generation=2),
        spec=PodDisruptionBudgetSpec(
            min_available=budget.min_available,
            max_unavailable=budget.max_unavailable,
            selector=LabelSelector(),
            unhealthy_pod_eviction_policy=budget.policy,
        ),
        status=PodDisruptionBudgetStatus(disrupted_pods={n: Time(t * SECOND) for n, t in budget.granted.items()}),
    )


def real_budget_pod(pod: budgets.OraclePod) -> Pod:
    owner = OwnerReference(
        api_version="apps/v1", kind="StatefulSet", name=pod.controller, uid=pod.controller, controller=True
    )
    metadata = ObjectMeta(
        name=pod.name,
        namespace="default",
        owner_references=(owner,) if pod.controller else (),
        deletion_timestamp=Time(0) if pod.terminating else None,
    )
    ready = Condition(type="Ready", status="True" if pod.ready else "False")
    return Pod(metadata=metadata, status=PodStatus(phase=pod.phase, conditions=(ready,)))


@on_random_states("budget", 3000)
def test_budgets_and_evictions(choose: Chooser) -> None:
    budget, now_s = random_budget(choose), 1000
    wants = {"a": choose.below(8), "b": choose.below(8)}
    owners = choose.of((["a"], ["a", "b"], ["a", "b", ""]))
    pods = [random_budget_pod(choose, f"web-{i}", owners) for i in range(choose.below(8))]
    expected = budgets.status(budget, pods, wants, now_s)

    pdb, tally = real_budget(budget), Tally()
    for pod in pods:
        tally.put(real_budget_pod(pod))
    scale = sum(wants[owner.name] for owner in tally.owners())
    disrupted = build_disrupted_pod_map(pdb, tally.pods, now_s * SECOND)
    wanted, desired = expected_and_desired(pdb, len(tally.pods), scale)
    leaving = [name for name, since in disrupted.keep.items() if since + 120 * SECOND > now_s * SECOND]
    status = budget_status(pdb, tally.current_healthy(leaving), desired, wanted, disrupted.keep, Time(now_s * SECOND))
    assert status.expected_pods == expected.expected, (budget, pods, wants)
    assert status.desired_healthy == expected.desired, (budget, pods, wants)
    assert status.current_healthy == expected.healthy, (budget, pods, wants)
    assert status.disruptions_allowed == expected.allowed, (budget, pods, wants)
    assert {n: t // SECOND for n, t in status.disrupted_pods.items()} == expected.granted, (budget, pods)

    victim = random_budget_pod(choose, "web-9", owners)
    up_to_date = choose.chance(0.8)
    number = choose.of((0, 1, 1, 1, 2))
    stored = replace(pdb, status=replace(status, observed_generation=2 if up_to_date else 1))
    answer = real_answer(real_budget_pod(victim), [stored] * number)
    assert answer == budgets.eviction(victim, [budget] * number, expected, up_to_date), (budget, victim, expected)


def real_answer(pod: Pod, matching: list[PodDisruptionBudget]) -> str:
    try:
        return "201-" if eviction_verdict(pod, matching) == "use budget" else "201"
    except InternalError:
        return "500"
    except TooManyRequests:
        return "429"


# ---- volumes --------------------------------------------------------------------------------------------------------

MODES: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
GOLD: Final = ("tier", "gold")


def random_modes(choose: Chooser, odd: float) -> frozenset[str]:
    return frozenset({MODES[0]} | {m for m in MODES if choose.chance(odd)})


def random_volume(choose: Chooser, name: str, odd: float) -> volumes.OracleVolume:
    """Return a volume that serves an ordinary claim, but for some odd fields."""

    def mostly(usual: Any, *others: Any) -> Any:
        return choose.of(others) if choose.chance(odd) else usual

    return volumes.OracleVolume(
        name,
        mostly(random_modes(choose, odd), frozenset({MODES[2]})),
        1 + choose.below(4),
        mostly("Filesystem", "Block"),
        mostly("fast", ""),
        mostly("Available", "Released", "Bound", "Pending", "Failed"),
        mostly(False, True),
        mostly((GOLD,), ()),
        mostly(None, ("data", ""), ("data", "u"), ("data", "former"), ("other", "u")),
        mostly(None, "n1", "n2"),
        mostly(None, "", "slow"),
    )


def random_claim(choose: Chooser, odd: float) -> volumes.OracleClaim:
    def mostly(usual: Any, *others: Any) -> Any:
        return choose.of(others) if choose.chance(odd) else usual

    return volumes.OracleClaim(
        "data",
        "u",
        random_modes(choose, odd / 2),
        1 + choose.below(3),
        mostly("Filesystem", "Block"),
        mostly("fast", "", None),
        mostly(None, GOLD),
        mostly(None, "", "slow"),
    )


def real_volume(volume: volumes.OracleVolume) -> PersistentVolume:
    reference = None
    if volume.claim is not None:
        reference = ObjectReference(namespace="ns", name=volume.claim[0], uid=volume.claim[1])
    affinity = None
    if volume.node is not None:
        there = LabelSelectorRequirement(key="kubernetes.io/hostname", operator="In", values=(volume.node,))
        affinity = VolumeNodeAffinity(
            required=NodeSelector(node_selector_terms=(NodeSelectorTerm(match_expressions=(there,)),))
        )
    return PersistentVolume(
        metadata=ObjectMeta(
            name=volume.name, labels=dict(volume.labels), deletion_timestamp=Time(1) if volume.terminating else None
        ),
        spec=PersistentVolumeSpec(
            capacity={"storage": f"{volume.size}Gi"},
            access_modes=tuple(sorted(volume.modes)),
            storage_class_name=volume.class_name,
            volume_mode=volume.volume_mode,
            claim_ref=reference,
            node_affinity=affinity,
            volume_attributes_class_name=volume.attributes,
        ),
        status=PersistentVolumeStatus(phase=volume.phase),
    )


def real_claim(claim: volumes.OracleClaim) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(
        metadata=ObjectMeta(namespace="ns", name=claim.name, uid=claim.uid),
        spec=PersistentVolumeClaimSpec(
            access_modes=tuple(sorted(claim.modes)),
            resources=ResourceRequirements(requests={"storage": f"{claim.size}Gi"}),
            storage_class_name=claim.class_name,
            volume_mode=claim.volume_mode,
            selector=LabelSelector(match_labels=dict([claim.selector])) if claim.selector else None,
            volume_attributes_class_name=claim.attributes,
        ),
    )


NODE: Final = Node(metadata=ObjectMeta(name="n1", labels={"kubernetes.io/hostname": "n1"}))


@on_random_states("volume", 2000)
def test_best_match_of_volumes(choose: Chooser) -> None:
    odd = choose.of((0.05, 0.15, 0.4))
    stock = [random_volume(choose, f"v{i}", odd) for i in range(choose.below(9))]
    claim, delayed = random_claim(choose, odd), choose.chance(0.2)
    real = [real_volume(v) for v in stock]
    index = VolumeIndex()
    for volume in real:
        index.put(volume)
    found = index.find_best_match(real_claim(claim), delayed)
    expected = volumes.for_controller(stock, claim, delayed)
    assert (found.name in expected) if found is not None else not expected, (stock, claim, delayed)

    taken = {v.name for v in stock if choose.chance(0.2)}
    chosen = find_matching_volume(real_claim(claim), real, node=NODE, excluded=taken)
    expected = volumes.for_scheduler(stock, claim, "n1", taken)
    assert (chosen.name if chosen is not None else "") in (expected or {""}), (stock, claim, taken)


# ---- probes ---------------------------------------------------------------------------------------------------------

END_MS: Final = 60_000


def random_span(choose: Chooser) -> probes.Span:
    begin = choose.below(END_MS)
    return (begin, begin + choose.below(20_000)) if choose.chance(0.6) else (0, 0)


def random_containers(choose: Chooser) -> list[probes.OracleContainer]:
    containers, begins = [], 100 + choose.below(8000)
    for i in range(1 + choose.below(3)):
        # Between the ticks, which are at whole seconds or, after a trigger, at .7.
        begins = begins // 1000 * 1000 + choose.of((100, 450))
        ends = begins + 1000 * choose.below(30) + 200 if choose.chance(0.6) else 2 * END_MS
        started = begins + choose.of((0, 0, 3000, 9000))
        passes = begins + 1000 * choose.below(8)
        ready = begins + 1000 * choose.below(10)
        unready, hang = random_span(choose), random_span(choose)
        restarts = choose.chance(0.8)
        containers.append(
            probes.OracleContainer(f"c{i}", begins, ends, started, restarts, passes, ready, unready, hang)
        )
        if ends >= END_MS or not restarts:
            break
        begins = ends + 1000 * (1 + choose.below(5))
    return containers


def random_probe(choose: Chooser) -> probes.OracleProbe:
    kind = choose.of(("readiness", "liveness", "startup"))
    success = 1 + choose.below(3) if kind == "readiness" else 1
    return probes.OracleProbe(kind, choose.of((1, 2, 3, 5)), choose.of((0, 0, 3, 7)), success, 1 + choose.below(4))


def status_at(containers: list[probes.OracleContainer], now: int, over: bool) -> PodStatus:
    """Return the pod's status as the kubelet has it at a time."""
    seen = [c for c in containers if c.begins <= now]
    phase = "Failed" if over else "Running"
    if not seen:
        return PodStatus(phase=phase, container_statuses=(ContainerStatus(name="app"),))
    container = seen[-1]
    if now < container.ends:
        since = Time(container.begins // 1000 * SECOND)
        state = ContainerState(running=ContainerStateRunning(started_at=since))
    else:
        state = ContainerState(terminated=ContainerStateTerminated(exit_code=1))
    started = container.started_at <= now < container.ends
    shown = ContainerStatus(name="app", container_id=container.id, state=state, started=started)
    return PodStatus(phase=phase, container_statuses=(shown,))


def real_verdicts(
    probe: probes.OracleProbe, containers: list[probes.OracleContainer], over_at: int, triggers: list[int]
) -> list[probes.Change]:
    """Let a kubelet's probe manager live through what the oracle is told."""
    streams = Streams(0)
    sim = Simulation(Clock(), streams, Latencies(streams), Trace(), {})
    changes: list[probes.Change] = []

    def on_result(uid: str, kind: ProbeKind, container: str, result: bool | None) -> None:
        changes.append((sim.clock.now // MILLISECOND, container, result))

    def answers(container: probes.OracleContainer) -> Answers:
        def ns(span: probes.Span) -> tuple[int, int]:
            return (span[0] * MILLISECOND, span[1] * MILLISECOND)

        return Answers(
            started_from=container.startup_passes_from * MILLISECOND,
            ready_from=container.ready_from * MILLISECOND,
            unready=ns(container.unready),
            hang=ns(container.hang),
        )

    def find_container(uid: str, name: str) -> Any:
        container = next((c for c in containers if c.id == name), None)
        if container is None:
            return None
        running = container.begins * MILLISECOND <= sim.clock.now < container.ends * MILLISECOND
        return SimpleNamespace(running=running, answers=answers(container))

    machine: Any = SimpleNamespace(name="node", find_container=find_container, last_row=lambda uid: -1)
    manager = ProbeManager(sim, machine, -HOUR, on_result, lambda uid, container, kind: None)
    spec = Probe(
        tcp_socket=TCPSocketAction(port=80),
        period_seconds=probe.period_s,
        initial_delay_seconds=probe.initial_delay_s,
        success_threshold=probe.success_threshold,
        failure_threshold=probe.failure_threshold,
    )
    container = replace(Container(name="app", image="app"), **{f"{probe.kind}_probe": spec})
    policy = "Always" if all(c.may_restart for c in containers) else "Never"
    pod = Pod(metadata=ObjectMeta(name="app", uid="u"), spec=PodSpec(containers=(container,), restart_policy=policy))
    manager.add_pod(pod, status_at(containers, 0, False))

    def see() -> None:
        now = sim.clock.now // MILLISECOND
        manager.status_changed("u", status_at(containers, now, now >= over_at))
        manager.answers_changed("u")

    moments = {t for c in containers for t in (c.begins, c.ends, c.started_at)} | {over_at}
    for moment in sorted(moments):
        sim.clock.call_at(moment * MILLISECOND, see)
    for moment in triggers:
        sim.clock.call_at(moment * MILLISECOND, manager.run_now, "u", "app", probe.kind)
    sim.clock.run(END_MS * MILLISECOND - 1)
    return changes


@on_random_states("probe", 400)
def test_verdicts_of_probes(choose: Chooser) -> None:
    probe, containers = random_probe(choose), random_containers(choose)
    if not containers[-1].may_restart:
        for container in containers:
            container.may_restart = False
        containers = containers[:1]
    over_at = choose.below(END_MS) // 1000 * 1000 + 333 if choose.chance(0.2) else 2 * END_MS
    triggers = []
    if probe.kind == "readiness":
        # Never at the same moment as a tick, which counts from one of them.
        triggers = sorted(1000 * choose.below(60) + 700 + i for i in range(choose.below(4)))
    expected = probes.verdicts(probe, containers, over_at, triggers, END_MS)
    assert real_verdicts(probe, containers, over_at, triggers) == expected, (probe, containers, over_at, triggers)
