"""How far a rollout is, in kubectl's words (kubectl/pkg/polymorphichelpers/rollout_status.go)."""

from __future__ import annotations

from typing import NamedTuple

from k8sim.api.apps import DaemonSet, Deployment, StatefulSet
from k8sim.api.meta import Object, condition_of

REVISION = "deployment.kubernetes.io/revision"


class RolloutError(Exception):
    """The rollout cannot be followed, or has failed."""


class Progress(NamedTuple):
    """A line to print, and whether the rollout is done."""

    line: str
    done: bool


def rollout_progress(obj: Object, revision: int = 0) -> Progress:
    """Return how far the rollout of an object is.

    Parameters
    ----------
    revision
        The revision of a Deployment that is followed; 0: whatever is the latest.

    Raises
    ------
    RolloutError
        The strategy has no rollouts, another revision runs, or the progress deadline has passed.
    """
    if isinstance(obj, StatefulSet):
        return _stateful_set(obj)
    if isinstance(obj, Deployment):
        return _deployment(obj, revision)
    assert isinstance(obj, DaemonSet)
    return _daemon_set(obj)


def _stateful_set(obj: StatefulSet) -> Progress:
    spec, status = obj.spec, obj.status
    if spec.update_strategy.type != "RollingUpdate":
        raise RolloutError("rollout status is only available for RollingUpdate strategy type")
    if status.observed_generation == 0 or obj.metadata.generation > status.observed_generation:
        return Progress("Waiting for statefulset spec update to be observed...", False)
    if status.ready_replicas < spec.replicas:
        return Progress(f"Waiting for {spec.replicas - status.ready_replicas} pods to be ready...", False)
    rolling = spec.update_strategy.rolling_update
    if rolling is not None:
        wanted = spec.replicas - (rolling.partition or 0)
        if rolling.partition is not None and status.updated_replicas < wanted:
            return Progress(
                f"Waiting for partitioned roll out to finish: {status.updated_replicas} out of {wanted} new pods have "
                "been updated...",
                False,
            )
        return Progress(f"partitioned roll out complete: {status.updated_replicas} new pods have been updated...", True)
    if status.update_revision != status.current_revision:
        return Progress(
            f"waiting for statefulset rolling update to complete {status.updated_replicas} pods at revision "
            f"{status.update_revision}...",
            False,
        )
    return Progress(
        f"statefulset rolling update complete {status.current_replicas} pods at revision {status.current_revision}...",
        True,
    )


def _deployment(obj: Deployment, revision: int) -> Progress:
    spec, status = obj.spec, obj.status
    running = int(obj.metadata.annotations.get(REVISION, 0))
    if revision and revision != running:
        raise RolloutError(f"desired revision ({revision}) is different from the running revision ({running})")
    if obj.metadata.generation > status.observed_generation:
        return Progress("Waiting for deployment spec update to be observed...", False)
    progressing = condition_of(status.conditions, "Progressing")
    if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
        raise RolloutError(f'deployment "{obj.name}" exceeded its progress deadline')
    waiting = f'Waiting for deployment "{obj.name}" rollout to finish:'
    if status.updated_replicas < spec.replicas:
        return Progress(
            f"{waiting} {status.updated_replicas} out of {spec.replicas} new replicas have been updated...", False
        )
    if status.replicas > status.updated_replicas:
        old = status.replicas - status.updated_replicas
        return Progress(f"{waiting} {old} old replicas are pending termination...", False)
    if status.available_replicas < status.updated_replicas:
        return Progress(
            f"{waiting} {status.available_replicas} of {status.updated_replicas} updated replicas are available...",
            False,
        )
    return Progress(f'deployment "{obj.name}" successfully rolled out', True)


def _daemon_set(obj: DaemonSet) -> Progress:
    status = obj.status
    if obj.spec.update_strategy.type != "RollingUpdate":
        raise RolloutError("rollout status is only available for RollingUpdate strategy type")
    if obj.metadata.generation > status.observed_generation:
        return Progress("Waiting for daemon set spec update to be observed...", False)
    waiting = f'Waiting for daemon set "{obj.name}" rollout to finish:'
    desired = status.desired_number_scheduled
    if status.updated_number_scheduled < desired:
        return Progress(
            f"{waiting} {status.updated_number_scheduled} out of {desired} new pods have been updated...", False
        )
    if status.number_available < desired:
        return Progress(f"{waiting} {status.number_available} of {desired} updated pods are available...", False)
    return Progress(f'daemon set "{obj.name}" successfully rolled out', True)
