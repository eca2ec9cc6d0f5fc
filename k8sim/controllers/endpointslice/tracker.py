"""What the controller has written itself, so that it neither syncs because of that nor on a cache that lacks it.

Source: staging/src/k8s.io/endpointslice/util/endpointslice_tracker.go; workloads.md 7.1.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8sim.api.discovery import EndpointSlice

Key = tuple[str, str]
_DELETION_EXPECTED = -1


class SliceTracker:
    """The version of every slice that the controller wrote, per service."""

    def __init__(self) -> None:
        self._versions: dict[Key, dict[str, int]] = {}

    def wrote(self, service: Key, stored: EndpointSlice) -> None:
        """Remember a create or update."""
        self._versions.setdefault(service, {})[stored.metadata.uid] = stored.metadata.resource_version

    def deleted(self, service: Key, old: EndpointSlice) -> None:
        """Remember a delete."""
        self._versions.setdefault(service, {})[old.uid] = _DELETION_EXPECTED

    def forget(self, service: Key) -> None:
        """Drop what is known of a service that is gone."""
        self._versions.pop(service, None)

    def is_known(self, service: Key, seen: EndpointSlice) -> bool:
        """Tell whether a version that has arrived is one that the controller wrote, or older."""
        version = self._versions.get(service, {}).get(seen.metadata.uid)
        return version is not None and version != _DELETION_EXPECTED and version >= seen.metadata.resource_version

    def expected_deletion(self, service: Key, gone: EndpointSlice) -> bool:
        """Take note that a slice is gone; tell whether the controller had deleted it."""
        return self._versions.get(service, {}).pop(gone.uid, None) == _DELETION_EXPECTED

    def is_stale(self, service: Key, cached: Iterable[EndpointSlice]) -> bool:
        """Tell whether the cache lacks something that the controller wrote (StaleSlices)."""
        versions = self._versions.get(service)
        if not versions:
            return False
        seen = {s.metadata.uid: s.metadata.resource_version for s in cached}
        for uid, version in versions.items():
            if version == _DELETION_EXPECTED:
                if uid in seen:
                    return True
            elif seen.get(uid, -1) < version:
                return True
        return False
