"""Pods from a controller's template (pkg/controller/controller_utils.go GetPodFromTemplate)."""

from __future__ import annotations

from k8sim.api.core import Pod, PodSpec, PodTemplateSpec
from k8sim.api.meta import Object, ObjectMeta, controller_ref


def pod_from_template(
    template: PodTemplateSpec,
    owner: Object,
    *,
    name: str = "",
    labels: dict[str, str] | None = None,
    spec: PodSpec | None = None,
) -> Pod:
    """Return a new pod: labels, annotations and finalizers of the template, owned by the controller.

    Parameters
    ----------
    labels
        What is put over the template's labels.
    spec
        The spec if it is not just the template's.
    """
    meta = template.metadata
    return Pod(
        metadata=ObjectMeta(
            name=name,
            generate_name=f"{owner.name}-",
            namespace=owner.namespace,
            labels={**meta.labels, **labels} if labels else meta.labels,
            annotations=meta.annotations,
            finalizers=meta.finalizers,
            owner_references=(controller_ref(owner),),
        ),
        spec=template.spec if spec is None else spec,
    )
