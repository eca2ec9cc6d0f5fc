"""The pods that a service selects and their endpoints, kept up to date pod by pod.

A sync of Kubernetes makes the endpoints of all pods of a service anew. Here only those of pods (or nodes) that have
changed since the last sync are made; the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sim.api.core import Node, Pod, Service
from k8sim.api.discovery import Endpoint, EndpointSlice
from k8sim.controllers.endpointslice.control import (
    Ports,
    endpoint_ports,
    pod_to_endpoint,
    should_pod_be_in_endpoints,
)

Key = tuple[str, str]
FindPod = Callable[[Key], Pod | None]
FindNode = Callable[[Key], Node | None]


class Members:
    """The selected pods of one service.

    Attributes
    ----------
    missing
        Pods that are left out because their node is gone.
    changes
        How often an endpoint has come, changed or gone: while it stays the same, `desired` says the same.
    settled
        For how many ``changes`` the controller has found that slices hold what is desired, and those slices.
    """

    def __init__(self) -> None:
        self.pods: dict[Key, None] = {}
        self.missing: dict[Key, None] = {}
        self.changes = 0
        self.settled: tuple[int, list[EndpointSlice]] | None = None
        self._dirty: dict[Key, None] = {}
        self._placed: dict[Key, Ports] = {}
        self._desired: dict[Ports, dict[str, Endpoint]] = {}

    def touch(self, pod: Key) -> None:
        """Add a pod, or say that it, or its node, has changed."""
        self.pods[pod] = None
        self._dirty[pod] = None

    def remove(self, pod: Key) -> None:
        """Say that a pod is gone or is selected no more."""
        self.pods.pop(pod, None)
        self._dirty[pod] = None

    def forget_endpoints(self) -> None:
        """Say that the service itself has changed: all endpoints are to be made anew."""
        self.changes += 1
        self._dirty = dict(self.pods)
        self._placed = {}
        self._desired = {}

    def desired(self, service: Service, find_pod: FindPod, find_node: FindNode) -> dict[Ports, dict[str, Endpoint]]:
        """Return the endpoints that the service is to have, by ports and pod name."""
        for key in self._dirty:
            before = self._take_out(key)
            after = self._endpoint_of(key, service, find_pod, find_node)
            if after == before:
                after = before
            else:
                self.changes += 1
            if after is not None:
                ports, endpoint = after
                self._placed[key] = ports
                self._desired.setdefault(ports, {})[key[1]] = endpoint
        self._dirty = {}
        return self._desired

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
