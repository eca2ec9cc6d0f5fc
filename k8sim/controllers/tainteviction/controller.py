"""Taint eviction controller: deletes pods that do not tolerate, or no longer, the NoExecute taints of their node.

Source: pkg/controller/tainteviction/taint_eviction.go, timed_workers.go; workloads.md 4.6.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from k8sim.api.core import Node, Pod, Taint
from k8sim.api.meta import Condition, set_condition
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.tainteviction.control import get_matching_tolerations, no_execute_taints, seconds_to_stay
from k8sim.sim.clock import Event, rank
from k8sim.sim.units import MILLISECOND, SECOND

_ATTEMPTS = 5
_RETRY_NS = 10 * MILLISECOND


class _Timer:
    """A pod's eviction that is planned; ``fired`` ones stay, so that a pod is not evicted twice."""

    __slots__ = ("fired", "row")

    def __init__(self, row: int) -> None:
        self.fired = False
        self.row = row


class TaintEvictionController(Controller):
    """Keys are nodes ("", node) and pods (namespace/name, node).

    A countdown begins when the taint is seen here, whatever the taint says, and is never moved: only cancelled. Timers
    go by the pod's name, and the delete asks for no UID.
    """

    name = "tainteviction"
    workers = 8

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self._free: list[Client] = []  # an eviction runs beside all others, with a connection of its own
        self._stopped = False
        self._tainted: dict[str, tuple[Taint, ...]] = {}
        self._timers: dict[Key, _Timer] = {}
        self._nodes = self.informers.of(Node)
        self._pods = self.informers.of(Pod)
        self._pods.add_index("spec.nodeName", lambda p: (p.spec.node_name,) if p.spec.node_name else ())
        self._nodes.add_handler(self._on_node, of_status=False)
        self._pods.add_handler(self._on_pod, of_status=False)

    def stop(self) -> None:
        """Stop; all countdowns are lost."""
        super().stop()
        self._stopped = True
        self._timers.clear()

    # ---- observe --------------------------------------------------------------------------------------------

    def _on_node(self, change: Change) -> None:
        node, old = change.new, change.old
        assert isinstance(node, Node)
        had = no_execute_taints(old) if isinstance(old, Node) else ()
        has = no_execute_taints(node) if change.type != "DELETED" else ()
        if had != has:
            self.queue.add(("", node.name), change.row)

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        if isinstance(old, Pod) and change.type == "MODIFIED":
            if pod.spec is old.spec:
                return
            if pod.spec.tolerations == old.spec.tolerations and pod.spec.node_name == old.spec.node_name:
                return
        node = pod.spec.node_name
        if node and (node in self._tainted or pod.key in self._timers):
            self.queue.add((f"{pod.namespace}/{pod.name}", node), change.row)

    # ---- decide ---------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Look at a node whose taints have changed, or at a pod on a tainted node."""
        yield from ()
        if key[0]:
            namespace, _, name = key[0].partition("/")
            self._handle_pod((namespace, name), key[1], client)
        else:
            self._handle_node(key[1], client)

    def _handle_pod(self, key: Key, node_name: str, client: Client) -> None:
        pod = self._pods.find(key)
        if pod is None:
            self._cancel(key, client)
        elif pod.spec.node_name == node_name and node_name in self._tainted:
            self._process_pod(pod, self._tainted[node_name], client)

    def _handle_node(self, name: str, client: Client) -> None:
        node = self._nodes.get("", name)
        if node is None:
            self._tainted.pop(name, None)  # countdowns go on: what they are for is gone all the more
            return
        taints = no_execute_taints(node)
        if taints:
            self._tainted[name] = taints
        else:
            self._tainted.pop(name, None)
        for pod in list(self._pods.by_index("spec.nodeName", name)):
            if taints:
                self._process_pod(pod, taints, client)
            else:
                self._cancel(pod.key, client)

    def _process_pod(self, pod: Pod, taints: Sequence[Taint], client: Client) -> None:
        """Start, keep or cancel a pod's countdown; only taints not tolerated cut it short (processPodOnNode)."""
        seconds = seconds_to_stay(taints, pod.spec.tolerations)
        timer = self._timers.get(pod.key)
        if seconds is None:
            self._cancel(pod.key, client)
        elif timer is None:
            self._plan(pod.key, seconds * SECOND, client.cause)
        elif not timer.fired and not get_matching_tolerations(taints, pod.spec.tolerations)[0]:
            self._cancel(pod.key, client)
            self._plan(pod.key, 0, client.cause)

    def _plan(self, key: Key, delay_ns: int, cause: int) -> None:
        timer = self._timers[key] = _Timer(cause)
        if delay_ns:
            detail = {"reason": "tolerated for a while", "until": self.clock.now + delay_ns}
            timer.row = self.sim.trace.append(self.clock.now, "Eviction", key[1], "Waiting", detail, cause, key[0])
            self.clock.call_after(delay_ns, self._fire, key, timer, rank=rank("kube-controller-manager", key[1]))
        else:
            self._fire(key, timer)

    def _cancel(self, key: Key, client: Client) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None and not timer.fired:
            pod = self._pods.find(key)
            if pod is not None:
                client.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key[0]}/{key[1]}")

    # ---- act ------------------------------------------------------------------------------------------------

    def _fire(self, key: Key, timer: _Timer) -> None:
        if self._timers.get(key) is timer and not self._stopped:
            timer.fired = True
            self.clock.spawn(self._delete_pod(key, timer))

    def _delete_pod(self, key: Key, timer: _Timer) -> Generator[Event, Any, None]:
        """Mark the pod and delete it, with its own grace period; up to five attempts, then never again."""
        client = self._free.pop() if self._free else self.client()
        client.cause = timer.row
        pod = self._pods.find(key)
        if pod is not None:
            client.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key[0]}/{key[1]}")

        def mark(stored: Pod) -> Pod:
            return with_disruption_target(stored, Time(self.clock.truncated()))

        for _ in range(_ATTEMPTS):
            try:
                yield from client.patch_status(Pod, *key, mark)
                yield from client.delete(Pod, *key)
                break
            except NotFound:
                break
            except ApiError:
                yield self.clock.sleep(_RETRY_NS, self.rank)
        else:
            if self._timers.get(key) is timer:
                del self._timers[key]
        self._free.append(client)


def with_disruption_target(pod: Pod, now: Time) -> Pod:
    """Return the pod marked as about to be deleted because of a taint."""
    condition = Condition(
        type="DisruptionTarget",
        status="True",
        reason="DeletionByTaintManager",
        message="Taint manager: deleting due to NoExecute taint",
        last_transition_time=now,
    )
    return replace(pod, status=replace(pod.status, conditions=set_condition(pod.status.conditions, condition)))
