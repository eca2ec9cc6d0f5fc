"""What the kubelet says of its node: registration, conditions, leases.

Nothing is sent while nothing changes: the lease is arithmetic, and the status, which a kubelet computes every 10 s, is
computed on that grid only when there is something to say.

Source: pkg/kubelet/kubelet_node_status.go, nodestatus/setters.go, component-helpers/apimachinery/lease; node.md 5.3.
"""

from __future__ import annotations

from k8sim.api.core import Node
from k8sim.api.meta import Condition, condition_of, set_condition, with_meta
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.server import APIServer
from k8sim.kubelet.devices import Devices
from k8sim.kubelet.grid import Grid
from k8sim.kubelet.settings import KubeletSettings
from k8sim.machines.machine import Machine
from k8sim.sim.clock import Clock, Steps
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import MILLISECOND, SECOND

READY = Condition(type="Ready", status="True", reason="KubeletReady", message="kubelet is posting ready status")
FAST_RETRY = 100 * MILLISECOND
LEASE_SHARE = 4
"""A lease is renewed four times in its duration (pkg/kubelet/kubelet.go nodeLeaseRenewIntervalFraction)."""


def lease_period(settings: KubeletSettings) -> int:
    """Return the time between two renewals."""
    return settings.node_lease_duration_seconds * SECOND // LEASE_SHARE


def begin_leases(sim: Simulation, server: APIServer, node: str, settings: KubeletSettings) -> None:
    """Let the renewals of a kubelet that has been running for long go on, at a phase of their own."""
    period = lease_period(settings)
    last = sim.clock.now - int(sim.streams.uniform(node, "lease") * period)
    server.leases.begin(node, last, period)


class NodeStatus:
    """The reporter of one kubelet process.

    Parameters
    ----------
    grid
        When the status is computed: every 10 s.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rank: int,
        machine: Machine,
        settings: KubeletSettings,
        grid: Grid,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rank = rank
        self._machine = machine
        self._lease_period = lease_period(settings)
        self._grid = grid
        self._conditions: dict[str, Condition] = {"Ready": READY}
        self._due: int | None = None
        self._stopped = False
        self.volumes: Devices | None = None

    def begin_leases(self) -> None:
        """Renew from now on: a kubelet that starts or comes back renews at once."""
        self._client.server.leases.begin(self._machine.name, self._clock.now, self._lease_period)

    def end_leases(self) -> None:
        """No renewal arrives any more."""
        self._client.server.leases.end(self._machine.name, self._clock.now)

    def stop(self) -> None:
        """The kubelet's process ends."""
        self._stopped = True

    def says(self, condition: Condition) -> bool:
        """Tell whether just this is what is reported."""
        return self._conditions.get(condition.type) == condition

    def set_condition(self, condition: Condition, at_once: bool = False) -> None:
        """Change what is reported; the next status says so, on the 10 s grid or at once."""
        if not self.says(condition):
            self._conditions[condition.type] = condition
            self.report_on_grid(at_once)

    def report_on_grid(self, at_once: bool = False) -> None:
        """Report at the next computation of the status."""
        now = self._clock.now
        due = now if at_once else self._grid.next(now + 1)
        if self._due is None or due < self._due:
            self._due = due
            self._clock.call_at(due, self._start_report, due, rank=self._rank)

    def _start_report(self, due: int) -> None:
        if not self._stopped and self._due == due:
            self._due = None
            self._clock.spawn(self._report())

    def _report(self) -> Steps:
        """Write the status if it differs (tryUpdateNodeStatus)."""
        try:
            node = yield from self._client.patch_status(Node, "", self._machine.name, self._with_status)
            if self.volumes is not None and not self._stopped:
                self.volumes.reported(node.status.volumes_in_use)
        except NotFound:
            return  # a deleted Node is registered again only by a new kubelet process
        except ApiError:
            if not self._stopped and self._client.connected:
                self.report_on_grid()

    def _with_status(self, node: Node) -> Node:
        now = Time(self._clock.truncated())
        conditions = node.status.conditions
        for condition in self._conditions.values():
            old = condition_of(conditions, condition.type)
            if old is None or _says(old) != _says(condition):
                since = now if old is None or old.status != condition.status else old.last_transition_time
                conditions = set_condition(conditions, replace(condition, last_transition_time=since))
        info = replace(node.status.node_info, boot_id=self._machine.boot_id)
        in_use = self.volumes.in_use() if self.volumes is not None else ()
        return replace(node, status=replace(node.status, conditions=conditions, node_info=info, volumes_in_use=in_use))

    def register(self, template: Node | None) -> Steps:
        """Register the node and report it ready: what a kubelet does first (tryRegisterWithAPIServer)."""
        name = self._machine.name
        while not self._stopped:
            try:
                node = yield from self._client.get(Node, "", name)
            except NotFound:
                if template is None:
                    return
                fresh = replace(with_meta(template, resource_version=0, uid=""), status=template.status)
                node = yield from self._client.create(fresh)
            except ApiError:
                yield self._clock.sleep(FAST_RETRY, self._rank)
                continue
            rebooted = node.status.node_info.boot_id not in ("", self._machine.boot_id)
            yield self._clock.sleep(FAST_RETRY, self._rank)
            yield from self._report()
            if rebooted or self._machine.boot > 1:
                message = f"Node {name} has been rebooted, boot id: {self._machine.boot_id}"
                self._client.event(node, "Warning", "Rebooted", message)
            return


def _says(condition: Condition) -> tuple[str, str, str]:
    return condition.status, condition.reason, condition.message
