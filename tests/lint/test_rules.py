"""Each rule finds what it looks for, with the consequence that Kubernetes' rules give, and passes by its near miss."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from k8sim.lint import Finding
from tests.lint.world import (
    BY_NAME,
    Lint,
    Manifest,
    budget,
    claim,
    container,
    deployment,
    pod,
    scenario,
    seconds,
    service,
    stateful_set,
    storage_class,
    with_claims,
)

Case = tuple[list[Manifest], dict[str, str]]
HTTP = {"httpGet": {"path": "/ready", "port": 8080}}


def told(text: str, pattern: str) -> tuple[float, ...]:
    """The durations that a pattern finds in a text, in s."""
    match = re.search(pattern, text)
    assert match, f"{pattern!r} is not in {text!r}"
    return tuple(seconds(group) for group in match.groups())


def slow_start(**liveness: Any) -> Manifest:
    """A set whose only probe against hanging is a liveness probe."""
    made = stateful_set()
    del container(made)["startupProbe"]
    container(made)["livenessProbe"] = {"tcpSocket": {"port": 8080}, **liveness}
    return made


def with_container(made: Manifest, **fields: Any) -> Manifest:
    """A workload with fields of its container set; None: removed."""
    container(made).update(fields)
    for name in [name for name, value in fields.items() if value is None]:
        del container(made)[name]
    return made


def with_pod(made: Manifest, **fields: Any) -> Manifest:
    pod(made).update(fields)
    return made


def with_spec(made: Manifest, **fields: Any) -> Manifest:
    made["spec"].update(fields)
    return made


def on_volume(made: Manifest, volume: Manifest, path: str = "/data") -> Manifest:
    """A workload whose container mounts a volume called data."""
    with_container(made, volumeMounts=[{"name": "data", "mountPath": path}])
    return with_pod(made, volumes=[{"name": "data", **volume}])


def of_class(made: Manifest) -> Manifest:
    with_claims(made)["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "fast"
    return made


def apart(made: Manifest) -> Manifest:
    """A workload no two of whose pods may share a node."""
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
    return with_pod(
        made,
        affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
        topologySpreadConstraints=[],
    )


def other_app(replicas: int = 3) -> Manifest:
    """A Deployment with labels and an image of its own."""
    made = with_container(deployment(replicas), image="shop/api:2")
    made["metadata"]["name"] = "api"
    made["spec"]["selector"] = {"matchLabels": {"app": "api"}}
    made["spec"]["template"]["metadata"]["labels"] = {"app": "api"}
    return with_pod(made, topologySpreadConstraints=[])


def bare_pod(**spec: Any) -> Manifest:
    made = {**pod(stateful_set()), "topologySpreadConstraints": [], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cache"}, "spec": made}


EITHER = {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "api"]}]}}
DEAF = {"shop/*": {"started": "10m", "ready": "10m", "alive": "10m", "stop": "never"}}
THREE = [{"name": "node", "count": 3}]
ZONES = [{"name": "node", "count": 6, "zones": ["a", "b", "c"]}]
NEVER_LEAVES = [{"operator": "Exists"}]
CLAIM = {"persistentVolumeClaim": {"claimName": "data"}}
UNSPREAD = {"topologySpreadConstraints": []}


# ---- what must be found ---------------------------------------------------------------------------------------------


def check_slow_start(found: Finding) -> None:
    """Three failures in 45s, then 30s of grace for a process deaf to SIGTERM: every 75s, until it backs off."""
    assert told(found.as_is.text, r"killed (\w+) after its start, and again every (\w+) to") == (45, 75)
    assert "never Ready" in found.as_is.text
    assert "failureThreshold: 120" in found.fix[0]  # twice ten minutes in periods of ten seconds
    assert found.fixed.amount == 0


def check_dependencies(found: Finding) -> None:
    """The third failure, 10s apart, is 20s to 30s after the first moment of trouble."""
    (first,) = told(found.as_is.text, r"3 of 3 pods restarted, the first after (\w+),")
    assert 20 <= first <= 30
    assert found.fix == ("StatefulSet/db spec.template.spec.containers[app].livenessProbe: {tcpSocket: {port: 8080}}",)
    assert found.fixed.text.startswith("no restarts")


def check_overload(found: Finding) -> None:
    """As above, and the last attempt is given up after another second."""
    (first,) = told(found.as_is.text, r"3 of 3 pods restarted, the first after (\w+),")
    assert 21 <= first <= 32
    assert found.fix[0].endswith("livenessProbe.timeoutSeconds: 6")
    assert found.fixed.text.startswith("no restarts")


def check_hung(found: Finding) -> None:
    """20s to 30s until it is noticed, then the grace period: the pod's 600s, or 10s of its own."""
    assert 620 <= found.as_is.amount <= 631
    assert 30 <= found.fixed.amount <= 41


def check_no_readiness(found: Finding) -> None:
    """For less than the 15s of a start nobody answers, and 100 requests a second come."""
    assert 1300 <= found.as_is.amount <= 1500
    assert "refused" in found.as_is.text
    assert found.fixed.text == "no request fails"


def check_grace(found: Finding) -> None:
    """A hook of 5s and 45s of shutdown in a grace period of 30s: 20s are missing."""
    assert told(found.as_is.text, r"SIGKILL (\w+) after the delete \(code 137\): (\w+) of its shutdown undone") == (
        30,
        20,
    )
    assert found.fix == ("StatefulSet/db spec.template.spec.terminationGracePeriodSeconds: 75",)
    assert "code 0" in found.fixed.text


def check_hook(found: Finding) -> None:
    """SIGTERM when the grace is over, and two seconds later SIGKILL."""
    assert told(found.as_is.text, r"SIGTERM (\w+) and SIGKILL (\w+) after the delete \(code 137\)") == (30, 32)
    assert "code 0" in found.fixed.text


def check_no_pre_stop(found: Finding) -> None:
    assert found.as_is.amount > 0
    assert "cut" in found.as_is.text
    assert found.fix[0].endswith("lifecycle.preStop: {sleep: {seconds: 5}}")
    assert found.fixed.text == "no request fails"


def check_blocked_drain(found: Finding) -> None:
    """Every 5s for the ten minutes that the drain tries."""
    assert 600 <= found.as_is.amount <= 606
    (took,) = told(found.fixed.text, r"is drained in ([\w.]+)$")
    assert took < 10


def check_short(least: int, of: int, needed: int) -> Callable[[Finding], None]:
    def check(found: Finding) -> None:
        assert f"{least} of {of} pods Ready at worst" in found.as_is.text
        assert f"fewer than the {needed} it needs" in found.as_is.text
        assert found.as_is.amount > 0
        assert found.fixed.amount == 0

    return check


def check_volume(found: Finding) -> None:
    """The rollout stands still until its progress deadline of ten minutes."""
    assert 595 <= found.as_is.amount <= 605
    assert "FailedAttachVolume" in found.as_is.text
    assert found.fix == ("Deployment/db spec.strategy: {type: Recreate}",)
    assert found.fixed.amount == 0


def check_shared(found: Finding) -> None:
    """Three of six pods crash, and five must be healthy before one may go."""
    check_blocked_drain(found)
    assert found.subject == "PodDisruptionBudget db"
    assert "StatefulSet db and Deployment api" in found.problem
    assert found.fix[:2] == (
        "PodDisruptionBudget/db spec.minAvailable: (remove)",
        "PodDisruptionBudget/db spec.maxUnavailable: 1",
    )
    assert found.fix[-1].startswith("add {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: api,")


def check_bare(found: Finding) -> None:
    """What kubectl says without --force."""
    assert found.subject == "Pod cache"
    assert found.as_is.text.endswith("is refused: cannot delete Pods that declare no controller")
    assert found.fix[0] == "remove Pod/cache"
    assert found.fix[1].startswith("add {apiVersion: apps/v1, kind: Deployment, metadata: {name: cache}, spec:")
    assert "template: {metadata: {labels: {app: cache}}, spec: {" in found.fix[1]
    assert "made anew" in found.fixed.text


def check_no_room(found: Finding) -> None:
    """The same, for want of a fourth node."""
    assert 595 <= found.as_is.amount <= 605
    assert "the new pod is Pending (FailedScheduling)" in found.as_is.text
    assert found.fix[0].endswith("strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, maxSurge: 0}}")
    assert found.fixed.amount == 0


def check_registry(found: Finding) -> None:
    """The rest of twenty minutes of outage, and up to the longest back-off of a pull, 300s to 331s."""
    assert 20 * 60 - 10 <= found.as_is.amount <= 20 * 60 + 331
    assert found.fixed.amount <= 2


def check_node(found: Finding) -> None:
    """Nobody replaces a pod of a set on a node that is dead; that is noticed after 40s to 60s."""
    assert "3 of 3 pods lost with node" in found.as_is.text
    assert 30 * 60 - 60 <= found.as_is.amount <= 30 * 60 - 40
    assert "1 of 3 pods lost with node" in found.fixed.text
    assert found.fixed.amount == 0


def check_zone(found: Finding) -> None:
    """A zone has two nodes, and pods on different nodes may both be there."""
    assert "2 of 3 pods lost with zone" in found.as_is.text
    assert "topologyKey: topology.kubernetes.io/zone" in found.fix[0]
    assert "1 of 3 pods lost with zone" in found.fixed.text


def check_failover(found: Finding) -> None:
    """40s to 60s until the taint, then the toleration, then a new pod."""
    assert 340 <= found.as_is.amount <= 375
    assert 70 <= found.fixed.amount <= 105


def check_destroyed(found: Finding) -> None:
    assert found.as_is.text == "3 volumes destroyed"
    assert found.fixed.text == "no volume destroyed"


def check_empty_dir(found: Finding) -> None:
    """Ten minutes at 100 writes a second."""
    assert 60_000 <= found.as_is.amount <= 61_000
    assert found.fixed.text == "no write lost"


FOUND: dict[str, tuple[list[Manifest], dict[str, str], Callable[[Finding], None]]] = {
    "start-killed-by-probe": ([scenario(images=DEAF), slow_start(periodSeconds=15)], {}, check_slow_start),
    "liveness-asks-dependencies": (
        [with_container(stateful_set(), livenessProbe=HTTP, readinessProbe=HTTP)],
        {},
        check_dependencies,
    ),
    "liveness-timeout-under-load": (
        [with_container(stateful_set(), livenessProbe={"exec": {"command": ["pg_isready"]}})],
        {},
        check_overload,
    ),
    "hung-process-waits-for-grace": ([with_pod(stateful_set(), terminationGracePeriodSeconds=600)], {}, check_hung),
    "no-readiness-probe": (
        [with_container(deployment(), readinessProbe=None, startupProbe=None), service()],
        {},
        check_no_readiness,
    ),
    "grace-too-short": ([stateful_set()], {"shutdown": "45s"}, check_grace),
    "prestop-uses-up-grace": (
        [with_container(stateful_set(), lifecycle={"preStop": {"exec": {"command": ["sleep", "60"]}}})],
        {},
        check_hook,
    ),
    "no-prestop-behind-service": ([with_container(deployment(), lifecycle=None), service()], {}, check_no_pre_stop),
    "budget-allows-no-eviction": ([stateful_set(), budget(minAvailable="100%")], {}, check_blocked_drain),
    "no-budget": ([stateful_set()], {}, check_short(1, 3, 2)),
    "budget-guards-crash-loop": (
        [stateful_set(), budget(maxUnavailable=1, unhealthyPodEvictionPolicy=None)],
        {},
        check_blocked_drain,
    ),
    "budget-of-several-workloads": (
        [stateful_set(), other_app(), budget(maxUnavailable=1, **EITHER)],
        {},
        check_shared,
    ),
    "bare-pod-blocks-drain": ([bare_pod()], {}, check_bare),
    "parallel-update-takes-quorum": (
        [with_spec(stateful_set(), podManagementPolicy="Parallel")],
        {},
        check_short(1, 3, 2),
    ),
    "update-takes-too-many": (
        [with_spec(deployment(), strategy={"rollingUpdate": {"maxUnavailable": "100%"}})],
        {},
        check_short(0, 3, 1),
    ),
    "volume-blocks-rolling-update": ([on_volume(deployment(1), CLAIM), claim()], {}, check_volume),
    "anti-affinity-blocks-rolling-update": ([scenario(nodes=THREE), apart(deployment())], {}, check_no_room),
    "restart-needs-registry": ([with_container(deployment(), image="shop/app")], {}, check_registry),
    "one-node-takes-all": ([with_pod(stateful_set(), **UNSPREAD)], {}, check_node),
    "one-zone-takes-all": ([scenario(nodes=ZONES), stateful_set()], {}, check_zone),
    "slow-failover": ([deployment(1)], {}, check_failover),
    "retention-deletes-data": (
        [with_spec(with_claims(stateful_set()), persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"})],
        {},
        check_destroyed,
    ),
    "reclaim-deletes-data": ([storage_class(), of_class(stateful_set())], {}, check_destroyed),
    "data-in-emptydir": (
        [with_container(on_volume(stateful_set(1), {"emptyDir": {}}), image="postgres:17")],
        {},
        check_empty_dir,
    ),
}

# ---- what must be left alone ----------------------------------------------------------------------------------------

OTHER_PATH = {"httpGet": {"path": "/alive", "port": 8080}}
SERVES_ON = {
    "images": {"shop/*": {"ready": "1s", "stop": "5s"}},
    "traffic": [{"name": "web", "to": "front", "rate": "100/s", "afterSigterm": "accept"}],
}
NEAR: dict[str, list[Case]] = {
    "start-killed-by-probe": [
        ([slow_start(periodSeconds=15)], {"startup": "40s"}),  # the third failure would be 45s after the start
        ([slow_start(initialDelaySeconds=100)], {"startup": "2m"}),
        ([stateful_set()], {"startup": "4m"}),
    ],
    "liveness-asks-dependencies": [
        ([with_container(stateful_set(), livenessProbe=OTHER_PATH, readinessProbe=HTTP)], {}),
        # forty failures take longer than the trouble
        ([with_container(stateful_set(), livenessProbe={**HTTP, "failureThreshold": 40}, readinessProbe=HTTP)], {}),
    ],
    "liveness-timeout-under-load": [
        ([with_container(stateful_set(), livenessProbe={"exec": {"command": ["x"]}, "timeoutSeconds": 4})], {}),
        ([with_container(stateful_set(), livenessProbe=OTHER_PATH)], {}),  # an answer of its own
    ],
    "hung-process-waits-for-grace": [
        ([with_pod(stateful_set(), terminationGracePeriodSeconds=60)], {}),
        (
            [
                with_container(
                    with_pod(stateful_set(), terminationGracePeriodSeconds=600),
                    livenessProbe={**OTHER_PATH, "terminationGracePeriodSeconds": 20},
                )
            ],
            {},
        ),
    ],
    "no-readiness-probe": [
        ([with_container(deployment(), readinessProbe=None, startupProbe=None)], {}),  # nobody calls it
        ([with_container(deployment(), readinessProbe=None), service()], {}),  # the startup probe holds it back
    ],
    "grace-too-short": [([stateful_set()], {"shutdown": "25s"})],
    "prestop-uses-up-grace": [
        ([with_container(stateful_set(), lifecycle={"preStop": {"sleep": {"seconds": 29}}})], {}),
        ([with_container(stateful_set(), lifecycle={"preStop": {"sleep": {"seconds": 30}}})], {"shutdown": "1s"}),
    ],
    "no-prestop-behind-service": [
        ([with_container(deployment(), lifecycle=None)], {}),
        ([scenario(**SERVES_ON), with_container(deployment(), lifecycle=None), service()], {}),
    ],
    "budget-allows-no-eviction": [([stateful_set(), budget(minAvailable=2)], {})],
    "no-budget": [
        ([stateful_set(), budget(maxUnavailable=1)], {}),
        ([deployment()], {}),  # two drains leave one of three
    ],
    "budget-guards-crash-loop": [([stateful_set(), budget(maxUnavailable=1)], {})],
    "budget-of-several-workloads": [
        ([stateful_set(), other_app(), budget(maxUnavailable=1)], {}),
        ([stateful_set(), other_app(0), budget(maxUnavailable=1, **EITHER)], {}),  # it has no pods
    ],
    "bare-pod-blocks-drain": [([deployment(1)], {})],
    "parallel-update-takes-quorum": [
        ([stateful_set()], {}),
        ([with_spec(stateful_set(), podManagementPolicy="Parallel", updateStrategy={"type": "OnDelete"})], {}),
        ([with_spec(stateful_set(5), podManagementPolicy="Parallel")], {}),  # one away and one updated leave three
    ],
    "update-takes-too-many": [
        ([with_spec(deployment(), strategy={"rollingUpdate": {"maxUnavailable": 2}})], {}),
        # the field counts only with its feature gate
        ([with_spec(stateful_set(), updateStrategy={"rollingUpdate": {"maxUnavailable": 2}})], {}),
    ],
    "volume-blocks-rolling-update": [
        ([on_volume(deployment(1), CLAIM), claim(mode="ReadWriteMany")], {}),
        ([with_spec(on_volume(deployment(1), CLAIM), strategy={"type": "Recreate"}), claim()], {}),
    ],
    "anti-affinity-blocks-rolling-update": [
        ([scenario(nodes=[{"name": "node", "count": 4}]), apart(deployment())], {}),
        (
            [
                scenario(nodes=THREE),
                with_spec(apart(deployment()), strategy={"rollingUpdate": {"maxUnavailable": 1}}),
            ],
            {},
        ),
        ([scenario(nodes=THREE), deployment()], {}),
    ],
    "restart-needs-registry": [([deployment()], {})],
    "one-node-takes-all": [([stateful_set()], {}), ([with_pod(stateful_set(1), **UNSPREAD)], {})],
    "one-zone-takes-all": [([scenario(nodes=[{"name": "node", "count": 6}]), stateful_set()], {})],
    "slow-failover": [([deployment()], {}), ([stateful_set(1)], {})],
    "retention-deletes-data": [([with_claims(stateful_set())], {})],
    "reclaim-deletes-data": [([storage_class(reclaimPolicy="Retain"), of_class(stateful_set())], {})],
    "data-in-emptydir": [
        ([with_container(on_volume(stateful_set(1), {"emptyDir": {}}, "/tmp"), image="postgres:17")], {}),
        ([on_volume(stateful_set(1), {"emptyDir": {}})], {}),
        ([with_container(with_claims(stateful_set(1)), image="postgres:17")], {}),
    ],
}


@pytest.mark.parametrize("rule", FOUND)
def test_found(lint: Lint, rule: str) -> None:
    manifests, assumed, check = FOUND[rule]
    check(lint.finding(rule, *manifests, **assumed))


@pytest.mark.parametrize(("rule", "case"), [(rule, case) for rule, cases in NEAR.items() for case in cases])
def test_near_miss(lint: Lint, rule: str, case: Case) -> None:
    manifests, assumed = case
    lint.silent(rule, *manifests, **assumed)


def test_every_rule_is_here() -> None:
    assert set(FOUND) == set(NEAR) == set(BY_NAME)


def test_a_healthy_workload_is_left_alone(lint: Lint) -> None:
    for kind in (with_claims(stateful_set()), deployment()):
        report = lint(kind, service(), budget(maxUnavailable=1))
        assert not report.findings
        assert not report.untried


# ---- more of what single rules see ----------------------------------------------------------------------------------


def test_a_startup_probe_may_be_too_short_too(lint: Lint) -> None:
    made = with_container(stateful_set(), startupProbe={"tcpSocket": {"port": 8080}, "failureThreshold": 3})
    found = lint.finding("start-killed-by-probe", made, startup="2m")
    (first,) = told(found.as_is.text, r"killed (\w+) after its start")
    assert 20 <= first <= 30
    assert found.fix[0].endswith("startupProbe.failureThreshold: 24")


def sidecar(**fields: Any) -> Manifest:
    return {"name": "proxy", "image": "mesh/proxy:1", "restartPolicy": "Always", **fields}


def test_probes_of_sidecars_kill_too(lint: Lint) -> None:
    """Their kills are counted without those of the container beside them, which needs two minutes for its data."""
    liveness = {"exec": {"command": ["check"]}, "periodSeconds": 2}
    inits = [{"name": "init", "image": "x:1"}, sidecar(livenessProbe=liveness)]
    made = with_pod(with_claims(stateful_set()), initContainers=inits)
    found = lint.finding("start-killed-by-probe", made)
    assert "container proxy gives up 4s after its start at the earliest; the start may take 15s" in found.problem
    assert found.fix[0].startswith("StatefulSet/db spec.template.spec.initContainers[proxy].startupProbe: {exec")
    assert found.fixed.amount == 0
    assert lint.finding("liveness-timeout-under-load", made).fix[0].endswith("[proxy].livenessProbe.timeoutSeconds: 6")


def test_a_sidecar_that_waits_for_its_grace_is_measured_by_its_own_restart(lint: Lint) -> None:
    liveness = {**OTHER_PATH, "terminationGracePeriodSeconds": 10}
    made = with_container(with_pod(stateful_set(), terminationGracePeriodSeconds=300), livenessProbe=liveness)
    with_pod(made, initContainers=[sidecar(livenessProbe=OTHER_PATH)])
    found = lint.finding("hung-process-waits-for-grace", made)
    assert "container proxy" in found.problem
    assert found.as_is.amount >= 300
    assert found.fixed.amount < 60


def test_a_server_at_its_nodes_address_loses_requests_too(lint: Lint) -> None:
    made = with_pod(with_container(deployment(), lifecycle=None), hostNetwork=True)
    check_no_pre_stop(lint.finding("no-prestop-behind-service", made, service()))


def test_a_shared_budget_may_let_all_go_that_one_workload_can_spare(lint: Lint) -> None:
    """Both run one image, so nothing breaks one of them alone; two of six may go, and both are of one."""
    made = with_container(other_app(), image="shop/app:1.4.2")
    found = lint.finding("budget-of-several-workloads", stateful_set(), made, budget(minAvailable=4, **EITHER))
    check_short(1, 3, 2)(found)


def test_a_budget_that_is_added_takes_no_name_that_another_one_has(lint: Lint) -> None:
    both = {**budget(maxUnavailable=1, **EITHER), "metadata": {"name": "api"}}
    found = lint.finding("budget-of-several-workloads", stateful_set(), other_app(), both)
    assert any("name: api-pods" in line for line in found.fix)
    assert found.fixed.amount < found.as_is.amount


def test_recreate_takes_all(lint: Lint) -> None:
    found = lint.finding("update-takes-too-many", with_spec(deployment(), strategy={"type": "Recreate"}))
    check_short(0, 3, 1)(found)


def test_a_set_updates_several_with_its_gate(lint: Lint) -> None:
    made = with_spec(stateful_set(), updateStrategy={"rollingUpdate": {"maxUnavailable": 2}})
    gate = scenario(featureGates={"MaxUnavailableStatefulSet": True})
    check_short(1, 3, 2)(lint.finding("update-takes-too-many", gate, made))


def test_who_tolerates_everything_is_never_replaced(lint: Lint) -> None:
    found = lint.finding("slow-failover", with_pod(deployment(), tolerations=NEVER_LEAVES))
    assert found.as_is.text == "its pod is not replaced within 30m"
    assert 70 <= found.fixed.amount <= 105


def test_deleting_a_set_may_delete_its_data(lint: Lint) -> None:
    policy = {"whenDeleted": "Delete"}
    made = with_spec(with_claims(stateful_set()), persistentVolumeClaimRetentionPolicy=policy)
    check_destroyed(lint.finding("retention-deletes-data", made))


def test_a_deployment_gets_a_claim(lint: Lint) -> None:
    made = with_container(on_volume(deployment(1), {"emptyDir": {}}), image="redis:8")
    found = lint.finding("data-in-emptydir", made)
    assert 60_000 <= found.as_is.amount <= 61_000
    assert [line.partition(":")[0] for line in found.fix][1] == "Deployment/db spec.strategy"
    assert found.fixed.amount < 1000
