"""The charges of a quota, kept object by object, so that a recount does not count all objects again."""

from __future__ import annotations

from collections.abc import Mapping

from k8sim.api.core import Pod, ResourceQuota, ResourceQuotaStatus
from k8sim.api.meta import Object
from k8sim.apiserver.quota import Usage, counts_against_quota, format_usage, matches_scopes, usage

_Name = tuple[str, str]
"""(kind, name): a ledger is of one namespace."""


class Ledger:
    """What every object of a namespace is charged to one quota.

    Only time changes the charge of an object that does not change: that of a pod whose deadline has long passed. Such
    pods are looked at again at each recount.
    """

    def __init__(self, quota: ResourceQuota) -> None:
        self.quota = quota
        self._charges: dict[_Name, Usage] = {}
        self._total: dict[str, int] = dict.fromkeys(quota.spec.hard, 0)
        self._terminating: dict[_Name, Pod] = {}

    def put(self, obj: Object, now_ns: int) -> None:
        """Charge an object, or charge it anew."""
        name = (obj.kind, obj.name)
        self.remove(name)
        charge: dict[str, int] = {}
        if matches_scopes(self.quota, obj):
            charge = {n: amount for n, amount in usage(obj, now_ns).items() if n in self._total}
        if charge:
            self._charges[name] = charge
            for n, amount in charge.items():
                self._total[n] += amount
            if isinstance(obj, Pod) and obj.deleting and counts_against_quota(obj, now_ns):
                self._terminating[name] = obj

    def remove(self, name: _Name) -> None:
        """Take an object off."""
        self._terminating.pop(name, None)
        for n, amount in self._charges.pop(name, {}).items():
            self._total[n] -= amount

    def has_terminating(self) -> bool:
        """Tell whether the passing of time alone will change the charges."""
        return bool(self._terminating)

    def status(self, now_ns: int) -> ResourceQuotaStatus:
        """Return the quota's status as a recount of all objects would find it."""
        for name, pod in list(self._terminating.items()):
            if not counts_against_quota(pod, now_ns):
                del self._terminating[name]
                self.put(pod, now_ns)
        hard: Mapping[str, str] = self.quota.spec.hard
        return ResourceQuotaStatus(hard=hard, used=format_usage(self._total, hard))
