"""Back-off, grace, hooks, pull policies, admission: small pure rules."""

from typing import Any

import pytest

from k8sim.api.core import Container, ExecAction, LifecycleHandler, Node, Pod, PodSpec, Probe, SleepAction
from k8sim.api.meta import with_meta
from k8sim.api.resources import pod_requests
from k8sim.api.scheme import decode
from k8sim.kubelet.admission import admit
from k8sim.kubelet.backoff import Backoff
from k8sim.kubelet.grace import after, container_grace_period, effective_grace_period, stop_timeout
from k8sim.kubelet.hooks import hook_course
from k8sim.kubelet.images import what_image_needs
from k8sim.kubelet.termination import prerequisites
from k8sim.sim.units import SECOND
from tests.kubelet.bench import Bench, image

S = SECOND


def test_back_off_doubles_from_the_finish_of_the_crashed_instance():
    backoff = Backoff()
    assert backoff.expiry_since("k", 5 * S, 6 * S) is None
    delays = []
    now = 0
    for _ in range(7):
        backoff.next("k", now, now)
        delays.append(backoff.delay_ns("k") // S)
        assert backoff.expiry_since("k", now, now + 1) == now + delays[-1] * S
        assert backoff.expiry_since("k", now, now + delays[-1] * S) is None
        now += delays[-1] * S
    assert delays == [10, 20, 40, 80, 160, 300, 300]


def test_back_off_of_a_container_that_ran_long_is_over_but_doubles():
    backoff = Backoff()
    backoff.next("k", 0, 0)
    assert backoff.expiry_since("k", 100 * S, 101 * S) == 110 * S
    backoff.next("k", 100 * S, 120 * S)
    assert backoff.delay_ns("k") == 20 * S


def test_back_off_resets_after_twice_the_maximum():
    backoff = Backoff()
    for now in (0, 10, 40):
        backoff.next("k", now * S, now * S)
    late = 40 * S + 601 * S
    assert backoff.expiry_since("k", late, late + S) is None
    backoff.next("k", late, late + S)
    assert backoff.delay_ns("k") == 10 * S


def test_a_short_maximum_shortens_the_first_delay():
    backoff = Backoff(max_ns=3 * S)
    backoff.next("k", 0, 0)
    assert backoff.delay_ns("k") == 3 * S


def test_pull_back_off_counts_from_the_failure():
    backoff = Backoff()
    backoff.next("k", 5 * S, 5 * S)
    assert backoff.expiry_since_update("k", 14 * S) == 15 * S
    assert backoff.expiry_since_update("k", 15 * S) is None


def graceful(spec: int = 30, own: int | None = None) -> Pod:
    probe = Probe(termination_grace_period_seconds=5)
    container = Container(name="a", liveness_probe=probe, startup_probe=Probe())
    pod = Pod(spec=PodSpec(containers=(container,), termination_grace_period_seconds=spec))
    return with_meta(pod, deletion_grace_period_seconds=own)


@pytest.mark.parametrize(
    ("current", "pod", "override", "grace"),
    [
        (0, graceful(30), None, 30),
        (0, graceful(30, 10), None, 10),
        (0, graceful(30, 0), None, 30),  # force deletion: the spec's grace
        (0, graceful(30), 1, 1),
        (10, graceful(30, 20), None, 10),  # it only shrinks
        (10, graceful(30, 3), None, 3),
        (0, graceful(0), None, 1),  # never less than 1
    ],
)
def test_grace_of_a_pod(current: int, pod: Pod, override: int | None, grace: int):
    assert effective_grace_period(current, pod, override) == grace


@pytest.mark.parametrize(
    ("pod", "reason", "grace"),
    [
        (graceful(30), "", 30),
        (graceful(30), "Liveness", 5),
        (graceful(30), "Startup", 30),
        (graceful(30, 12), "Liveness", 12),  # the deletion's grace
    ],
)
def test_grace_of_a_container(pod: Pod, reason: Any, grace: int):
    assert container_grace_period(pod, pod.spec.containers[0], reason) == grace


def test_used_grace_counts_in_whole_seconds_and_sigkill_waits_two():
    assert after(30, 3_900_000_000) == 27
    assert stop_timeout(0) == stop_timeout(1) == 2
    assert stop_timeout(7) == 7


@pytest.mark.parametrize(
    ("command", "duration", "succeeds"),
    [
        (("sleep", "3"), 3 * S, True),
        (("/bin/sleep", "0.5"), S // 2, True),
        (("sh", "-c", "sleep 10"), 10 * S, True),
        (("false",), 0, False),
        (("true",), 0, True),
        (("/scripts/drain.sh",), None, True),
        ((), None, True),
    ],
)
def test_exec_hooks(command: tuple[str, ...], duration: int | None, succeeds: bool):
    course = hook_course(LifecycleHandler(exec=ExecAction(command=command)))
    assert (course.duration_ns, course.succeeds, course.in_container) == (duration, succeeds, True)


def test_sleep_hook_waits_in_the_kubelet():
    course = hook_course(LifecycleHandler(sleep=SleepAction(seconds=4)))
    assert (course.duration_ns, course.in_container) == (4 * S, False)


@pytest.mark.parametrize(
    ("policy", "present", "need"),
    [
        ("Always", True, "pull"),
        ("Always", False, "pull"),
        ("IfNotPresent", True, "present"),
        ("IfNotPresent", False, "pull"),
        ("Never", True, "present"),
        ("Never", False, "never"),
    ],
)
def test_pull_policies(policy: str, present: bool, need: str):
    assert what_image_needs(policy, present) == need


def test_sidecars_wait_for_the_others_and_for_later_sidecars():
    sides = tuple(Container(name=n, restart_policy="Always") for n in ("s1", "s2"))
    pod = Pod(spec=PodSpec(containers=(Container(name="m"),), init_containers=(*sides, Container(name="i"))))
    assert prerequisites(pod) == {"s2": ("m",), "s1": ("m", "s2")}


def node(**allocatable: str) -> Node:
    decoded = decode(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "node", "labels": {"disk": "ssd"}},
            "status": {"allocatable": allocatable},
        }
    )
    assert isinstance(decoded, Node)
    return decoded


def wants(**spec: Any) -> Pod:
    decoded = decode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
    assert isinstance(decoded, Pod)
    return decoded


CPU_3 = {"containers": [{"name": "c", "image": "i:1", "resources": {"requests": {"cpu": "3"}}}]}


@pytest.mark.parametrize(
    ("pod", "others", "reason"),
    [
        (wants(**CPU_3), [], None),
        (wants(**CPU_3), [wants(**CPU_3)], "OutOfcpu"),
        (wants(containers=[]), [wants(containers=[]), wants(containers=[])], "OutOfpods"),
        (wants(containers=[], nodeSelector={"disk": "hdd"}), [], "NodeAffinity"),
        (wants(containers=[], nodeSelector={"disk": "ssd"}), [], None),
    ],
)
def test_admission(pod: Pod, others: list[Pod], reason: str | None):
    rejection = admit(pod, node(cpu="4", pods="2"), [pod_requests(other) for other in others])
    assert (rejection.reason if rejection else None) == reason


def test_rejected_pod_is_failed_and_stays_so():
    bench = Bench(image(), capacity={"cpu": "4", "pods": "1"})
    bench.pod("first")
    bench.pod_at(1, "second")
    bench.delete_at(3, "first")
    bench.run(10)
    status = bench.stored("second").status
    assert (status.phase, status.reason) == ("Failed", "OutOfpods")
    assert not bench.rows("Container", "second")
