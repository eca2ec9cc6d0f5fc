from __future__ import annotations

import pytest

from k8sim.api.apps import (
    ControllerRevision,
    DaemonSet,
    DaemonSetStatus,
    DaemonSetUpdateStrategy,
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    ReplicaSet,
    ReplicaSetSpec,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
    StatefulSetUpdateStrategy,
)
from k8sim.api.core import Container, PodSpec, PodTemplateSpec
from k8sim.api.meta import Condition, Object, ObjectMeta, controller_ref
from k8sim.api.struct import replace
from k8sim.kubectl.revisions import POD_TEMPLATE_HASH
from k8sim.kubectl.rollout_status import REVISION, RolloutError, rollout_progress
from tests.kubectl.world import DEPLOYMENT, STATEFUL_SET, World


def stateful_set(
    partition: int | None = None,
    rolling: bool = False,
    generation: int = 1,
    type_: str = "RollingUpdate",
    **status: object,
) -> StatefulSet:
    update = RollingUpdateStatefulSetStrategy(partition=partition) if rolling else None
    return StatefulSet(
        metadata=ObjectMeta(name="web", generation=generation),
        spec=StatefulSetSpec(replicas=3, update_strategy=StatefulSetUpdateStrategy(type=type_, rolling_update=update)),
        status=StatefulSetStatus(**{"observed_generation": 1, "ready_replicas": 3, **status}),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("obj", "line", "done"),
    [
        (stateful_set(generation=2), "Waiting for statefulset spec update to be observed...", False),
        (stateful_set(observed_generation=0), "Waiting for statefulset spec update to be observed...", False),
        (stateful_set(ready_replicas=1), "Waiting for 2 pods to be ready...", False),
        (
            stateful_set(0, True, updated_replicas=1),
            "Waiting for partitioned roll out to finish: 1 out of 3 new pods have been updated...",
            False,
        ),
        (
            stateful_set(2, True, updated_replicas=1),
            "partitioned roll out complete: 1 new pods have been updated...",
            True,
        ),
        (
            stateful_set(updated_replicas=1, update_revision="web-b", current_revision="web-a"),
            "waiting for statefulset rolling update to complete 1 pods at revision web-b...",
            False,
        ),
        (
            stateful_set(current_replicas=3, update_revision="web-b", current_revision="web-b"),
            "statefulset rolling update complete 3 pods at revision web-b...",
            True,
        ),
    ],
)
def test_progress_of_a_stateful_set(obj: StatefulSet, line: str, done: bool) -> None:
    assert rollout_progress(obj) == (line, done)


def deployment(generation: int = 1, reason: str = "", **status: int) -> Deployment:
    conditions = (Condition(type="Progressing", status="False", reason=reason),)
    return Deployment(
        metadata=ObjectMeta(name="api", generation=generation, annotations={REVISION: "2"}),
        spec=DeploymentSpec(replicas=3),
        status=DeploymentStatus(observed_generation=1, conditions=conditions, **status),
    )


@pytest.mark.parametrize(
    ("obj", "line"),
    [
        (deployment(2), "Waiting for deployment spec update to be observed..."),
        (
            deployment(updated_replicas=1),
            'Waiting for deployment "api" rollout to finish: 1 out of 3 new replicas have been updated...',
        ),
        (
            deployment(updated_replicas=3, replicas=4),
            'Waiting for deployment "api" rollout to finish: 1 old replicas are pending termination...',
        ),
        (
            deployment(updated_replicas=3, replicas=3, available_replicas=2),
            'Waiting for deployment "api" rollout to finish: 2 of 3 updated replicas are available...',
        ),
        (
            deployment(updated_replicas=3, replicas=3, available_replicas=3),
            'deployment "api" successfully rolled out',
        ),
    ],
)
def test_progress_of_a_deployment(obj: Deployment, line: str) -> None:
    assert rollout_progress(obj) == (line, "successfully" in line)


def test_rollouts_that_cannot_be_followed() -> None:
    with pytest.raises(RolloutError, match="exceeded its progress deadline"):
        rollout_progress(deployment(reason="ProgressDeadlineExceeded"))
    with pytest.raises(RolloutError, match="different from the running revision"):
        rollout_progress(deployment(), revision=1)
    with pytest.raises(RolloutError, match="only available for RollingUpdate"):
        rollout_progress(stateful_set(type_="OnDelete"))
    on_delete = DaemonSet(metadata=ObjectMeta(name="d"))
    on_delete = replace(
        on_delete, spec=replace(on_delete.spec, update_strategy=DaemonSetUpdateStrategy(type="OnDelete"))
    )
    with pytest.raises(RolloutError, match="only available for RollingUpdate"):
        rollout_progress(on_delete)


def test_progress_of_a_daemon_set() -> None:
    status = DaemonSetStatus(desired_number_scheduled=2, updated_number_scheduled=2, number_available=1)
    obj = DaemonSet(metadata=ObjectMeta(name="d"), status=status)
    waiting = 'Waiting for daemon set "d" rollout to finish: 1 of 2 updated pods are available...'
    assert rollout_progress(obj) == (waiting, False)


# ---- the commands -----------------------------------------------------------------------------------------------


def template(image: str, **labels: str) -> PodTemplateSpec:
    return PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": "web", **labels}),
        spec=PodSpec(containers=(Container(name="app", image=image, image_pull_policy="IfNotPresent"),)),
    )


def add_revision(world: World, owner: Object, number: int, image: str) -> None:
    meta = ObjectMeta(
        name=f"web-{number}", namespace="default", labels={"app": "web"}, owner_references=(controller_ref(owner),)
    )
    world.server.create(ControllerRevision(metadata=meta, revision=number, data=template(image)))


def image_of(world: World, cls: type[StatefulSet] | type[Deployment], name: str) -> str:
    containers = world.get(cls, name).spec.template.spec.containers
    return str(containers[0].image)


def test_undo_of_a_stateful_set() -> None:
    world = World(STATEFUL_SET)
    web = world.get(StatefulSet, "web")
    nothing = world.kubectl("rollout undo statefulset/web")
    assert (nothing.code, nothing.err) == (1, "error: no last revision to roll back to")
    for number, image in ((1, "app:v1"), (2, "app:v2"), (3, "app:v3")):
        add_revision(world, web, number, image)
    assert world.kubectl("rollout undo statefulset/web").out == "statefulset.apps/web rolled back"
    assert image_of(world, StatefulSet, "web") == "app:v2"
    skipped = world.kubectl("rollout undo statefulset/web --to-revision=2")
    assert skipped.out == "statefulset.apps/web skipped rollback (current template already matches revision 2)"
    world.kubectl("rollout undo statefulset/web --to-revision=1")
    assert image_of(world, StatefulSet, "web") == "app:v1"
    missing = world.kubectl("rollout undo statefulset/web --to-revision=9")
    assert missing.err == "error: unable to find specified revision 9 in history"
    assert len(world.server.list(ControllerRevision)) == 3  # the controller renumbers, kubectl makes nothing


def test_history() -> None:
    world = World(STATEFUL_SET)
    for number in (2, 3):
        add_revision(world, world.get(StatefulSet, "web"), number, f"app:v{number}")
    assert world.kubectl("rollout history statefulset/web").out == (
        "statefulset.apps/web \nREVISION  CHANGE-CAUSE\n2         <none>\n3         <none>"
    )
    assert "Image:     app:v2" in world.kubectl("rollout history statefulset/web --revision=2").out


def test_undo_of_a_deployment() -> None:
    world = World(DEPLOYMENT)
    api = world.get(Deployment, "api")
    assert world.kubectl("rollout undo deployment/api").err.endswith('no rollout history found for deployment "api"')
    for number, image in ((1, "app:v0"), (2, "app:v1")):
        made = template(image, **{"app": "api", POD_TEMPLATE_HASH: str(number)})
        meta = ObjectMeta(
            name=f"api-{number}", namespace="default", labels=made.metadata.labels, annotations={REVISION: str(number)},
            owner_references=(controller_ref(api),),
        )  # fmt: skip
        spec = ReplicaSetSpec(selector=api.spec.selector, template=made)
        world.server.create(ReplicaSet(metadata=meta, spec=spec))
    assert world.kubectl("rollout undo deployment/api").out == "deployment.apps/api rolled back"
    assert image_of(world, Deployment, "api") == "app:v0"
    assert dict(world.get(Deployment, "api").spec.template.metadata.labels) == {"app": "api"}
    world.kubectl("rollout pause deployment/api")
    assert "you cannot rollback a paused deployment" in world.kubectl("rollout undo deployment/api").err


def test_pause_and_resume() -> None:
    world = World(DEPLOYMENT, STATEFUL_SET)
    assert world.kubectl("rollout pause deployment/api").out == "deployment.apps/api paused"
    assert world.kubectl("rollout pause deployment/api").err.endswith('"api" is already paused')
    assert world.kubectl("rollout restart deployment/api").err.startswith("error: can't restart paused deployment")
    assert world.kubectl("rollout resume deployment/api").out == "deployment.apps/api resumed"
    assert world.kubectl("rollout pause sts/web").err == 'error: statefulsets.apps "web" pausing is not supported'


def test_restart_changes_the_template_once_a_second() -> None:
    world = World(STATEFUL_SET)
    assert world.kubectl("rollout restart statefulset/web", 0.3).out == "statefulset.apps/web restarted"
    assert world.get(StatefulSet, "web").metadata.generation == 2
    assert "within the past second" in world.kubectl("rollout restart statefulset/web", 0.3).err
    world.run(1)
    assert world.kubectl("rollout restart statefulset/web").code == 0


def test_status_prints_every_version_until_the_rollout_is_done() -> None:
    world = World(STATEFUL_SET)

    def observe(ready: int) -> None:
        web = world.get(StatefulSet, "web")
        status = StatefulSetStatus(observed_generation=1, replicas=3, ready_replicas=ready, updated_replicas=ready)
        world.server.update_status(replace(web, status=status))

    for second, ready in ((1, 1), (2, 3)):
        world.at(second, observe, ready)
    done = world.start("rollout status statefulset/web")
    world.run(1.9)
    assert not done
    world.run(1)
    [(t, result)] = done
    assert 2 < t < 2.02
    assert result.out.splitlines() == [
        "Waiting for statefulset spec update to be observed...",
        "Waiting for 2 pods to be ready...",
        "partitioned roll out complete: 3 new pods have been updated...",
    ]


def test_status_gives_up_at_its_timeout_or_when_the_object_is_gone() -> None:
    world = World(STATEFUL_SET)
    late = world.kubectl("rollout status statefulset/web --timeout=1s")
    assert (late.code, late.err) == (1, "error: timed out waiting for the condition")
    gone = world.start("rollout status statefulset/web")
    world.run(0.2)
    world.kubectl("delete sts web")
    assert gone[0][1].err == "error: object has been deleted"
    world.create(STATEFUL_SET)
    assert world.kubectl("rollout status sts/web --watch=false").code == 0
