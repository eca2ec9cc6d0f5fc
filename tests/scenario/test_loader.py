"""Scenarios that load, and what they say."""

from pathlib import Path

import pytest

from k8sim.scenario import NodeGroup, Scenario, ScenarioError, Step, load, loads
from k8sim.sim.distributions import Constant, Lognormal
from k8sim.sim.units import HOUR, SECOND

CASES = sorted((Path(__file__).parent.parent / "conformance" / "cases").glob("*.yaml"))
HEAD = "apiVersion: k8sim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\n"

FULL = (
    HEAD
    + """spec:
  description: How long is db-1 away when its node dies?
  duration: 90m
  seed: 42
  replicates: 100
  namespace: shop
  nodes:
    - name: node
      count: 4
      capacity: {cpu: 8}
      labels: {disk: ssd}
      zones: [a, b]
      taints: [{key: k, effect: NoSchedule}]
  featureGates: MaxUnavailableStatefulSet=true
  images:
    "db:bad": {ready: never}
    "*":
      pull: 2s
      start: 500ms
      ready: {lognormal: {median: 2s, p99: 20s}}
      exit: {after: 5s, code: 3}
      hooks: {preStop: 4s}
  latencies: {apiWrite: 5ms}
  timeline:
    - {at: 20s, kubectl: kubectl scale statefulset/db --replicas=5}
    - {at: 40, fault: node-crash, node: node-1, for: 100s}
    - {at: 41s, fault: node-crash, node: node-2}
    - {at: 50s, evict: db-0}
    - at: 1m
      apply:
        - {apiVersion: v1, kind: Namespace, metadata: {name: late}}
        - {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Namespace, metadata: {name: later}}]}
"""
)


def test_a_full_scenario() -> None:
    scenario = loads(FULL)
    assert (scenario.name, scenario.duration_ns, scenario.seed, scenario.replicates) == ("s", 5400 * SECOND, 42, 100)
    assert scenario.namespace == "shop"
    assert scenario.feature_gates == {"MaxUnavailableStatefulSet": True}
    assert scenario.latencies == {"apiWrite": Constant(5_000_000)}
    bad, rest = scenario.images
    assert (bad.pattern, bad.ready, bad.stop, bad.hang) == ("db:bad", None, Constant(0), None)
    assert (rest.pull, rest.started, rest.exit_after, rest.exit_code) == (
        Constant(2 * SECOND),
        Constant(0),
        Constant(5 * SECOND),
        3,
    )
    assert isinstance(rest.ready, Lognormal)
    assert rest.hooks == {"preStop": Constant(4 * SECOND)}
    scale, crash, for_ever, evict, apply = scenario.timeline
    assert (scale.at_ns, scale.command, scale.label) == (20 * SECOND, "scale statefulset/db --replicas=5", "kubectl")
    assert (crash.label, crash.arguments) == ("node-crash", {"node": "node-1", "for": 100 * SECOND})
    assert for_ever.arguments == {"node": "node-2", "for": None}
    assert evict.pod == "db-0"
    assert [o["metadata"]["name"] for o in apply.objects] == ["late", "later"]
    assert crash.source.line == 29
    assert scenario.not_simulated == ()


def test_nodes_are_named_zoned_and_labelled_in_turn() -> None:
    nodes = loads(FULL).node_manifests()
    assert [node["metadata"]["name"] for node in nodes] == ["node-0", "node-1", "node-2", "node-3"]
    labels = nodes[3]["metadata"]["labels"]
    assert labels["topology.kubernetes.io/zone"] == "b"
    assert labels["kubernetes.io/hostname"] == "node-3"
    assert labels["disk"] == "ssd"
    assert nodes[0]["status"]["capacity"] == {"cpu": "8", "memory": "16Gi", "pods": "110"}
    assert nodes[0]["spec"]["taints"] == [{"key": "k", "effect": "NoSchedule"}]


def test_defaults() -> None:
    scenario = loads(HEAD)
    assert (scenario.duration_ns, scenario.seed, scenario.replicates) == (HOUR, 0, 1)
    assert len(scenario.node_manifests()) == 3
    assert scenario.not_simulated[0].what == "spec.nodes"
    assert loads(HEAD + "spec: {nodes: []}\n").node_manifests() == []


def test_node_manifests_are_nodes() -> None:
    scenario = loads(
        HEAD
        + "spec: {timeline: [{at: 1s, fault: kubelet-restart, node: big}]}\n---\n"
        + "{apiVersion: v1, kind: Node, metadata: {name: big}, status: {capacity: {cpu: 64}}}\n"
    )
    assert scenario.nodes == ()
    assert [node["metadata"]["name"] for node in scenario.node_manifests()] == ["big"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_recorded_cases_load(path: Path) -> None:
    scenario = load(path)
    assert scenario.name == path.stem
    assert scenario.objects
    assert len(scenario.objects) == len(scenario.object_sources)


REAL_MANIFEST = """---
# Source: chart/templates/empty.yaml
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: {name: db, namespace: shop, creationTimestamp: null}
    spec:
      clusterIP: None
      ports: [{name: sql, port: 5432, targetPort: sql}]
      selector: &labels {app: db}
    status: {loadBalancer: {}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
  namespace: shop
  uid: 0a1b
  resourceVersion: "12345"
  annotations:
spec:
  selector: {matchLabels: {app: db}}
  serviceName: db
  template:
    metadata:
      labels: {app: db}
      annotations: {checksum: "1e3"}
    spec:
      nodeSelector: {kubernetes.io/os: linux}
      initContainers: []
      affinity: {}
      tolerations:
      securityContext: {fsGroup: 1001}
      containers:
        - name: db
          image: postgres:16
          args: ["-c", "max=1"]
          ports: [{name: sql, containerPort: 5432}]
          resources: {requests: {cpu: 0.5, memory: 1073741824}, limits: {memory: 2Gi, cpu: 1}}
          readinessProbe: {tcpSocket: {port: sql}}
          volumeMounts: [{name: data, mountPath: /var/lib}, {name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 8Gi}}}
      status: {phase: Pending}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: "system:db"}
roleRef: {kind: Role, name: db}
subjects: [{kind: ServiceAccount, name: db}]
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {name: pg}
spec: {instances: 3, anything: [goes]}
"""


def test_unmodified_real_manifests_load(tmp_path: Path) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "all.yaml").write_text(REAL_MANIFEST)
    (tmp_path / "s.yaml").write_text(HEAD + "spec: {duration: 1m, nodes: [{name: node}], include: [chart]}\n")
    scenario = load(tmp_path / "s.yaml")
    assert [o["kind"] for o in scenario.objects] == ["Service", "StatefulSet", "ConfigMap", "RoleBinding", "Cluster"]
    notes = {note.what: note for note in scenario.not_simulated}
    assert set(notes) == {'ConfigMap "settings"', 'RoleBinding "system:db"', 'postgresql.cnpg.io/v1 Cluster "pg"'}
    assert "operator" in notes['postgresql.cnpg.io/v1 Cluster "pg"'].why
    assert notes['ConfigMap "settings"'].source.line == 53
    # What a server fills in does not come along.
    assert scenario.objects[1]["metadata"] == {"name": "db", "namespace": "shop", "annotations": None}


def test_fields_without_effect_are_listed_once() -> None:
    spec = "spec: {dnsPolicy: Default, containers: [{name: a, image: a}]}"
    pod = f"---\n{{apiVersion: v1, kind: Pod, metadata: {{name: %s}}, {spec}}}\n"
    notes = loads(HEAD + "spec: {nodes: [{name: node}]}\n" + pod % "a" + pod % "b").not_simulated
    assert [(note.what, note.source.line) for note in notes] == [("Pod spec.dnsPolicy", 6)]


def test_input_of_kustomize_is_pointed_out() -> None:
    kustomization = "---\n{apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, resources: [a.yaml]}\n"
    (note,) = loads(HEAD + "spec: {nodes: []}\n" + kustomization).not_simulated
    assert "kubectl kustomize" in note.why


def test_includes_come_at_the_place_of_the_scenario(tmp_path: Path) -> None:
    namespace = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: %s}}\n"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "b.yaml").write_text(namespace % "b")
    (tmp_path / "a.yml").write_text(namespace % "a")
    (tmp_path / "notes.txt").write_text("{{ not yaml")
    (tmp_path / "deep" / "er" / "c.json").write_text(
        '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "c"}}'
    )
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "s.yaml"
    include = "spec: {nodes: [], include: [.., '../deep/**/*.json', ../a.yml, '*.yaml']}\n"
    path.write_text(namespace % "first" + "---\n" + HEAD + include + namespace % "last")
    (tmp_path / "sub" / "d.yaml").write_text(namespace % "d")
    names = [o["metadata"]["name"] for o in load(path).objects]
    assert names == ["first", "a", "b", "c", "d", "last"]


def test_an_included_scenario_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(HEAD)
    with pytest.raises(ScenarioError, match=r"other\.yaml:1: a Scenario document in a file that"):
        loads(HEAD + "spec: {include: [other.yaml]}\n", folder=tmp_path)


def test_errors_name_the_included_file(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: []\n")
    with pytest.raises(ScenarioError, match=r"pod\.yaml:5: Pod \"p\": spec\.containers: Required value"):
        loads(HEAD + "spec: {include: [pod.yaml]}\n", folder=tmp_path)


def test_gates_as_a_mapping_and_gates_that_are_fixed() -> None:
    scenario = loads(HEAD + "spec: {nodes: [], featureGates: {EventedPLEG: true, MaxUnavailableStatefulSet: yes}}\n")
    assert scenario.feature_gates == {"EventedPLEG": True, "MaxUnavailableStatefulSet": True}
    assert [note.what for note in scenario.not_simulated] == ["feature gate EventedPLEG=true"]


def test_a_program_builds_a_scenario_without_yaml() -> None:
    scenario = Scenario(
        name="loss",
        nodes=(NodeGroup("node", count=2, zones=("a", "b")),),
        timeline=(Step.fault(SECOND, "node-crash", node="node-1"), Step.kubectl(2 * SECOND, "cordon node-0")),
    )
    assert [node["metadata"]["name"] for node in scenario.node_manifests()] == ["node-0", "node-1"]
    assert [step.label for step in scenario.timeline] == ["node-crash", "kubectl"]


def test_twenty_thousand_nodes_are_fine_and_one_more_is_not() -> None:
    assert len(loads(HEAD + "spec: {nodes: [{name: node, count: 20000}]}\n").node_manifests()) == 20_000
    with pytest.raises(ScenarioError, match="at most 20000"):
        loads(HEAD + "spec: {nodes: [{name: node, count: 20000}, {name: m}]}\n")
