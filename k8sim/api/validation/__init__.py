"""Rules of the API server about values, in its words.

They work on manifests (plain mappings) whose types `k8sim.api.schema` has checked; absent fields count as their
defaults. The API server asks them about what users write; what controllers write follows from it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from k8sim.api.fielderror import FieldError
from k8sim.api.validation.metadata import check_metadata
from k8sim.api.validation.pods import check_pod
from k8sim.api.validation.scheduling import check_node, validate_node_group
from k8sim.api.validation.services import (
    check_disruption_budget,
    check_limit_range,
    check_priority_class,
    check_resource_quota,
    check_service,
)
from k8sim.api.validation.storage import check_attributes_class, check_claim, check_storage_class, check_volume
from k8sim.api.validation.updates import UPDATE_RULES, check_metadata_update, resize_refusal
from k8sim.api.validation.workloads import (
    check_cron_job,
    check_daemon_set,
    check_deployment,
    check_job,
    check_replica_set,
    check_stateful_set,
    pods_refused,
)

__all__ = [
    "pods_refused",
    "resize_refusal",
    "validate_create",
    "validate_node_group",
    "validate_update",
]

_CREATE_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[FieldError]]]] = {
    "Pod": check_pod,
    "StatefulSet": check_stateful_set,
    "Deployment": check_deployment,
    "ReplicaSet": check_replica_set,
    "DaemonSet": check_daemon_set,
    "Job": check_job,
    "CronJob": check_cron_job,
    "Service": check_service,
    "PersistentVolumeClaim": check_claim,
    "PersistentVolume": check_volume,
    "StorageClass": check_storage_class,
    "VolumeAttributesClass": check_attributes_class,
    "PodDisruptionBudget": check_disruption_budget,
    "ResourceQuota": check_resource_quota,
    "LimitRange": check_limit_range,
    "PriorityClass": check_priority_class,
    "Node": check_node,
}


def validate_create(manifest: Mapping[str, Any]) -> list[FieldError]:
    """What the API server refuses a new object for; empty when it accepts it."""
    errors = list(check_metadata(manifest))
    rule = _CREATE_RULES.get(manifest["kind"])
    if rule is not None:
        errors += rule(manifest)
    return errors


def validate_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """What the API server refuses an update for; both objects are complete, with defaults.

    Pods and claims are not checked as new ones are: what they keep was accepted once.
    """
    errors = list(check_metadata_update(new, old))
    kind = new["kind"]
    if kind not in ("Pod", "PersistentVolumeClaim") and (rule := _CREATE_RULES.get(kind)) is not None:
        errors += rule(new)
    if (update_rule := UPDATE_RULES.get(kind)) is not None:
        errors += update_rule(new, old)
    return errors
