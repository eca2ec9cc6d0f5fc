"""L4 to L7: volumes that go with their pods."""

from __future__ import annotations

from k8sim.kubelet.volumespecs import empty_dir_location
from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.pair import Pair
from tests.storage.losspaths.scenes import EBS, home, other, pod, storage_class, world, written

SCRATCH = "volumes: [{name: scratch, emptyDir: {MEDIUM}}]"
DELETE = "at: 100s, kubectl: delete pod web-0"
REBOOT = "at: 100s, fault: node-crash, node: NODE, for: 20s"
EPHEMERAL = (
    "[{name: data, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], storageClassName: fast, "
    "resources: {requests: {storage: 10Gi}}}}}}]"
)


def empty_dir(step: str, medium: str = "", until: float = 250) -> Scene:
    """A pod with ten bytes in an emptyDir, and what happens to it."""
    security = SCRATCH.replace("MEDIUM", f"medium: {medium}" if medium else "")
    node = home(security=security)
    ended = scene(step.replace("NODE", node).replace("OTHER", other(node)), security=security).run(90)
    place = empty_dir_location(node, ended.pod(), "scratch")
    ended.storage.write(place, 10, node)
    return ended.run(until)


def ephemeral(step: str, policy: str = "Delete") -> Scene:
    """A pod with ten bytes in a generic ephemeral volume."""
    made = world(storage_class(EBS, more=f"reclaimPolicy: {policy}"), pod(volumes=EPHEMERAL), steps=(step,))
    return written(made, claim_name="app-data", pod_name="app").run(300)


PAIRS = (
    Pair(
        "L4",
        "directory removed at pod termination; count all bytes",
        lambda: empty_dir(DELETE),
        "lost L4 10",
        lambda: empty_dir("at: 100s, fault: container-exit, pod: web-0, code: 1"),
        "a container restarts, the pod stays",
    ),
    Pair(
        "L5",
        "L4 plus node reboot (container restart is safe)",
        lambda: empty_dir(REBOOT, "Memory"),
        "lost L5 10",
        lambda: empty_dir(REBOOT.replace("node-crash", "node-shutdown")),
        "on disk it outlives the reboot",
    ),
    Pair(
        "L6",
        "DiskPressure eviction leads to L4",
        lambda: empty_dir("at: 100s, fault: disk-pressure, node: NODE, for: 60s"),
        "lost L6 10",
        lambda: empty_dir("at: 100s, fault: disk-pressure, node: OTHER, for: 60s"),
        "the pressure is on another node",
    ),
    Pair(
        "L7",
        "pod object deleted, PVC GC, Delete, gone",
        lambda: ephemeral("at: 100s, kubectl: delete pod app"),
        "lost L7 10",
        lambda: ephemeral("at: 100s, fault: container-exit, pod: app, code: 1"),
        "a container restarts, the pod stays",
    ),
    Pair(
        "L7",
        "with Retain class: orphaned PV (Released)",
        lambda: ephemeral("at: 100s, kubectl: delete pod app", "Retain"),
        "away L19",
        lambda: ephemeral("at: 100s, fault: container-exit, pod: app, code: 1", "Retain"),
        "a container restarts, the pod stays",
        variant="retained",
    ),
)  # fmt: skip
