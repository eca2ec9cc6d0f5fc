"""Resource quota controller: recounts a quota when something was released, or its limits have changed.

Source: pkg/controller/resourcequota/{resource_quota_controller,resource_quota_monitor}.go,
pkg/quota/v1/install/update_filter.go; workloads.md 6.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from k8sim.api.core import Pod, ResourceQuota, Service
from k8sim.api.meta import Object
from k8sim.api.scheme import KINDS
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.quota import concerns, counts_against_quota
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.resourcequota.ledger import Ledger
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import MINUTE

RESYNC_PERIOD_NS: Final = 5 * MINUTE
_CHARGED: Final = tuple(cls for cls in KINDS if cls.namespaced)


class ResourceQuotaController(Controller):
    """Additions are charged by admission and sync nothing here.

    Every five minutes all quotas are recounted; that is an event only if something has happened since the last time.
    """

    name = "resourcequota"
    workers = 5

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._ledgers: dict[str, dict[Key, Ledger]] = {}
        self._phase = int(self.sim.streams.uniform_at(self.name, "phase", context.life) * RESYNC_PERIOD_NS)
        self._resync_due: int | None = None
        self._quotas = self.informers.of(ResourceQuota)
        self._unwatched = [self.informers.of(cls) for cls in _CHARGED if cls is not ResourceQuota]
        self._quotas.add_handler(self._on_quota)

    # ---- observe --------------------------------------------------------------------------------------------

    def _on_quota(self, change: Change) -> None:
        quota, old = change.new, change.old
        assert isinstance(quota, ResourceQuota)
        ledgers = self._ledgers.setdefault(quota.namespace, {})
        if change.type == "DELETED":
            ledgers.pop(quota.key, None)
            if not ledgers:
                del self._ledgers[quota.namespace]
            return
        self._watch_objects()
        self._plan_resync()
        if isinstance(old, ResourceQuota) and old.spec == quota.spec:
            return
        ledgers[quota.key] = ledger = Ledger(quota)
        for obj in self._objects(quota.namespace):
            ledger.put(obj, self.clock.now)
        if quota.spec.hard != quota.status.hard or not isinstance(old, ResourceQuota):
            self.queue.add(quota.key, change.row)

    def _watch_objects(self) -> None:
        """Hear of what is charged, once there is a quota: most clusters have none."""
        for informer in self._unwatched:
            informer.add_handler(self._on_object, replay=False, of_status="end" if informer.cls is Pod else False)
        self._unwatched.clear()

    def _objects(self, namespace: str) -> Iterable[Object]:
        for cls in _CHARGED:
            yield from self.informers.of(cls).by_index("namespace", namespace)

    def _on_object(self, change: Change) -> None:
        """Charge an object; queue the quotas of its namespace if something may have been released."""
        obj, old = change.new, change.old
        ledgers = self._ledgers.get(obj.metadata.namespace)
        if not ledgers:
            return
        now = self.clock.now
        if change.type == "MODIFIED" and old is not None and _same_charge(old, obj):
            return
        for ledger in ledgers.values():
            if change.type == "DELETED":
                ledger.remove((obj.kind, obj.name))
            else:
                ledger.put(obj, now)
        self._plan_resync()
        if change.type == "DELETED" or (old is not None and _releases(old, obj, now)):
            for key, ledger in ledgers.items():
                if concerns(ledger.quota, type(obj)):
                    self.queue.add(key, change.row)

    # ---- the resync -----------------------------------------------------------------------------------------

    def _plan_resync(self) -> None:
        if self._resync_due is None:
            self._resync_due = self.clock.next_on_grid(self._phase, RESYNC_PERIOD_NS, self.clock.now + 1)
            self.clock.call_at(self._resync_due, self._resync, rank=self.rank)

    def _resync(self) -> None:
        """Recount what differs from what is written."""
        self._resync_due = None
        for ledgers in self._ledgers.values():
            for key, ledger in ledgers.items():
                quota = self._quotas.find(key)
                if quota is not None and ledger.status(self.clock.now) != quota.status:
                    self.queue.add(key, NO_CAUSE)
                    self._plan_resync()
                elif ledger.has_terminating():
                    self._plan_resync()

    # ---- act ------------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Write a quota's limits and a recount of what is used."""
        quota = self._quotas.find(key)
        if quota is None:
            return
        status = self._ledgers[key[0]][key].status(self.clock.now)
        if status != quota.status:
            yield from client.update_status(replace(quota, status=status))


def _same_charge(old: Object, new: Object) -> bool:
    """Tell at a glance that an update does not change what an object is charged."""
    if isinstance(old, Pod) and isinstance(new, Pod):
        return (
            old.status.phase == new.status.phase
            and old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
            and old.spec is new.spec
        )
    return getattr(old, "spec", None) is getattr(new, "spec", None)


def _releases(old: Object, new: Object, now_ns: int) -> bool:
    """Tell whether an update can lower a charge (DefaultUpdateFilter)."""
    if isinstance(old, Pod) and isinstance(new, Pod):
        return counts_against_quota(old, now_ns) and not counts_against_quota(new, now_ns)
    return isinstance(old, Service) and isinstance(new, Service) and old.spec.type != new.spec.type
