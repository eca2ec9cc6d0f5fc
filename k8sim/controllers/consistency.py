"""The stale-read guard: no sync on a cache that is older than the controller's own writes.

Source: pkg/controller/util/consistency/consistency.go; workloads.md 0.3.
"""

from __future__ import annotations

from k8sim.api.meta import Object
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.informer import Informer


class CacheBehind(ApiError):
    """A cache has not yet seen the controller's own last write: try again."""


class ConsistencyStore:
    """Per owner and kind, the highest resourceVersion that the controller wrote. Deletes are not recorded.

    Parameters
    ----------
    informers
        The caches that must have caught up before a sync.
    """

    def __init__(self, *informers: Informer[Object]) -> None:
        self._informers = {i.cls.kind: i for i in informers}
        self._written: dict[str, dict[str, int]] = {}

    def wrote(self, owner_uid: str, obj: Object) -> None:
        """Remember a create or an update that was made for an owner."""
        written = self._written.setdefault(owner_uid, {})
        written[obj.kind] = max(written.get(obj.kind, 0), obj.metadata.resource_version)

    def ensure_ready(self, owner_uid: str) -> None:
        """Raise CacheBehind unless the caches show all that was written; forget it once they do."""
        written = self._written.get(owner_uid)
        if written is None:
            return
        for kind, version in written.items():
            if self._informers[kind].resource_version < version:
                raise CacheBehind(f"the cache of {kind} is behind the controller's own write")
        del self._written[owner_uid]

    def clear(self, owner_uid: str) -> None:
        """Forget an owner that is gone."""
        self._written.pop(owner_uid, None)
