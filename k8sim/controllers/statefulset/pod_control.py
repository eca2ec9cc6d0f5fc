"""One decision into several requests, each with its event.

What these requests need to know is read from the caches at the moment of the request, as Kubernetes does, and not at
the moment of the decision.

Source: pkg/controller/statefulset/stateful_pod_control.go; workloads.md 1.11, 1.14.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from k8sim.api.apps import StatefulSet
from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import Object
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, ApiError, NotFound
from k8sim.apiserver.informer import Informer
from k8sim.controllers.concurrent import raise_first_of
from k8sim.controllers.consistency import ConsistencyStore
from k8sim.controllers.retry import DEFAULT_BACKOFF, retry_on_conflict
from k8sim.controllers.statefulset.claims import (
    ClaimLookup,
    claims_match_retention_policy,
    has_unexpected_controller,
    is_claim_owner_up_to_date,
    with_claim_owner,
)
from k8sim.controllers.statefulset.control import (
    CreateMissingClaims,
    CreatePod,
    DeletePod,
    Lane,
    UpdateClaims,
    UpdatePod,
)
from k8sim.controllers.statefulset.identity import (
    claim_name,
    claims_of,
    identity_matches,
    storage_matches,
    with_identity,
    with_storage,
)
from k8sim.sim.clock import Event

Requests = Generator[Event, Any, None]


class StatefulPodControl:
    """Requests about the pods and claims of one set, within one sync.

    Parameters
    ----------
    claims, pods
        The caches.
    written
        The stale-read guard, told of every object created or updated.
    """

    __slots__ = ("_claims", "_client", "_pods", "_sts", "_written", "deleted_for_update")

    def __init__(
        self, client: Client, sts: StatefulSet, claims: ClaimLookup, pods: Informer[Pod], written: ConsistencyStore
    ) -> None:
        self._client = client
        self._sts = sts
        self._claims = claims
        self._pods = pods
        self._written = written
        self.deleted_for_update = 0

    def run(self, lane: Lane) -> Requests:
        """Carry out the actions of a lane, until one fails."""
        for action in lane:
            if isinstance(action, CreatePod):
                yield from self.create_stateful_pod(action.pod, action.ordinal)
            elif isinstance(action, DeletePod):
                yield from self.delete_stateful_pod(action.pod)
                self.deleted_for_update += action.for_update
            elif isinstance(action, CreateMissingClaims):
                yield from self.create_missing_claims(action.pod, action.ordinal)
            elif isinstance(action, UpdatePod):
                yield from self.update_stateful_pod(action.pod, action.ordinal)
            elif isinstance(action, UpdateClaims):
                yield from self.update_claims(action.pod, action.ordinal)

    def _wrote(self, obj: Object) -> None:
        self._written.wrote(self._sts.metadata.uid, obj)

    # ---- pods -----------------------------------------------------------------------------------------------

    def create_stateful_pod(self, pod: Pod, ordinal: int) -> Requests:
        """Create the pod's claims, then the pod, then give the claims their owners."""
        try:
            yield from self._create_claims(pod, ordinal)
        except ApiError as error:
            self._pod_event("Create", pod, error)
            raise
        failure: ApiError | None = None
        try:
            self._wrote((yield from self._client.create(pod)))
        except AlreadyExists:
            raise
        except ApiError as error:
            failure = error
        try:
            yield from self.update_claims(pod, ordinal)
        except ApiError as error:
            self._pod_event("Update", pod, error)
            raise
        self._pod_event("Create", pod, failure)
        if failure is not None:
            raise failure

    def create_missing_claims(self, pod: Pod, ordinal: int) -> Requests:
        """Create what claims a Pending pod lacks, and give its claims their owners."""
        yield from self._create_claims(pod, ordinal)
        try:
            yield from self.update_claims(pod, ordinal)
        except ApiError as error:
            self._pod_event("Update", pod, error)
            raise

    def update_stateful_pod(self, pod: Pod, ordinal: int) -> Requests:
        """Update the pod until it matches identity, storage and retention policy, if it does not."""
        sts, attempted, version = self._sts, False, pod

        def attempt() -> Requests:
            nonlocal attempted, version
            wanted, consistent = version, True
            if not identity_matches(sts, version, ordinal):
                wanted, consistent = with_identity(sts, wanted, ordinal), False
            try:
                if not storage_matches(sts, version, ordinal):
                    volumes = with_storage(sts, wanted.spec.volumes, ordinal)
                    wanted, consistent = replace(wanted, spec=replace(wanted.spec, volumes=volumes)), False
                    yield from self._create_claims(wanted, ordinal)
                if not claims_match_retention_policy(sts, version, ordinal, self._claims):
                    yield from self.update_claims(version, ordinal)
                    consistent = False
            except ApiError as error:
                self._pod_event("Update", version, error)
                raise
            if consistent:
                return
            attempted = True
            try:
                self._wrote((yield from self._client.update(wanted)))
            except ApiError:
                version = self._pods.find(version.key) or version
                raise

        try:
            yield from retry_on_conflict(self._client, DEFAULT_BACKOFF, attempt)
        except ApiError as error:
            if attempted:
                self._pod_event("Update", pod, error)
            raise
        if attempted:
            self._pod_event("Update", pod, None)

    def delete_stateful_pod(self, pod: Pod) -> Requests:
        """Delete the pod by name, whatever its UID; gone already is as good."""
        try:
            yield from self._client.delete(Pod, pod.namespace, pod.name)
        except NotFound:
            pass
        except ApiError as error:
            self._pod_event("Delete", pod, error)
            raise
        self._pod_event("Delete", pod, None)

    # ---- claims ---------------------------------------------------------------------------------------------

    def _create_claims(self, pod: Pod, ordinal: int) -> Requests:
        """Create the pod's claims that the cache does not show; one that is being deleted is an error."""
        errors: list[ApiError] = []
        for claim in claims_of(self._sts, ordinal):
            known = self._claims(claim.name)
            if known is None:
                try:
                    self._wrote((yield from self._client.create(claim)))
                except ApiError as error:
                    errors.append(ApiError(f"failed to create PVC {claim.name}: {error.message}"))
                    if not isinstance(error, AlreadyExists):
                        self._claim_event(pod, claim, error)
                else:
                    self._claim_event(pod, claim, None)
            elif known.deleting:
                errors.append(ApiError(f"pvc {claim.name} is being deleted"))
        raise_first_of(errors)

    def update_claims(self, pod: Pod, ordinal: int) -> Requests:
        """Give the pod's claims that the cache shows the owners that the retention policy wants."""
        sts = self._sts
        for template in sts.spec.volume_claim_templates:
            claim = self._claims(claim_name(sts, template, ordinal))
            if claim is None:
                continue
            if has_unexpected_controller(claim, sts, pod):
                self._client.event(
                    sts,
                    "Warning",
                    "ConflictingController",
                    f"PersistentVolumeClaim {claim.name} has a conflicting OwnerReference that acts as a managing "
                    "controller, the retention policy is ignored for this claim",
                )
            if not is_claim_owner_up_to_date(claim, sts, pod, ordinal):
                self._wrote((yield from self._client.update(with_claim_owner(claim, sts, pod, ordinal))))

    # ---- events ---------------------------------------------------------------------------------------------

    def _pod_event(self, verb: str, pod: Pod, error: ApiError | None) -> None:
        what = f"{verb} Pod {pod.name} in StatefulSet {self._sts.name}"
        if error is None:
            self._client.event(self._sts, "Normal", f"Successful{verb}", f"{what} successful")
        else:
            message = f"{what} failed error: {error.message}"
            self._client.event(self._sts, "Warning", f"Failed{verb}", message)

    def _claim_event(self, pod: Pod, claim: PersistentVolumeClaim, error: ApiError | None) -> None:
        where = f"Pod {pod.name} in StatefulSet {self._sts.name}"
        if error is None:
            message = f"Create Claim {claim.name} {where} success"
            self._client.event(self._sts, "Normal", "SuccessfulCreate", message)
        else:
            message = f"Create Claim {claim.name} for {where} failed error: {error.message}"
            self._client.event(self._sts, "Warning", "FailedCreate", message)
