"""Laws of a node under random histories: nothing runs twice, and everything settles once faults stop."""

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_ready
from k8sim.apiserver.errors import ApiError
from tests.kubelet.bench import READY, Bench, image, seconds

NAMES = ("a", "b", "c")
LIVE = {"exec": {"command": ["check", "live"]}, "periodSeconds": 2, "failureThreshold": 2}
KINDS = (
    {"name": "plain", "image": "app:v1"},
    {"name": "probed", "image": "app:v1", "readinessProbe": READY, "livenessProbe": LIVE},
    {"name": "hooked", "image": "app:v1", "lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}}},
    {"name": "stubborn", "image": "stubborn:v1", "readinessProbe": READY},
)
STEPS = st.lists(
    st.tuples(
        st.floats(0.1, 60),
        st.sampled_from(
            ["create", "delete", "force", "exit", "unready", "hang", "crash", "boot", "cut", "heal", "restart"]
        ),
        st.sampled_from(NAMES),
        st.integers(0, len(KINDS) - 1),
    ),
    max_size=14,
)


def act(bench: Bench, what: str, name: str, kind: int) -> None:
    machine, key = bench.machine, ("default", name)
    now = bench.clock.now
    match what:
        case "create":
            if bench.get(name) is None:
                side = {"name": "side", "image": "app:v1", "restartPolicy": "Always"}
                bench.pod(
                    name,
                    dict(KINDS[kind]),
                    terminationGracePeriodSeconds=5,
                    initContainers=[side] if kind == 3 else [],
                )
        case "delete" | "force":
            try:
                grace = 0 if what == "force" else None
                bench.server.delete(Pod, "default", name, grace_period_seconds=grace)
            except ApiError:
                pass
        case "exit":
            machine.exit_container(key, None, 1)
        case "unready":
            machine.set_unready(key, now + seconds(5))
        case "hang":
            machine.set_hang(key, now + seconds(5))
        case "crash":
            machine.crash()
        case "boot":
            machine.boot_up()
        case "cut":
            machine.partition()
        case "heal":
            machine.heal()
        case "restart":
            machine.restart_kubelet()


@settings(max_examples=60)
@given(STEPS, st.integers(0, 5))
def test_a_node_settles_after_any_history(steps: list[tuple[float, str, str, int]], seed: int):
    bench = Bench(image("stubborn:*", stop=None, ready=1), image(stop=1, ready=1), seed=seed)
    for name in NAMES[:2]:
        act(bench, "create", name, 1)
    for at, what, name, kind in steps:
        bench.at(at, lambda what=what, name=name, kind=kind: act(bench, what, name, kind))
    bench.at(61, bench.machine.boot_up)
    bench.at(62, bench.machine.heal)
    bench.run(500)
    pods = bench.server.list(Pod)
    assert not [p.name for p in pods if p.deleting]
    for pod in pods:
        assert pod.status.phase == "Running", (pod.name, pod.status)
        assert is_pod_ready(pod), pod.status
    known = {p.uid for p in pods}
    assert {s.uid for s in bench.machine.pods()} == known
    assert_one_process_at_a_time(bench)
    before = bench.clock.events_scheduled
    bench.run(1500)
    assert bench.clock.events_scheduled - before < 10 + 3 * len(pods)


def assert_one_process_at_a_time(bench: Bench) -> None:
    """No container of a pod starts while its predecessor lives (pods of one name may overlap when forced)."""
    running: dict[str, set[str]] = {}
    for sandbox in bench.machine.pods():
        names = [c.record.name for c in sandbox.containers if c.running]
        assert len(names) == len(set(names))
        running[sandbox.uid] = set(names)
    assert len({s.sandboxes[-1].ip for s in bench.machine.pods()}) == len(running)
