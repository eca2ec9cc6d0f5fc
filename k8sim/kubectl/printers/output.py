"""kubectl get's output: tables by kind, names, YAML or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import yaml

from k8sim.api.meta import Object
from k8sim.api.scheme import encode, resource_name
from k8sim.kubectl.printers import cluster, pods, storage, workloads
from k8sim.kubectl.printers.text import age, layout, pairs


class Table(NamedTuple):
    """The columns of a kind, those of ``-o wide``, and how an object becomes cells (all of them)."""

    columns: Sequence[str]
    wide: Sequence[str]
    row: Callable[[Any, int], list[str]]


TABLES: Final[Mapping[str, Table]] = {
    "Pod": Table(pods.POD_COLUMNS, pods.POD_WIDE, pods.pod_row),
    "StatefulSet": Table(workloads.STATEFUL_SET_COLUMNS, workloads.TEMPLATE_WIDE, workloads.stateful_set_row),
    "Deployment": Table(workloads.DEPLOYMENT_COLUMNS, workloads.SELECTOR_WIDE, workloads.deployment_row),
    "ReplicaSet": Table(workloads.REPLICA_SET_COLUMNS, workloads.SELECTOR_WIDE, workloads.replica_set_row),
    "DaemonSet": Table(workloads.DAEMON_SET_COLUMNS, workloads.SELECTOR_WIDE, workloads.daemon_set_row),
    "Job": Table(workloads.JOB_COLUMNS, workloads.SELECTOR_WIDE, workloads.job_row),
    "CronJob": Table(workloads.CRON_JOB_COLUMNS, workloads.SELECTOR_WIDE, workloads.cron_job_row),
    "ControllerRevision": Table(workloads.CONTROLLER_REVISION_COLUMNS, (), workloads.controller_revision_row),
    "PersistentVolumeClaim": Table(storage.CLAIM_COLUMNS, storage.MODE_WIDE, storage.claim_row),
    "PersistentVolume": Table(storage.VOLUME_COLUMNS, storage.MODE_WIDE, storage.volume_row),
    "StorageClass": Table(storage.CLASS_COLUMNS, (), storage.class_row),
    "VolumeAttributesClass": Table(storage.ATTRIBUTES_CLASS_COLUMNS, (), storage.attributes_class_row),
    "VolumeAttachment": Table(storage.ATTACHMENT_COLUMNS, (), storage.attachment_row),
    "CSIDriver": Table(storage.CSI_DRIVER_COLUMNS, (), storage.csi_driver_row),
    "CSINode": Table(storage.CSI_NODE_COLUMNS, (), storage.csi_node_row),
    "CSIStorageCapacity": Table(storage.CAPACITY_COLUMNS, (), storage.capacity_row),
    "VolumeSnapshot": Table(storage.SNAPSHOT_COLUMNS, (), storage.snapshot_row),
    "VolumeSnapshotClass": Table(storage.SNAPSHOT_CLASS_COLUMNS, (), storage.snapshot_class_row),
    "VolumeSnapshotContent": Table(storage.SNAPSHOT_CONTENT_COLUMNS, (), storage.snapshot_content_row),
    "Node": Table(cluster.NODE_COLUMNS, cluster.NODE_WIDE, cluster.node_row),
    "Namespace": Table(cluster.NAMESPACE_COLUMNS, (), cluster.namespace_row),
    "Service": Table(cluster.SERVICE_COLUMNS, cluster.SERVICE_WIDE, cluster.service_row),
    "EndpointSlice": Table(cluster.ENDPOINT_SLICE_COLUMNS, (), cluster.endpoint_slice_row),
    "PodDisruptionBudget": Table(cluster.BUDGET_COLUMNS, (), cluster.budget_row),
    "ResourceQuota": Table(cluster.QUOTA_COLUMNS, (), cluster.quota_row),
    "LimitRange": Table(cluster.LIMIT_RANGE_COLUMNS, (), cluster.limit_range_row),
    "PriorityClass": Table(cluster.PRIORITY_COLUMNS, (), cluster.priority_row),
    "ConfigMap": Table(cluster.CONFIG_MAP_COLUMNS, (), cluster.config_map_row),
    "Secret": Table(cluster.SECRET_COLUMNS, (), cluster.secret_row),
}
_ANY: Final = Table(("Name", "Age"), (), lambda obj, now_ns: [obj.name, age(obj.metadata.creation_timestamp, now_ns)])


def print_objects(
    objects: Sequence[Object],
    now_ns: int,
    output: str = "",
    *,
    namespaces: bool = False,
    labels: bool = False,
    headings: bool = True,
) -> list[str]:
    """Return the lines that kubectl get prints for objects of one or several kinds.

    Parameters
    ----------
    output
        "", "wide", "name", "yaml" or "json".
    namespaces
        Show the namespaces (``--all-namespaces``).
    labels
        Show the labels (``--show-labels``).
    headings
        Show the names of the columns.
    """
    if output == "name":
        return [f"{resource_name(type(obj))}/{obj.name}" for obj in objects]
    if output in ("yaml", "json"):
        return _documents(objects, output)
    by_kind: dict[str, list[Object]] = {}
    for obj in objects:
        by_kind.setdefault(obj.kind, []).append(obj)
    lines: list[str] = []
    for kind, group in by_kind.items():
        if lines:
            lines.append("")
        table = TABLES.get(kind, _ANY)
        heading = [*table.columns, *(table.wide if output == "wide" else ())]
        rows = []
        for obj in group:
            cells = table.row(obj, now_ns)[: len(heading)]
            if len(by_kind) > 1:
                cells[0] = f"{resource_name(type(obj))}/{cells[0]}"
            if namespaces:
                cells.insert(0, obj.namespace)
            if labels:
                cells.append(pairs(obj.metadata.labels))
            rows.append(cells)
        heading = [*(("Namespace",) if namespaces else ()), *heading, *(("Labels",) if labels else ())]
        lines += layout(heading if headings else (), rows)
    return lines


def _documents(objects: Sequence[Object], output: str) -> list[str]:
    manifests = [encode(obj) for obj in objects]
    document = manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "items": manifests, "kind": "List"}
    if output == "json":
        return json.dumps(document, indent=4, default=str).splitlines()
    return yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=1000).splitlines()
