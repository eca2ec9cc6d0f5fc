"""StatefulSets, Deployments, ReplicaSets, DaemonSets, Jobs.

Source: pkg/apis/apps/validation/validation.go, pkg/apis/batch/validation/validation.go.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from k8sim.api.fielderror import FieldError, FieldPath, forbidden, invalid, required, unsupported
from k8sim.api.validation.metadata import (
    check_annotations,
    check_label_selector,
    manifest_selector_matches,
    selector_is_empty,
)
from k8sim.api.validation.names import check_labels, dns_label, each, int_or_percent, non_negative, one_of
from k8sim.api.validation.pods import check_pod_template
from k8sim.api.validation.storage import check_claim_spec

_SELECTOR_HINT = "give spec.template.metadata.labels the labels that spec.selector asks for"


def check_stateful_set(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a StatefulSet, as little as the API server does: it does not look into the pod template's spec.

    What the pods themselves would be refused for is in `pods_refused`.
    """
    spec = manifest.get("spec") or {}
    path: FieldPath = ("spec",)
    yield from one_of(spec.get("podManagementPolicy"), (*path, "podManagementPolicy"), "OrderedReady", "Parallel")
    yield from _check_stateful_set_strategy(spec.get("updateStrategy") or {}, (*path, "updateStrategy"))
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        yield from one_of(
            retention.get(field), (*path, "persistentVolumeClaimRetentionPolicy", field), "Retain", "Delete"
        )
    yield from non_negative(spec, path, "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from non_negative(spec.get("ordinals") or {}, (*path, "ordinals"), "start")
    if spec.get("serviceName"):
        yield from each((*path, "serviceName"), spec["serviceName"], dns_label(spec["serviceName"]))
    yield from _check_selector(spec, path, "statefulset")
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    at: FieldPath = (*path, "template")
    yield from check_labels(metadata.get("labels"), (*at, "metadata", "labels"))
    yield from check_annotations(metadata.get("annotations"), (*at, "metadata", "annotations"))
    yield from _check_always_restarts(template.get("spec") or {}, (*at, "spec"), "StatefulSet")


def _check_stateful_set_strategy(strategy: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    kind = strategy.get("type") or "RollingUpdate"
    rolling = strategy.get("rollingUpdate")
    if kind == "OnDelete":
        if rolling is not None:
            yield invalid((*path, "rollingUpdate"), rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        yield from non_negative(rolling or {}, (*path, "rollingUpdate"), "partition")
        at: FieldPath = (*path, "rollingUpdate", "maxUnavailable")
        unavailable = (rolling or {}).get("maxUnavailable")
        yield from int_or_percent(unavailable, at)
        if unavailable in (0, "0%"):
            yield invalid(at, unavailable, "cannot be 0")
    else:
        yield invalid(path, dict(strategy), "must be 'RollingUpdate' or 'OnDelete'")


def _check_selector(spec: Mapping[str, Any], path: FieldPath, kind: str) -> Iterator[FieldError]:
    selector = spec.get("selector")
    if selector is None:
        yield required((*path, "selector"))
        return
    yield from check_label_selector(selector, (*path, "selector"))
    if selector_is_empty(selector):
        yield invalid((*path, "selector"), dict(selector), f"empty selector is invalid for {kind}")
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not manifest_selector_matches(selector, labels):
        at: FieldPath = (*path, "template", "metadata", "labels")
        detail = "`selector` does not match template `labels`"
        yield FieldError(at, "Invalid value", detail, dict(labels), hint=_SELECTOR_HINT)


def _check_always_restarts(spec: Mapping[str, Any], path: FieldPath, kind: str) -> Iterator[FieldError]:
    if (spec.get("restartPolicy") or "Always") != "Always":
        yield unsupported((*path, "restartPolicy"), spec["restartPolicy"], ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        yield forbidden((*path, "activeDeadlineSeconds"), f"activeDeadlineSeconds in {kind} is not Supported")


def pods_refused(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """What the API server would refuse the pods and claims of an accepted StatefulSet for, again and again.

    In a file such a thing is a slip; in a cluster it shows as events FailedCreate.
    """
    if manifest["kind"] != "StatefulSet":
        return
    spec = manifest.get("spec") or {}
    templates = spec.get("volumeClaimTemplates") or ()
    names = [(template.get("metadata") or {}).get("name") or "" for template in templates]
    for i, template in enumerate(templates):
        at: FieldPath = ("spec", "volumeClaimTemplates", i)
        if not names[i]:
            yield required((*at, "metadata", "name"))
        elif names[i] in names[:i]:
            yield FieldError((*at, "metadata", "name"), "Duplicate value", "", names[i])
        yield from check_claim_spec(template.get("spec") or {}, (*at, "spec"))
    yield from check_pod_template(spec.get("template") or {}, ("spec", "template"), names)


def check_deployment(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a Deployment."""
    spec = manifest.get("spec") or {}
    path: FieldPath = ("spec",)
    yield from non_negative(spec, path, "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from _check_selector(spec, path, "deployment")
    template = spec.get("template") or {}
    yield from check_pod_template(template, (*path, "template"))
    yield from _check_always_restarts(template.get("spec") or {}, (*path, "template", "spec"), "Deployment")
    yield from _check_deployment_strategy(spec.get("strategy") or {}, (*path, "strategy"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        yield from non_negative(spec, path, "progressDeadlineSeconds")
        if deadline <= (spec.get("minReadySeconds") or 0):
            yield invalid((*path, "progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds")


def _check_deployment_strategy(strategy: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    kind = strategy.get("type") or "RollingUpdate"
    rolling = strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            yield forbidden((*path, "rollingUpdate"), detail)
    elif kind == "RollingUpdate":
        at: FieldPath = (*path, "rollingUpdate")
        unavailable = (rolling or {}).get("maxUnavailable")
        surge = (rolling or {}).get("maxSurge")
        yield from int_or_percent(unavailable, (*at, "maxUnavailable"))
        yield from int_or_percent(surge, (*at, "maxSurge"), at_most_100=False)
        if unavailable in (0, "0%") and surge in (0, "0%"):
            yield invalid((*at, "maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0")
    else:
        yield unsupported((*path, "type"), kind, ("Recreate", "RollingUpdate"))


def check_replica_set(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a ReplicaSet."""
    spec = manifest.get("spec") or {}
    yield from non_negative(spec, ("spec",), "replicas", "minReadySeconds")
    yield from _check_selector(spec, ("spec",), "replicaset")
    template = spec.get("template")
    if template is None:
        yield required(("spec", "template"))
        return
    yield from check_pod_template(template, ("spec", "template"))
    yield from _check_always_restarts(template.get("spec") or {}, ("spec", "template", "spec"), "ReplicaSet")


def check_daemon_set(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a DaemonSet."""
    spec = manifest.get("spec") or {}
    yield from non_negative(spec, ("spec",), "minReadySeconds", "revisionHistoryLimit")
    yield from _check_selector(spec, ("spec",), "daemonset")
    template = spec.get("template") or {}
    yield from check_pod_template(template, ("spec", "template"))
    yield from _check_always_restarts(template.get("spec") or {}, ("spec", "template", "spec"), "DaemonSet")


def check_job(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a Job."""
    yield from _check_job_spec(manifest.get("spec") or {}, ("spec",))


def check_cron_job(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a CronJob."""
    spec = manifest.get("spec") or {}
    if not spec.get("schedule"):
        yield required(("spec", "schedule"))
    yield from one_of(spec.get("concurrencyPolicy"), ("spec", "concurrencyPolicy"), "Allow", "Forbid", "Replace")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    yield from _check_job_spec(job, ("spec", "jobTemplate", "spec"))


def _check_job_spec(spec: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    yield from non_negative(spec, path, "parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished")
    yield from one_of(spec.get("completionMode"), (*path, "completionMode"), "NonIndexed", "Indexed")
    template = spec.get("template") or {}
    at: FieldPath = (*path, "template")
    yield from check_pod_template(template, at)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy in (None, ""):
        yield required((*at, "spec", "restartPolicy"), 'valid values: "OnFailure", "Never"')
    elif policy == "Always":
        yield unsupported((*at, "spec", "restartPolicy"), policy, ("OnFailure", "Never"))
