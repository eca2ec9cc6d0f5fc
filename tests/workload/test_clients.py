"""Clients in whole clusters: what each kind of name shows them, when, and every way in which a request can fail."""

from __future__ import annotations

import pandas as pd
import pytest

from k8sim.scenario import ScenarioError, loads
from k8sim.sim.trace import Row
from tests.workload.small_cluster import EMPTY_DIR, of, run

WEB = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: db}, ports: [{port: 80}]SPEC}
"""
OUTCOMES = ["served", "refused", "no-endpoint", "stale-address", "unanswered", "cut", "in-flight"]


def web(spec: str = "") -> str:
    return WEB.replace("SPEC", spec)


def stream(to: str, more: str = "", name: str = "clients") -> str:
    return f"  traffic: [{{name: {name}, to: {to}, rate: 100/s, request: 100ms, start: 60s{more}}}]\n"


def at_3m(step: str) -> str:
    return f"  timeline: [{{at: 3m, {step}}}]\n"


def outcome(frame: pd.DataFrame) -> pd.Series:
    last = frame.iloc[-1]
    assert last[OUTCOMES].sum() == pytest.approx(100 * (1200 - 60))
    return last


def first(rows: list[Row], kind: str, event: str, name: str, after: float = 0) -> float:
    return next(t for t, n, *_ in of(rows, kind, event) if n == name and t >= after)


# ---- every outcome ----------------------------------------------------------------------------------------------


def test_a_process_that_hangs_leaves_requests_unanswered() -> None:
    _, metrics = run(stream("web") + at_3m("fault: hang, pod: db-0, for: 1s"), volume=EMPTY_DIR, more=web())
    assert outcome(metrics.requests)["unanswered"] == pytest.approx(100)


def test_a_process_that_is_not_there_refuses() -> None:
    rows, metrics = run(stream("web") + at_3m("fault: container-exit, pod: db-0"), volume=EMPTY_DIR, more=web())
    found = outcome(metrics.requests)
    assert found["cut"] == pytest.approx(10)
    assert found["refused"] > 10  # until the endpoint is not ready any more
    assert found["no-endpoint"] > 10
    assert [d["how"] for *_, d in of(rows, "Traffic", "Cut")] == ["exit"]


def test_what_is_longer_than_the_grace_period_is_cut_at_sigkill() -> None:
    """Deleted with 5 s of grace, a process that never ends by itself: what began in the last 20 s is cut."""
    traffic = "  traffic: [{name: long, to: web, rate: 100/s, request: 20s, start: 60s}]\n"
    images = '  images: {"db:*": {ready: 1s, stop: never}}\n'
    step = at_3m("kubectl: delete pod db-0 --grace-period=5")
    rows, metrics = run(traffic + step, volume=EMPTY_DIR, more=web(), images=images)
    killed = first(rows, "Traffic", "Cut", "long")
    ((_, _, _, detail),) = of(rows, "Traffic", "Cut")
    assert detail["how"] == "SIGKILL"
    assert killed == pytest.approx(185, abs=0.5)
    assert detail["requests"] == pytest.approx(100 * (20 - (killed - 180)), rel=0.01)  # refused since SIGTERM
    assert outcome(metrics.requests)["cut"] == detail["requests"]


# ---- the address of a service -----------------------------------------------------------------------------------


def test_the_only_endpoint_serves_while_it_terminates_and_has_no_name_any_more() -> None:
    """The proxy falls back to it; DNS does not: node.md 9.3, 9.4."""
    hook = "lifecycle: {preStop: {exec: {command: [sleep, '20']}}}"
    step = at_3m("kubectl: delete pod db-0")
    _, by_address = run(stream("web") + step, volume=EMPTY_DIR, more=web(), hook=hook)
    _, by_name = run(stream("db", ", client: {keep: 0s}") + step, volume=EMPTY_DIR, hook=hook)
    away = [outcome(m.requests)["no-endpoint"] / 100 for m in (by_address, by_name)]
    assert away[1] - away[0] == pytest.approx(20, abs=2)


def test_a_ready_endpoint_is_used_only_after_the_proxy_has_been_programmed() -> None:
    rows, _ = run(stream("web"), volume=EMPTY_DIR, more=web())
    ready = first(rows, "Pod", "Ready", "db-0")
    (sync,) = [t for t, _, _, d in of(rows, "Proxy", "Programmed") if d["service"] == "web" and d["addresses"]]
    assert 0 < sync - ready < 1.5


@pytest.mark.parametrize(("affinity", "pods"), [("", 3), (", sessionAffinity: ClientIP", 1)])
def test_session_affinity_keeps_a_client_at_its_endpoint(affinity: str, pods: int) -> None:
    rows, _ = run(stream("web"), replicas=3, volume=EMPTY_DIR, more=web(affinity))
    assert len(of(rows, "Traffic", "Counts")[-2][3]["pods"]) == pods


def test_a_client_with_affinity_moves_when_its_endpoint_goes_and_does_not_come_back() -> None:
    spec = stream("web") + "  timeline: [{at: 3m, kubectl: delete pod POD}]\n"
    affinity = web(", sessionAffinity: ClientIP")
    rows, _ = run(stream("web"), replicas=3, volume=EMPTY_DIR, more=affinity)
    (pod,) = of(rows, "Traffic", "Counts")[-2][3]["pods"]
    rows, metrics = run(spec.replace("POD", pod), replicas=3, volume=EMPTY_DIR, more=affinity)
    used = [tuple(d["pods"]) for t, _, _, d in of(rows, "Traffic", "Counts") if 180 < t < 1200 and d["pods"]]
    assert len({*used}) == 1  # although the pod of the same name is back, with another address
    assert pod not in used[0]
    assert outcome(metrics.requests)["served"] > 100 * 1130


def test_a_client_that_pauses_for_longer_than_the_rules_remember_gets_any_endpoint() -> None:
    affinity = ", sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}"
    often, seldom = (
        run(f"  traffic: [{{name: a, to: web, rate: {rate}, start: 60s}}]\n", replicas=3, volume=EMPTY_DIR, more=more)[
            0
        ]
        for rate, more in (("1/s", web(affinity)), ("2/m", web(affinity)))
    )
    assert [len(of(rows, "Traffic", "Counts")[-2][3]["pods"]) for rows in (often, seldom)] == [1, 3]


def test_several_clients_with_affinity_spread() -> None:
    spec = stream("web", ", client: {caches: 30}")
    rows, _ = run(spec, replicas=3, volume=EMPTY_DIR, more=web(", sessionAffinity: ClientIP"))
    assert len(of(rows, "Traffic", "Counts")[-2][3]["pods"]) == 3


# ---- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ttl", "longest"), [("0s", 1), ("40s", 41)])
def test_a_denial_is_kept_for_as_long_as_the_setting_says(ttl: str, longest: float) -> None:
    """The name appears a few seconds after the start; who was denied it at the start is denied it for the TTL."""
    dns = f"  cluster: {{dns: {{denialTTL: {ttl}, cache: cluster}}}}\n"
    traffic = "  traffic: [{name: a, to: db-0.db, rate: 10/s}]\n"
    rows, metrics = run(dns + traffic, volume=EMPTY_DIR)
    exists = next(t for t, name, *_ in of(rows, "DNS", "Answers") if name.startswith("db-0.db"))
    denied = metrics.requests.iloc[-1]["no-endpoint"] / 10
    assert exists < 10
    assert denied == pytest.approx(max(exists, longest if longest > 1 else 0), abs=1.1)


def test_a_pods_name_has_another_address_with_every_incarnation() -> None:
    rows, _ = run(stream("db-0.db") + at_3m("kubectl: delete pod db-0"), volume=EMPTY_DIR)
    answers = [d["addresses"] for _, name, _, d in of(rows, "DNS", "Answers") if name.startswith("db-0.db")]
    assert len(answers) == 2
    assert answers[0] != answers[1]
    denied = [t for t, name, *_ in of(rows, "DNS", "Denies") if name.startswith("db-0.db")]
    assert [t > 180 for t in denied] == [True]


@pytest.mark.parametrize(("publish", "known"), [("false", False), ("true", True)])
def test_a_pod_that_is_never_ready_has_a_name_only_if_its_service_publishes_it(publish: str, known: bool) -> None:
    service = f"""
---
apiVersion: v1
kind: Service
metadata: {{name: peers}}
spec: {{clusterIP: None, selector: {{app: db}}, publishNotReadyAddresses: {publish}, ports: [{{port: 80}}]}}
"""
    rows, _ = run(stream("peers"), volume=EMPTY_DIR, more=service, images='  images: {"db:*": {ready: never}}\n')
    assert bool([name for _, name, *_ in of(rows, "DNS", "Answers") if name.startswith("peers")]) == known


def test_a_service_without_selector_has_the_slices_that_somebody_wrote() -> None:
    """Nobody is simulated at an address outside the cluster: whoever calls it finds nobody there."""
    by_hand = """
---
apiVersion: v1
kind: Service
metadata: {name: legacy}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: legacy-1, labels: {kubernetes.io/service-name: legacy}}
addressType: IPv4
ports: [{port: 80}]
endpoints: [{addresses: [192.0.2.7], conditions: {ready: true}}]
"""
    rows, metrics = run(stream("legacy"), volume=EMPTY_DIR, more=by_hand)
    ((_, _, _, detail),) = [r for r in of(rows, "DNS", "Answers") if r[1].startswith("legacy")]
    assert detail["addresses"] == ["192.0.2.7"]
    assert outcome(metrics.requests)["stale-address"] == pytest.approx(100 * 1140)


def test_requests_to_an_external_name_are_refused_by_the_loader() -> None:
    text = (
        "apiVersion: k8sim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: t}\nspec:\n  duration: 1m\n"
        "  traffic: [{name: a, to: pay, rate: 1/s}]\n"
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: pay}\n"
        "spec: {type: ExternalName, externalName: pay.example.com}\n"
    )
    with pytest.raises(ScenarioError, match="leave the cluster"):
        loads(text)


@pytest.mark.parametrize("seconds", [0, 86_401])
def test_a_time_out_of_affinity_has_limits(seconds: int) -> None:
    spec = f", sessionAffinity: ClientIP, sessionAffinityConfig: {{clientIP: {{timeoutSeconds: {seconds}}}}}"
    with pytest.raises(ScenarioError, match="timeoutSeconds"):
        run(stream("web"), volume=EMPTY_DIR, more=web(spec))


def test_a_retry_finds_another_endpoint() -> None:
    """A third of the endpoints refuses until it is taken away; one retry leaves a ninth, two a twenty-seventh."""
    refused = []
    for retries in (0, 1, 2):
        spec = stream("web", f", retries: {retries}") + at_3m("fault: container-exit, pod: db-0")
        _, metrics = run(spec, replicas=3, volume=EMPTY_DIR, more=web())
        refused.append(outcome(metrics.requests)["refused"])
    assert refused[1] == pytest.approx(refused[0] / 3, rel=0.01)
    assert refused[2] == pytest.approx(refused[0] / 9, rel=0.01)


# ---- pods at their nodes' addresses -------------------------------------------------------------------------------

AGENT = """
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {hostNetwork: true, containers: [{name: NAME, image: "db:v1", ports: [{containerPort: PORT}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {selector: {app: NAME}, ports: [{port: PORT}]}
"""


def agent(name: str, port: int) -> str:
    return AGENT.replace("NAME", name).replace("PORT", str(port))


def test_pods_of_the_host_network_are_reached_at_their_nodes_addresses() -> None:
    rows, metrics = run(stream("proxy"), volume=EMPTY_DIR, more=agent("proxy", 80))
    assert outcome(metrics.requests)["served"] == pytest.approx(100 * (1200 - 60), abs=11)
    detail = next(d for *_, d in of(rows, "Proxy", "Programmed") if d["service"] == "proxy")
    assert sorted(detail["addresses"]) == ["172.16.0.0", "172.16.0.1", "172.16.0.2"]


def test_pods_that_share_a_nodes_address_answer_their_own_clients_only() -> None:
    more = "rate: 100/s, request: 100ms, start: 60s"
    streams = f"  traffic: [{{name: proxy, to: proxy, {more}}}, {{name: logs, to: logs, {more}}}]\n"
    steps = at_3m("kubectl: delete daemonset logs")
    _, metrics = run(streams + steps, volume=EMPTY_DIR, more=agent("proxy", 80) + agent("logs", 81))
    last = metrics.requests.groupby("stream").last()
    assert last.loc["proxy", "served"] == pytest.approx(100 * (1200 - 60), abs=11)
    assert last.loc["logs", "served"] == pytest.approx(100 * (180 - 60), rel=0.02)
    assert last.loc["logs", "no-endpoint"] > 0.9 * 100 * (1200 - 180)


def test_a_node_refuses_where_a_pod_of_another_node_would_not_be_found() -> None:
    """Its address is in use, and nothing listens: clients that keep it are told so."""
    keep = ", client: {keep: forever, onError: keep}"
    spec = stream("proxy", keep) + at_3m("kubectl: delete daemonset proxy")
    headless = agent("proxy", 80).replace("spec: {selector:", "spec: {clusterIP: None, selector:")
    _, metrics = run(spec, volume=EMPTY_DIR, more=headless)
    found = outcome(metrics.requests)
    assert found["refused"] > 0.9 * 100 * (1200 - 180)
    assert found["stale-address"] == 0
