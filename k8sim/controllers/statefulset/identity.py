"""Names, ordinals, labels and volumes of a StatefulSet's pods.

Source: pkg/controller/statefulset/stateful_set_utils.go; workloads.md 1.1, 1.9.
"""

from __future__ import annotations

from functools import lru_cache

from k8sim.api.apps import ControllerRevision, StatefulSet
from k8sim.api.core import PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume
from k8sim.api.meta import ObjectMeta
from k8sim.api.struct import replace
from k8sim.controllers.pod_template import pod_from_template

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
REVISION_LABEL = "controller-revision-hash"
_INT32_MAX = 2**31 - 1


@lru_cache(maxsize=8192)  # each version of a pod asks for it
def parent_and_ordinal(pod_name: str) -> tuple[str, int]:
    """Return what stands before the last dash and the number after it; ordinal -1 for any other name."""
    parent, dash, number = pod_name.rpartition("-")
    if not dash or not number.isascii() or not number.isdigit():
        return "", -1
    ordinal = int(number)
    return parent, ordinal if ordinal <= _INT32_MAX else -1


def start_ordinal(sts: StatefulSet) -> int:
    """Return the lowest ordinal of the set."""
    return sts.spec.ordinals.start if sts.spec.ordinals is not None else 0


def pod_in_ordinal_range(ordinal: int, sts: StatefulSet) -> bool:
    """Tell whether the set wants a pod of that ordinal."""
    start = start_ordinal(sts)
    return start <= ordinal < start + sts.spec.replicas


def pod_name(sts: StatefulSet, ordinal: int) -> str:
    """Return the name of the set's pod of that ordinal."""
    return f"{sts.metadata.name}-{ordinal}"


def claim_name(sts: StatefulSet, template: PersistentVolumeClaim, ordinal: int) -> str:
    """Return the name of the claim that a claim template makes for an ordinal."""
    return f"{template.name}-{sts.name}-{ordinal}"


def claims_of(sts: StatefulSet, ordinal: int) -> list[PersistentVolumeClaim]:
    """Return the claims that a pod of that ordinal needs, as they are created, in template order."""
    labels = sts.spec.selector.match_labels if sts.spec.selector is not None else {}
    return [
        replace(
            template,
            metadata=ObjectMeta(
                name=claim_name(sts, template, ordinal),
                namespace=sts.namespace,
                labels={**template.metadata.labels, **labels},
                annotations=template.metadata.annotations,
                finalizers=template.metadata.finalizers,
                owner_references=template.metadata.owner_references,
            ),
        )
        for template in sts.spec.volume_claim_templates
    ]


def with_storage(sts: StatefulSet, volumes: tuple[Volume, ...], ordinal: int) -> tuple[Volume, ...]:
    """Return a pod's volumes with those of the claim templates, which replace volumes of the same name."""
    templates = sts.spec.volume_claim_templates
    if not templates:
        return volumes
    names = {t.name for t in templates}
    claimed = tuple(
        Volume(
            name=t.name,
            persistent_volume_claim=PersistentVolumeClaimVolumeSource(claim_name=claim_name(sts, t, ordinal)),
        )
        for t in templates
    )
    return claimed + tuple(v for v in volumes if v.name not in names)


def new_stateful_set_pod(sts: StatefulSet, template: PodTemplateSpec, ordinal: int, revision: str) -> Pod:
    """Return a new pod of the set."""
    name = pod_name(sts, ordinal)
    spec = template.spec
    return pod_from_template(
        template,
        sts,
        name=name,
        labels={POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal), REVISION_LABEL: revision},
        spec=replace(
            spec,
            hostname=name,
            subdomain=sts.spec.service_name,
            volumes=with_storage(sts, spec.volumes, ordinal),
        ),
    )


def gets_current_revision(sts: StatefulSet, ordinal: int) -> bool:
    """Tell whether a pod made now for an ordinal gets the current revision rather than the update revision.

    Without a rollingUpdate object it is the set's status that says how many pods are still at the current revision.
    """
    strategy = sts.spec.update_strategy
    if strategy.type != "RollingUpdate":
        return False
    if strategy.rolling_update is None:
        return ordinal < start_ordinal(sts) + sts.status.current_replicas
    return ordinal < start_ordinal(sts) + (strategy.rolling_update.partition or 0)


def new_versioned_stateful_set_pod(
    sts: StatefulSet, current: ControllerRevision, update: ControllerRevision, ordinal: int
) -> Pod:
    """Return a new pod of the set, of the revision that its ordinal is to have now."""
    revision = current if gets_current_revision(sts, ordinal) else update
    return new_stateful_set_pod(sts, revision.data, ordinal, revision.name)


def identity_matches(sts: StatefulSet, pod: Pod, ordinal: int) -> bool:
    """Tell whether the pod has the name and the label that its ordinal asks for."""
    name = pod.metadata.name
    return name == pod_name(sts, ordinal) and pod.metadata.labels.get(POD_NAME_LABEL) == name


def storage_matches(sts: StatefulSet, pod: Pod, ordinal: int) -> bool:
    """Tell whether the pod has a volume for each claim template, on the right claim."""
    templates = sts.spec.volume_claim_templates
    if not templates:
        return True
    volumes = {v.name: v.persistent_volume_claim for v in pod.spec.volumes}
    for template in templates:
        source = volumes.get(template.name)
        if source is None or source.claim_name != claim_name(sts, template, ordinal):
            return False
    return True


def with_identity(sts: StatefulSet, pod: Pod, ordinal: int) -> Pod:
    """Return the pod with name and labels of its ordinal (updateIdentity)."""
    name = pod_name(sts, ordinal)
    labels = {**pod.metadata.labels, POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
    return replace(pod, metadata=replace(pod.metadata, name=name, namespace=sts.namespace, labels=labels))
