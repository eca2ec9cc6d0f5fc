"""Kubernetes objects in files: which there are, and whether the API server would take them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from k8sim.api.csi_migration import MIGRATED
from k8sim.api.fielderror import FieldError
from k8sim.api.schema import BuiltInKind, NotServedError, built_in_kind, check, describe
from k8sim.api.simulated import is_simulated, unsimulated_fields
from k8sim.api.validation import pods_refused, validate_create
from k8sim.csi.drivers import DEFAULT_FAMILY, find_driver, in_tree
from k8sim.scenario.errors import ScenarioError
from k8sim.scenario.model import NotSimulated, Source
from k8sim.scenario.yamlsource import Document

MINIMAL_SCENARIO: Final = (
    "apiVersion: k8sim.dev/v1alpha1, kind: Scenario, metadata: {name: test}, "
    "spec: {duration: 10m, nodes: [{name: node, count: 3}], include: [manifests.yaml]}"
)
MAX_REPLICAS: Final = 100_000
_PODS_REFUSED: Final = "a cluster would accept the StatefulSet, and then refuse each of its pods"
_KUSTOMIZE: Final = "input of kustomize, not an object: include what `kubectl kustomize` prints"
_CUSTOM: Final = "custom resource: an operator would create the pods; bring its output instead"


#: What a server fills in; manifests that were read from a cluster have it.
_SERVER_FIELDS: Final = (
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """One object in a file."""

    document: Document

    @property
    def data(self) -> dict[str, Any]:
        """The object as a plain dict."""
        data: dict[str, Any] = self.document.data
        return data

    @property
    def new_object(self) -> dict[str, Any]:
        """The object as a client would send it to a cluster that has never seen it."""
        metadata = self.data.get("metadata") or {}
        return {**self.data, "metadata": {k: v for k, v in metadata.items() if k not in _SERVER_FIELDS}}

    @property
    def source(self) -> Source:
        """File and line."""
        return Source(self.document.file, self.document.line)

    @property
    def label(self) -> str:
        """Kind and name, for messages."""
        name = (self.data.get("metadata") or {}).get("name")
        return f'{self.data["kind"]} "{name}"' if name else str(self.data["kind"])


def flatten(document: Document) -> list[Manifest]:
    """The objects of a document; the items of a List in its place.

    Raises
    ------
    ScenarioError
        It is not a Kubernetes object at all.
    """
    data = document.data
    if data in (None, {}):
        return []
    if not isinstance(data, dict):
        raise document.error((), f"expected a Kubernetes object, got {describe(data)}", "several objects: kind: List")
    for key in ("apiVersion", "kind"):
        if data.get(key) is None:
            raise document.error((), f"{key} is missing", "every object has apiVersion and kind")
        if not isinstance(data[key], str) or not data[key]:
            raise document.error((key,), f"{key}: expected a string, got {describe(data[key])}")
    if not isinstance(data.get("metadata") or {}, dict):
        raise document.error(("metadata",), f"metadata: expected a mapping, got {describe(data['metadata'])}")
    if not data["kind"].endswith("List") or "items" not in data:
        return [Manifest(document)]
    items = data["items"] or []
    if not isinstance(items, list):
        raise document.error(("items",), f"items: expected a list, got {describe(items)}")
    return [manifest for i in range(len(items)) for manifest in flatten(document.part(("items", i)))]


def check_manifest(manifest: Manifest) -> list[NotSimulated]:
    """Check one object as the API server would; return what of it has no effect here."""
    data = manifest.data
    try:
        kind = built_in_kind(data["apiVersion"], data["kind"])
    except NotServedError as problem:
        raise manifest.document.error(("apiVersion",), problem.problem, problem.hint) from None
    if kind is None:
        if is_simulated(data["kind"], data["apiVersion"]):
            return []
        what = f"{data['apiVersion']} {manifest.label}"
        is_kustomize = data["apiVersion"].startswith("kustomize.config.k8s.io/")
        return [NotSimulated(what, _KUSTOMIZE if is_kustomize else _CUSTOM, manifest.source)]
    # Each stage may rely on the one before.
    if errors := check(data, kind) or validate_create(data):
        raise _error(manifest, errors)
    if errors := list(pods_refused(data)):
        raise _error(manifest, [replace(error, hint=error.hint or _PODS_REFUSED) for error in errors])
    _check_size(manifest)
    if not is_simulated(data["kind"], data["apiVersion"]):
        return [NotSimulated(manifest.label, "this kind is not simulated", manifest.source)]
    file, line_of = manifest.document.file, manifest.document.line_of
    return [
        NotSimulated(f"{data['kind']} {field}", "this field is not simulated", Source(file, line_of(path)))
        for field, path in unsimulated_fields(data)
        if path[0] != "status"  # a server takes no orders from there
    ]


def assumed_drivers(manifests: Iterable[Manifest], described: Container[str]) -> Iterator[NotSimulated]:
    """Yield the storage drivers that manifests name and that neither the scenario nor we know."""
    for manifest in manifests:
        data = manifest.data
        if data["kind"] == "StorageClass":
            name, key = data.get("provisioner"), "provisioner"
        elif data["kind"] == "PersistentVolume":
            name, key = ((data.get("spec") or {}).get("csi") or {}).get("driver"), "spec"
        else:
            continue
        if (
            isinstance(name, str)
            and not in_tree(name)
            and name not in described
            and not find_driver(MIGRATED.get(name, name)).known
        ):
            why = f"assumed: {DEFAULT_FAMILY.family.replace('-', ' ')}; say otherwise in spec.cluster.storageDrivers"
            place = Source(manifest.document.file, manifest.document.line_of((key,)))
            yield NotSimulated(f"storage driver {name}", why, place)


def _error(manifest: Manifest, errors: Iterable[FieldError]) -> ScenarioError:
    """The error that stands first in the file; a misspelt field before the one that is missing for it."""

    def rank(error: FieldError) -> tuple[bool, int]:
        return error.reason == "Required value", manifest.document.line_of(_blame(error))

    first = min(errors, key=rank)
    return manifest.document.error(_blame(first), f"{manifest.label}: {first.message}", first.hint)


def _blame(error: FieldError) -> tuple[str | int, ...]:
    return error.path if error.key is None else (*error.path, error.key)


def _check_size(manifest: Manifest) -> None:
    replicas = (manifest.data.get("spec") or {}).get("replicas")
    if isinstance(replicas, int) and replicas > MAX_REPLICAS:
        raise manifest.document.error(
            ("spec", "replicas"),
            f"{manifest.label}: spec.replicas: {replicas} pods are too many",
            f"at most {MAX_REPLICAS} can be simulated",
        )


def check_names(manifests: Iterable[Manifest], namespace: str) -> None:
    """Refuse two manifests of one object.

    kubectl would let the later one change the earlier one; in a file it is a slip.
    """
    seen: dict[tuple[str, ...], Manifest] = {}
    for manifest in manifests:
        metadata = manifest.data.get("metadata") or {}
        name = metadata.get("name")
        if not name:
            continue
        kind = _kind(manifest)
        group = manifest.data["apiVersion"].rpartition("/")[0]
        place = (metadata.get("namespace") or namespace) if kind is None or kind.namespaced else ""
        identity = (group, manifest.data["kind"], place, str(name))
        if identity in seen:
            raise manifest.document.error(
                ("metadata", "name"),
                f"{manifest.label} stands twice (first in {seen[identity].source})",
                "remove or rename one of them",
            )
        seen[identity] = manifest


def _kind(manifest: Manifest) -> BuiltInKind | None:
    try:
        return built_in_kind(manifest.data["apiVersion"], manifest.data["kind"])
    except NotServedError:
        return None
