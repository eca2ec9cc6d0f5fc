"""Admission of claims and volumes: default class, protection finalizers, data sources, who may grow.

Each plug-in is (server, new object, old object or None on create) -> object, or raises Forbidden. The order is that of
the API server: what changes an object comes before what only judges it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import Object, with_meta
from k8sim.api.storage import StorageClass, VolumeAttributesClass
from k8sim.api.storage_classes import default_storage_class
from k8sim.api.struct import replace
from k8sim.api.volume_matching import claim_class, claim_has_class, storage_request
from k8sim.apiserver.admission_handler import handles
from k8sim.apiserver.errors import Forbidden

if TYPE_CHECKING:
    from k8sim.apiserver.server import APIServer

PVC_PROTECTION: Final = "kubernetes.io/pvc-protection"
PV_PROTECTION: Final = "kubernetes.io/pv-protection"
VAC_PROTECTION: Final = "kubernetes.io/vac-protection"
_PROTECTIONS: Final[Mapping[type[Object], str]] = {
    PersistentVolumeClaim: PVC_PROTECTION,
    PersistentVolume: PV_PROTECTION,
    VolumeAttributesClass: VAC_PROTECTION,
}
_RESIZE_REFUSED: Final = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


@handles(create=(PersistentVolumeClaim,), update=())
def normalize_data_source(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Drop a dataSource of an unknown kind silently, and let dataSource and dataSourceRef mirror each other.

    A claim whose source was dropped gets an empty volume (pkg/registry/core/persistentvolumeclaim/strategy.go;
    storage.md 6.5, L32).
    """
    assert isinstance(obj, PersistentVolumeClaim)
    source, ref = obj.spec.data_source, obj.spec.data_source_ref
    if source is not None and source.kind not in ("PersistentVolumeClaim", "VolumeSnapshot"):
        detail = {"path": "L32", "kind": source.kind, "name": source.name}
        now = server.sim.clock.now
        server.sim.trace.append(now, "Volume", obj.name, "SourceDropped", detail, namespace=obj.namespace)
        source = None
    if ref is None:
        ref = source
    elif source is None and not ref.namespace and ref.kind in ("PersistentVolumeClaim", "VolumeSnapshot"):
        source = ref
    if (source, ref) == (obj.spec.data_source, obj.spec.data_source_ref):
        return obj
    return replace(obj, spec=replace(obj.spec, data_source=source, data_source_ref=ref))


@handles(create=(PersistentVolumeClaim,), update=())
def set_default_storage_class(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Give a new claim that says nothing about its class the default one, if there is one.

    Source: plugin/pkg/admission/storage/storageclass/setdefault/admission.go; storage.md 1.7.
    """
    assert isinstance(obj, PersistentVolumeClaim)
    if claim_has_class(obj):
        return obj
    default = default_storage_class(server.list(StorageClass))
    return obj if default is None else replace(obj, spec=replace(obj.spec, storage_class_name=default.name))


@handles(create=_PROTECTIONS, update=())
def protect_storage_in_use(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Add the finalizer that holds back a claim that pods use, a volume that is bound, and a class that either names.

    Source: plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go; storage.md 1.10.
    """
    finalizer = _PROTECTIONS[type(obj)]
    if finalizer in obj.metadata.finalizers:
        return obj
    return with_meta(obj, finalizers=(*obj.metadata.finalizers, finalizer))


@handles(create=(), update=(PersistentVolumeClaim,))
def refuse_resize(server: APIServer, obj: Object, old: Object | None) -> Object:
    """Refuse to let a claim grow whose class does not allow it now; the class at provisioning time does not count.

    A claim that is not Bound is left to validation, which comes first in the API server and refuses any change of it.

    Source: plugin/pkg/admission/storage/persistentvolume/resize/admission.go; storage.md 4.1.
    """
    assert isinstance(obj, PersistentVolumeClaim)
    assert isinstance(old, PersistentVolumeClaim)
    if storage_request(obj) <= storage_request(old) or old.status.phase != "Bound":
        return obj
    name = claim_class(obj)
    storage_class = server.find(StorageClass, "", name) if name else None
    if storage_class is None or not storage_class.allow_volume_expansion:
        raise Forbidden(f'persistentvolumeclaims "{obj.name}" is forbidden: {_RESIZE_REFUSED}')
    return obj


STORAGE_ADMISSION: Final[tuple[Callable[[APIServer, Object, Object | None], Object], ...]] = (
    normalize_data_source,
    set_default_storage_class,
    protect_storage_in_use,
    refuse_resize,
)
