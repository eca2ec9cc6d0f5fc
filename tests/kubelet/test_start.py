"""Start of pods: order of steps, what shows when (node.md 1.13, 3.4)."""

import pytest

from k8sim.api.core import ConfigMap
from k8sim.api.meta import ObjectMeta
from k8sim.kubelet.images import is_valid_reference
from k8sim.kubelet.settings import KubeletSettings
from tests.kubelet.bench import READY, Bench, image

INIT = {"name": "init", "image": "init:v1"}


def test_without_probes_running_and_ready_come_together():
    bench = Bench()
    bench.pod()
    bench.run(3)
    assert bench.time("Ready") == bench.time("Phase", phase="Running") == bench.time("Started")
    assert bench.time("Ready") < 0.2


def test_post_start_holds_back_the_next_container_and_all_status():
    hook = {"postStart": {"exec": {"command": ["sleep", "5"]}}}
    bench = Bench()
    bench.pod("app", {"name": "a", "lifecycle": hook}, {"name": "b"})
    bench.run(4.9)
    assert bench.stored().status.phase == "Pending"
    assert bench.stored().status.container_statuses[0].state.running is None
    bench.run(8)
    begun = {r.detail["container"]: r.t for r in bench.rows("Container") if r.event == "Started"}
    assert begun["b"] - begun["a"] >= 5_000_000_000


def test_long_pull_shows_a_sandbox_but_no_address():
    bench = Bench(image(pull=30))
    bench.pod()
    bench.run(10)
    ready = bench.condition("PodReadyToStartContainers")
    assert ready is not None
    assert ready.status == "True"
    assert bench.stored().status.pod_ip == ""
    bench.run(35)
    assert bench.stored().status.pod_ip != ""
    assert bench.time("Phase", phase="Running") == pytest.approx(30.05, abs=0.1)


def test_host_network_pod_has_the_node_address_from_the_first_status():
    bench = Bench(image(pull=30))
    bench.pod("app", hostNetwork=True)
    bench.run(1)
    assert bench.stored().status.pod_ip == bench.machine.host_ip


def test_waiting_reason_depends_on_init_containers():
    bench = Bench(image(pull=30))
    bench.pod("plain")
    bench.pod("init", initContainers=[INIT])
    bench.run(1)
    plain, init = bench.stored("plain").status, bench.stored("init").status
    assert plain.container_statuses[0].state.waiting.reason == "ContainerCreating"
    assert init.container_statuses[0].state.waiting.reason == "PodInitializing"
    assert init.init_container_statuses[0].state.waiting.reason == "PodInitializing"


def test_one_container_without_image_keeps_the_pod_pending():
    bench = Bench(image("gone:*", missing=True), image())
    bench.pod("app", {"name": "a"}, {"name": "b", "image": "gone:v1"})
    bench.run(5)
    status = bench.stored().status
    assert status.phase == "Pending"
    assert status.container_statuses[0].state.running is not None
    assert not bench.times("Ready")


def test_pulls_of_a_node_are_serial():
    bench = Bench(image(pull=20))
    for name in ("a", "b", "c"):
        bench.pod(name, {"image": f"{name}:v1"})
    bench.run(70)
    started = sorted(bench.time("Started", name) for name in ("a", "b", "c"))
    assert started == pytest.approx([20, 40, 60], abs=0.3)


def test_parallel_pulls_are_parallel_between_pods():
    settings = KubeletSettings(serialize_image_pulls=False)
    bench = Bench(image(pull=20), settings=settings)
    for name in ("a", "b", "c"):
        bench.pod(name, {"image": f"{name}:v1"})
    bench.run(70)
    assert [bench.time("Started", n) for n in ("a", "b", "c")] == pytest.approx([20, 20, 20], abs=0.3)


def test_containers_of_one_pod_pull_one_after_the_other_all_the_same():
    settings = KubeletSettings(serialize_image_pulls=False)
    bench = Bench(image(pull=10), settings=settings)
    bench.pod("app", {"image": "a:v1"}, {"image": "b:v1"})
    bench.run(30)
    assert bench.time("Phase", phase="Running") == pytest.approx(20, abs=0.3)


def test_pull_rate_limit_fails_pulls_at_once():
    bench = Bench(settings=KubeletSettings(registry_pull_qps=1, registry_burst=2))
    for i in range(4):
        bench.pod(f"p{i}", {"image": f"i{i}:v1"})
    bench.run(3)
    waiting = [i for i in range(4) if bench.times("Waiting", f"p{i}", reason="ErrImagePull")]
    assert len(waiting) == 2


def test_registry_outage_hits_policy_always_only():
    bench = Bench(image(exit_after=5))
    bench.pod("always", {"imagePullPolicy": "Always"})
    bench.pod("local", {"imagePullPolicy": "IfNotPresent"})
    bench.at(2, lambda: setattr(bench.registry, "available", False))
    bench.run(25)
    assert bench.times("Started", "local", restart=1)
    assert not bench.times("Started", "always", restart=1)
    assert bench.times("Waiting", "always", reason="ErrImagePull")
    assert bench.stored("always").status.phase == "Running"


def test_init_containers_run_one_after_the_other_before_the_rest():
    bench = Bench(image("init:*", exit_after=2), image())
    bench.pod("app", initContainers=[{**INIT, "name": "i0"}, {**INIT, "name": "i1"}])
    bench.run(12)
    times = [bench.time("Started", container=c) for c in ("i0", "i1", "app")]
    assert times == sorted(times)
    assert times[1] >= 2
    assert times[2] >= times[1] + 2
    assert bench.time("Phase", phase="Running") == times[2]


def test_failing_init_container_fails_a_pod_that_never_restarts():
    bench = Bench(image("init:*", exit_after=1, exit_code=1), image())
    bench.pod("app", restartPolicy="Never", initContainers=[INIT])
    bench.run(6)
    assert bench.stored().status.phase == "Failed"
    assert not bench.times("Started", container="app")


def test_failing_init_container_is_retried_with_back_off():
    bench = Bench(image("init:*", exit_after=1, exit_code=1), image())
    bench.pod("app", initContainers=[INIT])
    bench.run(30)
    starts = bench.times("Started", container="init")
    assert starts[1] - starts[0] < 2.5
    assert starts[2] - starts[1] >= 10
    assert bench.stored().status.phase == "Pending"


def test_sidecar_gates_the_next_init_container_by_its_startup_probe():
    probe = {"exec": {"command": ["check", "startup"]}, "periodSeconds": 1, "failureThreshold": 30}
    side = {"name": "side", "image": "side:v1", "restartPolicy": "Always", "startupProbe": probe}
    bench = Bench(image("side:*", started=4), image("init:*", exit_after=1), image())
    bench.pod("app", initContainers=[side, INIT])
    bench.run(12)
    assert bench.time("Started", container="init") >= 4


def test_sidecar_restarts_whatever_the_pod_policy_says():
    side = {"name": "side", "image": "side:v1", "restartPolicy": "Always"}
    bench = Bench(image("side:*", exit_after=3), image())
    bench.pod("app", restartPolicy="Never", initContainers=[side])
    bench.run(6)
    assert bench.times("Started", container="side", restart=1)


def test_readiness_gate_holds_back_ready():
    bench = Bench()
    bench.pod("app", readinessGates=[{"conditionType": "example.com/open"}])
    bench.run(3)
    ready = bench.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "ReadinessGatesNotReady")


def test_changed_image_restarts_that_container_alone():
    bench = Bench(image(stop=1))
    bench.pod("app", {"name": "a"}, {"name": "b"})

    def patch() -> None:
        from k8sim.api.core import Pod
        from k8sim.api.struct import replace

        def change(pod: Pod) -> Pod:
            first, *rest = pod.spec.containers
            return replace(pod, spec=replace(pod.spec, containers=(replace(first, image="app:v2"), *rest)))

        bench.server.patch(Pod, "default", "app", change)

    bench.at(5, patch)
    bench.run(5)
    address = bench.stored().status.pod_ip
    bench.run(10)
    statuses = {s.name: s for s in bench.stored().status.container_statuses}
    assert (statuses["a"].restart_count, statuses["b"].restart_count) == (1, 0)
    assert statuses["a"].image == "app:v2"
    assert bench.stored().status.pod_ip == address


def test_post_start_failure_counts_as_a_crash():
    bench = Bench(image(stop=0.5))
    bench.pod("app", {"name": "a", "lifecycle": {"postStart": {"exec": {"command": ["false"]}}}})
    bench.run(8)
    reasons = [r.event for r in bench.rows("Event")]
    assert "FailedPostStartHook" in reasons
    assert len([r for r in bench.rows("Container") if r.event == "Started"]) == 2  # at once, then the back-off
    assert bench.stored().status.container_statuses[0].state.waiting is not None


def test_ready_probe_uses_the_first_status_that_shows_the_container():
    bench = Bench()
    bench.pod("app", {"readinessProbe": {**READY, "periodSeconds": 10}})
    bench.run(5)
    assert bench.time("Ready") < 0.3


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=data)


def test_container_waits_for_what_its_environment_names():
    bench = Bench()
    bench.server.create(config_map("here", k="v"))
    key = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "here", "key": "k"}}}
    bench.pod("fine", {"env": [key]})
    bench.pod("optional", {"envFrom": [{"secretRef": {"name": "none", "optional": True}}]})
    bench.pod("later", {"envFrom": [{"configMapRef": {"name": "later"}}]})
    bench.at(15, lambda: bench.server.create(config_map("later")))
    bench.run(45)
    assert bench.time("Started", "fine") < 0.2
    assert bench.time("Started", "optional") < 0.2
    assert bench.times("Waiting", "later", reason="CreateContainerConfigError")
    assert 15 <= bench.time("Started", "later") <= 31


def test_pod_waits_for_what_its_volumes_name():
    bench = Bench()
    bench.pod(
        "app",
        {"volumeMounts": [{"name": "cfg", "mountPath": "/cfg"}]},
        volumes=[{"name": "cfg", "configMap": {"name": "later", "items": [{"key": "k", "path": "k"}]}}],
    )
    bench.at(30, lambda: bench.server.create(config_map("later", k="v")))
    bench.run(20)
    assert bench.stored().status.pod_ip == ""
    assert not bench.rows("Container")
    bench.run(70)
    assert 30 <= bench.time("Started") <= 66
    assert "FailedMount" in [r.event for r in bench.rows("Event")]


@pytest.mark.parametrize("name", ["App:v1", "app:v1:v2", "-app", "app:" + "x" * 129])
def test_image_name_that_cannot_be_parsed(name: str):
    bench = Bench()
    bench.pod("app", {"image": name})
    bench.run(3)
    assert bench.times("Waiting", reason="InvalidImageName")


@pytest.mark.parametrize(
    "name", ["app", "app:v1", "reg.example.com:5000/team/app_x:1.2-rc.1", "a/b@sha256:" + "0" * 64]
)
def test_image_names_that_can_be_parsed(name: str):
    assert is_valid_reference(name)
