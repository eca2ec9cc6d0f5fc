from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.batch import CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec
from k8sim.api.core import Pod
from k8sim.api.struct import replace
from k8sim.controllers.cronjob.controller import CronJobController
from k8sim.controllers.cronjob.schedule import parse_schedule
from k8sim.controllers.job.controller import JobController
from tests.controllers.job.test_job import Runs
from tests.controllers.manager import Manager
from tests.controllers.workloads import meta, template


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("*/15 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:15:00"),
        ("*/15 * * * *", "2026-01-01T00:14:59", "2026-01-01T00:15:00"),
        ("5 2 * * *", "2026-01-01T02:05:00", "2026-01-02T02:05:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00:00"),
        ("0 9 * * MON-FRI", "2026-01-02T09:00:00", "2026-01-05T09:00:00"),
        ("0 9 13 * FRI", "2026-01-01T00:00:00", "2026-01-02T09:00:00"),  # either day
        ("0 9 */13 * FRI", "2026-01-01T00:00:00", "2026-02-27T09:00:00"),  # a starred field: both days
        ("0 0 1 JAN ?", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("10-20/5 * * * *", "2026-01-01T00:11:00", "2026-01-01T00:15:00"),
        ("50/5 * * * *", "2026-01-01T00:51:00", "2026-01-01T00:55:00"),
        ("@hourly", "2026-01-01T00:00:01", "2026-01-01T01:00:00"),
        ("@weekly", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("@every 1h30m", "2026-01-01T00:00:00", "2026-01-01T01:30:00"),
    ],
)
def test_next_run(schedule: str, after: str, expected: str) -> None:
    assert parse_schedule(schedule).next(at(after)) == at(expected)


def test_a_schedule_that_never_comes() -> None:
    assert parse_schedule("0 0 30 2 *").next(at("2026-01-01T00:00:00")) is None


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* * * * 7", "*/0 * * * *", "a * * * *", "@often", "5-1 * * * *", "@every x"]
)
def test_bad_schedules_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_schedule(text)


def test_time_zone_and_the_missing_hour() -> None:
    berlin = parse_schedule("30 2 * * *", ZoneInfo("Europe/Berlin"))
    assert berlin.next(at("2026-01-01T00:00:00")) == at("2026-01-01T01:30:00")
    # 02:30 does not exist on 29 March 2026.
    assert berlin.next(at("2026-03-28T02:00:00")) == at("2026-03-30T00:30:00")


@given(minute=st.integers(0, 59), hour=st.integers(0, 23), second=st.integers(0, 10**8))
def test_a_daily_run_comes_within_a_day_and_at_its_minute(minute: int, hour: int, second: int) -> None:
    start = at("2026-01-01T00:00:00") + timedelta(seconds=second)
    found = parse_schedule(f"{minute} {hour} * * *").next(start)
    assert found is not None
    assert 0 < (found - start).total_seconds() <= 86400
    assert (found.minute, found.hour, found.second) == (minute, hour, 0)


# ---- the controller -------------------------------------------------------------------------------------------------


def cron_job(schedule: str = "* * * * *", **spec: object) -> CronJob:
    made = template()
    made = replace(made, spec=replace(made.spec, restart_policy="Never"))
    job_template = JobTemplateSpec(spec=JobSpec(completions=1, template=made))
    return CronJob(metadata=meta(), spec=CronJobSpec(schedule=schedule, job_template=job_template, **spec))  # type: ignore[arg-type]


def world(made: CronJob, *outcomes: str) -> tuple[Manager, Runs]:
    manager = Manager(CronJobController, JobController)
    runs = Runs(manager, *outcomes)
    manager.server.create(made)
    return manager, runs


def test_starts_a_job_every_minute_without_polling() -> None:
    manager, runs = world(cron_job("*/10 * * * *"))
    manager.run(3500)
    assert runs.created == [600, 1200, 1800, 2400, 3000]
    status = manager.server.get(CronJob, "default", "web").status
    assert status.last_schedule_time == 3000 * 10**9
    assert status.active == ()
    assert len(manager.server.list(Job)) == 3  # successfulJobsHistoryLimit
    assert manager.sim.clock.events_scheduled < 2000


def test_forbid_skips_a_run_while_one_is_active() -> None:
    manager, _ = world(cron_job(concurrency_policy="Forbid"), "Running")
    manager.run(200)
    assert len(manager.server.list(Job)) == 1
    assert manager.events("Event", "web", "JobAlreadyActive")


def test_replace_deletes_the_running_job() -> None:
    manager, _ = world(cron_job(concurrency_policy="Replace"), "Running", "Running")
    manager.run(130)
    assert len(manager.server.list(Job)) == 1
    assert len(manager.events("Event", "web", "SuccessfulDelete")) == 1


def test_allow_runs_side_by_side() -> None:
    manager, _ = world(cron_job(), "Running", "Running")
    manager.run(130)
    assert len(manager.server.get(CronJob, "default", "web").status.active) == 2


def test_suspend_and_a_missed_deadline() -> None:
    manager, runs = world(cron_job("*/10 * * * *", suspend=True, starting_deadline_seconds=60))
    manager.run(1300)
    manager.server.patch(CronJob, "default", "web", lambda c: replace(c, spec=replace(c.spec, suspend=False)))
    manager.run(1700)
    assert runs.created == []  # the run of 1200 was more than a minute ago
    manager.run(1900)
    assert runs.created == [1800]


def test_a_missed_run_without_deadline_is_made_up_once() -> None:
    manager, runs = world(cron_job("*/10 * * * *", suspend=True))
    manager.run(2000)
    manager.server.patch(CronJob, "default", "web", lambda c: replace(c, spec=replace(c.spec, suspend=False)))
    manager.run(2100)
    assert runs.created == [2000]


def test_pods_belong_to_jobs_and_jobs_to_the_cron_job() -> None:
    manager, _ = world(cron_job())
    manager.run(70)
    (job,) = manager.server.list(Job)
    (pod,) = manager.server.list(Pod)
    assert job.metadata.owner_references[0].kind == "CronJob"
    assert pod.metadata.labels["job-name"] == job.name
    assert job.name == f"web-{int(datetime(2026, 1, 1, 0, 1, tzinfo=UTC).timestamp()) // 60}"
