"""Rows of controllers: StatefulSet, Deployment, ReplicaSet, DaemonSet, Job, CronJob, ControllerRevision."""

from __future__ import annotations

from collections.abc import Sequence

from k8sim.api.apps import ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet
from k8sim.api.batch import CronJob, Job
from k8sim.api.core import PodTemplateSpec
from k8sim.api.meta import condition_of, controller_of
from k8sim.kubectl.printers.text import NONE, age, human_duration, pairs, selector_text

TEMPLATE_WIDE = ("Containers", "Images")
STATEFUL_SET_COLUMNS = ("Name", "Ready", "Age")
DEPLOYMENT_COLUMNS = ("Name", "Ready", "Up-to-date", "Available", "Age")
REPLICA_SET_COLUMNS = ("Name", "Desired", "Current", "Ready", "Age")
DAEMON_SET_COLUMNS = ("Name", "Desired", "Current", "Ready", "Up-to-date", "Available", "Node Selector", "Age")
JOB_COLUMNS = ("Name", "Status", "Completions", "Duration", "Age")
CRON_JOB_COLUMNS = ("Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age")
CONTROLLER_REVISION_COLUMNS = ("Name", "Controller", "Revision", "Age")
SELECTOR_WIDE = (*TEMPLATE_WIDE, "Selector")


def _template(template: PodTemplateSpec) -> list[str]:
    containers = template.spec.containers
    return [",".join(c.name for c in containers), ",".join(c.image for c in containers)]


def _numbers(*values: int) -> Sequence[str]:
    return [str(value) for value in values]


def stateful_set_row(obj: StatefulSet, now_ns: int) -> list[str]:
    """Return the cells of a StatefulSet."""
    ready = f"{obj.status.ready_replicas}/{obj.spec.replicas}"
    return [obj.name, ready, age(obj.metadata.creation_timestamp, now_ns), *_template(obj.spec.template)]


def deployment_row(obj: Deployment, now_ns: int) -> list[str]:
    """Return the cells of a Deployment."""
    status = obj.status
    return [
        obj.name,
        f"{status.ready_replicas}/{obj.spec.replicas}",
        *_numbers(status.updated_replicas, status.available_replicas),
        age(obj.metadata.creation_timestamp, now_ns),
        *_template(obj.spec.template),
        selector_text(obj.spec.selector),
    ]


def replica_set_row(obj: ReplicaSet, now_ns: int) -> list[str]:
    """Return the cells of a ReplicaSet."""
    return [
        obj.name,
        *_numbers(obj.spec.replicas, obj.status.replicas, obj.status.ready_replicas),
        age(obj.metadata.creation_timestamp, now_ns),
        *_template(obj.spec.template),
        selector_text(obj.spec.selector),
    ]


def daemon_set_row(obj: DaemonSet, now_ns: int) -> list[str]:
    """Return the cells of a DaemonSet."""
    status = obj.status
    return [
        obj.name,
        *_numbers(
            status.desired_number_scheduled,
            status.current_number_scheduled,
            status.number_ready,
            status.updated_number_scheduled,
            status.number_available,
        ),
        pairs(obj.spec.template.spec.node_selector),
        age(obj.metadata.creation_timestamp, now_ns),
        *_template(obj.spec.template),
        selector_text(obj.spec.selector),
    ]


def job_row(obj: Job, now_ns: int) -> list[str]:
    """Return the cells of a Job."""
    spec, status = obj.spec, obj.status
    if spec.completions is not None:
        completions = f"{status.succeeded}/{spec.completions}"
    else:
        completions = f"{status.succeeded}/1" + (f" of {spec.parallelism}" if spec.parallelism > 1 else "")
    took = ""
    if status.start_time is not None:
        end = now_ns if status.completion_time is None else status.completion_time
        took = human_duration(end - status.start_time)
    return [
        obj.name,
        _job_status(obj),
        completions,
        took,
        age(obj.metadata.creation_timestamp, now_ns),
        *_template(spec.template),
        selector_text(spec.selector),
    ]


def _job_status(obj: Job) -> str:
    for type_ in ("Complete", "Failed"):
        condition = condition_of(obj.status.conditions, type_)
        if condition is not None and condition.status == "True":
            return type_
    if obj.deleting:
        return "Terminating"
    return "Suspended" if obj.spec.suspend else "Running"


def cron_job_row(obj: CronJob, now_ns: int) -> list[str]:
    """Return the cells of a CronJob."""
    last = obj.status.last_schedule_time
    template = obj.spec.job_template.spec
    return [
        obj.name,
        obj.spec.schedule,
        NONE,
        str(obj.spec.suspend),
        "0",
        NONE if last is None else age(last, now_ns),
        age(obj.metadata.creation_timestamp, now_ns),
        *_template(template.template),
        selector_text(template.selector),
    ]


def controller_revision_row(obj: ControllerRevision, now_ns: int) -> list[str]:
    """Return the cells of a ControllerRevision."""
    owner = controller_of(obj)
    name = NONE
    if owner is not None:
        group = owner.api_version.rpartition("/")[0]
        name = f"{owner.kind.lower()}{'.' if group else ''}{group}/{owner.name}"
    return [obj.name, name, str(obj.revision), age(obj.metadata.creation_timestamp, now_ns)]
