from __future__ import annotations

import pytest

from k8sim.api.batch import Job, JobSpec
from k8sim.api.core import Pod
from k8sim.api.meta import condition_of
from k8sim.api.struct import replace
from k8sim.apiserver.watch import Change
from k8sim.controllers.job.controller import JobController
from k8sim.controllers.job.indexes import format_indexes, parse_indexes
from k8sim.controllers.ttlafterfinished.controller import TTLAfterFinishedController
from tests.controllers.manager import Manager
from tests.controllers.workloads import meta, template


def job(**spec: object) -> Job:
    made = template()
    made = replace(made, spec=replace(made.spec, restart_policy="Never"))
    return Job(metadata=meta(), spec=JobSpec(template=made, **spec))  # type: ignore[arg-type]


class Runs:
    """Ends each pod after a second; ``outcomes`` gives the first phases, then all succeed."""

    def __init__(self, manager: Manager, *outcomes: str) -> None:
        self.manager = manager
        self.outcomes = list(outcomes)
        self.created: list[float] = []
        manager.server.watch(Pod, self._seen)

    def _seen(self, change: Change) -> None:
        if change.type == "ADDED":
            self.created.append(round(self.manager.now))
            phase = self.outcomes.pop(0) if self.outcomes else "Succeeded"
            self.manager.at(self.manager.now + 1, self._end, change.new, phase)

    def _end(self, pod: Pod, phase: str) -> None:
        if phase != "Running" and self.manager.server.find(Pod, *pod.key) is not None:
            self.manager.set_pod(pod, phase=phase, ready=False)


def world(made: Job, *outcomes: str) -> tuple[Manager, Runs]:
    manager = Manager(JobController, TTLAfterFinishedController)
    runs = Runs(manager, *outcomes)
    manager.server.create(made)
    return manager, runs


def stored(manager: Manager) -> Job:
    return manager.server.get(Job, "default", "web")


def ended(manager: Manager) -> str:
    for type_ in ("Complete", "Failed"):
        condition = condition_of(stored(manager).status.conditions, type_)
        if condition is not None:
            return f"{type_} {condition.reason}"
    return ""


def test_runs_to_completion_with_bounded_parallelism() -> None:
    manager, runs = world(job(completions=5, parallelism=2))
    manager.run(1)
    assert stored(manager).status.active == 2
    manager.run(30)
    assert len(runs.created) == 5
    status = stored(manager).status
    assert (status.succeeded, status.failed, status.active) == (5, 0, 0)
    assert ended(manager) == "Complete CompletionsReached"
    assert status.completion_time is not None
    assert not any(p.metadata.finalizers for p in manager.server.list(Pod))


def test_failures_double_the_wait_for_the_next_pod() -> None:
    manager, runs = world(job(completions=1), "Failed", "Failed", "Failed")
    manager.run(200)
    gaps = [b - a for a, b in zip(runs.created, runs.created[1:], strict=False)]
    assert [round(g, -1) for g in gaps] == [10, 20, 40]
    assert ended(manager) == "Complete CompletionsReached"
    assert (stored(manager).status.succeeded, stored(manager).status.failed) == (1, 3)


def test_backoff_limit_fails_the_job() -> None:
    manager, runs = world(job(completions=1, backoff_limit=1), *["Failed"] * 9)
    manager.run(300)
    assert len(runs.created) == 2
    assert ended(manager) == "Failed BackoffLimitExceeded"
    assert manager.events("Event", "web", "BackoffLimitExceeded")


def test_deadline_ends_running_pods() -> None:
    manager, _ = world(job(completions=1, active_deadline_seconds=20), "Running")
    manager.run(19)
    assert stored(manager).status.active == 1
    manager.run(25)
    (pod,) = manager.server.list(Pod)
    assert pod.deleting
    assert ended(manager) == ""  # not before the pod has ended
    manager.set_pod(pod, phase="Failed", ready=False)
    manager.run(30)
    assert ended(manager) == "Failed DeadlineExceeded"


def test_a_deleted_pod_counts_as_failed_and_is_replaced() -> None:
    manager, runs = world(job(completions=1), "Running")
    manager.run(2)
    (pod,) = manager.server.list(Pod)
    manager.server.delete(Pod, *pod.key)
    manager.run(40)
    assert len(runs.created) == 2
    assert (stored(manager).status.succeeded, stored(manager).status.failed) == (1, 1)


def test_suspend_stops_pods_and_resume_starts_the_clock_anew() -> None:
    manager, runs = world(job(completions=1, suspend=True))
    manager.run(5)
    assert runs.created == []
    assert stored(manager).status.start_time is None
    manager.server.patch(Job, "default", "web", lambda j: replace(j, spec=replace(j.spec, suspend=False)))
    manager.run(15)
    assert ended(manager) == "Complete CompletionsReached"


def test_indexed_job_runs_each_index_once() -> None:
    manager, _ = world(job(completions=3, parallelism=3, completion_mode="Indexed"), "Failed")
    manager.run(60)
    assert stored(manager).status.completed_indexes == "0-2"
    assert sorted(p.name.rpartition("-")[0] for p in manager.server.list(Pod)) == ["web-0", "web-0", "web-1", "web-2"]
    assert {p.spec.hostname for p in manager.server.list(Pod)} == {"web-0", "web-1", "web-2"}


def test_ttl_deletes_the_finished_job() -> None:
    manager, _ = world(job(completions=1, ttl_seconds_after_finished=30))
    manager.run(20)
    assert ended(manager)
    manager.run(45)
    found = manager.server.find(Job, "default", "web")
    assert found is None or found.deleting


@pytest.mark.parametrize("text", ["", "0", "0,1", "0-2", "0-2,5,7-9"])
def test_indexes_are_written_as_they_are_read(text: str) -> None:
    assert format_indexes(parse_indexes(text)) == text
