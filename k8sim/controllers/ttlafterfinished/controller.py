"""Deletes Jobs some time after they have finished.

Source: pkg/controller/ttlafterfinished/ttlafterfinished_controller.go.
"""

from __future__ import annotations

from contextlib import suppress

from k8sim.api.batch import Job
from k8sim.api.meta import condition_of
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import Conflict, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.sim.units import SECOND


def expires_ns(job: Job) -> int | None:
    """Return when a job is to be deleted; None if it has not finished or has no TTL."""
    ttl = job.spec.ttl_seconds_after_finished
    if ttl is None or job.deleting:
        return None
    for type_ in ("Complete", "Failed"):
        condition = condition_of(job.status.conditions, type_)
        if condition is not None and condition.status == "True" and condition.last_transition_time is not None:
            return condition.last_transition_time + ttl * SECOND
    return None


class TTLAfterFinishedController(Controller):
    """Cleans up finished Jobs."""

    name = "ttl-after-finished-controller"
    workers = 5

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.jobs = self.informers.of(Job)
        self.jobs.add_handler(self._job_changed)

    def _job_changed(self, change: Change) -> None:
        if change.type != "DELETED" and expires_ns(change.new) is not None:  # type: ignore[arg-type]
            self.queue.add(change.new.key, change.row)

    def sync(self, key: Key, client: Client) -> Sync:
        """Delete the job with all its pods when its time has come, else come back then."""
        job = self.jobs.find(key)
        due = expires_ns(job) if job is not None else None
        if job is None or due is None:
            return
        if due > self.clock.now:
            self.queue.add_after(key, due - self.clock.now, client.cause)
            return
        with suppress(NotFound, Conflict):
            yield from client.delete(Job, *key, propagation="Foreground", uid=job.uid)
