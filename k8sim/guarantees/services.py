"""What endpoints promise: who gets traffic."""

from __future__ import annotations

from k8sim.api.core import Pod, Service
from k8sim.api.discovery import EndpointSlice
from k8sim.api.pods import is_pod_ready, is_pod_terminal
from k8sim.api.selectors import labels_match
from k8sim.apiserver.watch import Change
from k8sim.guarantees.circumstances import SECOND
from k8sim.guarantees.guarantee import Checker, Due, Guarantee
from k8sim.guarantees.world import World

SERVICE = "kubernetes.io/service-name"
LAG = 3 * SECOND
"""Watch delays, and the rate at which the controller writes slices."""
LATE = {
    "apiserver-outage": "controllers cannot read or write",
    "controller-manager-restart": "nobody writes slices for a while",
}
NODE_GONE = {
    "node deleted": "with a pod on a Node that is gone each sync of its service fails; one that finds its cache too "
    "old then waits as long as the next of these failures, up to 1,000 s (endpointslice/reconciler.go, "
    "endpointslice_controller.go)",
}
SOURCE = "kubernetes.io/docs/concepts/services-networking/endpoint-slices; pkg/controller/endpointslice"


def selected_by(world: World, service: Service) -> list[Pod]:
    """Return the pods that a service selects."""
    pods = (p for p in world.all("Pod") if p.namespace == service.namespace)
    return [p for p in pods if labels_match(service.spec.selector, p.metadata.labels)]


def services_of(world: World, pod: Pod) -> list[Service]:
    """Return the services that select a pod."""
    services = (s for s in world.all("Service") if s.namespace == pod.namespace and s.spec.selector)
    return [s for s in services if labels_match(s.spec.selector, pod.metadata.labels)]


def its_node_is_gone(world: World, pod: Pod) -> bool:
    """Tell whether a pod is on a Node that is not there any more."""
    return bool(pod.spec.node_name) and world.find("Node", "", pod.spec.node_name) is None


def syncs_fail(world: World, service: Service) -> bool:
    """Tell whether a pod on a Node that is gone makes each sync of its service fail."""
    skips = not service.spec.publish_not_ready_addresses
    return skips and any(its_node_is_gone(world, p) for p in selected_by(world, service))


class NotReadyOut(Checker):
    about = Guarantee(
        name="not-ready-out-of-endpoints",
        promise="A pod that is not Ready, or terminates, is taken out of the ready endpoints of its services.",
        checks="that it happens within 3 s, for services that do not publish not-ready addresses",
        does_not_check="how long proxies and clients go on using the address",
        source=f"{SOURCE}; kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle#pod-termination",
        not_kept_under={**NODE_GONE, **LATE},
    )
    kinds = ("Pod", "EndpointSlice")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._ready_in: dict[str, set[tuple[str, str]]] = {}
        self._in: dict[tuple[str, str], set[str]] = {}
        self._due: dict[str, tuple[Due, Pod]] = {}

    def change(self, change: Change) -> None:
        obj = change.new
        if isinstance(obj, EndpointSlice):
            self._slice(obj, change.type == "DELETED")
        elif isinstance(obj, Pod):
            out = change.type == "DELETED" or obj.deleting or not is_pod_ready(obj)
            if out and self._ready_in.get(obj.uid):
                self.exercised += obj.uid not in self._due
                self._due.setdefault(obj.uid, (Due(self.world.now, obj.name, change.row), obj))
            elif not out:
                self._settle(obj.uid)

    def _slice(self, obj: EndpointSlice, gone: bool) -> None:
        service = self.world.find("Service", obj.namespace, obj.metadata.labels.get(SERVICE, ""))
        published = service is not None and service.spec.publish_not_ready_addresses
        ready: set[str] = set()
        if not gone and not published:
            ready = {e.target_ref.uid for e in obj.endpoints if e.conditions.ready and e.target_ref is not None}
        for uid in sorted(self._in.get(obj.key, set()) - ready):
            self._ready_in[uid].discard(obj.key)
            if not self._ready_in[uid]:
                self._settle(uid)
        for uid in sorted(ready):
            self._ready_in.setdefault(uid, set()).add(obj.key)
        self._in[obj.key] = ready

    def _settle(self, uid: str) -> None:
        if uid not in self._due:
            return
        due, pod = self._due.pop(uid)
        late = self.world.now - due.t
        if late > LAG:
            problem = f"stayed a ready endpoint for {late / SECOND:.1f} s after it no longer was"
            stuck = any(syncs_fail(self.world, service) for service in services_of(self.world, pod))
            self.violated(due.subject, problem, due.row, "node deleted" if stuck else None, pod.spec.node_name)

    def end(self) -> None:
        for uid in list(self._due):
            self._settle(uid)


class ReadyIn(Checker):
    about = Guarantee(
        name="ready-into-endpoints",
        promise="A Ready pod becomes a ready endpoint of the services that select it.",
        checks="pods that have been Ready and unchanged for 3 s, at the end",
        does_not_check="services without a selector; addresses; pods whose Node was deleted, which get no endpoint",
        source=SOURCE,
        kind="liveness",
        not_kept_under={**NODE_GONE, **LATE},
    )
    kinds = ("Pod", "Service")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._changed: dict[tuple[str, str, str], int] = {}

    def change(self, change: Change) -> None:
        self._changed[(change.new.kind, *change.new.key)] = self.world.now

    def _quiet(self, kind: str, key: tuple[str, str]) -> bool:
        return not self.world.recently(self._changed.get((kind, *key)), LAG)

    def end(self) -> None:
        ready: dict[tuple[str, str], set[str]] = {}
        for piece in self.world.all("EndpointSlice"):
            key = piece.namespace, piece.metadata.labels.get(SERVICE, "")
            ready.setdefault(key, set()).update(
                e.target_ref.uid for e in piece.endpoints if e.conditions.ready and e.target_ref is not None
            )
        for service in self.world.all("Service"):
            if service.spec.selector and not service.deleting and self._quiet("Service", service.key):
                self._judge(service, ready.get(service.key, set()))

    def _judge(self, service: Service, ready: set[str]) -> None:
        for pod in selected_by(self.world, service):
            fit = is_pod_ready(pod) and not pod.deleting and not is_pod_terminal(pod)
            if fit and not its_node_is_gone(self.world, pod) and self._quiet("Pod", pod.key):
                self.exercised += 1
                if pod.uid not in ready:
                    problem = f"is Ready and not a ready endpoint of {service.name}"
                    excuse = "node deleted" if syncs_fail(self.world, service) else None
                    self.violated(pod.name, problem, excuse=excuse, node=pod.spec.node_name)


class EndpointsSelected(Checker):
    about = Guarantee(
        name="endpoints-selected",
        promise="A service's endpoints are pods that its selector matches.",
        checks="labels of the pods of each slice when it is written",
        does_not_check="slices of services changed within the last 2 s, or that people wrote",
        source=SOURCE,
        not_kept_under={**LATE, "manual edit": "labels were changed"},
    )
    kinds = ("EndpointSlice",)
    edits = ("Service", "EndpointSlice", "Pod")

    def change(self, change: Change) -> None:
        piece = change.new
        assert isinstance(piece, EndpointSlice)
        service = self.world.find("Service", piece.namespace, piece.metadata.labels.get(SERVICE, ""))
        if service is None or change.type == "DELETED" or self.world.spec_changed_recently(service):
            return
        for endpoint in piece.endpoints:
            if endpoint.target_ref is None or not service.spec.selector:
                continue
            pod = self.world.find("Pod", piece.namespace, endpoint.target_ref.name)
            if pod is None or pod.uid != endpoint.target_ref.uid:
                continue
            self.exercised += 1
            if not labels_match(service.spec.selector, pod.metadata.labels):
                self.violated(pod.name, f"is an endpoint of {service.name}, which does not select it")


CHECKERS: tuple[type[Checker], ...] = (NotReadyOut, ReadyIn, EndpointsSelected)
