"""Each plug-in's rule on its own (node.md 7.3-7.6)."""

import pytest

from k8sim.api.core import ContainerImage, Namespace, Service, ServiceSpec
from k8sim.api.meta import LabelSelector, ObjectMeta
from k8sim.scheduler.plugins.image_locality import MIB, normalized_image_name, priority
from k8sim.scheduler.plugins.node_ports import conflict
from k8sim.scheduler.plugins.node_resources import balance, balanced_allocation, least_allocated
from k8sim.scheduler.plugins.node_unschedulable import after_node_change as uncordoned
from tests.scheduler.bench import Bench, with_status
from tests.scheduler.world import HOST, ZONE, anti_affinity, make_node, make_pod, spread

NO_FIT = "node(s) didn't match Pod's node affinity/selector"
TAINTED = "node(s) had untolerated taint(s)"


# ---- nodes ----------------------------------------------------------------------------------------------------------


def test_cordoned_node_takes_only_pods_that_tolerate_it():
    bench = Bench(make_node("a", unschedulable=True), make_node("b"))
    assert bench.verdicts("NodeUnschedulable", bench.pod()) == {"a": "node(s) were unschedulable", "b": ""}
    tolerant = bench.pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert bench.verdicts("NodeUnschedulable", tolerant) == {"a": "", "b": ""}


def test_uncordon_is_what_a_pod_waits_for():
    off, on = make_node("a"), make_node("a", unschedulable=True)
    assert uncordoned(make_pod("x"), on, off)
    assert not uncordoned(make_pod("x"), off, on)
    assert not uncordoned(make_pod("x"), off, off)


@pytest.mark.parametrize(
    ("toleration", "passes"),
    [
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"value": "v"}, False),
    ],
)
def test_tolerations(toleration, passes):
    bench = Bench(make_node("a", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]))
    assert bench.verdicts("TaintToleration", bench.pod(tolerations=[toleration])) == {"a": "" if passes else TAINTED}


def test_no_execute_keeps_off_and_prefer_no_schedule_only_lowers_the_score():
    bench = Bench(
        make_node("out", taints=[{"key": "k", "effect": "NoExecute"}]),
        make_node("two", taints=[{"key": k, "effect": "PreferNoSchedule"} for k in "kl"]),
        make_node("one", taints=[{"key": "k", "effect": "PreferNoSchedule"}]),
        make_node("none"),
    )
    assert bench.verdicts("TaintToleration", bench.pod()) == {"out": TAINTED, "two": "", "one": "", "none": ""}
    assert bench.scores("TaintToleration", bench.pod()) == {"out": 100, "two": 0, "one": 50, "none": 100}


def node_affinity(*terms, preferred=()):
    def expression(key, operator, *values):
        return {"key": key, "operator": operator, "values": list(values)}

    required = {"nodeSelectorTerms": [{"matchExpressions": [expression(*e) for e in term]} for term in terms]}
    soft = [{"weight": w, "preference": {"matchExpressions": [expression(*e)]}} for w, e in preferred]
    return {
        "nodeAffinity": {
            **({"requiredDuringSchedulingIgnoredDuringExecution": required} if terms else {}),
            "preferredDuringSchedulingIgnoredDuringExecution": soft,
        }
    }


def test_node_selector_and_any_of_the_required_terms():
    bench = Bench(make_node("a", zone="z1", labels={"disk": "ssd"}), make_node("b", zone="z2"), make_node("c"))
    either = node_affinity([(ZONE, "In", "z1")], [("disk", "DoesNotExist")])
    assert bench.verdicts("NodeAffinity", bench.pod(affinity=either)) == {"a": "", "b": "", "c": ""}
    both = bench.pod(affinity=either, nodeSelector={ZONE: "z1"})
    assert bench.verdicts("NodeAffinity", both) == {"a": "", "b": NO_FIT, "c": NO_FIT}


def test_preferred_terms_score_by_weight():
    bench = Bench(make_node("a", zone="z1", labels={"disk": "ssd"}), make_node("b", zone="z1"), make_node("c"))
    preferred = node_affinity(preferred=[(30, (ZONE, "In", "z1")), (10, ("disk", "Exists"))])
    assert bench.scores("NodeAffinity", bench.pod(affinity=preferred)) == {"a": 100, "b": 75, "c": 0}


# ---- resources and ports --------------------------------------------------------------------------------------------


def test_what_is_short_is_named():
    bench = Bench(make_node("a", cpu="1", memory="1Gi", pods="2"), make_node("b", cpu="8", memory="1Gi"))
    bench.put("a", "x", cpu="500m")
    bench.put("a", "y")
    pod = bench.pod(cpu="600m", memory="2Gi")
    assert bench.verdicts("NodeResourcesFit", pod) == {
        "a": "Too many pods, Insufficient cpu, Insufficient memory",
        "b": "Insufficient memory",
    }


def test_a_resource_that_is_not_requested_is_never_short():
    bench = Bench(make_node("a", cpu="1"))
    bench.put("a", "x", cpu="2")
    assert bench.verdicts("NodeResourcesFit", bench.pod(memory="1Gi")) == {"a": ""}


def test_unknown_resources_count_too():
    bench = Bench(make_node("a"))
    gpu = {"resources": {"requests": {"example.com/gpu": "1"}}}
    assert bench.verdicts("NodeResourcesFit", bench.pod(container=gpu)) == {"a": "Insufficient example.com/gpu"}


@pytest.mark.parametrize(
    ("used", "whole", "score"),
    [
        ((0, 0), (1000, 1000), 100),
        ((250, 500), (1000, 1000), 62),
        ((2000, 0), (1000, 1000), 50),
        ((0, 0), (0, 10), 100),
    ],
)
def test_least_allocated(used, whole, score):
    assert least_allocated(used, whole) == score


@pytest.mark.parametrize(
    ("before", "after", "score"),
    [
        ((0, 0), (500, 500), 75),  # as even as before
        ((0, 0), (1000, 0), 50),  # 100 -> 50
        ((1000, 0), (1000, 1000), 100),  # 50 -> 100
        ((0, 0), (250, 0), 68),  # 100 -> 87
    ],
)
def test_balanced_allocation(before, after, score):
    assert balanced_allocation(before, after, (1000, 1000)) == score
    assert balance((0, 0), (1000, 1000)) == 100


def test_pods_without_requests_are_not_scored_for_balance():
    bench = Bench(make_node("a"), make_node("b"))
    bench.put("a", "x", cpu="1")
    assert bench.scores("NodeResourcesBalancedAllocation", bench.pod()) == {"a": 0, "b": 0}


def test_containers_without_requests_count_in_the_score_of_what_is_left():
    bench = Bench(make_node("a", cpu="1", memory="2000Mi"), make_node("b", cpu="1", memory="2000Mi"))
    bench.put("a", "x")
    assert bench.scores("NodeResourcesFit", bench.pod()) == {"a": 80, "b": 90}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (("0.0.0.0", "TCP", 80), ("10.0.0.1", "TCP", 80), True),
        (("10.0.0.2", "TCP", 80), ("10.0.0.1", "TCP", 80), False),
        (("10.0.0.1", "TCP", 80), ("10.0.0.1", "UDP", 80), False),
        (("10.0.0.1", "TCP", 80), ("10.0.0.1", "TCP", 81), False),
    ],
)
def test_port_conflicts(a, b, expected):
    assert conflict(a, b) == conflict(b, a) == expected


def test_host_ports():
    port = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
    bench = Bench(make_node("a"), make_node("b"))
    bench.put("a", "x", container=port)
    text = "node(s) didn't have free ports for the requested pod ports"
    assert bench.verdicts("NodePorts", bench.pod(container=port)) == {"a": text, "b": ""}
    assert bench.verdicts("NodePorts", bench.pod()) == {"a": "", "b": ""}


# ---- images ---------------------------------------------------------------------------------------------------------


def test_image_names():
    assert normalized_image_name("app") == "app:latest"
    assert normalized_image_name("host:5000/app") == "host:5000/app:latest"
    assert normalized_image_name("app:v1") == "app:v1"


def test_image_locality():
    bench = Bench(make_node("a"), make_node("b"))
    assert bench.scores("ImageLocality", bench.pod()) == {"a": 0, "b": 0}
    image = ContainerImage(names=("app:v1",), size_bytes=600 * MIB)
    bench.set(with_status(bench.nodes["a"], images=(image,)))
    assert bench.scores("ImageLocality", bench.pod()) == {"a": priority(300 * MIB, 1), "b": 0}
    assert priority(300 * MIB, 1) == 28
    assert priority(10 * MIB, 1) == 0
    assert priority(5000 * MIB, 1) == 100


# ---- topology spread ------------------------------------------------------------------------------------------------

SPREAD = "node(s) didn't match pod topology spread constraints"


def zones() -> Bench:
    return Bench(make_node("a1", zone="a"), make_node("a2", zone="a"), make_node("b1", zone="b"), make_node("none"))


def test_spread_over_zones():
    bench = zones()
    bench.put("a1", "x", labels={"app": "web"})
    pod = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web", ZONE)])
    missing = f"{SPREAD} (missing required label)"
    assert bench.verdicts("PodTopologySpread", pod) == {"a1": SPREAD, "a2": SPREAD, "b1": "", "none": missing}
    wider = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web", ZONE, skew=2)])
    assert bench.verdicts("PodTopologySpread", wider) == {"a1": "", "a2": "", "b1": "", "none": missing}


def test_a_pod_that_does_not_select_itself_adds_nothing():
    bench = zones()
    bench.put("a1", "x", labels={"app": "web"})
    pod = bench.pod(labels={"app": "other"}, topologySpreadConstraints=[spread("web", ZONE)])
    assert bench.verdicts("PodTopologySpread", pod)["a2"] == ""


def test_terminating_pods_and_other_namespaces_do_not_count():
    bench = zones()
    bench.put("a1", "x", labels={"app": "web"}, terminating=True)
    bench.put("a1", "y", labels={"app": "web"}, namespace="other")
    pod = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web", ZONE)])
    assert bench.verdicts("PodTopologySpread", pod)["a1"] == ""


def test_min_domains():
    bench = Bench(make_node("a1", zone="a"), make_node("b1", zone="b"))
    for node in ("a1", "b1"):
        bench.put(node, f"on-{node}", labels={"app": "web"})
    rule = spread("web", ZONE, minDomains=3)
    pod = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[rule])
    assert bench.verdicts("PodTopologySpread", pod) == {"a1": SPREAD, "b1": SPREAD}


def test_policies_decide_which_nodes_count():
    bench = Bench(make_node("a"), make_node("b", taints=[{"key": "k", "effect": "NoSchedule"}]))
    bench.put("a", "x", labels={"app": "web"})
    ignore = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web")])
    assert bench.verdicts("PodTopologySpread", ignore)["a"] == SPREAD  # the empty tainted domain holds the minimum at 0
    honor = spread("web", nodeTaintsPolicy="Honor")
    assert (
        bench.verdicts("PodTopologySpread", bench.pod(labels={"app": "web"}, topologySpreadConstraints=[honor]))["a"]
        == ""
    )
    picky = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web")], nodeSelector={HOST: "a"})
    assert bench.verdicts("PodTopologySpread", picky)["a"] == ""


def test_match_label_keys_tell_revisions_apart():
    bench = Bench(make_node("a"), make_node("b"))
    bench.put("a", "old", labels={"app": "web", "rev": "1"})
    rule = spread("web", matchLabelKeys=["rev"])
    pod = bench.pod(labels={"app": "web", "rev": "2"}, topologySpreadConstraints=[rule])
    assert bench.verdicts("PodTopologySpread", pod) == {"a": "", "b": ""}


def test_soft_spread_scores():
    """raw = count x ln(domains + 2) + skew - 1, rounded; score = 100 x (max + min - raw) / max."""
    bench = Bench(make_node("a"), make_node("b"), make_node("c"))
    for i, node in enumerate("aab"):
        bench.put(node, f"x{i}", labels={"app": "web"})
    pod = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web", when="ScheduleAnyway")])
    assert bench.scores("PodTopologySpread", pod) == {"a": 0, "b": 33, "c": 100}  # raw: 3, 2, 0


def test_system_defaults_need_a_service_or_an_owner():
    bench = Bench(make_node("a", zone="z"), make_node("b", zone="z"))
    bench.put("a", "x", labels={"app": "web"})
    assert bench.scores("PodTopologySpread", bench.pod(labels={"app": "web"})) == {"a": 0, "b": 0}
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u", "controller": True}
    pod = bench.pod(labels={"app": "web"}, metadata={"ownerReferences": [owner]})
    bench.listers.owners["web"] = LabelSelector(match_labels={"app": "web"})
    expected = {"a": 87, "b": 100}  # raw: 1.39 + 2 + 1.10 + 4 = 8; 2 + 1.10 + 4 = 7
    assert bench.scores("PodTopologySpread", pod) == expected
    bench.listers.owners.clear()
    bench.listers.services.append(Service(spec=ServiceSpec(selector={"app": "web"})))
    assert bench.scores("PodTopologySpread", bench.pod(labels={"app": "web"})) == expected


def test_nodes_without_the_label_are_not_scored_by_own_constraints():
    bench = zones()
    pod = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web", ZONE, when="ScheduleAnyway")])
    assert bench.scores("PodTopologySpread", pod) == {"a1": 100, "a2": 100, "b1": 100, "none": 0}


# ---- inter-pod affinity ---------------------------------------------------------------------------------------------

FAR = "node(s) didn't match pod anti-affinity rules"
THEIRS = "node(s) didn't satisfy existing pods anti-affinity rules"
NEAR = "node(s) didn't match pod affinity rules"


def near(app: str, key: str = ZONE, **term: object) -> dict:
    required = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **term}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [required]}}


def prefer(app: str, weight: int, anti: bool = False) -> dict:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": ZONE}
    rule = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": weight, "podAffinityTerm": term}]}
    return {"podAntiAffinity" if anti else "podAffinity": rule}


def test_anti_affinity_keeps_away_from_the_domain():
    bench = zones()
    bench.put("a1", "x", labels={"app": "web"})
    pod = bench.pod(affinity=anti_affinity("web", ZONE))
    assert bench.verdicts("InterPodAffinity", pod) == {"a1": FAR, "a2": FAR, "b1": "", "none": ""}


def test_anti_affinity_of_pods_that_are_there_counts_as_much():
    bench = zones()
    bench.put("a1", "x", labels={"app": "x"}, affinity=anti_affinity("web", ZONE))
    assert bench.verdicts("InterPodAffinity", bench.pod(labels={"app": "web"})) == {
        "a1": THEIRS, "a2": THEIRS, "b1": "", "none": "",
    }  # fmt: skip
    assert set(bench.verdicts("InterPodAffinity", bench.pod(labels={"app": "other"})).values()) == {""}


def test_terminating_pods_count_for_anti_affinity():
    bench = zones()
    bench.put("b1", "x", labels={"app": "web"}, terminating=True)
    assert bench.verdicts("InterPodAffinity", bench.pod(affinity=anti_affinity("web", ZONE)))["b1"] == FAR


def test_pod_that_is_gone_keeps_nobody_away():
    bench = zones()
    gone = bench.put("b1", "x", labels={"app": "web"}, affinity=anti_affinity("web", ZONE))
    bench.table.remove_pod(gone.uid, "b1")
    pod = bench.pod(labels={"app": "web"}, affinity=anti_affinity("web", ZONE))
    assert set(bench.verdicts("InterPodAffinity", pod).values()) == {""}


def test_affinity_wants_a_pod_in_the_domain():
    bench = zones()
    bench.put("b1", "x", labels={"app": "db"})
    pod = bench.pod(affinity=near("db"))
    assert bench.verdicts("InterPodAffinity", pod) == {"a1": NEAR, "a2": NEAR, "b1": "", "none": NEAR}


def test_first_of_a_group_may_go_anywhere_that_has_the_label():
    bench = zones()
    assert bench.verdicts("InterPodAffinity", bench.pod(labels={"app": "db"}, affinity=near("db"))) == {
        "a1": "", "a2": "", "b1": "", "none": NEAR,
    }  # fmt: skip
    assert set(bench.verdicts("InterPodAffinity", bench.pod(affinity=near("db"))).values()) == {NEAR}


def test_all_terms_of_an_affinity_must_be_met_by_one_pod():
    bench = zones()
    bench.put("a1", "x", labels={"app": "db"})
    bench.put("a1", "y", labels={"tier": "hot"})
    terms = [{"labelSelector": {"matchLabels": m}, "topologyKey": ZONE} for m in ({"app": "db"}, {"tier": "hot"})]
    pod = bench.pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})
    assert set(bench.verdicts("InterPodAffinity", pod).values()) == {NEAR}
    bench.put("b1", "z", labels={"app": "db", "tier": "hot"})
    assert bench.verdicts("InterPodAffinity", pod)["b1"] == ""


def test_namespaces_of_a_term():
    bench = zones()
    bench.listers.spaces += [
        Namespace(metadata=ObjectMeta(name="other", labels={"team": "x"})),
        Namespace(metadata=ObjectMeta(name="default")),
    ]
    bench.put("b1", "x", labels={"app": "db"}, namespace="other")
    own = bench.verdicts("InterPodAffinity", bench.pod(affinity=near("db")))
    named = bench.verdicts("InterPodAffinity", bench.pod(affinity=near("db", namespaces=["other"])))
    picked = {"matchLabels": {"team": "x"}}
    selected = bench.verdicts("InterPodAffinity", bench.pod(affinity=near("db", namespaceSelector=picked)))
    everywhere = bench.verdicts("InterPodAffinity", bench.pod(affinity=near("db", namespaceSelector={})))
    assert [v["b1"] for v in (own, named, selected, everywhere)] == [NEAR, "", "", ""]


def test_preferred_terms_of_both_sides_score():
    bench = zones()
    bench.put("a1", "db", labels={"app": "db"})
    bench.put("b1", "hater", labels={"app": "hater"}, affinity=prefer("web", 10, anti=True))
    pod = bench.pod(labels={"app": "web"}, affinity=prefer("db", 30))
    assert bench.scores("InterPodAffinity", pod) == {"a1": 100, "a2": 100, "b1": 0, "none": 25}


def test_required_affinity_of_pods_that_are_there_attracts():
    bench = zones()
    bench.put("a1", "fan", labels={"app": "fan"}, affinity=near("web"))
    assert bench.scores("InterPodAffinity", bench.pod(labels={"app": "web"})) == {
        "a1": 100, "a2": 100, "b1": 0, "none": 0,
    }  # fmt: skip


# ---- the node table -------------------------------------------------------------------------------------------------


def test_nodes_are_listed_zone_by_zone_in_turn():
    bench = Bench(*(make_node(n, zone=n[0]) for n in ("a1", "a2", "a3", "b1", "c1", "c2")))
    names = [bench.table.infos[s].name for s in bench.table.order()]
    assert names == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_a_node_that_is_gone_leaves_no_trace_once_its_pods_are_gone():
    bench = zones()
    pod = bench.put("b1", "x", labels={"app": "web"})
    bench.table.remove_node("b1")
    web = bench.pod(labels={"app": "web"}, topologySpreadConstraints=[spread("web", ZONE)])
    assert len(bench.table.order()) == 3
    assert bench.verdicts("PodTopologySpread", web)["a1"] == ""
    bench.table.remove_pod(pod.uid, "b1")
    bench.set(make_node("new", zone="b"))
    assert bench.table.by_name["new"].slot == 2
    assert len(bench.table.infos) == 4
