"""Who was away, and for how long: small histories written by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from k8sim.api.apps import StatefulSet, StatefulSetSpec, StatefulSetStatus
from k8sim.api.core import ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus
from k8sim.api.meta import Condition, Object, ObjectMeta, OwnerReference, with_meta
from k8sim.api.struct import Time, replace
from k8sim.apiserver.watch import Change
from k8sim.report.readiness import Absence, Identity, readiness
from k8sim.sim.units import SECOND

READY = Condition(type="Ready", status="True")
UNREADY = Condition(type="Ready", status="False")


@dataclass
class History:
    """Changes in the order in which they are told."""

    changes: list[tuple[int, Change]] = field(default_factory=list)
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)

    def put(self, at: float, obj: Object, actor: str = "") -> None:
        old = self.objects.get((obj.kind, obj.name))
        self.objects[obj.kind, obj.name] = obj
        self.changes.append((round(at * SECOND), Change("MODIFIED" if old else "ADDED", old, obj, actor=actor)))

    def change(self, at: float, kind: str, name: str, actor: str = "", **fields: Any) -> None:
        self.put(at, replace(self.objects[kind, name], **fields), actor)

    def remove(self, at: float, kind: str, name: str, actor: str = "") -> None:
        obj = self.objects.pop((kind, name))
        self.changes.append((round(at * SECOND), Change("DELETED", obj, obj, actor=actor)))

    def stateful_set(self, at: float, replicas: int, update_revision: str = "1") -> None:
        status = StatefulSetStatus(update_revision=update_revision)
        meta = ObjectMeta(name="web", namespace="default", uid="s")
        self.put(at, StatefulSet(metadata=meta, spec=StatefulSetSpec(replicas=replicas), status=status))

    def pod(self, at: float, ordinal: int, revision: str = "1") -> None:
        owner = OwnerReference(api_version="apps/v1", kind="StatefulSet", name="web", uid="s", controller=True)
        labels = {"controller-revision-hash": revision}
        name = f"web-{ordinal}"
        meta = ObjectMeta(name=name, namespace="default", owner_references=(owner,), labels=labels)
        self.put(at, Pod(metadata=meta))

    def ready(self, at: float, name: str, yes: bool = True, actor: str = "kubelet/node-0", **status: Any) -> None:
        condition = READY if yes else UNREADY
        self.change(at, "Pod", name, actor, status=PodStatus(phase="Running", conditions=(condition,), **status))

    def begin_deletion(self, at: float, name: str, actor: str) -> None:
        pod = self.objects["Pod", name]
        self.put(at, with_meta(pod, deletion_timestamp=Time(round(at * SECOND))), actor)

    def identity(self, name: str, end: float = 100) -> Identity:
        (workload,) = readiness(self.changes, round(end * SECOND))
        return workload.identities[name]


def started(replicas: int = 2) -> History:
    h = History()
    h.stateful_set(0, replicas)
    for i in range(replicas):
        h.pod(i, i)
        h.ready(i + 0.5, f"web-{i}")
    return h


def test_starting_is_not_being_away() -> None:
    web_1 = started().identity("web-1")
    assert web_1.absences == []
    assert web_1.first_ready_ns == SECOND // 2
    assert web_1.state == "Ready"


def test_an_update_is_an_absence_from_deletion_to_ready() -> None:
    h = started()
    h.stateful_set(10, 2, update_revision="2")
    h.begin_deletion(11, "web-1", "statefulset-controller")
    h.remove(12, "Pod", "web-1", "kubelet/node-0")
    h.pod(13, 1, revision="2")
    h.ready(14, "web-1")
    web_1 = h.identity("web-1")
    assert web_1.absences == [Absence(11 * SECOND, 14 * SECOND, "updated")]
    assert web_1.made == 2


def test_a_pod_that_nobody_wants_is_not_away() -> None:
    h = started()
    h.stateful_set(10, 1)
    h.begin_deletion(11, "web-1", "statefulset-controller")
    h.remove(12, "Pod", "web-1", "kubelet/node-0")
    web_1 = h.identity("web-1")
    assert web_1.absences == []
    assert web_1.state == "gone"


def test_an_absence_ends_when_the_pod_is_no_longer_wanted() -> None:
    h = started()
    h.ready(10, "web-1", yes=False)
    h.stateful_set(15, 1)
    assert h.identity("web-1").absences == [Absence(10 * SECOND, 15 * SECOND, "readiness probe failed")]


def test_why_a_pod_lost_its_ready_condition() -> None:
    h = started()
    end = ContainerState(terminated=ContainerStateTerminated(exit_code=137, reason="Error"))
    h.ready(10, "web-0", yes=False, container_statuses=(ContainerStatus(name="app", state=end),))
    h.ready(10, "web-1", yes=False, actor="node-lifecycle-controller")
    assert h.identity("web-0").absences[0].why == "app exited with code 137"
    assert h.identity("web-1").absences[0].why.startswith("node")
    assert h.identity("web-0").absences[0].end_ns is None


def test_a_kill_for_want_of_memory_is_told_as_such() -> None:
    h = started()
    end = ContainerState(terminated=ContainerStateTerminated(exit_code=137, reason="OOMKilled"))
    h.ready(10, "web-0", yes=False, container_statuses=(ContainerStatus(name="app", state=end),))
    assert h.identity("web-0").absences[0].why == "app exited with code 137 (OOMKilled)"


def test_a_pod_that_its_kubelet_gave_up_says_why() -> None:
    """Not how the processes ended that were stopped for it."""
    h = started()
    message = "The node was low on resource: ephemeral-storage."
    end = ContainerState(terminated=ContainerStateTerminated(exit_code=0, reason="Completed"))
    failed = {"reason": "Evicted", "message": message, "container_statuses": (ContainerStatus(name="app", state=end),)}
    status = PodStatus(phase="Failed", conditions=(UNREADY,), **failed)
    h.change(10, "Pod", "web-0", "kubelet/node-0", status=status)
    h.remove(11, "Pod", "web-0", "statefulset-controller")
    h.pod(12, 0)
    h.ready(13, "web-0")
    [absence] = h.identity("web-0").absences
    assert absence.why == "Evicted: The node was low on resource: ephemeral-storage"
    assert (absence.start_ns, absence.end_ns) == (10 * SECOND, 13 * SECOND)


def test_short_of_pods_counts_losses_and_not_growth() -> None:
    h = started()
    h.stateful_set(10, 3)
    h.pod(10, 2)
    h.ready(20, "web-2")
    h.ready(30, "web-0", yes=False)
    h.ready(34, "web-0")
    (web,) = readiness(h.changes, 100 * SECOND)
    assert web.complete_ns == 1.5 * SECOND
    assert web.short_ns == 4 * SECOND
    assert web.worst == 2
    assert web.ready == 3


def test_a_deleted_set_is_short_of_nothing() -> None:
    h = started()
    h.remove(50, "StatefulSet", "web")
    h.begin_deletion(51, "web-0", "garbage-collector")
    h.remove(52, "Pod", "web-0")
    (web,) = readiness(h.changes, 100 * SECOND)
    assert web.deleted
    assert web.short_ns == 0
    assert web.identities["web-0"].state == "gone"
    assert web.identities["web-0"].absences == []
