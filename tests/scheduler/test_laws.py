"""Laws of the choice of a node, checked against the rules spelled out over all pods, without any counts kept."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import Node, Pod
from k8sim.api.meta import Condition, with_meta
from k8sim.api.resources import amounts, pod_requests
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import replace
from k8sim.scheduler.algorithm import Found
from k8sim.scheduler.plugins.taint_toleration import untolerated_taint
from k8sim.scheduler.preemption import Candidate, find_candidate
from tests.scheduler.bench import Bench
from tests.scheduler.world import HOST, ZONE, anti_affinity, make_node, spread

APPS = ("web", "db")


def fits(pod: Pod, node: Node, there: list[Pod]) -> bool:
    have = amounts(node.status.allocatable)
    if len(there) + 1 > have["pods"]:
        return False
    used = {k: sum(pod_requests(p).get(k, 0) for p in there) for k in ("cpu", "memory")}
    return all(v + used.get(k, 0) <= have.get(k, 0) for k, v in pod_requests(pod).items() if v)


def far_enough(pod: Pod, other: Pod, node: Node, others_node: Node) -> bool:
    """Neither pod's required anti-affinity speaks against the two nodes."""
    for one, two in ((pod, other), (other, pod)):
        rules = one.spec.affinity.pod_anti_affinity if one.spec.affinity else None
        for term in rules.required_during_scheduling_ignored_during_execution if rules else ():
            key = term.topology_key
            value = node.metadata.labels.get(key)
            if value is not None and value == others_node.metadata.labels.get(key):
                if selector_matches(term.label_selector, two.metadata.labels):
                    return False
    return True


def near_enough(pod: Pod, node: Node, nodes: dict[str, Node], pods: dict[str, tuple[Pod, str]]) -> bool:
    """The pod's required affinity has what it wants, or the pod is the first of its kind."""
    rules = pod.spec.affinity.pod_affinity if pod.spec.affinity else None
    terms = rules.required_during_scheduling_ignored_during_execution if rules else ()
    if not terms:
        return True
    if any(t.topology_key not in node.metadata.labels for t in terms):
        return False
    friends = [
        nodes[n] for p, n in pods.values() if all(selector_matches(t.label_selector, p.metadata.labels) for t in terms)
    ]
    friends = [f for f in friends if any(t.topology_key in f.metadata.labels for t in terms)]
    if not friends:
        return all(selector_matches(t.label_selector, pod.metadata.labels) for t in terms)
    return all(
        any(f.metadata.labels.get(t.topology_key) == node.metadata.labels[t.topology_key] for f in friends)
        for t in terms
    )


def even_enough(pod: Pod, node: Node, nodes: dict[str, Node], pods: dict[str, tuple[Pod, str]]) -> bool:
    hard = [c for c in pod.spec.topology_spread_constraints if c.when_unsatisfiable == "DoNotSchedule"]
    domains = [n for n in nodes.values() if all(c.topology_key in n.metadata.labels for c in hard)]
    for constraint in hard:
        key = constraint.topology_key
        if key not in node.metadata.labels:
            return False
        counts = dict.fromkeys((n.metadata.labels[key] for n in domains), 0)
        for other, name in pods.values():
            if nodes[name] in domains and not other.deleting:
                counts[nodes[name].metadata.labels[key]] += selector_matches(
                    constraint.label_selector, other.metadata.labels
                )
        itself = selector_matches(constraint.label_selector, pod.metadata.labels)
        fewest = min(counts.values(), default=0)
        if counts.get(node.metadata.labels[key], 0) + itself - fewest > constraint.max_skew:
            return False
    return True


def allowed(pod: Pod, node: Node, nodes: dict[str, Node], pods: dict[str, tuple[Pod, str]]) -> bool:
    return (
        not node.spec.unschedulable
        and untolerated_taint(node, pod.spec.tolerations) is None
        and fits(pod, node, [p for p, n in pods.values() if n == node.name])
        and all(far_enough(pod, other, node, nodes[n]) for other, n in pods.values())
        and near_enough(pod, node, nodes, pods)
        and even_enough(pod, node, nodes, pods)
    )


keys = st.sampled_from((HOST, ZONE))
apps = st.sampled_from(APPS)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, object]:
    spec: dict[str, object] = {"labels": {"app": draw(apps)}, "cpu": draw(st.sampled_from(("", "500m", "1")))}
    kind = draw(st.integers(0, 4))
    if kind == 1:
        spec["affinity"] = anti_affinity(draw(apps), draw(keys))
    elif kind == 2:
        spec["topologySpreadConstraints"] = [spread(draw(apps), draw(keys), draw(st.integers(1, 2)))]
    elif kind == 3:
        term = {"labelSelector": {"matchLabels": {"app": draw(apps)}}, "topologyKey": draw(keys)}
        spec["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return spec


actions = st.one_of(
    st.tuples(st.just("schedule"), specs()),
    st.tuples(st.just("schedule"), specs()),
    st.tuples(st.sampled_from(("delete", "terminate", "cordon", "taint", "move zone", "remove")), st.integers(0, 9)),
)


def change_node(bench: Bench, action: str, name: str) -> None:
    node = bench.nodes[name]
    if action == "cordon":
        node = replace(node, spec=replace(node.spec, unschedulable=not node.spec.unschedulable))
    elif action == "taint":
        tainted = make_node("x", taints=[{"key": "k", "effect": "NoExecute"}])
        taints = () if node.spec.taints else tainted.spec.taints
        node = replace(node, spec=replace(node.spec, taints=taints))
    else:
        other = {k: v for k, v in node.metadata.labels.items() if k != ZONE}
        zone = {"a": "b", "b": ""}.get(node.metadata.labels.get(ZONE, ""), "a")
        node = with_meta(node, labels={**other, **({ZONE: zone} if zone else {})})
    bench.set(node)


@settings(max_examples=150)
@given(st.lists(actions, min_size=5, max_size=40))
def test_a_node_is_chosen_if_and_only_if_the_rules_allow_it(steps):
    bench = Bench(*(make_node(f"n{i}", cpu="2", pods="4", zone="aab "[i].strip()) for i in range(4)))
    pods: dict[str, tuple[Pod, str]] = {}
    for i, (action, what) in enumerate(steps):
        if action == "schedule":
            pod = bench.pod(f"p{i}", **what)
            good = {name for name, node in bench.nodes.items() if allowed(pod, node, bench.nodes, pods)}
            result = bench.algorithm.schedule(pod)
            if isinstance(result, Found):
                assert result.node in good
                assert result.feasible == len(good)
                pods[pod.uid] = (pod, result.node)
                bench.table.add_pod(pod, result.node)
            else:
                assert not good
                assert sum(len(slots) for _, slots in result.diagnosis.statuses) == len(bench.nodes)
        elif action in ("delete", "terminate"):
            if pods:
                uid = sorted(pods)[what % len(pods)]
                pod, node = pods.pop(uid)
                if action == "delete":
                    bench.table.remove_pod(pod.uid, node)
                else:
                    ending = with_meta(pod, deletion_timestamp=0)
                    bench.table.replace_pod(ending, node)
                    pods[uid] = (ending, node)
        elif action == "remove":
            names = [n for n in bench.nodes if not any(on == n for _, on in pods.values())]
            if names and len(bench.nodes) > 2:
                name = names[what % len(names)]
                del bench.nodes[name]
                bench.table.remove_node(name)
        else:
            change_node(bench, action, sorted(bench.nodes)[what % len(bench.nodes)])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_trying_a_preemption_out_leaves_the_table_as_it_was(priorities):
    bench = Bench(make_node("a", cpu="4"), make_node("b", cpu="4"))
    for i, priority in enumerate(priorities):
        bench.put("ab"[i % 2], f"p{i}", cpu="1", priority=priority, labels={"app": APPS[i % 2]})
    before = {n: (dict(i.requested), dict(i.pods)) for n, i in bench.table.by_name.items()}
    pod = bench.pod("new", cpu="3", priority=2, affinity=anti_affinity("web"), labels={"app": "web"})
    result = bench.algorithm.schedule(pod)
    if isinstance(result, Found):
        return
    found = find_candidate(
        pod,
        bench.table,
        result.diagnosis,
        "",
        (),
        lambda n: 0,
        lambda i: bench.algorithm.why_not(result.cycle, result.asked, i),
    )
    assert {n: (i.requested, i.pods) for n, i in bench.table.by_name.items()} == before
    if isinstance(found, Candidate):
        for victim in found.victims:
            assert (victim.spec.priority or 0) < 2
            bench.table.remove_pod(victim.uid, found.node)
        assert bench.algorithm.why_not(result.cycle, result.asked, bench.table.by_name[found.node]) is None


def test_a_pod_like_the_last_one_costs_a_look_at_the_nodes_that_changed(monkeypatch):
    bench = Bench(*(make_node(f"n{i}") for i in range(60)))
    fit = bench.plugins["NodeResourcesFit"]
    looks: list[str] = []
    judge = fit.filter_node
    monkeypatch.setattr(fit, "filter_node", lambda cycle, info: looks.append(info.name) or judge(cycle, info))
    for i in range(50):
        pod = bench.pod(f"p{i}", cpu="10m")
        result = bench.algorithm.schedule(pod)
        assert isinstance(result, Found)
        bench.table.add_pod(pod, result.node)
    assert len(looks) == 60 + 49


CHANGES = {
    "conditions": lambda n: replace(n, status=replace(n.status, conditions=(Condition(type="Ready", status="True"),))),
    "cordon": lambda n: replace(n, spec=replace(n.spec, unschedulable=not n.spec.unschedulable)),
    "zone": lambda n: with_meta(n, labels={**n.metadata.labels, ZONE: n.metadata.labels.get(ZONE, "") + "b"}),
    "small": lambda n: replace(n, status=replace(n.status, allocatable={"cpu": "1", "memory": "1Gi", "pods": "9"})),
    "large": lambda n: replace(n, status=replace(n.status, allocatable={"cpu": "9", "memory": "9Gi", "pods": "9"})),
    "copy": lambda n: replace(n, spec=replace(n.spec), metadata=replace(n.metadata, labels=dict(n.metadata.labels))),
}


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(CHANGES))), max_size=12))
def test_a_table_that_has_seen_all_versions_of_its_nodes_judges_as_a_new_one(history: list[tuple[int, str]]) -> None:
    """What is remembered of a node goes with what it was made of, whatever part of the node has changed since."""
    pod = Bench.placed("new", cpu="2", labels={"app": "web"}, topologySpreadConstraints=[spread("web", ZONE)])
    bench = Bench(*(make_node(f"n{i}", zone="a") for i in range(3)))
    bench.put("n0", "there", cpu="1", labels={"app": "web"})
    for i, what in history:
        bench.set(CHANGES[what](bench.nodes[f"n{i}"]))
        fresh = Bench(*bench.nodes.values())
        fresh.put("n0", "there", cpu="1", labels={"app": "web"})
        old, new = bench.algorithm.schedule(pod), fresh.algorithm.schedule(pod)
        assert type(old) is type(new)
        for plugin in ("NodeResourcesFit", "NodeUnschedulable", "PodTopologySpread"):
            assert bench.verdicts(plugin, pod) == fresh.verdicts(plugin, pod)
        if isinstance(old, Found):
            assert isinstance(new, Found)
            assert (old.feasible, old.examined) == (new.feasible, new.examined)
