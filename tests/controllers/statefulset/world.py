"""One StatefulSet and its controller, synced by hand, without lag; all that happens is logged as text."""

from __future__ import annotations

from collections.abc import Mapping

from k8sim.api.apps import (
    ControllerRevision,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetOrdinals,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from k8sim.api.core import Container, PersistentVolumeClaim, Pod, PodSpec, PodTemplateSpec
from k8sim.api.meta import Condition, LabelSelector, Object, ObjectMeta, set_condition, with_meta
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, InternalError
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import ControllerContext
from k8sim.controllers.statefulset.controller import StatefulSetController
from k8sim.sim.clock import Clock, rank
from k8sim.sim.distributions import Constant
from k8sim.sim.latencies import LATENCIES, Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND

LABELS = {"app": "web"}
PARALLEL = "Parallel"


def template(image: str = "foo") -> PodTemplateSpec:
    return PodTemplateSpec(
        metadata=ObjectMeta(labels=LABELS),
        # Already on a node, so that a delete is graceful.
        spec=PodSpec(containers=(Container(name="nginx", image=image),), node_name="node-0"),
    )


def stateful_set(
    replicas: int = 3,
    policy: str = "OrderedReady",
    *,
    claims: tuple[str, ...] = ("datadir",),
    strategy: StatefulSetUpdateStrategy | None = None,
    partition: int | None = None,
    min_ready_seconds: int = 0,
    when_deleted: str = "Retain",
    when_scaled: str = "Retain",
    start: int = 0,
    history: int = 10,
) -> StatefulSet:
    if strategy is None:
        rolling = RollingUpdateStatefulSetStrategy(partition=partition or 0)
        strategy = StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling)
    return StatefulSet(
        metadata=ObjectMeta(name="web", namespace="default"),
        spec=StatefulSetSpec(
            replicas=replicas,
            selector=LabelSelector(match_labels=LABELS),
            template=template(),
            volume_claim_templates=tuple(PersistentVolumeClaim(metadata=ObjectMeta(name=c)) for c in claims),
            pod_management_policy=policy,
            update_strategy=strategy,
            min_ready_seconds=min_ready_seconds,
            revision_history_limit=history,
            persistent_volume_claim_retention_policy=StatefulSetPersistentVolumeClaimRetentionPolicy(
                when_deleted=when_deleted, when_scaled=when_scaled
            ),
            ordinals=StatefulSetOrdinals(start=start) if start else None,
        ),
    )


class World:
    """The set "web" in a server of its own. ``log`` has a line for each thing the controller did."""

    def __init__(self, sts: StatefulSet, gates: Mapping[str, bool] | None = None) -> None:
        streams = Streams(1)
        latencies = Latencies(streams, {name: Constant(0) for name in LATENCIES})
        self.sim = Simulation(Clock(), streams, latencies, Trace(), gates or {})
        self.log: list[str] = []
        self.failing: dict[str, str] = {}
        self.server = APIServer(self.sim, (self._admit,))
        self.controller = StatefulSetController(
            ControllerContext(self.sim, self.server, SharedInformers(self.server, "kube-controller-manager"))
        )
        self.client = Client(self.server, "statefulset-controller", rank("kube-controller-manager"))
        self._revisions: list[str] = []
        self._syncing = False
        for cls in (StatefulSet, Pod, PersistentVolumeClaim):
            self.server.watch(cls, self._seen)
        self.server.create(sts)
        self._settle()

    # ---- the environment ------------------------------------------------------------------------------------

    @property
    def set(self) -> StatefulSet:
        return self.server.get(StatefulSet, "default", "web")

    def pod(self, ordinal: int) -> Pod:
        return self.server.get(Pod, "default", f"web-{ordinal}")

    def names(self) -> list[str]:
        return sorted(p.name for p in self.server.list(Pod))

    def change(self, **spec: object) -> None:
        self.server.patch(StatefulSet, "default", "web", lambda s: replace(s, spec=replace(s.spec, **spec)))
        self._settle()

    def scale(self, replicas: int) -> None:
        self.change(replicas=replicas)

    def image(self, image: str) -> None:
        self.change(template=template(image))

    def partition(self, partition: int) -> None:
        self.change(
            update_strategy=StatefulSetUpdateStrategy(
                type="RollingUpdate", rolling_update=RollingUpdateStatefulSetStrategy(partition=partition)
            )
        )

    def status(self, ordinal: int, phase: str = "Running", ready: bool | None = None) -> None:
        """Set a pod's phase, and perhaps its readiness (since now)."""

        def set_status(pod: Pod) -> Pod:
            conditions = pod.status.conditions
            if ready is not None:
                now = Time(self.sim.clock.now)
                conditions = set_condition(
                    conditions,
                    Condition(type="Ready", status="True" if ready else "False", last_transition_time=now),
                )
            return replace(pod, status=replace(pod.status, phase=phase, conditions=conditions))

        self.server.patch_status(Pod, "default", f"web-{ordinal}", set_status)
        self._settle()

    def ready(self, *ordinals: int) -> None:
        for ordinal in ordinals:
            self.status(ordinal, ready=True)

    def unready(self, *ordinals: int) -> None:
        for ordinal in ordinals:
            self.status(ordinal, ready=False)

    def terminate(self, ordinal: int) -> None:
        self.server.delete(Pod, "default", f"web-{ordinal}")
        self._settle()

    def gone(self, *ordinals: int) -> None:
        for ordinal in ordinals:
            self.server.delete(Pod, "default", f"web-{ordinal}", grace_period_seconds=0)
        self._settle()

    def claim(self, name: str) -> PersistentVolumeClaim:
        return self.server.get(PersistentVolumeClaim, "default", name)

    def terminate_claim(self, name: str) -> None:
        self.server.patch(
            PersistentVolumeClaim, "default", name, lambda c: with_meta(c, finalizers=("kubernetes.io/pvc-protection",))
        )
        self.server.delete(PersistentVolumeClaim, "default", name)
        self._settle()

    def remove_claim(self, name: str) -> None:
        self.server.delete(PersistentVolumeClaim, "default", name)
        self._settle()

    def advance(self, until_s: int) -> None:
        self.sim.clock.run(until_s * SECOND)

    def settled(self) -> World:
        """Sync, with every pod Ready as soon as it is there, until nothing more happens."""
        for _ in range(100):
            before = self.server.resource_version
            self.sync()
            for pod in self.server.list(Pod):
                if pod.deleting:
                    self.server.delete(Pod, *pod.key, grace_period_seconds=0)
                else:
                    self.ready(int(pod.name.rpartition("-")[2]))
            self._settle()
            if self.server.resource_version == before:
                self.log.clear()
                return self
        raise AssertionError("does not settle")

    # ---- the controller -------------------------------------------------------------------------------------

    def sync(self) -> list[str]:
        """Run one sync and return what it did: requests, status, error, events."""
        start, row = len(self.log), len(self.sim.trace)
        self._syncing = True
        self.sim.clock.spawn(self._sync())
        self._settle()
        self._syncing = False
        status = [line for line in self.log[start:] if line.startswith("status")]
        other = [line for line in self.log[start:] if not line.startswith("status")]
        errors = [line for line in other if line.startswith("ERR")]
        events = [
            f"ev[{r.detail['type']} {r.event} {r.detail['message']}]"
            for r in list(self.sim.trace)[row:]
            if r.kind == "Event"
        ]
        done = [line for line in other if not line.startswith("ERR")] + status + errors + events
        self.log[start:] = done
        return done

    def _sync(self):  # type: ignore[no-untyped-def]
        try:
            yield from self.controller.sync(("default", "web"), self.client) or ()
        except ApiError as error:
            if "Invalid value: -1" in error.message:
                self.log.append("status REJECTED " + error.message.removeprefix("status."))
            self.log.append("ERR " + error.message.removeprefix("status."))

    def waiting(self) -> str:
        """The reason that the controller last gave for not doing more."""
        return next(
            (r.detail["reason"] for r in reversed(list(self.sim.trace)) if r.event == "Waiting"),
            "",
        )

    def revision(self, name: str) -> str:
        """The letter of a revision: A, B, C in order of appearance."""
        if name not in self._revisions:
            self._revisions.append(name)
        return "ABCDEFG"[self._revisions.index(name)]

    def revisions(self) -> dict[str, int]:
        return {self.revision(r.name): r.revision for r in self.server.list(ControllerRevision)}

    def _settle(self) -> None:
        """Let the caches see everything; virtual time does not pass, but for the waits of conflict retries."""
        self.sim.clock.run(self.sim.clock.now + 1)

    def _admit(self, server: APIServer, obj: Object, old: Object | None) -> Object:
        if old is None and obj.name in self.failing:
            self.log.append(f"create {obj.name} ERR")
            raise InternalError(self.failing[obj.name])
        return obj

    def _seen(self, change: Change) -> None:
        if not self._syncing:
            return
        new, old = change.new, change.old
        if isinstance(new, Pod):
            if change.type == "ADDED":
                letter = self.revision(new.metadata.labels["controller-revision-hash"])
                self.log.append(f"create {new.name} rev={letter}")
            elif change.type == "DELETED":
                self.log.append(f"gone {new.name}")
            elif new.deleting and not old.deleting:  # type: ignore[union-attr]
                self.log.append(f"delete {new.name}")
            else:
                self.log.append(f"update {new.name}")
        elif isinstance(new, PersistentVolumeClaim):
            if change.type == "ADDED":
                self.log.append(f"pvc+ {new.name}")
            else:
                owners = ", ".join(
                    f"{r.kind}/{r.name} ctrl={str(r.controller).lower()} block={str(r.block_owner_deletion).lower()}"
                    for r in new.metadata.owner_references
                )
                self.log.append(f"pvc~ {new.name} owners=[{owners}]")
        elif isinstance(new, StatefulSet) and old is not None and new.status != old.status:  # type: ignore[attr-defined]
            s = new.status
            self.log.append(
                f"status repl={s.replicas} ready={s.ready_replicas} avail={s.available_replicas} "
                f"cur={s.current_replicas} upd={s.updated_replicas} "
                f"curRev={self.revision(s.current_revision)} updRev={self.revision(s.update_revision)}"
            )
