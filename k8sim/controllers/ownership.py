"""Who owns a pod: adoption and release by controller reference.

Source: pkg/controller/controller_ref_manager.go; workloads.md 1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, Literal, TypeVar

from k8sim.api.meta import Object, OwnerReference, controller_of, controller_ref, with_meta
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Conflict, NotFound
from k8sim.apiserver.informer import Informer
from k8sim.controllers.concurrent import raise_first_of
from k8sim.sim.clock import Event

T = TypeVar("T", bound=Object)
Verdict = Literal["keep", "adopt", "release", "ignore"]

CONTROLLER_INDEX = "controller"
ORPHAN_INDEX = "orphan"


def index_by_controller(informer: Informer[T]) -> None:
    """File objects under their controller's UID, and those without a controller under their namespace."""
    informer.add_index(CONTROLLER_INDEX, lambda o: (ref.uid,) if (ref := controller_of(o)) else ())
    informer.add_index(ORPHAN_INDEX, lambda o: () if controller_of(o) else (o.metadata.namespace,))


def controller_before(old: Object | None, new: Object, now: OwnerReference | None) -> OwnerReference | None:
    """Return the controller of an object's former version; ``now`` is the new one's, and mostly it is the same."""
    if old is None:
        return None
    shared = old.metadata.owner_references is new.metadata.owner_references
    return now if shared else controller_of(old)


def claim_object(obj: Object, controller: Object, matches: bool) -> Verdict:
    """Decide what a controller does with an object (ControllerRefManager.ClaimObject)."""
    ref = controller_of(obj)
    if ref is not None:
        if ref.uid != controller.uid:
            return "ignore"
        if matches:
            return "keep"
        return "ignore" if controller.deleting else "release"
    if controller.deleting or not matches or obj.deleting:
        return "ignore"
    return "adopt" if obj.namespace == controller.namespace else "ignore"


def claim_objects(
    client: Client, controller: T, objects: Iterable[Object], match: Callable[[Any], bool]
) -> Generator[Event, Any, list[Any]]:
    """Adopt and release, and return the objects that the controller has.

    Any failure other than "the object is gone" fails the whole call, after all objects had their turn.
    """
    mine: list[Object] = []
    errors: list[ApiError] = []
    adoption = Adoption(client, controller)
    for obj in objects:
        verdict = claim_object(obj, controller, match(obj))
        try:
            if verdict == "adopt":
                if (yield from adoption.adopt(obj)):
                    mine.append(obj)
            elif verdict == "release":
                yield from release(client, obj, controller)
            elif verdict == "keep":
                mine.append(obj)
        except ApiError as error:
            errors.append(error)
    raise_first_of(errors)
    return mine


class Adoption:
    """Adoptions within one sync: the first one re-reads the controller live, and its answer holds for the sync."""

    def __init__(self, client: Client, controller: Object) -> None:
        self._client = client
        self._controller = controller
        self._answer: ApiError | None = None
        self._asked = False

    def check(self) -> Generator[Event, Any, None]:
        """Raise unless the controller still exists, with the same UID and not being deleted (CanAdopt)."""
        if not self._asked:
            self._asked = True
            self._answer = yield from self._ask()
        if self._answer is not None:
            raise self._answer

    def _ask(self) -> Generator[Event, Any, ApiError | None]:
        was = self._controller
        try:
            fresh = yield from self._client.get(type(was), *was.key)
        except ApiError as error:
            return error
        if fresh.uid != was.uid:
            return Conflict(f"original {was.kind} {was.namespace}/{was.name} is gone: got uid {fresh.uid}")
        if fresh.deleting:
            return Conflict(f"{was.namespace}/{was.name} has just been deleted")
        return None

    def adopt(self, obj: Object) -> Generator[Event, Any, bool]:
        """Put the controller's reference on an orphan; False if the orphan is gone."""
        yield from self.check()
        reference = controller_ref(self._controller)
        uid = obj.uid

        def change(stored: Object) -> Object:
            if stored.uid != uid:
                raise Conflict(f"the UID of {stored.kind} {stored.name} has changed")
            kept = tuple(r for r in stored.metadata.owner_references if r.uid != reference.uid)
            owners = (*kept, reference)
            if any(r.controller for r in kept):
                raise Conflict(f"only one owner of {stored.name} can be its controller")
            return with_meta(stored, owner_references=owners)

        try:
            yield from self._client.patch(type(obj), *obj.key, change)
        except NotFound:
            return False
        return True


def release(client: Client, obj: Object, controller: Object) -> Generator[Event, Any, None]:
    """Take the controller's reference off an object that its selector no longer matches."""
    uid = obj.uid

    def change(stored: Object) -> Object:
        if stored.uid != uid:
            raise NotFound(f"{stored.kind} {stored.name} is another one now")
        owners = tuple(r for r in stored.metadata.owner_references if r.uid != controller.uid)
        return with_meta(stored, owner_references=owners)

    try:
        yield from client.patch(type(obj), *obj.key, change)
    except NotFound:
        return
