"""The pods that a service selects and their endpoints, kept up to date pod by pod.

A sync of Kubernetes makes the endpoints of all pods of a service anew. Here only those of pods (or nodes) that have
changed since the last sync are made; the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from k8sim.api.core import Node, Pod, Service
from k8sim.api.discovery import Endpoint, EndpointSlice
from k8sim.controllers.endpointslice.control import (
    Desired,
    Ports,
    Replacement,
    endpoint_ports,
    pod_to_endpoint,
    should_pod_be_in_endpoints,
)

Key = tuple[str, str]
FindPod = Callable[[Key], Pod | None]
FindNode = Callable[[Key], Node | None]
_FEW: Final = 8
"""To replace so many endpoints one by one costs less than to go over all."""


class Members:
    """The selected pods of one service.

    Attributes
    ----------
    missing
        Pods that are left out because their node is gone.
    """

    def __init__(self) -> None:
        self.pods: dict[Key, None] = {}
        self.missing: dict[Key, None] = {}
        self._settled: Sequence[EndpointSlice] | None = None
        self._replaced: list[Replacement] = []
        self._dirty: dict[Key, None] = {}
        self._matters = False
        """Whether anything that is dirty has, had or is to have an endpoint, or misses its node."""
        self._placed: dict[Key, Ports] = {}
        self._desired: dict[Ports, dict[str, Endpoint]] = {}

    def touch(self, key: Key, pod: Pod) -> None:
        """Add a pod, or say that it, or its node, has changed."""
        self.pods[key] = None
        self._dirty[key] = None
        if not self._matters:
            self._matters = key in self._placed or key in self.missing or should_pod_be_in_endpoints(pod)

    def remove(self, key: Key) -> None:
        """Say that a pod is gone or is selected no more."""
        self.pods.pop(key, None)
        self._dirty[key] = None
        if key in self._placed or key in self.missing:
            self._matters = True

    def forget_endpoints(self) -> None:
        """Say that the service itself has changed: all endpoints are to be made anew."""
        self._settled = None
        self._dirty = dict(self.pods)
        self._placed = {}
        self._desired = {}

    def are_settled(self, slices: Sequence[EndpointSlice]) -> bool:
        """Tell whether slices hold what they should, whatever has changed: then the sync is done."""
        if self._matters or self.missing or self._replaced or self._settled != slices:
            return False
        self._dirty = {}
        return True

    def desired(self, service: Service, find_pod: FindPod, find_node: FindNode) -> dict[Ports, dict[str, Endpoint]]:
        """Return the endpoints that the service is to have, by ports and pod name."""
        for key in self._dirty:
            before = self._take_out(key)
            after = self._endpoint_of(key, service, find_pod, find_node)
            if after == before:
                after = before
            else:
                self._note(before, after)
            if after is not None:
                ports, endpoint = after
                self._placed[key] = ports
                self._desired.setdefault(ports, {})[key[1]] = endpoint
        self._dirty = {}
        self._matters = False
        return self._desired

    def _note(self, before: tuple[Ports, Endpoint] | None, after: tuple[Ports, Endpoint] | None) -> None:
        """Remember a change of an endpoint, if it is one that leaves all others in their places."""
        if len(self._replaced) < _FEW and (
            before is None or after is None or (before[0] == after[0] and before[1].addresses == after[1].addresses)
        ):
            self._replaced.append((before and before[1], after and after[1]))
        else:
            self._settled = None

    def settle(self, desired: Desired, slices: Sequence[EndpointSlice]) -> None:
        """Remember slices that hold what `desired` has returned, unless more than single endpoints is new since."""
        if desired is self._desired:
            self._settled = slices
            self._replaced = []

    def replaced_since(self, slices: Sequence[EndpointSlice]) -> Sequence[Replacement] | None:
        """Return the endpoints of slices that have a new version, None if there may be more to do to the slices."""
        if self._settled is None or self._settled != slices:
            return None
        if self._replaced and (len(self._desired) > 1 or {s.ports for s in slices} != self._desired.keys()):
            return None
        return self._replaced

    def _take_out(self, key: Key) -> tuple[Ports, Endpoint] | None:
        """Remove a pod's endpoint, and return it with its ports, if it has one."""
        self.missing.pop(key, None)
        ports = self._placed.pop(key, None)
        if ports is None:
            return None
        endpoints = self._desired[ports]
        endpoint = endpoints.pop(key[1])
        if not endpoints:
            del self._desired[ports]
        return ports, endpoint

    def _endpoint_of(
        self, key: Key, service: Service, find_pod: FindPod, find_node: FindNode
    ) -> tuple[Ports, Endpoint] | None:
        pod = find_pod(key) if key in self.pods else None
        if pod is None or not should_pod_be_in_endpoints(pod):
            return None
        node = find_node(("", pod.spec.node_name))
        if node is None and not service.spec.publish_not_ready_addresses:
            self.missing[key] = None
            return None
        return endpoint_ports(service, pod), pod_to_endpoint(pod, node, service)
