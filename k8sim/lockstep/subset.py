"""Which scenarios the lock-step engine can run: from a scenario to a `Campaign`, or all that stands in the way.

Nothing is dropped silently. What the campaign has no notion of is *outside*: with any of it there is no campaign. What
it has in a coarser form is *simplified*, and named. `k8sim.lockstep.campaign` says what every campaign leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Final

from k8sim.api.apps import StatefulSet
from k8sim.api.core import Node
from k8sim.api.feature_gates import FEATURE_GATES
from k8sim.api.meta import condition_of
from k8sim.api.scheme import decode
from k8sim.faults.failures import FailureProcess
from k8sim.lockstep.campaign import Campaign
from k8sim.lockstep.rollouts import planned_rollouts
from k8sim.lockstep.setshape import NOTHING, Notes, SetShape, read_set
from k8sim.operators.model import NONE, ForceDelete, NodeUpgrade, Operators
from k8sim.scenario.model import ZONE_LABEL, Scenario
from k8sim.scenario.settings import ClusterSettings
from k8sim.sim.distributions import Constant, Distribution
from k8sim.workload.model import Application

_WITHOUT_EFFECT: Final = frozenset({
    "Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service", "StorageClass", "PodDisruptionBudget", "Node",
    "StatefulSet",
})  # fmt: skip
"""Kinds that are read here, or that change nothing for a set's pods."""
_LIFE: Final = {"node-crash": "node", "zone-outage": "zone", "container-exit": "pod", "disk-loss": "claim"}


@dataclass(frozen=True)
class Translation:
    """What a scenario is as a campaign.

    Attributes
    ----------
    namespace, name
        Of the StatefulSet.
    outside
        Why there is no campaign; empty: there is one.
    simplified
        What the campaign has in a coarser form.
    """

    campaign: Campaign | None
    namespace: str = ""
    name: str = ""
    outside: tuple[str, ...] = ()
    simplified: tuple[str, ...] = ()


def campaign_of(scenario: Scenario) -> Translation:
    """Translate a scenario."""
    notes = Notes([], [])
    sets = [decode(m) for m in scenario.objects if m["kind"] == "StatefulSet"]
    _other_things(scenario, notes)
    if len(sets) != 1 or not isinstance(sets[0], StatefulSet):
        notes.outside.insert(0, f"{len(sets)} StatefulSets: a campaign has exactly one")
        return Translation(None, outside=tuple(notes.outside))
    the_set = sets[0]
    namespace = the_set.namespace or scenario.namespace
    nodes = [_node(manifest, notes) for manifest in scenario.node_manifests()]
    shape = read_set(scenario, the_set, nodes, notes)
    rollouts = planned_rollouts(scenario, the_set, notes)
    zones = [node.metadata.labels.get(ZONE_LABEL, "") for node in nodes]
    numbers = {zone: number for number, zone in enumerate(dict.fromkeys(zones))}
    laws = _failures(scenario, [node.name for node in nodes], list(numbers), shape, notes)
    data = _application(scenario, the_set.name, shape, notes)
    operations = {**_upgrades(scenario.node_upgrades, nodes, notes), **_operators(scenario.operators, notes)}
    _latencies(scenario.latencies, notes)
    if notes.outside:
        return Translation(None, namespace, the_set.name, tuple(notes.outside), tuple(notes.simplified))
    try:
        campaign = Campaign(
            node_zone=tuple(numbers[zone] for zone in zones), horizon_ns=scenario.duration_ns,
            rollouts_ns=rollouts, **shape.settings, **laws, **data, **operations,
        )  # fmt: skip
    except ValueError as problem:
        return Translation(None, namespace, the_set.name, (str(problem),))
    return Translation(campaign, namespace, the_set.name, (), tuple(notes.simplified))


def _other_things(scenario: Scenario, notes: Notes) -> None:
    """Note everything of a scenario that a campaign has no notion of."""
    sources = scenario.object_sources
    for index, manifest in enumerate(scenario.objects):
        if manifest["kind"] not in _WITHOUT_EFFECT:
            where = f" ({sources[index]})" if index < len(sources) else ""
            notes.outside.append(f"{manifest['kind']}/{(manifest.get('metadata') or {}).get('name')}{where}")
    running = [f"{m['kind']}/{m['metadata']['name']}" for m in scenario.state if m["kind"] != "Node"]
    notes.unless(not running, f"{len(running)} objects of a running cluster, the first {''.join(running[:1])}")
    notes.unless(not scenario.state, "state: a campaign begins with all pods serving, whatever a cluster had")
    notes.outside += [f"static pods on the nodes {group.name}" for group in scenario.nodes if group.static_pods]
    notes.outside += [f"traffic: {stream.name}" for stream in scenario.traffic]
    plain = ClusterSettings()
    for field in fields(ClusterSettings):
        same = getattr(scenario.cluster, field.name) == getattr(plain, field.name)
        notes.unless(
            same or field.name == "storage_drivers", f"cluster: other settings than the defaults ({field.name})"
        )
    for gate, state in scenario.feature_gates.items():
        notes.unless(state == FEATURE_GATES[gate].default, f"feature gate {gate}={str(state).lower()}")


def _node(manifest: Mapping[str, Any], notes: Notes) -> Node:
    node = decode(manifest)
    assert isinstance(node, Node)
    notes.unless(not node.spec.taints and not node.spec.unschedulable, f"node {node.name}: taints or cordon")
    ready = condition_of(node.status.conditions, "Ready")
    notes.unless(ready is None or ready.status == "True", f"node {node.name} is not Ready")
    return node


# ---- failures -------------------------------------------------------------------------------------------------------


def _failures(
    scenario: Scenario, nodes: Sequence[str], zones: Sequence[str], shape: SetShape, notes: Notes
) -> dict[str, Any]:
    targets = {"node": nodes, "zone": zones, "pod": shape.pods, "claim": shape.claims}
    rules: dict[str, FailureProcess] = {}
    for rule in scenario.failures:
        name = rule.fault
        if name not in _LIFE:
            notes.outside.append(f"failures: {name}; a campaign has {', '.join(_LIFE)}")
        elif name in rules:
            notes.outside.append(f"failures: a second rule for {name}")
        else:
            rules[name] = rule
            _check_rule(rule, targets[_LIFE[name]], notes)
    if "zone-outage" in rules and "" in zones:
        some = "some of " if len(zones) > 1 else ""
        notes.outside.append(f"failures: zone-outage, but {some}the nodes have no zones")
    if "disk-loss" in rules and not shape.claims:
        notes.outside.append("failures: disk-loss, but the set has no claims")
    if "disk-loss" in rules:
        notes.unless(len(shape.claims) <= len(shape.pods), "failures: disk-loss, but pods have several claims")
        notes.simplified.append("failures: disk-loss: a new disk and a new pod are there at once, without an operator")
    node, zone = rules.get("node-crash"), rules.get("zone-outage")
    return {
        "node_life": _every(node), "node_outage": (node.lasts if node else None) or NOTHING,
        "zone_life": _every(zone), "zone_outage": (zone.lasts if zone else None) or NOTHING,
        "crash": _every(rules.get("container-exit")), "disk_life": _every(rules.get("disk-loss")),
    }  # fmt: skip


def _every(rule: FailureProcess | None) -> Distribution | None:
    return rule.every if rule is not None else None


def _check_rule(rule: FailureProcess, targets: Iterable[str], notes: Notes) -> None:
    what = f"failures: {rule.fault}"
    missed = [t for t in targets if not any(fnmatchcase(t, pattern) for pattern in rule.targets)]
    notes.unless(not missed and rule.selector is None, f"{what} of some only")
    notes.unless(rule.spread is None and rule.shock is None, f"{what} with a cause in common")
    notes.unless(rule.start_ns == 0 and rule.stop_ns is None, f"{what} with start or stop")
    if rule.fault in ("node-crash", "zone-outage"):
        notes.unless(rule.lasts is not None, f"{what} for ever")


# ---- data -----------------------------------------------------------------------------------------------------------


def _application(scenario: Scenario, name: str, shape: SetShape, notes: Notes) -> dict[str, Any]:
    """Return how long a lost copy takes to be there again."""
    ready = shape.settings["catch_up"]
    nothing = {"rebuild": ready, "replace": NOTHING, "restore": NOTHING}
    if not scenario.applications:
        return nothing
    if len(scenario.applications) > 1:
        notes.outside.append("applications: more than one")
        return nothing
    application = scenario.applications[0]
    members = len(application.members)
    everywhere = application.shards == 1 and members == len(shape.pods) and application.copies in (None, members)
    if application.workload != name or not everywhere:
        notes.outside.append(f"applications: {application.name} is not on all pods of the set, or has shards")
        return nothing
    alone = application.ready not in ("leader", "serving")
    notes.unless(alone, f"applications: readiness of {application.name} hangs on other members ({application.ready})")
    notes.simplified.append(
        f"applications: of {application.name}, copies count, and neither writes, elections nor how it starts and joins"
    )
    if application.rules.parallel_copies:
        notes.simplified.append(f"applications: of {application.name}, all copies that are missing are made at a time")
    copy = copy_law(application)
    rebuild = ready if copy == NOTHING else copy
    restore = application.backup.restore_ns if application.backup is not None else 0
    return {"rebuild": rebuild, "replace": NOTHING, "restore": Constant(restore)}


def copy_law(application: Application) -> Distribution:
    """Return how long a full copy takes."""
    rules = application.rules
    if rules.copy_time is not None:
        return rules.copy_time
    return Constant(rules.dataset_bytes * 10**9 // rules.bandwidth) if rules.bandwidth else NOTHING


# ---- operations -----------------------------------------------------------------------------------------------------


def _upgrades(upgrades: Sequence[NodeUpgrade], nodes: Sequence[Node], notes: Notes) -> dict[str, Any]:
    if not upgrades:
        return {"drain_every": None, "maintenance": NOTHING}
    upgrade = upgrades[0]
    what = f"nodeUpgrades: {upgrade.name}"
    notes.unless(len(upgrades) == 1, "nodeUpgrades: more than one")
    notes.unless(upgrade.every is not None, f"{what} without every: a campaign has no single upgrades")
    notes.unless(not upgrade.surge, f"{what} with strategy surge")
    notes.unless(all(upgrade.nodes.matches(node) for node in nodes), f"{what} of some nodes only")
    notes.unless(
        upgrade.drain.timeout_ns == 0 and not upgrade.drain.disable_eviction, f"{what} with a drain that gives up"
    )
    plain = upgrade.drain.grace_period < 0 and not upgrade.drain.pod_selector and upgrade.drain.delete_emptydir_data
    notes.unless(plain, f"{what} with a drain of some pods only, or with a grace period of its own")
    notes.unless(upgrade.settle == NONE, f"{what} with settle")
    notes.simplified.append(
        f"{what}: each node has a clock of its own, from t = 0 on, instead of one node after the other from at on; "
        "parallel and readyTimeout do not count"
    )
    return {"drain_every": upgrade.every, "maintenance": upgrade.reboot}


def _operators(operators: Operators, notes: Notes) -> dict[str, Any]:
    for field in fields(Operators):
        if field.name != "force_delete" and getattr(operators, field.name):
            notes.outside.append(f"operators: {field.name}")
    rules: tuple[ForceDelete, ...] = operators.force_delete
    if not rules:
        return {"force_delete": None}
    notes.unless(len(rules) == 1, "operators: several rules of forceDelete")
    plain = ForceDelete(rules[0].after)
    notes.unless(rules[0] == plain, "operators: forceDelete of some pods only, or on Ready nodes")
    notes.simplified.append("operators: forceDelete counts from the deletion, without the grace period")
    return {"force_delete": rules[0].after}


def _latencies(laws: Mapping[str, Any], notes: Notes) -> None:
    ignored = sorted(set(laws) - {"volumeAttach", "volumeDetach"})
    if ignored:
        notes.simplified.append(f"latencies: {', '.join(ignored)} are taken as nothing")
