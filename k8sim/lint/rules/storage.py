"""Rules about data: what deletes it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from k8sim.api.core import Container, Volume
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, rows, several
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.rule import Assumptions, Rule, Suspect
from k8sim.lint.workload import POD_SPEC, Ref
from k8sim.scenario.model import Step
from k8sim.sim.units import MINUTE
from k8sim.workload.amounts import UNIT
from k8sim.workload.model import Application
from k8sim.workload.presets import PRESETS

DATABASES: Final = (
    "cassandra", "clickhouse", "cockroach", "consul", "couchdb", "elasticsearch", "etcd", "influxdb", "kafka",
    "mariadb", "minio", "mongo", "mysql", "neo4j", "opensearch", "percona", "postgres", "prometheus", "rabbitmq",
    "redis", "timescale", "valkey", "victoria-metrics", "zookeeper",
)  # fmt: skip
"""Software that is run to keep data, by a word of its image's name."""
SCRATCH: Final = ("/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm", "/cache", "/var/cache", "/var/log")
"""Where nobody expects data to stay."""


def _destroyed(bench: Bench, *steps: Step) -> Harm:
    """Count the volumes whose content goes with their objects."""
    end = max(step.at_ns for step in steps) + 10 * MINUTE
    volumes = len(list(rows(bench.run(end, *steps), "PersistentVolume", "Deleted", bench.begin_ns)))
    return Harm(volumes, f"{several(volumes, 'volume')} destroyed" if volumes else "no volume destroyed")


class ScalingDeletes(Rule):
    """Scaling a set to zero and back, or making it anew, loses its data."""

    name = "retention-deletes-data"
    level = "warning"
    looks_for = "a persistentVolumeClaimRetentionPolicy with Delete"
    tries = "scales the set to 0 and back, or deletes it"
    source = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield the fields that are Delete."""
        found = bench.workload.stateful_set
        if found is None or not bench.workload.claim_templates:
            return
        policy = found.spec.persistent_volume_claim_retention_policy
        path = ("spec", "persistentVolumeClaimRetentionPolicy")
        for field, value, what in (
            ("whenScaled", policy.when_scaled, "scaled to 0 and back five minutes later"),
            ("whenDeleted", policy.when_deleted, "deleted"),
        ):
            if value == "Delete":
                yield Suspect(
                    bench.ref,
                    (*path, field),
                    f"{field}: Delete deletes the claims of pods that are {what.partition(' ')[0]} away, and with "
                    "them the data",
                    f"the set is {what}",
                    self._scale if field == "whenScaled" else self._delete,
                    Fix((Edit(bench.ref, (*path, field), "Retain"),)),
                )

    def _scale(self, bench: Bench) -> Harm:
        begin, replicas = bench.begin_ns, bench.workload.replicas
        away = bench.kubectl(begin, "scale", "--replicas=0")
        return _destroyed(bench, away, bench.kubectl(begin + 5 * MINUTE, "scale", f"--replicas={replicas}"))

    def _delete(self, bench: Bench) -> Harm:
        return _destroyed(bench, bench.kubectl(bench.begin_ns, "delete", "--wait=false"))


class ReclaimDeletes(Rule):
    """Deleting a claim destroys what is on its volume."""

    name = "reclaim-deletes-data"
    level = "note"
    looks_for = "a storage class with reclaimPolicy Delete, which is the default, under claims of a workload"
    tries = "deletes the workload and its claims"
    source = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield the classes of the file that claims of the workload use."""
        workload = bench.workload
        for name in sorted({c.spec.storage_class_name or "" for c in (*workload.claim_templates, *workload.claims)}):
            found = workload.storage_class(name)
            if found is None or found.reclaim_policy != "Delete":
                continue
            ref = Ref("StorageClass", "", name)
            yield Suspect(
                ref,
                ("reclaimPolicy",),
                f"who deletes a claim of {bench.ref} destroys its volume",
                f"{bench.ref} is deleted, and all claims",
                self._delete,
                Fix((Edit(ref, ("reclaimPolicy",), "Retain"),)),
            )

    def _delete(self, bench: Bench) -> Harm:
        begin = bench.begin_ns
        return _destroyed(
            bench,
            bench.kubectl(begin, "delete", "--wait=false"),
            Step.kubectl(begin + MINUTE, "delete pvc --all --wait=false"),
        )


class DataInPod(Rule):
    """A database keeps its data where its pod's end deletes them."""

    name = "data-in-emptydir"
    level = "error"
    looks_for = "a single pod of a known database whose data are in an emptyDir"
    tries = "deletes the pod while clients write"
    source = "https://kubernetes.io/docs/concepts/storage/volumes/#emptydir"
    size = "10Gi"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield databases without a volume that outlives their pod."""
        workload = bench.workload
        if workload.replicas != 1 or workload.keeps_data:
            return
        for _, container in workload.containers:
            name = container.image.rpartition("/")[2].partition(":")[0].partition("@")[0]
            if not any(word in name for word in DATABASES) or "exporter" in name:
                continue
            volume = self._data_volume(bench, container)
            if volume is None:
                return
            index = workload.pod_spec.volumes.index(volume)
            yield Suspect(
                bench.ref,
                (*POD_SPEC, "volumes", index),
                f"container {container.name} ({name}) has its data in the emptyDir {volume.name}",
                "clients write 100 times a second for ten minutes; then the pod is deleted, as by a drain or an update",
                partial(self._lose, container, volume.name),
                self._fix(bench, index, volume.name),
            )

    def _data_volume(self, bench: Bench, container: Container) -> Volume | None:
        """The emptyDir that it mounts at a place that is no scratch space, and not in memory."""
        mounts = {m.name for m in container.volume_mounts if not m.mount_path.rstrip("/").startswith(SCRATCH)}
        for volume in bench.workload.pod_spec.volumes:
            if volume.name in mounts and volume.empty_dir is not None:
                return volume
        return None

    def _fix(self, bench: Bench, index: int, name: str) -> Fix:
        ref = bench.ref
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": self.size}}}
        if bench.workload.stateful_set is not None:
            volumes = [v for i, v in enumerate(bench.workload.pod_manifest["volumes"]) if i != index]
            template = {"metadata": {"name": name}, "spec": spec}
            return Fix(
                (
                    Edit(ref, (*POD_SPEC, "volumes"), volumes or None),
                    Edit(ref, ("spec", "volumeClaimTemplates"), [template]),
                )
            )
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": f"{ref.name}-{name}", "namespace": ref.namespace},
            "spec": spec,
        }
        volume = {"name": name, "persistentVolumeClaim": {"claimName": f"{ref.name}-{name}"}}
        recreate = Edit(ref, ("spec", "strategy"), {"type": "Recreate"})
        return Fix((Edit(ref, (*POD_SPEC, "volumes", index), volume), recreate), (claim,))

    def _lose(self, container: Container, volume: str, bench: Bench) -> Harm:
        begin, pod = bench.begin_ns, bench.settled.pods[0].pod
        preset, kind = PRESETS["single"], bench.workload.kind
        writer = Application(
            name=bench.ref.name,
            workload=bench.ref.name,
            members=(pod if kind == "StatefulSet" else bench.ref.name,),
            rules=preset.rules,
            writes=100 * UNIT,
            namespace=bench.ref.namespace,
            kind=kind,
            start_ns=begin,
            volume=volume,
            container=container.name,
        )
        deleted = begin + 10 * MINUTE
        steps = Step.kubectl(deleted, f"delete pod {pod} --wait=false")
        result = bench.run(deleted + 15 * MINUTE, steps, applications=(writer,))
        lost = round(sum(row.detail["writes"] for row in rows(result, "Application", "Lost")))
        return Harm(lost, f"{several(lost, 'acknowledged write')} lost" if lost else "no write lost")
