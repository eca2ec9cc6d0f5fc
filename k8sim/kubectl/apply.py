"""kubectl apply: create what is absent, else merge three ways with the configuration that was applied last.

Source: staging/src/k8s.io/kubectl/pkg/cmd/apply/{apply,patcher}.go.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from k8sim.api.meta import Object
from k8sim.api.scheme import decode, kind_class
from k8sim.apiserver.errors import AlreadyExists, ApiError, BadRequest, NotFound
from k8sim.kubectl.process import CommandError, Process, Steps
from k8sim.kubectl.strategic import three_way_merge
from k8sim.kubectl.wire import rewritten

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def annotated(manifest: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Return the manifest as apply sends it: with its namespace and with itself as an annotation."""
    metadata = {k: v for k, v in (manifest.get("metadata") or {}).items() if v is not None}
    if namespace:
        metadata["namespace"] = namespace
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    sent = {**manifest, "metadata": {**metadata, "annotations": annotations}}
    text = json.dumps(sent, separators=(",", ":"), sort_keys=True, default=str)
    return {**sent, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: text + "\n"}}}


def applied(live: Mapping[str, Any], manifest: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the live object (plain form) after an apply of a manifest that `annotated` has prepared.

    The status is not apply's to change.
    """
    text = live.get("metadata", {}).get("annotations", {}).get(LAST_APPLIED)
    last, wanted = ({k: v for k, v in m.items() if k != "status"} for m in (json.loads(text) if text else {}, manifest))
    return three_way_merge(last, wanted, live, kind)


def apply(process: Process, manifest: Mapping[str, Any], known_absent: bool = False) -> Steps[None]:
    """Apply one object, and say what became of it.

    ``known_absent`` saves the GET that asks whether the object is there (it may be there nevertheless).
    """
    kind, metadata = str(manifest.get("kind", "")), manifest.get("metadata") or {}
    cls = kind_class(kind)
    if not metadata.get("name"):
        if metadata.get("generateName"):
            raise CommandError(f"from {metadata['generateName']}: cannot use generate name with apply")
        raise CommandError("resource name may not be empty")
    name = str(metadata["name"])
    if cls is None or cls.api_version != manifest.get("apiVersion", cls.api_version):
        process.say(f"{_foreign(manifest)}/{name} created")  # accepted, and known to have no effect
        return
    namespace = (metadata.get("namespace") or process.namespace) if cls.namespaced else ""
    sent = _sent(manifest, namespace)
    try:
        live = None if known_absent else (yield from _find(process, cls, namespace, name))
        if live is None:
            try:
                process.report((yield from process.client.create(sent.decoded())), "created")
                return
            except AlreadyExists:
                live = yield from process.client.get(cls, namespace, name)
        new = yield from _merge(process, cls, live, sent.wanted)
        process.report(live, "unchanged" if new == live else "configured")
    except ApiError as error:
        process.fail(error, cls, name)


def _find(process: Process, cls: type[Object], namespace: str, name: str) -> Steps[Object | None]:
    try:
        return (yield from process.client.get(cls, namespace, name))
    except NotFound:
        return None


def _merge(process: Process, cls: type[Object], live: Object, wanted: Mapping[str, Any]) -> Steps[Object]:
    if LAST_APPLIED not in live.metadata.annotations:
        process.warn(
            f"Warning: resource {cls.plural}/{live.name} is missing the {LAST_APPLIED} annotation which is required by "
            "kubectl apply. The missing annotation will be patched automatically."
        )

    def change(data: dict[str, Any]) -> dict[str, Any]:
        return applied(data, wanted, cls.kind)

    if rewritten(live, change) == live:
        return live
    return (yield from process.patch(live, change))


@dataclass(slots=True)
class _Sent:
    """What is sent for a manifest: its plain form and, once that has been decoded, its object."""

    manifest: Mapping[str, Any]
    content: Mapping[str, Any]
    wanted: Mapping[str, Any]
    obj: Object | None = None

    def decoded(self) -> Object:
        """Return the object."""
        if self.obj is None:
            self.obj = _decoded(self.wanted)
        return self.obj


# The replicates of a scenario apply the same manifests. So what is sent is kept by the identity of the manifest (which
# is kept too, so that the identity is not used again), as long as its content is what it was: somebody may change it.
_known: dict[tuple[int, str], _Sent] = {}
_MOST_KNOWN: Final = 8192


def _sent(manifest: Mapping[str, Any], namespace: str) -> _Sent:
    """Return what is sent for a manifest."""
    known = _known.get((id(manifest), namespace))
    if known is None or known.content != manifest:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = _Sent(manifest, copy.deepcopy(manifest), annotated(manifest, namespace))
        _known[id(manifest), namespace] = known
    return known


def _decoded(manifest: Mapping[str, Any]) -> Object:
    try:
        return decode(manifest)
    except (TypeError, AttributeError, ValueError) as error:
        kind, version = manifest["kind"], str(manifest.get("apiVersion")).rpartition("/")[2]
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None


def _foreign(manifest: Mapping[str, Any]) -> str:
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    kind = str(manifest.get("kind", "")).lower()
    return f"{kind}.{group}" if group else kind
