"""The pods that a service selects and their endpoints, kept up to date pod by pod.

A sync of Kubernetes makes the endpoints of all pods of a service anew. Here only those of pods (or nodes) that have
changed since the last sync are made; the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sim.api.core import Node, Pod, Service
from k8sim.api.discovery import Endpoint
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
    """The selected pods of one service; ``missing`` are those that are left out because their node is gone."""

    def __init__(self) -> None:
        self.pods: dict[Key, None] = {}
        self.missing: dict[Key, None] = {}
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
        self._dirty = dict(self.pods)
        self._placed = {}
        self._desired = {}

    def desired(self, service: Service, find_pod: FindPod, find_node: FindNode) -> dict[Ports, dict[str, Endpoint]]:
        """Return the endpoints that the service is to have, by ports and pod name."""
        for key in self._dirty:
            ports = self._placed.pop(key, None)
            if ports is not None:
                endpoints = self._desired[ports]
                del endpoints[key[1]]
                if not endpoints:
                    del self._desired[ports]
            self.missing.pop(key, None)
            pod = find_pod(key) if key in self.pods else None
            if pod is None or not should_pod_be_in_endpoints(pod):
                continue
            node = find_node(("", pod.spec.node_name))
            if node is None and not service.spec.publish_not_ready_addresses:
                self.missing[key] = None
                continue
            ports = endpoint_ports(service, pod)
            self._placed[key] = ports
            self._desired.setdefault(ports, {})[pod.name] = pod_to_endpoint(pod, node, service)
        self._dirty = {}
        return self._desired
