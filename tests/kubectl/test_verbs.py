from __future__ import annotations

from typing import Any

import pytest
import yaml

from k8sim.api.apps import Deployment, StatefulSet
from k8sim.api.batch import CronJob
from k8sim.api.core import Node, PersistentVolumeClaim, Pod
from k8sim.api.meta import with_meta
from k8sim.api.scheme import encode_part
from k8sim.api.struct import replace
from k8sim.kubectl.apply import apply
from k8sim.kubectl.grammar import DeleteOptions
from k8sim.kubectl.process import Process
from k8sim.kubectl.verbs.delete import delete_options
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod
from tests.kubectl.world import DEPLOYMENT, POD, STATEFUL_SET, World

NODE = "{apiVersion: v1, kind: Node, metadata: {name: n}}"
CONTAINERS = "containers: [{name: app, image: a}, {name: side, image: a}], initContainers: [{name: first, image: a}]"


# ---- delete -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "grace"),
    [
        (DeleteOptions(), None),
        (DeleteOptions(grace_period=5), 5),
        (DeleteOptions(grace_period=0), 1),  # 4.10: without --force never at once
        (DeleteOptions(grace_period=0, force=True), 0),
        (DeleteOptions(force=True), 0),
        (DeleteOptions(now=True), 1),
    ],
)
def test_the_grace_of_a_delete(options: DeleteOptions, grace: int | None) -> None:
    assert delete_options(options)["grace_period_seconds"] == grace


def test_a_delete_waits_until_the_pod_is_gone() -> None:
    world = World()
    world.server.create(make_pod(node="n"))
    done = world.start("delete pod web-0")
    world.at(3, lambda: world.server.delete(Pod, "default", "web-0", grace_period_seconds=0))
    world.run(2.9)
    assert world.get(Pod, "web-0").deleting
    assert not done
    world.run(1)
    [(t, result)] = done
    assert 3 < t < 3.02
    assert result == (0, 'pod "web-0" deleted', "")


def test_a_successor_of_the_same_name_is_not_waited_for() -> None:
    world = World()
    world.server.create(make_pod(node="n"))
    done = world.start("delete pod web-0")

    def succeed() -> None:
        world.server.delete(Pod, "default", "web-0", grace_period_seconds=0)
        world.server.create(make_pod(node="n"))

    world.at(1, succeed)
    world.run(2)
    assert done[0][1].code == 0


def test_a_delete_that_times_out() -> None:
    world = World()
    world.server.create(make_pod(node="n"))
    done = world.start("delete pod web-0 --timeout=2s")
    world.run(5)
    [(t, result)] = done
    assert 2 < t < 2.2
    assert result.code == 1
    assert result.err == "error: timed out waiting for the condition on pods/web-0"


def test_a_forced_delete_removes_at_once_and_does_not_wait() -> None:
    world = World()
    world.server.create(make_pod(node="n"))
    result = world.kubectl("delete pod web-0 --grace-period=0 --force", within=0.2)
    assert result.out == 'pod "web-0" force deleted'
    assert world.server.find(Pod, "default", "web-0") is None


def test_what_does_not_exist() -> None:
    world = World(POD)
    result = world.kubectl("delete pod web-1 web-0")
    assert result.code == 1
    assert result.err == 'Error from server (NotFound): pods "web-1" not found'
    assert result.out == 'pod "web-0" deleted'
    assert world.kubectl("delete pod web-1 --ignore-not-found") == (0, "No resources found", "")
    assert world.kubectl("delete pod -l app=web") == (0, "No resources found", "")


def test_a_selector_deletes_what_it_selects_in_order() -> None:
    world = World()
    for name in ("b", "a", "c"):
        world.server.create(make_pod(name, labels={"app": "x" if name != "c" else "y"}))
    assert world.kubectl("delete pod -l app=x").out == 'pod "a" deleted\npod "b" deleted'


def pods_on_nodes() -> World:
    world = World()
    for name, node, phase in (("a", "n", "Running"), ("b", "m", "Failed"), ("c", "n", "Failed")):
        pod = world.create(POD.replace("web-0", name))
        assert isinstance(pod, Pod)
        placed = world.server.update(replace(pod, spec=replace(pod.spec, node_name=node)))
        world.server.update_status(replace(placed, status=replace(placed.status, phase=phase)))
    return world


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ("status.phase=Failed", "a"),
        ("status.phase!=Failed", "bc"),
        ("metadata.name==b", "ac"),
        ("spec.nodeName=n,status.phase=Failed", "ab"),
        ("spec.hostNetwork=false", ""),
        ("metadata.namespace=other", "abc"),
    ],
)
def test_field_selectors_choose_as_the_server_does(selector: str, left: str) -> None:
    world = pods_on_nodes()
    result = world.kubectl(f"delete pods --field-selector {selector} --force --grace-period=0")
    assert result.code == 0
    assert [pod.name for pod in world.server.list(Pod)] == list(left)
    other = pods_on_nodes()
    chosen = other.kubectl(f"get pods --field-selector={selector} -o name").out.split()
    assert [name.removeprefix("pod/") for name in chosen] == [name for name in "abc" if name not in left]


def test_a_delete_in_all_namespaces() -> None:
    world = World()
    for namespace in ("x", "y"):
        world.create(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}")
        world.create(POD.replace("name: web-0", f"name: web-0, namespace: {namespace}"))
    result = world.kubectl("delete pods -A -l app=web --force")
    assert result.out == 'pod "web-0" force deleted\npod "web-0" force deleted'
    assert not world.server.list(Pod)


def test_what_goes_between_the_list_and_its_delete_is_no_error_where_nobody_named_it() -> None:
    world = pods_on_nodes()
    real = world.server.delete

    def delete(cls: Any, namespace: str, name: str, **options: Any) -> Any:
        if name == "b":
            real(cls, namespace, name, grace_period_seconds=0)  # somebody was quicker
        return real(cls, namespace, name, **options)

    world.server.delete = delete  # type: ignore[method-assign]
    result = world.kubectl("delete pods --all --force")
    assert (result.code, result.out) == (0, 'pod "a" force deleted\npod "c" force deleted')


@pytest.mark.parametrize(
    ("name", "strategy", "code", "said"),
    [
        ("web-0", "client", 0, 'pod "web-0" deleted (dry run)'),
        ("web-0", "server", 0, 'pod "web-0" deleted (server dry run)'),
        ("other", "client", 0, 'pod "other" deleted (dry run)'),  # nobody is asked
        ("other", "server", 1, 'Error from server (NotFound): pods "other" not found'),
    ],
)
def test_a_dry_run_of_a_delete(name: str, strategy: str, code: int, said: str) -> None:
    world = World(POD)
    result = world.kubectl(f"delete pod {name} --dry-run={strategy}", within=1)
    assert (result.code, result.err if code else result.out) == (code, said)
    assert not world.server.get(Pod, "default", "web-0").deleting


def test_orphaning_and_the_groups_of_kinds() -> None:
    world = World(STATEFUL_SET)
    done = world.start("delete statefulset web --cascade=orphan")
    world.run(0.3)
    assert world.get(StatefulSet, "web").metadata.finalizers == ("orphan",)
    world.server.update(with_meta(world.get(StatefulSet, "web"), finalizers=()))
    world.run(0.3)
    assert done[0][1].out == 'statefulset.apps "web" deleted'


# ---- scale, set, patch ------------------------------------------------------------------------------------------


def test_scale() -> None:
    world = World(STATEFUL_SET)
    assert world.kubectl("scale statefulset/web --replicas=5").out == "statefulset.apps/web scaled"
    assert world.get(StatefulSet, "web").spec.replicas == 5
    result = world.kubectl("scale sts web --replicas=1 --current-replicas=2")
    assert (result.code, result.err) == (1, "error: Expected replicas to be 2, was 5")
    assert world.kubectl("scale sts other --replicas=1").code == 1
    assert world.kubectl("scale sts -l a=b --replicas=1").err == "error: no objects passed to scale"


def test_a_command_takes_the_time_of_its_program_and_its_requests() -> None:
    world = World(STATEFUL_SET)
    done = world.start("scale sts/web --replicas=5")
    world.run(1)
    laws = world.server.sim.latencies
    start, request = laws.distribution("kubectl"), laws.distribution("kubectlRequest")
    least, most = (start.quantile(p) + 2 * request.quantile(p) for p in (0, 1))
    assert least <= done[0][0] * SECOND <= most


def test_set_image() -> None:
    world = World(STATEFUL_SET)
    assert world.kubectl("set image statefulset/web app=app:v2").out == "statefulset.apps/web image updated"
    images = [c.image for c in world.get(StatefulSet, "web").spec.template.spec.containers]
    assert images == ["app:v2", "side:v1"]
    before = world.get(StatefulSet, "web")
    assert world.kubectl("set image statefulset/web app=app:v2") == (0, "", "")
    assert world.get(StatefulSet, "web") is before
    assert world.kubectl("set image sts/web x=y").err == 'error: unable to find container named "x"'
    world.kubectl("set image sts/web *=z")
    assert {c.image for c in world.get(StatefulSet, "web").spec.template.spec.containers} == {"z"}


def test_set_image_finds_the_containers_of_every_kind() -> None:
    job = f"{{spec: {{template: {{spec: {{restartPolicy: Never, {CONTAINERS}}}}}}}}}"
    spec = f'{{schedule: "0 0 * * *", jobTemplate: {job}}}'
    world = World(f"{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: nightly}}, spec: {spec}}}", POD)
    assert world.kubectl("set image cronjob/nightly first=b side=c").out == "cronjob.batch/nightly image updated"
    containers = world.get(CronJob, "nightly").spec.job_template.spec.template.spec
    assert [c.image for c in (*containers.containers, *containers.init_containers)] == ["a", "c", "b"]
    world.kubectl("set image pod/web-0 *=d")
    assert [c.image for c in world.get(Pod, "web-0").spec.containers] == ["d"]


def test_set_env_and_resources() -> None:
    world = World(STATEFUL_SET)
    assert world.kubectl("set env sts/web A=1 B=2 -c app").out == "statefulset.apps/web env updated"
    world.kubectl("set env sts/web A-")
    [app, side] = world.get(StatefulSet, "web").spec.template.spec.containers
    assert encode_part(app)["env"] == [{"name": "B", "value": "2"}]
    assert "env" not in encode_part(side)
    world.kubectl("set resources sts/web --requests=cpu=1 --limits=cpu=2,memory=1Gi -c app")
    world.kubectl("set resources sts/web --limits=cpu=3 -c app")
    [app, side] = world.get(StatefulSet, "web").spec.template.spec.containers
    assert dict(app.resources.limits) == {"cpu": "3", "memory": "1Gi"}
    assert app.resources.requests["cpu"] == "1"


def test_patch() -> None:
    world = World(STATEFUL_SET)
    said = world.kubectl("""patch sts web -p '{"spec":{"replicas":4}}'""")
    assert said.out == "statefulset.apps/web patched"
    assert world.get(StatefulSet, "web").spec.replicas == 4
    assert world.kubectl("""patch sts web -p '{"spec":{"replicas":4}}'""").out.endswith("patched (no change)")
    path = "/spec/template/spec/containers/0/image"
    world.kubectl(f"""patch sts web --type=json -p '[{{"op":"replace","path":"{path}","value":"b"}}]'""")
    assert world.get(StatefulSet, "web").spec.template.spec.containers[0].image == "b"
    world.kubectl("""patch sts web -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"}]}}}}'""")
    assert [c.image for c in world.get(StatefulSet, "web").spec.template.spec.containers] == ["b", "s"]


def test_a_merge_patch_replaces_lists() -> None:
    world = World(STATEFUL_SET)
    template = '{"spec":{"template":{"spec":{"containers":[{"name":"only","image":"o"}]}}}}'
    world.kubectl(f"patch sts web --type=merge -p '{template}'")
    assert [c.name for c in world.get(StatefulSet, "web").spec.template.spec.containers] == ["only"]


def test_patches_that_the_server_refuses() -> None:
    world = World(STATEFUL_SET)
    result = world.kubectl("""patch sts web -p '{"spec":{"serviceName":"other"}}'""")
    assert result.code == 1
    assert result.err.startswith('The StatefulSet "web" is invalid: spec: Forbidden: updates to statefulset spec')
    result = world.kubectl("""patch sts web -p '{"spec":{"replicas":"x"}}'""")
    assert result.err.startswith("Error from server (BadRequest)")
    result = world.kubectl("""patch sts web --type=json -p '[{"op":"remove","path":"/spec/nothing"}]'""")
    assert result.err.startswith("The request is invalid")
    snapshot = "{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot, metadata: {name: s}}"
    world.create(snapshot)
    assert "UnsupportedMediaType" in world.kubectl("patch vs s -p 'metadata: {labels: {a: b}}'").err
    assert world.kubectl("patch vs s --type=merge -p 'metadata: {labels: {a: b}}'").code == 0


def test_a_field_that_does_not_exist_is_dropped_with_a_warning() -> None:
    world = World(STATEFUL_SET)
    before = world.get(StatefulSet, "web")
    result = world.kubectl("""patch sts web -p '{"spec":{"replica":7}}'""")
    assert (result.code, result.out) == (0, "statefulset.apps/web patched (no change)")
    assert result.err == 'Warning: unknown field "spec.replica"'
    assert world.get(StatefulSet, "web") is before


def test_patching_the_status() -> None:
    world = World(POD)
    text = """patch pod web-0 --subresource=status -p '{"status":{"phase":"Failed","reason":"Evicted"}}'"""
    assert world.kubectl(text).out == "pod/web-0 patched"
    assert world.get(Pod, "web-0").status.phase == "Failed"
    world.kubectl("""patch pod web-0 -p '{"status":{"phase":"Running"}}'""")
    assert world.get(Pod, "web-0").status.phase == "Failed"


# ---- label, annotate, taint, cordon -----------------------------------------------------------------------------


def test_label() -> None:
    world = World(POD)
    assert world.kubectl("label pod web-0 tier=db").out == "pod/web-0 labeled"
    assert world.kubectl("label pod web-0 tier=db --overwrite").out == "pod/web-0 not labeled"
    taken = world.kubectl("label pod web-0 tier=web")
    assert (taken.code, taken.err) == (1, "error: 'tier' already has a value (db), and --overwrite is false")
    assert world.kubectl("label pod web-0 tier- none-").out == "pod/web-0 unlabeled"
    assert dict(world.get(Pod, "web-0").metadata.labels) == {"app": "web"}


def test_annotate() -> None:
    world = World(POD)
    assert world.kubectl("annotate pod web-0 touched=1").out == "pod/web-0 annotated"
    again = world.kubectl("annotate pod web-0 touched=2")
    assert again.err == (
        "error: --overwrite is false but found the following declared annotation(s): 'touched' already has a value (1)"
    )
    assert world.kubectl("annotate pod web-0 touched=2 --overwrite").code == 0
    assert dict(world.get(Pod, "web-0").metadata.annotations) == {"touched": "2"}


def test_taint() -> None:
    world = World(NODE)
    assert world.kubectl("taint nodes n a=b:NoExecute").out == "node/n tainted"
    assert world.kubectl("taint nodes n a=c:NoExecute").err == (
        "error: node n already has a taint(s) with same effect(s) and --overwrite is false"
    )
    assert world.kubectl("taint nodes n a=c:NoExecute --overwrite").out == "node/n modified"
    assert world.kubectl("taint nodes n a:NoSchedule").out == "node/n tainted"
    assert [(t.key, t.value, t.effect) for t in world.get(Node, "n").spec.taints] == [
        ("a", "", "NoSchedule"), ("a", "c", "NoExecute"),
    ]  # fmt: skip
    assert world.kubectl("taint nodes n a:NoExecute-").out == "node/n untainted"
    assert world.kubectl("taint nodes n a-").out == "node/n untainted"
    assert world.kubectl("taint nodes n a-").err == 'error: taint "a" not found'


def test_cordon() -> None:
    world = World(NODE)
    assert world.kubectl("cordon n").out == "node/n cordoned"
    assert world.get(Node, "n").spec.unschedulable
    assert world.kubectl("cordon n").out == "node/n already cordoned"
    assert world.kubectl("uncordon n").out == "node/n uncordoned"
    assert world.kubectl("uncordon n").out == "node/n already uncordoned"


# ---- wait, get --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("strategy", "said"), [("client", "(dry run)"), ("server", "(server dry run)")])
def test_a_dry_run_of_cordon(strategy: str, said: str) -> None:
    world = World("{apiVersion: v1, kind: Node, metadata: {name: n}}")
    assert world.kubectl(f"cordon n --dry-run={strategy}").out == f"node/n cordoned {said}"
    assert world.kubectl(f"uncordon n --dry-run={strategy}").out == f"node/n already uncordoned {said}"
    assert not world.server.get(Node, "", "n").spec.unschedulable


def gap_between_end_and_removal(seed: int) -> int:
    """Force a pod's deletion and tell how long after the sight of its end a waiting command sees its removal."""
    world = World(POD, seed=seed)
    process = Process(world.server, "default", "wait")
    watch = process.watch(Pod, "default", "web-0")
    seen: list[tuple[str, int]] = []

    def look() -> Any:
        while not seen or seen[-1][0] != "DELETED":
            change = yield from watch.next(None)
            assert change is not None
            seen.append((change.type, world.clock.now))

    world.clock.spawn(look())
    world.kubectl("delete pod web-0 --force")
    (first, ends), (last, gone) = seen
    assert (first, last) == ("MODIFIED", "DELETED")
    return gone - ends


def test_a_command_that_waits_sees_a_pods_removal_after_its_end() -> None:
    gaps = [gap_between_end_and_removal(seed) for seed in range(20)]
    assert sum(gap > 0 for gap in gaps) >= 18


def test_wait() -> None:
    world = World(POD)
    running = world.start("wait pod/web-0 --for=jsonpath={.status.phase}=Running --timeout=9s")

    def run() -> None:
        pod = world.get(Pod, "web-0")
        world.server.update_status(replace(pod, status=replace(pod.status, phase="Running")))

    world.at(2, run)
    world.run(3)
    assert running[0][1].out == "pod/web-0 condition met"
    never = world.kubectl("wait pod/web-0 --for=condition=Ready --timeout=1s")
    assert (never.code, never.err) == (1, "error: timed out waiting for the condition on pods/web-0")
    gone = world.start("wait pod/web-0 --for=delete")
    world.run(0.2)
    world.kubectl("delete pod web-0", within=0.5)
    assert gone[0][1].out == "pod/web-0 condition met"
    assert world.kubectl("wait pod/web-0 --for=delete") == (0, "", "")
    made = world.start("wait pvc/data --for=create")
    claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}}"
    world.at(world.clock.now / 1e9 + 1, world.create, claim)
    world.run(2)
    assert made[0][1].out == "persistentvolumeclaim/data condition met"
    assert world.get(PersistentVolumeClaim, "data")


def test_get() -> None:
    world = World(STATEFUL_SET, POD)
    assert world.kubectl("get sts").out.splitlines() == ["NAME   READY   AGE", "web    0/3     0s"]
    assert world.kubectl("get pod web-0 -o name").out == "pod/web-0"
    assert world.kubectl("get pvc").err == "No resources found in default namespace."
    assert world.kubectl("get pod nosuch").code == 1
    assert "kind: StatefulSet" in world.kubectl("get sts web -o yaml").out


# ---- apply ------------------------------------------------------------------------------------------------------


def test_apply_creates_changes_and_leaves_alone() -> None:
    world = World()
    assert world.apply(DEPLOYMENT).out == "deployment.apps/api created"
    first = world.get(Deployment, "api")
    assert world.apply(DEPLOYMENT).out == "deployment.apps/api unchanged"
    assert world.get(Deployment, "api") is first
    world.kubectl("scale deployment/api --replicas=9")
    assert world.apply(DEPLOYMENT.replace("app:v1", "app:v2")).out == "deployment.apps/api configured"
    spec = world.get(Deployment, "api").spec
    assert (spec.replicas, spec.template.spec.containers[0].image) == (2, "app:v2")
    world.kubectl("scale deployment/api --replicas=9")
    world.apply(DEPLOYMENT.replace("  replicas: 2\n", ""))  # once applied, then left out: the default comes back
    assert world.get(Deployment, "api").spec.replicas == 1


def test_apply_of_a_manifest_that_has_been_changed_since_the_last_apply() -> None:
    world, manifest = World(), yaml.safe_load(DEPLOYMENT)
    process = Process(world.server, "default", "apply")
    world.clock.spawn(apply(process, manifest))
    world.run(1)
    manifest["spec"]["replicas"] = 5
    world.clock.spawn(apply(process, manifest))
    world.run(1)
    assert world.get(Deployment, "api").spec.replicas == 5


def test_apply_over_an_object_that_was_not_applied() -> None:
    world = World(DEPLOYMENT)
    world.kubectl("scale deployment/api --replicas=9")
    result = world.apply(DEPLOYMENT.replace("  replicas: 2\n", ""))
    assert "is missing the kubectl.kubernetes.io/last-applied-configuration annotation" in result.err
    assert world.get(Deployment, "api").spec.replicas == 9


def test_apply_that_is_refused() -> None:
    world = World()
    result = world.apply("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: A_b}, spec: {}}")
    assert result.code == 1
    assert result.err.startswith('The PersistentVolumeClaim "A_b" is invalid')
    assert world.apply("{apiVersion: v1, kind: Pod, metadata: {generateName: x}}").code == 1
