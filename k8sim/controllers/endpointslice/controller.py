"""EndpointSlice controller: keeps the slices of every service with a selector.

Source: pkg/controller/endpointslice/endpointslice_controller.go; workloads.md 7.1.
"""

from __future__ import annotations

from k8sim.api.core import Node, Pod, Service
from k8sim.api.discovery import EndpointSlice
from k8sim.api.meta import LabelSelector
from k8sim.api.selector_index import SelectorIndex
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, InternalError
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.endpointslice.control import (
    MANAGED_BY,
    SERVICE_NAME,
    ZONE,
    is_handled,
    pod_endpoints_changed,
    reconcile,
    replace_in_place,
)
from k8sim.controllers.endpointslice.members import Members
from k8sim.controllers.endpointslice.tracker import SliceTracker
from k8sim.sim.units import MILLISECOND, SECOND

_OVERTAKEN_NS = 100 * MILLISECOND


class _TooEarly(InternalError):
    """A sync has come before the cache shows the last write, and begins when it does: no failure, and no success."""


class EndpointSliceController(Controller):
    """Level-triggered per service; failures wait 1 s x 2^n, and the 15th is the last.

    A cache that lacks the controller's own last write is such a failure. A cluster hardly has it: the watch shows a
    write before its answer is back and a worker has taken up the service again (at most once in 1,463 recorded changes
    of pods, many a few ms after another). So a sync that comes that soon begins when the write is seen; only one that
    is still without it _OVERTAKEN_NS later, whose watch is late indeed, fails.
    """

    name = "endpointslice"
    workers = 5
    max_retries = 15
    base_delay_ns = 1 * SECOND
    max_delay_ns = 1000 * SECOND

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._selectors = SelectorIndex()
        self._members: dict[Key, Members] = {}
        self._services_of: dict[Key, list[Key]] = {}
        self._slice_tracker = SliceTracker()
        self._written: dict[Key, int] = {}
        self._early: dict[Key, int] = {}
        self._services = self.informers.of(Service)
        self._pods = self.informers.of(Pod)
        self._nodes = self.informers.of(Node)
        self._slices = self.informers.of(EndpointSlice)
        self._pods.add_index("spec.nodeName", lambda p: (p.spec.node_name,) if p.spec.node_name else ())
        self._slices.add_index("service", lambda s: ((s.metadata.namespace, s.metadata.labels.get(SERVICE_NAME, "")),))
        # Selectors before pods: each pod that is there already then asks the index, and no service asks all pods.
        self._watches_pods = False
        self._services.add_handler(self._on_service)
        self._watches_pods = True
        self._pods.add_handler(self._on_pod)
        self._slices.add_handler(self._on_slice)
        self._nodes.add_handler(self._on_node, of_status=False)

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
        elif old.spec != service.spec:
            self._members[key].forget_endpoints()
        self.queue.add(key, change.row)

    def _select(self, key: Key, service: Service | None) -> None:
        """Find the members of a service whose selector is new; forget those of one without a selector."""
        old = self._members.pop(key, None)
        for pod in old.pods if old is not None else ():
            self._services_of[pod].remove(key)
        if service is None:
            self._selectors.discard(key)
            return
        self._selectors.put(key, LabelSelector(match_labels=service.spec.selector))
        wanted = service.spec.selector.items()
        self._members[key] = members = Members()
        for candidate in self._pods.by_index("namespace", service.namespace) if self._watches_pods else ():
            if wanted <= candidate.metadata.labels.items():
                members.touch(candidate.key, candidate)
                self._services_of.setdefault(candidate.key, []).append(key)

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        key = (pod.metadata.namespace, pod.metadata.name)
        if change.type == "MODIFIED":
            assert isinstance(old, Pod)
            if change.of_status or old.metadata.labels == pod.metadata.labels:
                services = self._services_of.get(key)
                if services:
                    matters = pod_endpoints_changed(old, pod)
                    for service in services:
                        self._members[service].touch(key, pod)
                        if matters:
                            self.queue.add(service, change.row)
                return
        before = self._services_of.pop(key, [])
        after = (
            [] if change.type == "DELETED" else self._selectors.matching(pod.metadata.namespace, pod.metadata.labels)
        )
        for service in before:
            if service not in after:
                self._members[service].remove(key)
                self.queue.add(service, change.row)
        for service in after:
            self._members[service].touch(key, pod)
            self.queue.add(service, change.row)
        if after:
            self._services_of[key] = after

    def _on_node(self, change: Change) -> None:
        """Remember for the next sync that a node has come or gone; it is no reason for one."""
        node, old = change.new, change.old
        if (
            change.type == "MODIFIED"
            and old is not None
            and old.metadata.labels.get(ZONE) == node.metadata.labels.get(ZONE)
        ):
            return
        for pod in self._pods.by_index("spec.nodeName", node.metadata.name):
            for service in self._services_of.get(pod.key, ()):
                self._members[service].touch(pod.key, pod)

    def _on_slice(self, change: Change) -> None:
        """Sync the service of a slice that somebody else made, changed or deleted."""
        s = change.new
        assert isinstance(s, EndpointSlice)
        service = (s.metadata.namespace, s.metadata.labels.get(SERVICE_NAME, ""))
        if not service[1] or MANAGED_BY not in s.metadata.labels:
            return
        if change.type == "DELETED":
            expected = self._slice_tracker.expected_deletion(service, s)
        else:
            expected = self._slice_tracker.is_known(service, s)
        if not expected:
            self.queue.add(service, change.row)
        elif service in self._early:
            self.queue.add(service, self._early.pop(service))

    # ---- act ------------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Bring a service's slices in line with its pods."""
        service = self._services.find(key)
        if service is None:
            self._slice_tracker.forget(key)
            self._written.pop(key, None)
            self._early.pop(key, None)
            return
        if not is_handled(service):
            return
        existing = [s for s in self._slices.by_index("service", key) if s.metadata.deletion_timestamp is None]
        if self._slice_tracker.is_stale(key, existing):
            if self.clock.now - self._written[key] > _OVERTAKEN_NS:
                raise InternalError("EndpointSlice informer cache is out of date")
            self._early[key] = client.cause
            raise _TooEarly("the last write has not been seen yet")
        members = self._members[key]
        if members.are_settled(existing):
            return
        desired = members.desired(service, self._pods.find, self._nodes.find)
        missing = next(iter(members.missing)) if members.missing else None
        replaced = members.replaced_since(existing)
        changes = replace_in_place(existing, replaced) if replaced is not None else None
        if changes is None:
            changes = reconcile(service, desired, existing)
        for new in () if service.deleting else changes.create:
            self._wrote(key, (yield from client.create(new)))
        stored: dict[str, EndpointSlice] = {}
        for new in changes.update:
            stored[new.metadata.name] = written = yield from client.update(new)
            self._wrote(key, written)
        for old in changes.delete:
            yield from client.delete(EndpointSlice, old.namespace, old.name)
            self._slice_tracker.deleted(key, old)
            self._written[key] = self.clock.now
        if not changes.create and not changes.delete:
            members.settle(desired, [stored.get(s.metadata.name, s) for s in existing] if stored else existing)
        if missing is not None:
            raise InternalError(f"skipping Pod {missing[1]} for Service {service.name}: Node not found")

    def _sync_failed(self, key: Key, error: ApiError, client: Client) -> None:
        if not isinstance(error, _TooEarly):
            super()._sync_failed(key, error, client)

    def _wrote(self, service: Key, stored: EndpointSlice) -> None:
        self._slice_tracker.wrote(service, stored)
        self._written[service] = self.clock.now
