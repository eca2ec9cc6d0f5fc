"""A control plane with CSI drivers and the attach/detach controller, and nodes whose kubelets the test plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sim.api.core import ContainerState, ContainerStateRunning, ContainerStatus, Node, Pod, Taint
from k8sim.api.meta import Condition, set_condition
from k8sim.api.storage import VolumeAttachment
from k8sim.api.struct import Time, replace
from k8sim.controllers.attachdetach.controller import AttachDetachController
from k8sim.controllers.attachdetach.settings import AttachDetachSettings
from k8sim.csi.drivers import Driver
from k8sim.csi.installation import Installation
from k8sim.machines.disks import Storage
from tests.controllers.storage import StorageWorld, claim, pod, volume

EBS = "ebs.csi.aws.com"
RUNNING = (ContainerStatus(name="app", state=ContainerState(running=ContainerStateRunning())),)


class CSIWorld(StorageWorld):
    def __init__(
        self,
        seed: int = 1,
        drivers: Mapping[str, Driver] | None = None,
        settings: AttachDetachSettings | None = None,
    ) -> None:
        super().__init__(seed)
        self.storage = Storage(self.sim)
        self.csi = Installation(self.server, self.storage, drivers or {})
        self.csi.start()
        self.settings = settings or AttachDetachSettings()
        self.attach_detach = AttachDetachController(self.context, self.settings)
        self.attach_detach.start()

    def static_volume(self, name: str = "vol", modes: str = "ReadWriteOnce", driver: str = EBS, **spec: Any) -> None:
        """A bound pair of a claim `data` and a CSI volume, with nodes n1 and n2."""
        for node in ("n1", "n2"):
            self.add_node(node)
        csi = {"driver": driver, "volumeHandle": f"handle-{name}"}
        self.create(volume(name, modes=modes, csi=csi, **spec))
        self.run(self.now + 0.2)
        self.create(claim())
        self.run(self.now + 0.3)
        assert self.claim().status.phase == "Bound"

    def start_pod(self, name: str, node: str, claims: str = "data") -> Pod:
        """A pod on a node, with a running container."""
        made = self.server.create(pod(name, claims, node))
        return self.server.patch_status(
            Pod, *made.key, lambda p: replace(p, status=replace(p.status, phase="Running", container_statuses=RUNNING))
        )

    def force_delete(self, name: str) -> None:
        self.server.delete(Pod, "default", name, grace_period_seconds=0)

    def in_use(self, node: str, *volumes: str) -> None:
        """What the node's kubelet reports."""
        self.server.patch_status(Node, "", node, lambda n: replace(n, status=replace(n.status, volumes_in_use=volumes)))

    def not_ready(self, node: str) -> None:
        unknown = Condition(type="Ready", status="Unknown", last_transition_time=Time(0))
        self.server.patch_status(
            Node, "", node,
            lambda n: replace(n, status=replace(n.status, conditions=set_condition(n.status.conditions, unknown))),
        )  # fmt: skip

    def taint(self, node: str, key: str) -> None:
        taint = Taint(key=key, effect="NoExecute")
        self.server.patch(Node, "", node, lambda n: replace(n, spec=replace(n.spec, taints=(*n.spec.taints, taint))))

    def attached(self) -> dict[str, bool]:
        """Nodes with a VolumeAttachment, and whether it is attached."""
        return {a.spec.node_name: a.status.attached for a in self.server.list(VolumeAttachment)}

    def reported(self, node: str) -> list[str]:
        return [v.name for v in self.server.get(Node, "", node).status.volumes_attached]

    def when(self, event: str, node: str) -> float:
        """When the storage attached or detached a volume at a node."""
        return next(t for t, _, _, detail in self.events("Volume", event=event) if detail["node"] == node)
