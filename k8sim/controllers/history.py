"""ControllerRevisions: names, equality, order (pkg/controller/history/controller_history.go; workloads.md 1.5)."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Final

import msgspec

from k8sim.api.apps import ControllerRevision
from k8sim.api.core import PodTemplateSpec
from k8sim.api.meta import Object, ObjectMeta, controller_ref
from k8sim.api.scheme import encode_part
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, ApiError
from k8sim.controllers.hashing import fnv1_32, safe_encode_string
from k8sim.controllers.retry import DEFAULT_BACKOFF, retry_on_conflict
from k8sim.sim.clock import Event

HASH_LABEL = "controller.kubernetes.io/hash"
_PREFIX_MAX = 223


def hash_controller_revision(data: bytes, collision_count: int) -> str:
    """Return the hash of a revision's data, after a number of name clashes."""
    return safe_encode_string(str(fnv1_32(data + str(collision_count).encode())))


def controller_revision_name(prefix: str, hash_: str) -> str:
    """Return the name of a revision; a long prefix is cut so that the name stays valid."""
    return f"{prefix[:_PREFIX_MAX]}-{hash_}"


def template_patch(template: PodTemplateSpec) -> bytes:
    """Return the data of a revision: the template as a patch that replaces it, with sorted keys.

    Replicates of a scenario go through the same templates, so it is kept by the template's content.
    """
    content = msgspec.msgpack.encode(template)
    patch = _patches.get(content)
    if patch is None:
        if len(_patches) >= _MOST_PATCHES:
            _patches.clear()
        patch = _patches[content] = _template_patch(template)
    return patch


_patches: dict[bytes, bytes] = {}
_MOST_PATCHES: Final = 1024


def _template_patch(template: PodTemplateSpec) -> bytes:
    document = {"spec": {"template": {"$patch": "replace", **encode_part(template)}}}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), default=str).encode()


def new_controller_revision(
    parent: Object, template: PodTemplateSpec, number: int, collision_count: int
) -> ControllerRevision:
    """Return a revision of a parent's template, not stored yet."""
    hash_ = hash_controller_revision(template_patch(template), collision_count)
    return ControllerRevision(
        metadata=ObjectMeta(
            name=controller_revision_name(parent.name, hash_),
            namespace=parent.namespace,
            labels={**template.metadata.labels, HASH_LABEL: hash_},
            annotations=parent.metadata.annotations,
            owner_references=(controller_ref(parent),),
        ),
        revision=number,
        data=template,
    )


def renamed(revision: ControllerRevision, parent: Object, collision_count: int) -> ControllerRevision:
    """Return a revision that is not stored yet under the name it gets after a number of clashes."""
    hash_ = hash_controller_revision(template_patch(revision.data), collision_count)
    name = controller_revision_name(parent.name, hash_)
    labels = {**revision.metadata.labels, HASH_LABEL: hash_}
    return replace(revision, metadata=replace(revision.metadata, name=name, labels=labels))


def sort_controller_revisions(revisions: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """Return revisions by number, then creation time, then name."""
    return sorted(revisions, key=lambda r: (r.revision, r.metadata.creation_timestamp or 0, r.metadata.name))


def next_revision(sorted_revisions: Sequence[ControllerRevision]) -> int:
    """Return the number that comes after the newest revision's."""
    return sorted_revisions[-1].revision + 1 if sorted_revisions else 1


def create_controller_revision(
    client: Client, parent: Object, revision: ControllerRevision, collision_count: int
) -> Generator[Event, Any, tuple[ControllerRevision, int]]:
    """Create a revision; on a name clash reuse an equal one, or rehash with a higher collision count.

    Returns
    -------
    revision, collision_count
    """
    while True:
        try:
            created = yield from client.create(revision)
        except AlreadyExists:
            exists = yield from client.get(ControllerRevision, *revision.key)
            if exists.data == revision.data:
                return exists, collision_count
            collision_count += 1
            revision = renamed(revision, parent, collision_count)
        else:
            return created, collision_count


def update_controller_revision(
    client: Client, revision: ControllerRevision, number: int
) -> Generator[Event, Any, ControllerRevision]:
    """Give a revision a new number, re-reading it on a conflict."""
    current = revision

    def attempt() -> Generator[Event, Any, ControllerRevision]:
        nonlocal current
        if current.revision == number:
            return current
        try:
            return (yield from client.update(replace(current, revision=number)))
        except ApiError:
            current = yield from client.get(ControllerRevision, *current.key)
            raise

    return (yield from retry_on_conflict(client, DEFAULT_BACKOFF, attempt))
