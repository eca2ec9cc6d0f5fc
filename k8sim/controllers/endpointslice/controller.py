"""EndpointSlice controller: keeps the slices of every service with a selector.

Source: pkg/controller/endpointslice/endpointslice_controller.go; workloads.md 7.1.
"""

from __future__ import annotations

from k8sim.api.core import Node, Pod, Service
from k8sim.api.discovery import Endpoint, EndpointSlice
from k8sim.api.meta import LabelSelector
from k8sim.api.selector_index import SelectorIndex
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import InternalError
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.endpointslice.control import (
    MANAGED_BY,
    SERVICE_NAME,
    Ports,
    endpoint_ports,
    is_handled,
    pod_endpoints_changed,
    pod_to_endpoint,
    reconcile,
    should_pod_be_in_endpoints,
)
from k8sim.controllers.endpointslice.tracker import SliceTracker
from k8sim.sim.units import SECOND

_Known = tuple[Pod, Node | None, Ports, Endpoint]


class EndpointSliceController(Controller):
    """Level-triggered per service; failures wait 1 s x 2^n, and the 15th is the last."""

    name = "endpointslice"
    workers = 5
    max_retries = 15
    base_delay_ns = 1 * SECOND
    max_delay_ns = 1000 * SECOND

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._selectors = SelectorIndex()
        self._members: dict[Key, dict[Key, None]] = {}
        self._services_of: dict[Key, list[Key]] = {}
        self._endpoints: dict[Key, dict[Key, _Known]] = {}
        self._slice_tracker = SliceTracker()
        self._services = self.informers.of(Service)
        self._pods = self.informers.of(Pod)
        self._nodes = self.informers.of(Node)
        self._slices = self.informers.of(EndpointSlice)
        self._slices.add_index("service", lambda s: ((s.namespace, s.metadata.labels.get(SERVICE_NAME, "")),))
        self._services.add_handler(self._on_service)
        self._pods.add_handler(self._on_pod)
        self._slices.add_handler(self._on_slice)

    # ---- observe --------------------------------------------------------------------------------------------

    def _on_service(self, change: Change) -> None:
        service = change.new
        assert isinstance(service, Service)
        key = service.key
        old = change.old
        if change.type == "DELETED" or not is_handled(service):
            self._select(key, None)
        elif not (isinstance(old, Service) and is_handled(old) and old.spec.selector == service.spec.selector):
            self._select(key, service)
        if change.type == "DELETED" or (isinstance(old, Service) and old.spec != service.spec):
            self._endpoints.pop(key, None)  # what a pod's endpoint looks like depends on the service
        self.queue.add(key, change.row)

    def _select(self, key: Key, service: Service | None) -> None:
        """Find the members of a service whose selector is new; forget those of one without a selector."""
        for pod in self._members.pop(key, ()):
            self._services_of[pod].remove(key)
        if service is None:
            self._selectors.discard(key)
            return
        self._selectors.put(key, LabelSelector(match_labels=service.spec.selector))
        wanted = service.spec.selector.items()
        members: dict[Key, None] = {}
        for candidate in self._pods.by_index("namespace", service.namespace):
            if wanted <= candidate.metadata.labels.items():
                members[candidate.key] = None
                self._services_of.setdefault(candidate.key, []).append(key)
        self._members[key] = members

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        key = pod.key
        if change.type == "MODIFIED":
            assert isinstance(old, Pod)
            if old.metadata.labels == pod.metadata.labels:
                services = self._services_of.get(key)
                if services and pod_endpoints_changed(old, pod):
                    for service in services:
                        self.queue.add(service, change.row)
                return
        before = self._services_of.pop(key, [])
        after = [] if change.type == "DELETED" else self._selectors.matching(pod.namespace, pod.metadata.labels)
        for service in before:
            if service not in after:
                self._members[service].pop(key, None)
                self._endpoints.get(service, {}).pop(key, None)
                self.queue.add(service, change.row)
        for service in after:
            self._members.setdefault(service, {})[key] = None
            self.queue.add(service, change.row)
        if after:
            self._services_of[key] = after

    def _on_slice(self, change: Change) -> None:
        """Sync the service of a slice that somebody else made, changed or deleted."""
        s = change.new
        assert isinstance(s, EndpointSlice)
        service = (s.namespace, s.metadata.labels.get(SERVICE_NAME, ""))
        if not service[1] or MANAGED_BY not in s.metadata.labels:
            return
        if change.type == "DELETED":
            expected = self._slice_tracker.expected_deletion(service, s)
        else:
            expected = self._slice_tracker.is_known(service, s)
        if not expected:
            self.queue.add(service, change.row)

    # ---- act ------------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Bring a service's slices in line with its pods."""
        service = self._services.get(*key)
        if service is None:
            self._slice_tracker.forget(key)
            return
        if not is_handled(service):
            return
        existing = [s for s in self._slices.by_index("service", key) if not s.deleting]
        if self._slice_tracker.is_stale(key, existing):
            raise InternalError("EndpointSlice informer cache is out of date")
        desired, missing = self._desired(service)
        if not service.deleting or existing:
            changes = reconcile(service, desired, existing)
            for new in () if service.deleting else changes.create:
                self._slice_tracker.wrote(key, (yield from client.create(new)))
            for new in changes.update:
                self._slice_tracker.wrote(key, (yield from client.update(new)))
            for old in changes.delete:
                yield from client.delete(EndpointSlice, old.namespace, old.name)
                self._slice_tracker.deleted(key, old)
        if missing:
            raise InternalError(
                f"skipping Pod {missing} for Service {service.namespace}/{service.name}: Node not found"
            )

    def _desired(self, service: Service) -> tuple[dict[Ports, dict[str, Endpoint]], str]:
        """Return the endpoints of a service by ports and pod, and a pod that was left out because its node is gone.

        An endpoint is made anew only when its pod has changed, so that a sync costs little per unchanged endpoint.
        """
        known = self._endpoints.setdefault(service.key, {})
        desired: dict[Ports, dict[str, Endpoint]] = {}
        missing = ""
        get_pod, get_node = self._pods.get, self._nodes.get
        publish = service.spec.publish_not_ready_addresses
        for key in self._members.get(service.key, ()):
            pod = get_pod(*key)
            if pod is None or not should_pod_be_in_endpoints(pod):
                continue
            node = get_node("", pod.spec.node_name)
            if node is None and not publish:
                missing = f"{pod.namespace}/{pod.name}"
                continue
            entry = known.get(key)
            if entry is None or entry[0] is not pod or entry[1] is not node:
                entry = (pod, node, endpoint_ports(service, pod), pod_to_endpoint(pod, node, service))
                known[key] = entry
            endpoints = desired.get(entry[2])
            if endpoints is None:
                desired[entry[2]] = endpoints = {}
            endpoints[pod.name] = entry[3]
        return desired, missing
