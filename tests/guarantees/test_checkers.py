"""Each checker finds what it is there for: small made-up histories, most of which no Kubernetes would write."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.meta import Object
from k8sim.api.scheme import decode, format_time
from k8sim.apiserver.watch import Change
from k8sim.guarantees import GUARANTEES, Audit
from k8sim.sim.trace import Trace

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


class Story:
    """A history that is told by hand."""

    def __init__(self) -> None:
        self.now = 0
        self.history: list[tuple[int, Change]] = []
        self.log = Trace()
        self.stored: dict[tuple[str, str], Object] = {}

    def wait(self, ns: int) -> Story:
        self.now += ns
        return self

    def put(self, manifest: dict[str, Any], actor: str = "some-controller") -> Story:
        obj = decode(manifest)
        key = obj.kind, obj.name
        old = self.stored.get(key)
        self.stored[key] = obj
        self.history.append((self.now, Change("ADDED" if old is None else "MODIFIED", old, obj, -1, actor)))
        return self

    def drop(self, kind: str, name: str, actor: str = "kubectl") -> Story:
        obj = self.stored.pop((kind, name))
        self.history.append((self.now, Change("DELETED", obj, obj, -1, actor)))
        return self

    def row(self, kind: str, name: str, event: str, **detail: Any) -> Story:
        self.log.append(self.now, kind, name, event, detail, namespace="default")
        return self

    def step(self, label: str, **detail: Any) -> Story:
        return self.row("Step", label, "Begins", step=0, **detail)

    def container(self, pod: str, event: str, uid: str, **detail: Any) -> Story:
        return self.row(
            "Container", pod, event, **{"container": "app", "node": "n", "uid": uid, "restart": 0, **detail}
        )

    def found(self) -> dict[str, str]:
        audit = Audit()
        audit.feed(self.history, self.log)
        return {f.guarantee.name: f.excuse or f.verdict for f in audit.end(self.now).findings}


def meta(name: str, uid: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "default", "uid": uid or f"uid-{name}", **more}


def stateful_set(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "a"}]}}
    base = {"replicas": replicas, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}}}
    body = {**base, "template": template, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {}}, **spec}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta("web", generation=1), "spec": body}


OWNER = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "uid-web", "controller": True}


def revision(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": number,
        "metadata": meta(f"web-r{number}", ownerReferences=[OWNER]),
    }  # fmt: skip


def pod(
    name: str, uid: str = "", ready: bool = False, phase: str = "Running", rev: int = 1, owner: bool = True,
    deleting: bool = False, evicted: bool = False, spec: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    labels = {"app": "web", "controller-revision-hash": f"web-r{rev}", "statefulset.kubernetes.io/pod-name": name}
    labels["apps.kubernetes.io/pod-index"] = name.rpartition("-")[2]
    more: dict[str, Any] = {"labels": labels, "creationTimestamp": "2020-01-01T00:00:00Z"}
    if owner:
        more["ownerReferences"] = [OWNER]
    if deleting:
        more |= {"deletionTimestamp": "2020-01-01T00:00:01Z", "deletionGracePeriodSeconds": 30}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if evicted:
        conditions.append({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"})
    body = {"hostname": name, "subdomain": "web", "nodeName": "n", "containers": [{"name": "app", "image": "a"}]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": meta(name, uid, **more), "spec": {**body, **(spec or {})},
        "status": {"phase": phase, "conditions": conditions},
    }  # fmt: skip


def node(name: str = "n", **spec: Any) -> dict[str, Any]:
    status = {"allocatable": {"cpu": "1", "pods": "10"}, "conditions": [{"type": "Ready", "status": "True"}]}
    labels = {"kubernetes.io/hostname": name}
    body = {"name": name, "uid": f"uid-{name}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": body, "spec": spec, "status": status}


def claim(name: str, volume: str = "", phase: str = "Pending", uid: str = "", **metadata: Any) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, "volumeName": volume}
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta(name, uid, **metadata), "spec": spec,
        "status": {"phase": phase},
    }  # fmt: skip


def volume(name: str, size: str = "2Gi", phase: str = "Available", **spec: Any) -> dict[str, Any]:
    body = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], **spec}
    about = {"name": name, "uid": f"uid-{name}"}
    return {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": about, "spec": body, "status": {"phase": phase},
    }  # fmt: skip


def budget(allowed: int, desired: int) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta("pdb"),
        "spec": {"minAvailable": desired, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": allowed, "desiredHealthy": desired, "currentHealthy": 2, "expectedPods": 3,
                   "observedGeneration": 1},
    }  # fmt: skip


STS = "statefulset-controller"
HOOK = {"containers": [{"name": "app", "image": "a", "lifecycle": {"preStop": {"sleep": {"seconds": 9}}}}]}
STARTUP = {"containers": [{"name": "app", "image": "a", "startupProbe": {"exec": {}}, "livenessProbe": {"exec": {}}}]}
READINESS = {"containers": [{"name": "app", "image": "a", "readinessProbe": {"exec": {}}}]}
INIT = {"initContainers": [{"name": "init", "image": "a"}]}


def storage_class(mode: str) -> dict[str, Any]:
    about = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "disk"}}
    return {**about, "provisioner": "ebs.csi.aws.com", "volumeBindingMode": mode}


def provisioned(phase: str = "Available", **spec: Any) -> dict[str, Any]:
    made = volume("v", phase=phase, claimRef={"namespace": "default", "name": "a", "uid": "uid-a"}, **spec)
    made["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com"}
    return made


def attachment(to: str, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": f"to-{to}"},
        "spec": {"attacher": "ebs.csi.aws.com", "nodeName": to, "source": {"persistentVolumeName": "v"}},
        "status": {"attached": True, **status},
    }  # fmt: skip


def only_from(name: str) -> dict[str, Any]:
    there = {"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [there]}]}}


def deployment(strategy: dict[str, Any]) -> dict[str, Any]:
    spec = {**stateful_set()["spec"], "strategy": strategy}
    for name in ("serviceName", "updateStrategy"):
        del spec[name]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("web", generation=1), "spec": spec}


def replica_set(name: str, replicas: int) -> dict[str, Any]:
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": stateful_set()["spec"]["template"],
    }
    about = meta(name, ownerReferences=[{**OWNER, "kind": "Deployment"}])
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": about, "spec": spec}


def pod_of(replica_set: str, name: str, **more: Any) -> dict[str, Any]:
    made = pod(name, owner=False, **more)
    made["metadata"]["ownerReferences"] = [
        {**OWNER, "kind": "ReplicaSet", "name": replica_set, "uid": f"uid-{replica_set}"}
    ]
    return made


def service(**selector: str) -> dict[str, Any]:
    spec = {"selector": selector or {"app": "web"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta("web", generation=1), "spec": spec}


def endpoint(pod: str, ready: bool = True) -> dict[str, Any]:
    of = {"kind": "Pod", "name": pod, "uid": f"uid-{pod}", "namespace": "default"}
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": meta("web-1", labels={"kubernetes.io/service-name": "web"}),
        "endpoints": [{"conditions": {"ready": ready}, "targetRef": of}],
    }  # fmt: skip


ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
SCHEDULER = "kube-scheduler"
DEPLOYER = "deployment-controller"
APART = {
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    ]}}
}  # fmt: skip
GREEDY = {"containers": [{"name": "app", "image": "a", "resources": {"requests": {"cpu": "2"}}}]}
WITH_DATA = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "a"}}]}


def placed(spec: dict[str, Any]) -> Story:
    """A pod that the scheduler puts on node n, beside web-0."""
    beside = Story().put(node()).put(pod("web-0", owner=False)).wait(MINUTE)
    return beside.put(pod("p", owner=False, spec={**spec, "nodeName": ""})).put(
        pod("p", owner=False, spec=spec), SCHEDULER
    )


def begun(**spec: Any) -> Story:
    return Story().put(stateful_set(**spec)).put(revision(1)).put(node()).wait(MINUTE)


STORIES: dict[str, tuple[Story, str]] = {
    "unique-identity": (
        begun().put(pod("web-0", "a")).container("web-0", "Started", "a").wait(SECOND)
        .drop("Pod", "web-0", "kubelet/n").put(pod("web-0", "b")).wait(SECOND).container("web-0", "Started", "b"),
        "violated",
    ),
    "stable-name": (begun().put(pod("web-0", spec={"hostname": "other"}), STS), "violated"),
    "ordinal-range": (begun().put(pod("web-7"), STS), "violated"),
    "ordered-start": (begun().put(pod("web-1"), STS), "violated"),
    "reverse-ordered-stop": (
        begun(replicas=1).put(pod("web-2")).put(pod("web-3")).wait(MINUTE).put(pod("web-2", deleting=True), STS),
        "violated",
    ),
    "update-order": (
        begun().put(pod("web-0", ready=True)).put(pod("web-1", ready=True)).put(revision(2)).wait(MINUTE)
        .put(pod("web-0", ready=True, deleting=True), STS),
        "violated",
    ),
    "partition": (
        begun(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
        .put(pod("web-1", ready=True)).put(revision(2)).wait(MINUTE).put(pod("web-1", ready=True, deleting=True), STS),
        "violated",
    ),
    "revision-of-new-pods": (begun().put(revision(2)).put(pod("web-0", rev=1), STS), "violated"),
    "availability-during-rollout": (
        begun(replicas=2, podManagementPolicy="Parallel").put(pod("web-0")).put(pod("web-1", ready=True))
        .put(revision(2)).wait(MINUTE).put(pod("web-1", ready=True, deleting=True), STS),
        "parallel",
    ),
    "sticky-storage": (
        begun(volumeClaimTemplates=[{"metadata": {"name": "data"}}]).put(pod("web-0"), STS),
        "violated",
    ),
    "claims-survive": (
        begun(volumeClaimTemplates=[{"metadata": {"name": "data"}}])
        .put(claim("data-web-0", ownerReferences=[OWNER])).drop("PersistentVolumeClaim", "data-web-0", "gc"),
        "violated",
    ),
    "exclusive-binding": (
        Story().put(volume("v")).put(claim("a", "v", "Bound")).put(claim("b", "v", "Bound")), "violated",
    ),
    "binding-permanent": (Story().put(claim("a", "v", "Bound")).put(claim("a", "w", "Bound")), "violated"),
    "binding-fits": (Story().put(volume("v", "1Gi")).put(claim("a", "v", "Bound")), "violated"),
    "claim-in-use-protection": (
        Story().put(claim("a")).wait(MINUTE)
        .put(pod("p", owner=False, spec={"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "a"}}]}))
        .wait(20 * 366 * 24 * 60 * MINUTE).drop("PersistentVolumeClaim", "a", "pvc-protection-controller"),
        "violated",
    ),
    "volume-in-use-protection": (
        Story().put(claim("a", "v", "Bound"))
        .put(volume("v", phase="Bound", claimRef={"namespace": "default", "name": "a", "uid": "uid-a"}))
        .drop("PersistentVolume", "v", "persistentvolume-binder"),
        "violated",
    ),
    "retain-honoured": (
        Story().put(volume("v", phase="Released", persistentVolumeReclaimPolicy="Retain"))
        .drop("PersistentVolume", "v", "persistentvolume-binder"),
        "violated",
    ),
    "one-writer": (
        Story().put(volume("v", nfs={"server": "s", "path": "/"})).row("Volume", "v", "SecondWriter", nodes=["a", "b"]),
        "not attachable",
    ),
    "bound-once": (Story().put(pod("p", owner=False)).put(pod("p", owner=False, spec={"nodeName": "m"})), "violated"),
    "phase-forward": (
        Story().put(pod("p", owner=False)).put(pod("p", owner=False, phase="Pending")), "violated",
    ),
    "schedulable-node": (
        Story().put(node(unschedulable=True)).wait(MINUTE).put(pod("p", owner=False, spec={"nodeName": ""}))
        .put(pod("p", owner=False), "kube-scheduler"),
        "violated",
    ),
    "requested-node": (
        Story().put(node()).put(pod("p", owner=False, spec={"nodeName": "", "nodeSelector": {"a": "b"}}))
        .put(pod("p", owner=False, spec={"nodeSelector": {"a": "b"}}), "kube-scheduler"),
        "violated",
    ),
    "grace-honoured": (
        Story().put(pod("p", "p", owner=False)).container("p", "Started", "p").wait(MINUTE)
        .put(pod("p", "p", owner=False, deleting=True)).container("p", "SIGTERM", "p").wait(3 * SECOND)
        .container("p", "Exited", "p", code=137),
        "violated",
    ),
    "prestop-before-sigterm": (
        Story().put(pod("p", "p", owner=False, spec=HOOK)).container("p", "Started", "p")
        .container("p", "HookBegan", "p", hook="preStop").wait(3 * SECOND).container("p", "SIGTERM", "p"),
        "violated",
    ),
    "object-outlives-processes": (
        Story().put(pod("p", "p", owner=False)).container("p", "Started", "p").wait(SECOND).drop("Pod", "p", "podgc"),
        "pod garbage collection",
    ),
    "init-before-main": (
        Story().put(pod("p", "p", owner=False, spec=INIT)).container("p", "Started", "p"), "violated",
    ),
    "restart-policy": (
        Story().put(pod("p", "p", owner=False, spec={"restartPolicy": "Never"}))
        .container("p", "Started", "p", restart=1),
        "violated",
    ),
    "one-instance-per-container": (
        Story().put(pod("p", "p", owner=False)).container("p", "Started", "p").container("p", "Started", "p"),
        "violated",
    ),
    "liveness-after-startup": (
        Story().put(pod("p", "p", owner=False, spec=STARTUP)).container("p", "Started", "p")
        .container("p", "Probe", "p", probe="liveness", passes=False),
        "violated",
    ),
    "ready-needs-probe": (
        Story().put(pod("p", "p", owner=False, spec=READINESS))
        .put(pod("p", "p", owner=False, ready=True, spec=READINESS)),
        "violated",
    ),
    "failed-probe-turns-unready": (
        Story().put(pod("p", "p", owner=False, spec=READINESS))
        .container("p", "Probe", "p", probe="readiness", passes=True)
        .put(pod("p", "p", owner=False, ready=True, spec=READINESS)).wait(SECOND)
        .container("p", "Probe", "p", probe="readiness", passes=False).wait(MINUTE),
        "violated",
    ),
    "failed-liveness-restarts": (
        Story().put(pod("p", "p", owner=False)).container("p", "Started", "p")
        .container("p", "Probe", "p", probe="liveness", passes=False).wait(MINUTE),
        "violated",
    ),
    "budget-honoured": (
        Story().put(budget(0, 2)).put(pod("web-0", ready=True)).put(pod("web-1", ready=True)).wait(MINUTE)
        .put(pod("web-1", ready=True, deleting=True, evicted=True)),
        "violated",
    ),
    "budget-status": (Story().put(budget(0, 2)).put(pod("web-0", ready=True)).wait(MINUTE), "violated"),
    "quota-honoured": (
        Story()
        .put({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta("q"), "spec": {"hard": {"pods": "0"}}})
        .wait(MINUTE).put(pod("p", owner=False)),
        "violated",
    ),
    "settles": (begun(replicas=1).wait(30 * MINUTE), "violated"),
    "rollback-rolls-back": (
        begun(replicas=1).put(pod("web-0")).put(revision(2)).wait(30 * MINUTE), "order",
    ),
    "drain-ends": (Story().step("kubectl", what="kubectl drain n").wait(30 * MINUTE), "violated"),
    "garbage-collected": (
        begun(replicas=1).put(pod("web-0")).drop("StatefulSet", "web", "kubectl").wait(30 * MINUTE), "violated",
    ),
    "majority-stays-ready": (
        begun().put(pod("web-0", ready=True)).put(pod("web-1", ready=True)).wait(MINUTE).put(pod("web-1")),
        "a failing pod",  # a wish says what brought it about
    ),
    "wait-for-first-consumer": (
        Story().put(storage_class("WaitForFirstConsumer")).put(claim("a")).put(provisioned(storageClassName="disk")),
        "violated",
    ),
    "delete-honoured": (
        Story().put(provisioned("Released", persistentVolumeReclaimPolicy="Delete")).wait(30 * MINUTE), "violated",
    ),
    "single-attach": (Story().put(volume("v")).put(attachment("a")).put(attachment("b")), "violated"),
    "volume-topology": (
        Story().put(node()).put(claim("a", "v", "Bound")).put(volume("v", nodeAffinity=only_from("m")))
        .put(pod("p", owner=False, spec={**WITH_DATA, "nodeName": ""}))
        .put(pod("p", owner=False, spec=WITH_DATA), SCHEDULER),
        "violated",
    ),
    "anti-affinity": (placed(APART), "violated"),
    "resources-fit": (placed(GREEDY), "violated"),
    "one-budget": (
        Story().put(budget(1, 0)).put({**budget(1, 0), "metadata": meta("other")}).put(pod("web-0", ready=True))
        .wait(MINUTE).put(pod("web-0", ready=True, deleting=True, evicted=True)),
        "violated",
    ),
    "not-ready-out-of-endpoints": (
        Story().put(node()).put(service()).put(pod("web-0", ready=True)).put(endpoint("web-0")).wait(MINUTE)
        .put(pod("web-0")).wait(MINUTE),
        "violated",
    ),
    "ready-into-endpoints": (
        Story().put(node()).put(service()).put(pod("web-0", ready=True)).wait(MINUTE), "violated",
    ),
    "endpoints-selected": (
        Story().put(service(app="other")).put(pod("web-0")).wait(MINUTE).put(endpoint("web-0"), "endpointslice"),
        "violated",
    ),
    "max-surge": (
        Story().put(deployment(ROLLING)).put(replica_set("old", 3)).wait(MINUTE).put(replica_set("new", 2), DEPLOYER),
        "violated",
    ),
    "max-unavailable": (
        Story().put(deployment(ROLLING)).put(replica_set("old", 3)).put(replica_set("new", 1))
        .put(pod_of("old", "a", ready=True)).put(pod_of("old", "b", ready=True)).put(pod_of("old", "c", ready=True))
        .wait(MINUTE).put(replica_set("old", 2), DEPLOYER),
        "violated",
    ),
    "recreate-does-not-overlap": (
        Story().put(deployment({"type": "Recreate"})).put(replica_set("old", 0)).put(replica_set("new", 3))
        .put(pod_of("old", "a", deleting=True)).wait(MINUTE).put(pod_of("new", "b"), "replicaset-controller"),
        "violated",
    ),
    "toleration-honoured": (
        Story().put(node()).put(pod("p", owner=False)).wait(MINUTE)
        .put(pod("p", owner=False, deleting=True), "tainteviction"),
        "violated",
    ),
    "acknowledged-writes-kept": (Story().row("Application", "db", "Lost", cause="unflushed"), "unflushed"),
    "one-leader": (Story().row("Application", "db", "TwoLeaders", members=["db-0"]), "split brain"),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_is_found(name: str) -> None:
    story, verdict = STORIES[name]
    assert story.found().get(name) == verdict


def test_every_guarantee_has_a_story() -> None:
    assert set(STORIES) == set(GUARANTEES)


def test_a_phase_that_was_patched_by_hand_is_no_violation() -> None:
    story = begun().put(pod("web-0", phase="Succeeded"), "kubelet/n")
    story.put(pod("web-0", phase="Failed"), "kubectl")
    assert story.found()["phase-forward"] == "manual edit"


def test_a_detach_that_failed_is_no_violation() -> None:
    story = Story().put(volume("v")).put(attachment("a", detachError={"message": "deadline exceeded"}))
    assert story.put(attachment("b")).found()["single-attach"] == "failed detach"


def test_a_node_chosen_before_its_volume_was_there_may_have_changed() -> None:
    """The scheduler chooses, then waits for the volume, and then binds."""
    story = Story().put(claim("a")).put(pod("p", owner=False, spec={**WITH_DATA, "nodeName": ""}))
    story.wait(20 * 366 * 24 * 60 * MINUTE).put(node(unschedulable=True)).wait(MINUTE)
    assert "schedulable-node" not in story.put(pod("p", owner=False, spec=WITH_DATA), SCHEDULER).found()


def test_a_forced_deletion_is_no_violation() -> None:
    story = begun().put(pod("web-0", "a")).container("web-0", "Started", "a").wait(SECOND)
    story.drop("Pod", "web-0", "kubectl").put(pod("web-0", "b")).wait(SECOND).container("web-0", "Started", "b")
    assert story.found()["unique-identity"] == "forced deletion"


def test_what_is_younger_than_a_cache_is_not_held_against_the_controller() -> None:
    ready = begun().put(pod("web-0", ready=True)).wait(MINUTE)
    ready.put(pod("web-0")).wait(SECOND).put(pod("web-1"), STS)
    assert "ordered-start" not in ready.found()


def test_liveness_is_not_judged_before_its_time() -> None:
    assert "settles" not in begun(replicas=1).wait(30 * MINUTE).step("node-crash", what="").wait(MINUTE).found()


# ---- what Kubernetes itself shows, told apart from what it does not -------------------------------------------------

FORMER: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "name": "web-0", "uid": "former"}
CLAIMS: dict[str, Any] = {"replicas": 1, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}


def scaled_down_and_up(after: int = 0, **owned: Any) -> Story:
    """A pod goes, then its claim; the controller looked in between, and once more some time after the claim."""
    owner = owned or {"ownerReferences": [FORMER]}
    story = begun(**CLAIMS).put(pod("web-0", "former")).put(claim("data-web-0", **owner)).wait(MINUTE)
    story.drop("Pod", "web-0", "kubelet/n").put(stateful_set(**CLAIMS), STS).wait(10_000_000)
    story.drop("PersistentVolumeClaim", "data-web-0", "pvc-protection-controller")
    if after:
        story.wait(after).put(stateful_set(**CLAIMS), STS)
    return story.wait(30 * MINUTE)


def drained(node_of_pod: str = "n", on: str = "n", **labels: str) -> Story:
    """A drain of a node goes on for ever; a pod of a budget that allows nothing is on a node, and is Ready."""
    story = Story().put(node()).put(node("m")).put(budget(0, 2))
    web = pod("web-0", ready=True, spec={"nodeName": node_of_pod})
    web["metadata"]["labels"] |= labels
    return story.put(web).step("kubectl", what=f"kubectl drain {on} --ignore-daemonsets").wait(30 * MINUTE)


def test_a_budget_holds_up_the_drain_of_its_pods_nodes_only() -> None:
    assert drained().found()["drain-ends"] == "budget"
    assert drained(on="--selector=pool=old").found()["drain-ends"] == "budget"
    assert drained(node_of_pod="m").found()["drain-ends"] == "violated"
    assert drained(app="other").found()["drain-ends"] == "violated"


def test_a_claim_of_the_former_pod_keeps_the_controller_from_making_the_next_one() -> None:
    assert scaled_down_and_up().found()["settles"] == "stale claim"
    assert scaled_down_and_up(after=SECOND).found()["settles"] == "stale claim", "its cache may still have the claim"


def test_a_controller_that_looks_again_after_the_stale_claim_went_has_to_make_the_pod() -> None:
    assert scaled_down_and_up(after=MINUTE).found()["settles"] == "violated"
    restarted = scaled_down_and_up().step("controller-manager-restart", target="", **{"for": None}).wait(30 * MINUTE)
    assert restarted.found()["settles"] == "violated"


@pytest.mark.parametrize(
    ("fault", "lasts", "gone_after", "verdict"),
    [
        ("controller-manager-restart", None, 5, "violated"),  # another instance leads after 13 s at the earliest
        ("controller-manager-restart", None, 12, "stale claim"),  # its cache may still have had the claim
        ("controller-manager-restart", 40, 30, "violated"),
        ("controller-manager-restart", 0, 5, "stale claim"),
        ("apiserver-outage", 11, 5, "violated"),  # the old instance has lost its Lease
        ("apiserver-outage", 9, 5, "stale claim"),  # it works on, and hears of what has changed only
    ],
)
def test_controllers_that_begin_anew_look_when_they_lead(
    fault: str, lasts: int | None, gone_after: int, verdict: str
) -> None:
    story = begun(**CLAIMS).put(pod("web-0", "former"))
    story.put(claim("data-web-0", ownerReferences=[FORMER])).wait(MINUTE).drop("Pod", "web-0", "kubelet/n")
    story.step(fault, target="", **{"for": None if lasts is None else lasts * SECOND}).wait(gone_after * SECOND)
    story.drop("PersistentVolumeClaim", "data-web-0", "pvc-protection-controller").wait(30 * MINUTE)
    assert story.found()["settles"] == verdict


@pytest.mark.parametrize(("lasts", "judged"), [(None, 24), (0, 0), (50, 50)])
def test_patience_begins_when_the_last_disturbance_is_over(lasts: int | None, judged: int) -> None:
    def found(after: int) -> dict[str, str]:
        story = begun().step("controller-manager-restart", **{"for": None if lasts is None else lasts * SECOND})
        return story.wait(15 * MINUTE + after * SECOND).found()

    assert found(judged)["settles"] == "violated"
    assert judged == 0 or "settles" not in found(judged - 1)


@pytest.mark.parametrize(("lasts", "verdict"), [(None, "apiserver-outage"), (MINUTE, "violated")])
def test_nobody_makes_a_pod_while_the_api_server_is_down(lasts: int | None, verdict: str) -> None:
    assert begun().step("apiserver-outage", **{"for": lasts}).wait(30 * MINUTE).found()["settles"] == verdict


def test_a_claim_that_was_nobodys_does_not_keep_the_controller_from_making_the_pod() -> None:
    assert scaled_down_and_up(ownerReferences=[OWNER]).found()["settles"] == "violated"


def test_a_claim_that_is_there_again_is_not_stale() -> None:
    again = scaled_down_and_up().put(claim("data-web-0"), STS)
    assert again.found()["settles"] == "violated"


PROBED = {
    "containers": [
        {"name": "app", "image": "a", "livenessProbe": {"exec": {}, "terminationGracePeriodSeconds": 2}},
    ]
}  # fmt: skip


def killed_by_probe(cut: str = "node-partition", on: str = "n", probe: bool = True, after: int = 2) -> Story:
    """A pod is deleted with 30 s of grace; 5 s later its container gets SIGTERM, and SIGKILL after some seconds."""
    story = Story().put(node()).put(pod("p", "p", owner=False, spec=PROBED)).container("p", "Started", "p")
    story.step(cut, target=on, **{"for": None}).wait(MINUTE)
    story.put(pod("p", "p", owner=False, deleting=True, spec=PROBED)).wait(5 * SECOND)
    if probe:
        story.container("p", "Probe", "p", probe="liveness", passes=False)
    return story.container("p", "SIGTERM", "p").wait(after * SECOND).container("p", "Exited", "p", code=137)


@pytest.mark.parametrize("cut", [("node-partition", "n"), ("node-isolation", "n"), ("apiserver-outage", "")])
def test_a_probe_kills_with_its_own_grace_where_the_deletion_was_not_heard(cut: tuple[str, str]) -> None:
    assert killed_by_probe(*cut).found()["grace-honoured"] == "deletion not heard"


@pytest.mark.parametrize(
    "story",
    [
        killed_by_probe("node-slow"),
        killed_by_probe("node-partition", "another"),
        killed_by_probe(probe=False),
        killed_by_probe(after=1),
    ],
    ids=["the kubelet can hear", "another node is cut off", "no probe has failed", "sooner than the probe allows"],
)
def test_a_kill_that_nothing_explains_is_a_violation(story: Story) -> None:
    assert story.found()["grace-honoured"] == "violated"


def test_a_cut_is_over_when_it_has_ended_and_the_kubelet_has_listed_again() -> None:
    story = Story().put(node()).put(pod("p", "p", owner=False, spec=PROBED)).container("p", "Started", "p")
    story.step("node-partition", target="n", **{"for": MINUTE}).wait(3 * MINUTE)
    story.put(pod("p", "p", owner=False, deleting=True, spec=PROBED)).wait(5 * SECOND)
    story.container("p", "Probe", "p", probe="liveness", passes=False)
    story.container("p", "SIGTERM", "p").wait(2 * SECOND).container("p", "Exited", "p", code=137)
    assert story.found()["grace-honoured"] == "violated"


def running(made: dict[str, Any], **state: Any) -> dict[str, Any]:
    made["status"]["containerStatuses"] = [{"name": "app", "ready": False, "state": state or {"running": {}}}]
    return made


def test_a_parallel_rollout_waits_for_the_higher_pod_that_the_new_template_broke() -> None:
    story = begun(replicas=2, podManagementPolicy="Parallel").put(revision(2)).put(running(pod("web-0", rev=1)))
    story.put(running(pod("web-1", rev=2))).wait(30 * MINUTE)
    assert story.found()["rollback-rolls-back"] == "bad template"


def test_a_parallel_rollout_waits_for_no_pod_that_is_ready() -> None:
    story = begun(replicas=2, podManagementPolicy="Parallel").put(revision(2)).put(running(pod("web-0", rev=1)))
    story.put(pod("web-1", rev=2, ready=True)).wait(30 * MINUTE)
    assert story.found()["rollback-rolls-back"] == "violated"


def test_a_pod_that_has_ended_is_replaced_whatever_the_others_do() -> None:
    story = begun(replicas=1).put(revision(2)).put(pod("web-0", rev=1, phase="Failed")).wait(30 * MINUTE)
    assert story.found()["rollback-rolls-back"] == "violated"


@pytest.mark.parametrize(("ago", "verdict"), [(4 * MINUTE, "never ready"), (8 * MINUTE, "violated")])
def test_a_container_that_has_ended_waits_for_five_minutes_at_most(ago: int, verdict: str) -> None:
    story = begun(replicas=1).put(node()).wait(30 * MINUTE)
    story.put(running(pod("web-0"), terminated={"exitCode": 2, "finishedAt": format_time(story.now)})).wait(ago)
    assert story.found()["settles"] == verdict


def test_the_younger_of_two_revisions_of_one_number_is_the_newest() -> None:
    """A controller whose cache lacks the newest revision gives its number again."""
    twin = {**revision(1), "metadata": meta("web-r1b", ownerReferences=[OWNER])}
    story = begun().put(twin, STS).wait(MINUTE)
    made = pod("web-0")
    made["metadata"]["labels"]["controller-revision-hash"] = "web-r1b"
    assert "revision-of-new-pods" not in story.put(made, STS).found()
    old = begun().put(twin, STS).wait(MINUTE).put(pod("web-0"), STS)
    assert old.found()["revision-of-new-pods"] == "violated"


@pytest.mark.parametrize(("after", "found"), [(SECOND, False), (MINUTE, True)])
def test_a_claim_may_go_while_its_pod_is_being_given_a_node(after: int, found: bool) -> None:
    waits = pod("p", owner=False, spec={**WITH_DATA, "nodeName": ""})
    story = Story().put(claim("a")).put(waits).wait(MINUTE).put(pod("p", owner=False, spec=WITH_DATA), SCHEDULER)
    story.wait(after).drop("PersistentVolumeClaim", "a", "pvc-protection-controller")
    assert ("claim-in-use-protection" in story.found()) is found


def test_a_pod_of_somebody_else_has_the_name() -> None:
    assert begun(replicas=1).put(pod("web-0", owner=False)).wait(30 * MINUTE).found()["settles"] == "name taken"


def test_a_quota_excuses_those_only_whose_pods_it_refused() -> None:
    story = begun(replicas=1).row("Event", "web", "FailedCreate", message="pods is forbidden: exceeded quota: q")
    assert story.wait(30 * MINUTE).found()["settles"] == "quota"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta("q"), "spec": {"hard": {"pods": "9"}}}
    assert begun(replicas=1).put(quota).wait(30 * MINUTE).found()["settles"] == "violated"


def labelled(made: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {**made, "metadata": {**made["metadata"], "labels": labels}}


EDITS: dict[str, tuple[Story, str]] = {
    "the phase of a pod that nobody owns": (
        Story().put(pod("p", owner=False)).put(pod("p", owner=False, phase="Pending"), "kubectl"), "phase-forward",
    ),
    "the claim of a volume": (
        Story().put(claim("a", "v", "Bound")).put(claim("a", "w", "Bound"), "kubectl"), "binding-permanent",
    ),
    "the labels of a node": (
        Story().put(node()).put(labelled(node(), a="c"), "kubectl")
        .put(pod("p", owner=False, spec={"nodeName": "", "nodeSelector": {"a": "b"}}))
        .put(pod("p", owner=False, spec={"nodeSelector": {"a": "b"}}), SCHEDULER),
        "requested-node",
    ),
    "the policy of a volume": (
        Story().put(volume("v", phase="Released", persistentVolumeReclaimPolicy="Delete"))
        .put(volume("v", phase="Released", persistentVolumeReclaimPolicy="Retain"), "kubectl")
        .drop("PersistentVolume", "v", "persistentvolume-binder"),
        "retain-honoured",
    ),
    "the owners of a claim": (
        begun(volumeClaimTemplates=[{"metadata": {"name": "data"}}]).put(claim("data-web-0"))
        .put(claim("data-web-0", ownerReferences=[OWNER]), "kubectl").drop("PersistentVolumeClaim", "data-web-0", "gc"),
        "claims-survive",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_what_nobody_owns_can_be_edited_by_hand(what: str) -> None:
    story, guarantee = EDITS[what]
    assert story.found()[guarantee] == "manual edit"


def test_an_edit_excuses_only_what_it_is_about() -> None:
    story = Story().put(node()).put(labelled(node(), a="c"), "kubectl")
    story.put(pod("p", owner=False)).put(pod("p", owner=False, phase="Pending"), "kubelet/n")
    assert story.found()["phase-forward"] == "violated"


def test_a_cordon_is_no_edit() -> None:
    story = Story().put(node()).put(node(unschedulable=True), "kubectl")
    story.put(pod("p", owner=False, spec={"nodeName": "", "nodeSelector": {"a": "b"}}))
    story.put(pod("p", owner=False, spec={"nodeSelector": {"a": "b"}}), SCHEDULER)
    assert story.found()["requested-node"] == "violated"


def killed_early(fault: str, on: str, before: int, **lasts: int) -> Story:
    """A container is killed 3 s into 30 s of grace, some time after a fault."""
    story = Story().put(node()).put(pod("p", "p", owner=False)).container("p", "Started", "p")
    story.step(fault, target=on, **{"for": None, **lasts}).wait(before)
    story.put(pod("p", "p", owner=False, deleting=True)).container("p", "SIGTERM", "p").wait(3 * SECOND)
    return story.container("p", "Exited", "p", code=137)


@pytest.mark.parametrize(
    ("story", "verdict"),
    [
        (killed_early("kubelet-restart", "n", MINUTE), "kubelet-restart"),
        (killed_early("kubelet-restart", "another", MINUTE), "violated"),
        (killed_early("kubelet-restart", "n", 30 * MINUTE), "violated"),
        (killed_early("memory-pressure", "n", 30 * MINUTE), "memory-pressure"),
        (killed_early("memory-pressure", "n", 30 * MINUTE, **{"for": MINUTE}), "violated"),
        (killed_early("node-oom", "n", SECOND), "node-oom"),
    ],
    ids=["just now", "elsewhere", "long ago", "for ever", "over", "by the kernel"],
)
def test_a_fault_excuses_what_it_hits_for_a_while(story: Story, verdict: str) -> None:
    assert story.found()["grace-honoured"] == verdict


def test_a_zones_fault_excuses_what_is_on_its_nodes() -> None:
    placed = node()
    placed["metadata"]["labels"]["topology.kubernetes.io/zone"] = "z"
    for zone, verdict in (("z", "zone-outage"), ("y", "violated")):
        story = Story().put(placed).put(pod("p", owner=False)).step("zone-outage", target=zone, **{"for": SECOND})
        story.wait(SECOND)
        assert story.put(pod("p", owner=False, phase="Pending"), "kubelet/n").found()["phase-forward"] == verdict


HOOKED = {"containers": [{**HOOK["containers"][0], "livenessProbe": {"exec": {}, "terminationGracePeriodSeconds": 2}}]}


@pytest.mark.parametrize(("failed", "found"), [(True, False), (False, True)])
def test_a_hook_has_less_time_where_a_probe_has_failed(failed: bool, found: bool) -> None:
    story = Story().put(pod("p", "p", owner=False, spec=HOOKED)).container("p", "Started", "p")
    if failed:
        story.container("p", "Probe", "p", probe="liveness", passes=False)
    story.container("p", "HookBegan", "p", hook="preStop").wait(3 * SECOND).container("p", "SIGTERM", "p")
    assert ("prestop-before-sigterm" in story.found()) is found


def restarted(started: bool = True, asked: bool = False, after: int = 3 * SECOND, runs: bool = True) -> Story:
    """A container with a startup probe (every 10 s) is followed by another instance, whose liveness probe fails."""
    known = pod("p", "p", owner=False, spec=STARTUP)
    known["status"]["containerStatuses"] = [{"name": "app", "started": started, "state": {"running": {}}}]
    story = Story().put(known).container("p", "Started", "p").container("p", "Probe", "p", probe="startup", passes=True)
    story.wait(MINUTE).container("p", "Exited", "p", code=0).container("p", "Started", "p", restart=1)
    if asked:
        story.container("p", "Probe", "p", probe="startup", passes=None)
    story.wait(after)
    if not runs:
        story.container("p", "Exited", "p", code=1)
    return story.container("p", "Probe", "p", probe="liveness", passes=False)


def test_a_container_counts_as_started_where_its_former_instance_had() -> None:
    assert restarted().found()["liveness-after-startup"] == "former instance"


@pytest.mark.parametrize(
    "story",
    [restarted(started=False), restarted(asked=True), restarted(after=20 * SECOND)],
    ids=["the end of the former one was seen", "the startup probe had its turn", "it should have had its turn"],
)
def test_a_startup_gate_that_nothing_holds_open_is_closed(story: Story) -> None:
    assert story.found()["liveness-after-startup"] == "violated"


def test_probes_of_a_container_that_has_ended_count_as_failed() -> None:
    assert "liveness-after-startup" not in restarted(started=False, runs=False).found()


@pytest.mark.parametrize(
    ("evicted", "ago", "verdict"), [(False, SECOND, ""), (False, MINUTE, "violated"), (True, SECOND, "violated")]
)
def test_a_budget_does_not_know_yet_of_a_delete_but_of_an_eviction(evicted: bool, ago: int, verdict: str) -> None:
    story = Story().put(budget(1, 1)).put(pod("web-0", ready=True)).put(pod("web-1", ready=True)).wait(MINUTE)
    story.put(pod("web-1", ready=True, deleting=True, evicted=evicted)).wait(ago)
    story.put(pod("web-0", ready=True, deleting=True, evicted=True))
    assert story.found().get("budget-honoured", "") == verdict


MADE: dict[str, Any] = {
    "csi": {"driver": "d", "volumeHandle": "v"},
    "claimRef": {"namespace": "default", "name": "a", "uid": "uid-a"},
}


def written_twice(deleted: str = "", pulled: str = "") -> Story:
    """A volume is written on two nodes, after a pod was deleted by force or a volume taken from its node."""
    story = Story().put(node()).put(volume("v", **MADE)).put(volume("w", **MADE))
    if deleted:
        claimed = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": deleted}}]}
        story.put(pod("p", owner=False, spec=claimed)).wait(SECOND).drop("Pod", "p", "kubectl").wait(SECOND)
    if pulled:
        story.row("Volume", pulled, "PulledAway", node="n").wait(SECOND)
    return story.row("Volume", "v", "SecondWriter", nodes=["a", "b"])


@pytest.mark.parametrize(
    ("story", "verdict"),
    [
        (written_twice(), "violated"),
        (written_twice(deleted="a"), "forced deletion"),
        (written_twice(deleted="b"), "violated"),
        (written_twice(pulled="v"), "forced detach"),
        (written_twice(pulled="w"), "violated"),
    ],
    ids=["nothing happened", "its pod was deleted", "another pod was", "it was taken away", "another volume was"],
)
def test_a_second_writer_is_explained_by_what_happened_to_its_own_volume(story: Story, verdict: str) -> None:
    assert story.found()["one-writer"] == verdict


@pytest.mark.parametrize(("kind", "verdict"), [("PersistentVolume", "finalizers removed"), ("Pod", "violated")])
def test_finalizers_that_were_removed_excuse_only_their_kind(kind: str, verdict: str) -> None:
    about = {"namespace": "default", "name": "a", "uid": "uid-a"}
    bound = volume("v", phase="Bound", claimRef=about)
    other = pod("p", owner=False)
    for made in (bound, other):
        made["metadata"]["finalizers"] = ["x"]
    story = Story().put(claim("a", "v", "Bound")).put(bound).put(other)
    chosen = bound if kind == "PersistentVolume" else other
    story.put({**chosen, "metadata": {**chosen["metadata"], "finalizers": []}}, "kubectl")
    assert story.drop("PersistentVolume", "v", "kubectl").found()["volume-in-use-protection"] == verdict


@pytest.mark.parametrize(("deleted", "verdict"), [("n", "node deleted"), ("other", "violated")])
def test_a_countdown_outlives_its_own_node_only(deleted: str, verdict: str) -> None:
    story = Story().put(node("other")).put(node()).put(pod("p", owner=False)).wait(MINUTE)
    story.drop("Node", deleted).put(node(deleted)).wait(MINUTE)
    assert story.put(pod("p", owner=False, deleting=True), "tainteviction").found()["toleration-honoured"] == verdict


def tainted(key: str, second: int) -> dict[str, Any]:
    added = f"2026-01-01T00:00:{second:02d}Z"
    return node(taints=[{"key": f"node.kubernetes.io/{key}", "effect": "NoExecute", "timeAdded": added}])


@pytest.mark.parametrize(
    ("between", "evicted_at", "verdict"),
    [(None, 300, None), (None, 290, "violated"), (node(), 300, "violated")],
    ids=["one in place of the other", "too early", "none for a moment"],
)
def test_a_countdown_goes_on_when_one_taint_takes_the_place_of_another(
    between: dict[str, Any] | None, evicted_at: int, verdict: str | None
) -> None:
    bears = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    story = Story().put(node()).put(pod("p", owner=False, spec={"tolerations": bears})).put(tainted("not-ready", 0))
    story.wait(49 * SECOND)
    if between is not None:
        story.put(between)
    story.wait(SECOND).put(tainted("unreachable", 50)).wait((evicted_at - 50) * SECOND)
    story.put(pod("p", owner=False, deleting=True, spec={"tolerations": bears}), "tainteviction")
    assert story.found().get("toleration-honoured") == verdict


def quota(counted: bool = True) -> dict[str, Any]:
    made = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta("q"), "spec": {"hard": {"pods": "1"}}}
    return {**made, "status": {"hard": {"pods": "1"}}} if counted else made


@pytest.mark.parametrize(
    ("early", "after", "verdict"), [(1, MINUTE, "uncounted pods"), (1, 6 * MINUTE, "violated"), (0, MINUTE, "violated")]
)
def test_a_quota_may_not_know_of_pods_that_were_there_before_it_was_counted(
    early: int, after: int, verdict: str
) -> None:
    story = Story().put(quota(counted=False))
    if early:
        story.put(pod("early", owner=False))  # its creationTimestamp is long ago
    story.put(quota()).wait(after)
    for name in ("a", "b")[early:]:
        late = pod(name, owner=False)
        late["metadata"]["creationTimestamp"] = format_time(story.now)
        story.put(late)
    assert story.found()["quota-honoured"] == verdict


@pytest.mark.parametrize(
    ("before", "verdict"), [(10 * SECOND, "controller-manager-restart"), (30 * MINUTE, "violated")]
)
def test_a_budget_is_as_old_as_the_view_of_the_controller_that_has_gone(before: int, verdict: str) -> None:
    story = Story().put(budget(0, 2)).put(pod("web-0", ready=True)).put(pod("web-1", ready=True)).wait(MINUTE)
    story.step("controller-manager-restart", **{"for": None}).wait(before)
    story.put(pod("web-1", ready=True, deleting=True, evicted=True))
    assert story.found()["budget-honoured"] == verdict


@pytest.mark.parametrize(("app", "verdict"), [("web", "node deleted"), ("db", "violated")])
def test_a_service_is_stuck_only_by_a_pod_of_its_own_on_a_node_that_is_gone(app: str, verdict: str) -> None:
    story = Story().put(node()).put(node("gone")).put(service()).put(pod("web-0", ready=True))
    other = pod("web-1", ready=True, spec={"nodeName": "gone"})
    other["metadata"]["labels"]["app"] = app
    story.put(other).wait(MINUTE).drop("Node", "gone").wait(MINUTE)
    assert story.found()["ready-into-endpoints"] == verdict
    story.put(endpoint("web-0")).wait(MINUTE).put(pod("web-0")).wait(MINUTE)
    assert story.found()["not-ready-out-of-endpoints"] == verdict
