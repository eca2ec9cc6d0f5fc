from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.apps import StatefulSet
from k8sim.api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Node,
    PersistentVolumeClaim,
    Pod,
)
from k8sim.api.meta import Condition, ObjectMeta
from k8sim.api.scheme import KINDS, decode
from k8sim.api.struct import Time, replace
from k8sim.kubectl.printers import events_table, human_duration, pod_status, print_objects
from k8sim.kubectl.printers.output import TABLES
from k8sim.kubectl.printers.pods import summary
from k8sim.sim.trace import Row
from k8sim.sim.units import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (-2 * SECOND, "<invalid>"), (-SECOND, "0s"), (0, "0s"), (119 * SECOND, "119s"), (120 * SECOND, "2m"),
        (5 * MINUTE + 30 * SECOND, "5m30s"), (10 * MINUTE + 30 * SECOND, "10m"), (179 * MINUTE, "179m"),
        (180 * MINUTE, "3h"), (7 * HOUR + 59 * MINUTE, "7h59m"), (8 * HOUR + MINUTE, "8h"), (47 * HOUR, "47h"),
        (48 * HOUR, "2d"), (52 * HOUR, "2d4h"), (8 * DAY + HOUR, "8d"), (729 * DAY, "729d"), (730 * DAY, "2y"),
        (800 * DAY, "2y70d"), (3000 * DAY, "8y"),
    ],
)  # fmt: skip
def test_ages(ns: int, text: str) -> None:
    assert human_duration(ns) == text


RUNNING = ContainerState(running=ContainerStateRunning())


def waiting(reason: str) -> ContainerState:
    return ContainerState(waiting=ContainerStateWaiting(reason=reason))


def terminated(code: int, reason: str = "") -> ContainerState:
    return ContainerState(terminated=ContainerStateTerminated(exit_code=code, reason=reason))


def container(state: ContainerState, ready: bool = False, name: str = "app", **fields: Any) -> ContainerStatus:
    return ContainerStatus(name=name, state=state, ready=ready, **fields)


def pod(
    *containers: ContainerStatus,
    inits: tuple[ContainerStatus, ...] = (),
    sidecars: tuple[str, ...] = (),
    deleting: bool = False,
    conditions: tuple[Condition, ...] = (),
    **status: Any,
) -> Pod:
    base = Pod()
    init_specs = tuple(Container(name=i.name, restart_policy="Always" if i.name in sidecars else None) for i in inits)
    specs = tuple(Container(name=c.name) for c in containers)
    return Pod(
        metadata=ObjectMeta(name="web-0", deletion_timestamp=Time(0) if deleting else None),
        spec=replace(base.spec, containers=specs, init_containers=init_specs),
        status=replace(
            base.status, container_statuses=containers, init_container_statuses=inits, conditions=conditions, **status
        ),
    )


READY = (Condition(type="Ready", status="True"),)
INITIALIZED = (Condition(type="Initialized", status="True"),)


@pytest.mark.parametrize(
    ("obj", "status"),
    [
        (pod(), "Pending"),
        (pod(container(RUNNING, True), phase="Running"), "Running"),
        (pod(container(waiting("ContainerCreating"))), "ContainerCreating"),
        (pod(container(waiting("PodInitializing")), inits=(container(RUNNING, name="i"),)), "Init:0/1"),
        (pod(container(waiting("PodInitializing")), inits=(container(terminated(0), name="i"),)), "PodInitializing"),
        (pod(inits=(container(terminated(3), name="i"),)), "Init:ExitCode:3"),
        (pod(inits=(container(terminated(1, "Error"), name="i"),)), "Init:Error"),
        (pod(inits=(container(waiting("CrashLoopBackOff"), name="i"),)), "Init:CrashLoopBackOff"),
        (
            pod(
                container(waiting("PodInitializing")),
                inits=(container(RUNNING, True, "side", started=True), container(RUNNING, name="i")),
                sidecars=("side",),
            ),
            "Init:1/2",
        ),
        (pod(container(waiting("CrashLoopBackOff")), phase="Running"), "CrashLoopBackOff"),
        (pod(container(terminated(1, "Error")), phase="Running"), "Error"),
        (pod(container(terminated(137)), phase="Running"), "ExitCode:137"),
        (pod(container(terminated(0, "Completed")), phase="Succeeded"), "Completed"),
        (
            pod(container(RUNNING, True), container(terminated(0, "Completed"), name="b"), phase="Running"),
            "NotReady",
        ),
        (
            pod(
                container(RUNNING, True), container(terminated(0, "Completed"), name="b"), phase="Running",
                conditions=READY,
            ),
            "Running",
        ),
        (pod(container(RUNNING, True), phase="Running", deleting=True), "Terminating"),
        (pod(container(terminated(0, "Completed")), phase="Succeeded", deleting=True), "Completed"),
        (pod(phase="Failed", reason="Evicted"), "Evicted"),
        (pod(reason="NodeLost", phase="Running", deleting=True), "Unknown"),
        (
            pod(conditions=(Condition(type="PodScheduled", status="False", reason="SchedulingGated"),)),
            "SchedulingGated",
        ),
    ],
)  # fmt: skip
def test_the_status_of_a_pod(obj: Pod, status: str) -> None:
    assert pod_status(obj) == status


def test_restarts_of_init_containers_count_only_while_initializing() -> None:
    init = container(terminated(1, "Error"), name="i", restart_count=4, last_state=terminated(1))
    app = container(RUNNING, True, restart_count=2)
    assert summary(pod(app, inits=(init,))).restarts == 4
    assert summary(pod(app, inits=(init,), conditions=INITIALIZED)).restarts == 2


def test_ready_counts_sidecars() -> None:
    side = container(RUNNING, True, "side", started=True)
    said = summary(pod(container(RUNNING, True), inits=(side,), sidecars=("side",)))
    assert (said.ready, said.total) == (2, 2)


def test_a_table_of_pods() -> None:
    end = ContainerState(terminated=ContainerStateTerminated(exit_code=1, finished_at=Time(85 * SECOND)))
    app = container(RUNNING, True, restart_count=2, last_state=end)
    web = pod(app, phase="Running")
    lines = print_objects([web], 90 * SECOND)
    assert lines == [
        "NAME    READY   STATUS    RESTARTS     AGE",
        "web-0   1/1     Running   2 (5s ago)   <unknown>",
    ]
    wide = print_objects([web], 90 * SECOND, "wide")
    assert wide[0].split()[-6:] == ["IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]
    assert wide[1].endswith("<none>   <none>   <none>           <none>")


def test_several_kinds_in_one_answer() -> None:
    lines = print_objects([pod(), StatefulSet(metadata=ObjectMeta(name="web"))], 0)
    assert [line.split()[0] for line in lines if line] == ["NAME", "pod/web-0", "NAME", "statefulset.apps/web"]
    assert "" in lines


def test_names_namespaces_and_labels() -> None:
    claim = PersistentVolumeClaim(metadata=ObjectMeta(name="data", namespace="db", labels={"b": "1", "a": "2"}))
    assert print_objects([claim], 0, "name") == ["persistentvolumeclaim/data"]
    heading, row = print_objects([claim], 0, namespaces=True, labels=True)
    assert (heading.split()[0], row.split()[:3]) == ("NAMESPACE", ["db", "data", "Pending"])
    assert row.endswith("a=2,b=1")
    [only] = print_objects([claim], 0, headings=False)
    assert only.split()[0] == "data"


def test_a_node() -> None:
    manifest = {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
    }  # fmt: skip
    node = decode(manifest)
    assert isinstance(node, Node)
    assert print_objects([node], 0)[1].split() == [
        "n", "NotReady,SchedulingDisabled", "worker", "<unknown>", "v1.36.2",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_every_kind_has_a_table_and_its_row_has_its_columns(kind: type[Any]) -> None:
    table = TABLES[kind.kind]
    assert len(table.row(kind(metadata=ObjectMeta(name="x")), 0)) == len(table.columns) + len(table.wide)


def test_events_that_are_equal_are_counted() -> None:
    def row(t: int, reason: str, message: str) -> Row:
        detail = {"object": "Pod/web-0", "type": "Warning", "message": message, "uid": "u"}
        return Row(t * SECOND, "Event", "web-0", reason, detail, -1, "default")

    rows = [row(1, "BackOff", "b"), row(2, "Failed", "f"), row(31, "BackOff", "b"), row(99, "Later", "l")]
    assert events_table(rows, 41 * SECOND) == [
        "LAST SEEN           TYPE      REASON    OBJECT      MESSAGE",
        "39s                 Warning   Failed    pod/web-0   f",
        "10s (x2 over 40s)   Warning   BackOff   pod/web-0   b",
    ]
