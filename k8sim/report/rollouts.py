"""Rollouts: from the change of a pod template until `kubectl rollout status` would call it done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from k8sim.api.apps import Deployment, StatefulSet
from k8sim.apiserver.watch import Change

Rolling = StatefulSet | Deployment


@dataclass
class Rollout:
    """One rollout of a workload; ``end_ns`` None: not finished within the run.

    ``what`` says what changed; ``superseded`` that a newer rollout took over before this one had finished.
    """

    kind: str
    namespace: str
    name: str
    generation: int
    what: str
    start_ns: int
    end_ns: int | None = None
    superseded: bool = False


def rollouts(history: Iterable[tuple[int, Change]]) -> list[Rollout]:
    """Return the rollouts after the creation of each workload, in order.

    Parameters
    ----------
    history
        All changes of all objects, in order.
    """
    found: list[Rollout] = []
    current: dict[tuple[str, str, str], Rollout] = {}
    for t, change in history:
        new, old = change.new, change.old
        if not isinstance(new, StatefulSet | Deployment) or not isinstance(old, StatefulSet | Deployment):
            continue
        key = (new.kind, *new.key)
        what = _changed(new, old)
        running = current.get(key)
        if what:
            if running is not None and running.end_ns is None:
                running.end_ns, running.superseded = t, True
            running = Rollout(new.kind, new.namespace, new.name, new.metadata.generation, what, t)
            current[key] = running
            found.append(running)
        elif running is not None and running.end_ns is None and _is_done(new, running.generation):
            running.end_ns = t
    return found


def _changed(new: Rolling, old: Rolling) -> str:
    if new.spec is old.spec:
        return ""
    if new.spec.template != old.spec.template:
        before = {c.name: c.image for c in old.spec.template.spec.containers}
        images = [c.image for c in new.spec.template.spec.containers if before.get(c.name) != c.image]
        return "image " + ", ".join(images) if images else "pod template"
    if isinstance(new, StatefulSet) and isinstance(old, StatefulSet) and partition(new) < partition(old):
        return f"partition {partition(new)}" if new.status.update_revision != new.status.current_revision else ""
    return ""


def partition(obj: StatefulSet) -> int:
    """Return the ordinal below which pods are not updated."""
    rolling = obj.spec.update_strategy.rolling_update
    return (rolling.partition or 0) if rolling is not None else 0


def _is_done(obj: Rolling, generation: int) -> bool:
    """Tell whether `kubectl rollout status` would say so (staging/src/k8s.io/kubectl/pkg/polymorphichelpers)."""
    status = obj.status
    if status.observed_generation < generation:
        return False
    if isinstance(obj, Deployment):
        return status.updated_replicas == status.replicas == status.available_replicas == obj.spec.replicas
    if obj.status.ready_replicas < obj.spec.replicas:
        return False
    if partition(obj):
        return status.updated_replicas >= obj.spec.replicas - partition(obj)
    return obj.status.update_revision == obj.status.current_revision
