"""From a file to findings: places, fixes, several files, what cannot be tried; the scenarios that ship."""

from __future__ import annotations

import time
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from k8sim.api.schema import built_in_kind, check
from k8sim.api.validation import validate_create
from k8sim.lint import RULES, Assumptions
from k8sim.lint import lint as lint_file
from k8sim.lint.bench import Bench
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.workload import Ref, workloads
from k8sim.scenario.loader import load_with_manifests
from tests.lint.world import (
    BY_NAME,
    Lint,
    Manifest,
    budget,
    container,
    deployment,
    pod,
    service,
    stateful_set,
    storage_class,
    with_claims,
)

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))
TEXT = """\
# a comment
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      nodeSelector: {disk: fast}
      terminationGracePeriodSeconds: 20
      initContainers: [{name: init, image: "busybox:1"}]
      containers:
        - name: db
          image: postgres:17
          envFrom: [{secretRef: {name: password}}]
"""


def test_a_finding_has_file_and_line_in_any_namespace(tmp_path: Path) -> None:
    path = tmp_path / "db.yaml"
    path.write_text(TEXT)
    [loaded] = load_with_manifests([path])
    [found] = lint_file(loaded, Assumptions(shutdown_ns=30 * 10**9)).findings
    assert (found.rule, found.subject) == ("grace-too-short", "StatefulSet db")
    assert str(found.source) == f"{path}:{TEXT.splitlines().index('      terminationGracePeriodSeconds: 20') + 1}"


def test_what_is_absent_stands_where_it_would_be(lint: Lint) -> None:
    found = lint.finding("grace-too-short", stateful_set(), shutdown="45s")  # the grace period is the default
    lines = lint.path.read_text().splitlines()
    assert found.source.line == len(lines) - lines[::-1].index("    spec:")


def test_manifests_in_several_files_belong_together(tmp_path: Path) -> None:
    for name, manifest in (("set", stateful_set()), ("budget", budget(maxUnavailable=1))):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(manifest))
    alone = load_with_manifests([tmp_path / "set.yaml"])
    together = load_with_manifests([tmp_path / "set.yaml", tmp_path / "budget.yaml"])
    found = [lint_file(file, rules=[BY_NAME["no-budget"]]).findings for file in (*alone, *together)]
    assert [len(findings) for findings in found] == [1, 0]


def test_same_input_same_findings(lint: Lint) -> None:
    assert lint(deployment(1), service()) == lint(deployment(1), service())


def test_an_annotation_silences_a_rule(lint: Lint) -> None:
    made = stateful_set()
    made["metadata"]["annotations"] = {"k8sim.dev/lint-ignore": "one-node-takes-all, no-budget"}
    lint.silent("no-budget", made)
    spoilt = budget(minAvailable=3)
    spoilt["metadata"]["annotations"] = {"k8sim.dev/lint-ignore": "budget-allows-no-eviction"}
    lint.silent("budget-allows-no-eviction", stateful_set(), spoilt)


def test_an_annotation_that_names_no_rule_is_told(lint: Lint) -> None:
    made = stateful_set()
    made["metadata"]["annotations"] = {"k8sim.dev/lint-ignore": "no-budgets, no-budget"}
    report = lint(made, rule="no-budget")
    assert not report.findings
    assert [(u.subject, u.why) for u in report.untried] == [
        ("StatefulSet db", "k8sim.dev/lint-ignore: there is no rule 'no-budgets'")
    ]


def test_one_storage_class_of_two_workloads_is_told_once(lint: Lint) -> None:
    made = with_claims(stateful_set())
    made["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "fast"
    other = deepcopy(made)
    other["metadata"]["name"] = "other"
    lint.finding("reclaim-deletes-data", storage_class(), made, other)


def test_what_never_is_ready_cannot_be_tried(lint: Lint) -> None:
    made = stateful_set()
    pod(made)["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "nowhere"}}]
    container(made)["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    report = lint(made, rule="no-budget")
    assert not report.findings
    [untried] = report.untried
    assert (untried.subject, "no-budget" in untried.why) == ("StatefulSet db", True)


def test_a_budget_of_workloads_that_no_labels_tell_apart_is_named_as_not_tried(lint: Lint) -> None:
    """It wants four of six, which is more than either of the two has; and no other budget could do better."""
    other = stateful_set()
    other["metadata"]["name"] = "other"
    report = lint(stateful_set(), other, budget(minAvailable=4))
    assert not report.findings
    assert [(u.subject, "several" in u.why) for u in report.untried] == [("PodDisruptionBudget db", True)]


def test_a_workload_may_want_zones_and_the_company_of_others(lint: Lint) -> None:
    made = stateful_set()
    pod(made)["topologySpreadConstraints"][0]["topologyKey"] = "topology.kubernetes.io/zone"
    near = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "cache"}}}
    pod(made)["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near]}}
    report = lint(made, rule="no-budget")
    assert report.findings
    assert not report.untried


def test_an_autoscaler_says_how_many_pods_there_are(lint: Lint) -> None:
    made = deployment()
    del made["spec"]["replicas"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "db"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "db"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 9},
    }
    assert lint(made, rule="slow-failover").findings  # one pod
    assert "its 2 pods" in lint.finding("no-budget", made, scaler).problem
    lint.silent("slow-failover", made, scaler)


def test_what_a_cluster_printed_is_tried_as_if_applied(lint: Lint) -> None:
    """``kubectl get -o yaml``: with nodes, pods and claims that controllers made."""
    made = {**with_claims(stateful_set()), "status": {"replicas": 3, "readyReplicas": 3}}
    node = {"apiVersion": "v1", "kind": "Node", "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u0", "controller": True}
    member = {"apiVersion": "v1", "kind": "Pod", "spec": pod(stateful_set()), "status": {"phase": "Running"}}
    running = [{**made, "metadata": {"name": "db", "uid": "u0"}}]
    running += [{**node, "metadata": {"name": f"node-{i}", "uid": f"n{i}"}} for i in range(3)]
    running += [
        {**member, "metadata": {"name": f"db-{i}", "uid": f"p{i}", "labels": {"app": "db"}, "ownerReferences": [owner]}}
        for i in range(3)
    ]
    report = lint(*running, rule="no-budget")
    assert [finding.subject for finding in report.findings] == ["StatefulSet db"]
    assert not report.untried


def test_a_pod_that_runs_once_is_named_as_not_tried(lint: Lint) -> None:
    once = {**pod(stateful_set()), "restartPolicy": "Never"}
    report = lint({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "job"}, "spec": once})
    assert not report.findings
    assert [u.subject for u in report.untried] == ["Pod job"]


def test_each_kind_that_is_not_tried_says_why(lint: Lint) -> None:
    def of(kind: str, spec: Manifest, version: str = "apps/v1") -> Manifest:
        return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}

    template = stateful_set()["spec"]["template"]
    selected = {"selector": {"matchLabels": {"app": "db"}}, "template": template}
    job = {"template": {"spec": {**pod(stateful_set()), "restartPolicy": "Never"}}}
    report = lint(
        of("DaemonSet", selected),
        of("ReplicaSet", selected),
        of("Job", job, "batch/v1"),
        of("CronJob", {"schedule": "@daily", "jobTemplate": {"spec": job}}, "batch/v1"),
    )
    assert (report.findings, report.workloads, report.experiments) == ((), 0, 0)
    said = {u.subject.split()[0]: u.why for u in report.untried}
    assert list(said) == ["DaemonSet", "ReplicaSet", "Job", "CronJob"]
    assert "stay on their nodes" in said["DaemonSet"]
    assert "no rollouts" in said["ReplicaSet"]
    assert "is to end" in said["Job"]
    assert said["CronJob"] == said["Job"]


def test_the_template_of_a_daemon_set_is_tried_as_a_deployment_of_one_pod(lint: Lint) -> None:
    """As the reason for leaving it out advises: its probes, images and grace period."""
    agent = deployment(1)
    del container(agent)["startupProbe"]
    container(agent)["livenessProbe"] |= {"periodSeconds": 2, "failureThreshold": 1}
    container(agent)["image"] = "agent"
    spec = {key: value for key, value in agent["spec"].items() if key != "replicas"}
    assert not lint({**agent, "kind": "DaemonSet", "spec": spec}).findings
    rules = {finding.rule for finding in lint(agent).findings}
    assert {"start-killed-by-probe", "restart-needs-registry"} <= rules


def test_a_bare_pod_can_be_left_alone(lint: Lint) -> None:
    meta = {"name": "cache", "annotations": {"k8sim.dev/lint-ignore": "bare-pod-blocks-drain"}}
    report = lint({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod(stateful_set())})
    assert not report.findings
    assert not report.untried


def test_a_typical_file_takes_few_seconds(lint: Lint) -> None:
    made = with_claims(stateful_set())
    del pod(made)["topologySpreadConstraints"]
    begin = time.process_time()
    report = lint(made, service(), budget(maxUnavailable=1, unhealthyPodEvictionPolicy=None))
    assert report.experiments >= 4
    assert time.process_time() - begin < 5


# ---- fixes ----------------------------------------------------------------------------------------------------------


def test_a_fix_edits_what_is_there_and_makes_what_is_not(lint: Lint) -> None:
    lint(stateful_set(), rule="no-budget")
    [loaded] = load_with_manifests([lint.path])
    ref = Ref("StatefulSet", "default", "db")
    path = ("spec", "template", "spec", "containers", 0)
    fix = Fix(
        (
            Edit(ref, (*path, "lifecycle"), None),
            Edit(ref, (*path, "securityContext", "runAsUser"), 5),
            Edit(ref, ("spec", "template", "spec", "tolerations", 0), {"operator": "Exists"}),
        )
    )
    made = fix.apply(loaded.scenario).objects[0]["spec"]["template"]["spec"]
    assert "lifecycle" not in made["containers"][0]
    assert made["containers"][0]["securityContext"] == {"runAsUser": 5}
    assert made["tolerations"] == [{"operator": "Exists"}]
    assert "lifecycle" in loaded.scenario.objects[0]["spec"]["template"]["spec"]["containers"][0]
    assert fix.lines(loaded.scenario) == [
        "StatefulSet/db spec.template.spec.containers[app].lifecycle: (remove)",
        "StatefulSet/db spec.template.spec.containers[app].securityContext.runAsUser: 5",
        "StatefulSet/db spec.template.spec.tolerations[0]: {operator: Exists}",
    ]


def test_a_fix_of_what_an_alias_repeats_leaves_the_other_alone(tmp_path: Path) -> None:
    path = tmp_path / "db.yaml"
    probe = """
          livenessProbe: &probe {exec: {command: [pg_isready]}}
          readinessProbe: *probe
"""
    path.write_text(TEXT + probe.lstrip("\n"))
    [loaded] = load_with_manifests([path])
    container = ("spec", "template", "spec", "containers", 0)
    edit = Edit(Ref("StatefulSet", "shop", "db"), (*container, "livenessProbe", "timeoutSeconds"), 6)
    made = Fix((edit,)).apply(loaded.scenario).objects[0]["spec"]["template"]["spec"]["containers"][0]
    assert made["livenessProbe"]["timeoutSeconds"] == 6
    assert made["readinessProbe"] == {"exec": {"command": ["pg_isready"]}}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_fix_is_something_that_the_api_server_takes(path: Path) -> None:
    """For every suspicion about the scenarios that ship; none of them is tried, so this is quick."""
    [loaded] = load_with_manifests([path])
    for ref in workloads(loaded.scenario):
        bench = Bench(loaded.scenario, ref, loaded.bare)
        for rule in (rule for rule in RULES if ref.kind in rule.kinds):
            for suspect in rule.suspects(bench, Assumptions()):
                for manifest in suspect.fix.apply(loaded.scenario).objects:
                    kind = built_in_kind(manifest["apiVersion"], manifest["kind"])
                    assert kind is None or not (check(manifest, kind) or validate_create(manifest)), rule.name


# ---- the scenarios that ship ----------------------------------------------------------------------------------------

STORIES = {
    "liveness-kills-recovery": ("start-killed-by-probe", {"StatefulSet prometheus"}),
    "grace-too-short": ("grace-too-short", {"StatefulSet short", "StatefulSet hooked"}),
    "budget-blocks-upgrade": ("budget-allows-no-eviction", {"PodDisruptionBudget strict"}),
    "unhealthy-pod-blocks-drain": ("budget-guards-crash-loop", {"PodDisruptionBudget guarded"}),
    "graceful-shutdown-compared": ("no-prestop-behind-service", {"Deployment exits"}),
    "etcd-quorum-under-drain": ("no-budget", {"StatefulSet bare"}),
    "scale-to-zero-with-retention-delete": ("retention-deletes-data", {"StatefulSet db"}),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_found_in_its_scenario(name: str) -> None:
    """And its cured twin, beside it in the same file, is left alone."""
    rule, subjects = STORIES[name]
    [loaded] = load_with_manifests([SCENARIOS[0].with_name(f"{name}.yaml")])
    report = lint_file(loaded, rules=[BY_NAME[rule]])
    assert {finding.subject for finding in report.findings} == subjects
