"""The named delays: every duration that Kubernetes does not fix, with a default and where the default comes from.

A scenario overrides them under ``latencies:`` by these names, with a duration or a distribution. The defaults are those
of the recorded cases' test bed (the real programs on one machine, with a runtime that starts containers at once), so
that an uncalibrated simulation agrees with the recordings; `k8sim calibrate` takes them from a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from k8sim.sim.distributions import Constant, Distribution, Lognormal, Uniform
from k8sim.sim.streams import Stream, Streams
from k8sim.sim.units import MILLISECOND, SECOND


@dataclass(frozen=True)
class Latency:
    """One named delay."""

    default: Distribution
    meaning: str
    source: str


def _ms(low: float, high: float) -> Distribution:
    return Uniform(round(low * MILLISECOND), round(high * MILLISECOND))


def _median(seconds: float) -> Distribution:
    """Return a law with a median and, for want of published tails, an assumed p99 of three times as much."""
    return Lognormal(round(seconds * SECOND), round(3 * seconds * SECOND))


RECORDED = "recorded cases (time between consecutive events)"
STORAGE = "storage.md appendix D (typical cloud disk); the spread, p99 = 3 x median, is assumed"

LATENCIES: Mapping[str, Latency] = {
    "apiWrite": Latency(
        _ms(1.5, 3.5), "a request that changes something, until it is stored", RECORDED + "; node.md 6.3"
    ),
    "apiRead": Latency(_ms(0.3, 1), "a request that reads one object or a list", RECORDED + "; node.md 6.3"),
    "apiResponse": Latency(_ms(0.05, 0.2), "from what a request did to its answer", RECORDED + " (claim to its pod)"),
    "podAdmission": Latency(_ms(2, 6), "what creating a pod takes longer than another object", RECORDED),
    "statusPatch": Latency(
        _ms(5, 12), "a kubelet's patch of a pod's status; it sends one at a time", RECORDED + " (patches in a row)"
    ),
    "podRemoval": Latency(
        _ms(1, 6), "from storing that a pod's grace is 0 to its removal, a second write of the same request", RECORDED
    ),
    "watch": Latency(_ms(1.5, 4), "from a stored change to a watcher's cache", RECORDED + "; node.md 6.3"),
    "schedulingCycle": Latency(_ms(1, 4), "one scheduling cycle, until the binding is sent", RECORDED),
    "runtimeSandboxStart": Latency(_ms(1, 4), "make a sandbox and its network (CNI ADD)", RECORDED + "; real: 0.3-1 s"),
    "runtimeSandboxStop": Latency(_ms(1, 4), "stop a sandbox (CNI DEL)", RECORDED + "; real: 0.05-0.5 s, node.md 6.3"),
    "runtimeContainerStart": Latency(_ms(2, 8), "create and start a container", RECORDED + "; real: 0.1-0.4 s"),
    "kubeletStart": Latency(_ms(70, 200), "from a boot or a restart to the kubelet's first request", RECORDED),
    "kubeletAssembly": Latency(
        _ms(1, 10), "from there until its probe manager is made", "assumed: it calls the runtime meanwhile"
    ),
    "plegRelist": Latency(
        _ms(1.5, 3), "one look of the kubelet at all containers", RECORDED + " (drift of its period)"
    ),
    "volumeMount": Latency(_ms(5, 30), "mount one pod's volumes", RECORDED + "; real: 0.2-3 s, node.md 6.3"),
    "volumeUnmount": Latency(_ms(5, 30), "unmount one pod's volumes", RECORDED + "; real: 0.01-2 s, node.md 4.2"),
    "imageCheck": Latency(_ms(1, 4), "ask the registry for a digest that is on the node", RECORDED + "; real: 0.2-1 s"),
    "nodeMonitorPass": Latency(_ms(2, 8), "a pass of the node health monitor that changes nothing", RECORDED),
    "podGCPass": Latency(_ms(1, 5), "a run of the pod garbage collector that deletes nothing", RECORDED),
    "proxySync": Latency(_ms(10, 50), "kube-proxy writes its rules", "node.md 9.3: 10 ms to some s, by their number"),
    "kubectl": Latency(_ms(40, 90), "start of the kubectl program until its first request", RECORDED),
    "kubectlRequest": Latency(_ms(7, 18), "one request of kubectl after the first", RECORDED),
    "volumeCreate": Latency(_median(2), "a storage system makes a volume (CreateVolume)", STORAGE),
    "volumeDelete": Latency(_median(2), "a storage system deletes a volume (DeleteVolume)", STORAGE),
    "volumeAttach": Latency(_median(3), "attach a disk to a machine (ControllerPublishVolume)", STORAGE),
    "volumeDetach": Latency(_median(3), "detach a disk from a machine (ControllerUnpublishVolume)", STORAGE),
    "volumeStage": Latency(_median(1), "find, check and mount a disk on its machine (NodeStageVolume)", STORAGE),
    "volumeUnstage": Latency(_median(0.5), "flush and unmount a disk on its machine (NodeUnstageVolume)", STORAGE),
    "volumePublish": Latency(
        _ms(20, 100), "show a mounted volume to a pod (NodePublishVolume)", "assumed: a bind mount"
    ),
    "volumeUnpublish": Latency(
        _ms(20, 100), "hide it again (NodeUnpublishVolume)", "assumed: an unmount of a bind mount"
    ),
    "volumeExpand": Latency(_median(2), "grow a disk (ControllerExpandVolume)", STORAGE),
    "volumeModify": Latency(_median(2), "change a volume's attributes (ControllerModifyVolume)", STORAGE),
    "volumeNodeExpand": Latency(
        _median(1), "grow the file system on it (NodeExpandVolume)", "assumed: resize2fs, online"
    ),
    "volumeOwnershipWalk": Latency(
        _ms(1, 20),
        "walk a volume's files to set their group (fsGroup); a volume of n files takes about n / 20000 s",
        "storage.md 3.7, appendix D (20 000 entries/s); default: a few hundred files",
    ),
    "snapshotCut": Latency(_median(1), "a storage system fixes a snapshot's moment (CreateSnapshot)", STORAGE),
    "snapshotReady": Latency(_median(30), "until a snapshot that was cut is ready to use", STORAGE),
    "snapshotDelete": Latency(_median(2), "a storage system deletes a snapshot (DeleteSnapshot)", STORAGE),
}


_DEFAULTS: Final = {name: latency.default for name, latency in LATENCIES.items()}


class Sampler(Protocol):
    """Draws the delays of one name for one entity."""

    def draw(self) -> int:
        """Return the next delay (ns)."""


# Plain structs, out of the collector's sight: most of a small cluster's never draw. None makes a stream before it does.
class _UniformDelay(msgspec.Struct, gc=False, eq=False):
    """Draws of the common law, with as few calls as can be."""

    streams: Streams
    name: str
    entity: str
    low_ns: int
    width_ns: int
    stream: Stream | None = None

    def draw(self) -> int:
        stream = self.stream
        if stream is None:
            stream = self.stream = self.streams.stream(self.entity, self.name)
        at = stream.at
        if at < stream.end:
            stream.at = at + 1
            return self.low_ns + int(stream.numbers[at] * self.width_ns)
        return self.low_ns + int(stream.uniform() * self.width_ns)


class _FixedDelay(msgspec.Struct, gc=False, eq=False):
    ns: int

    def draw(self) -> int:
        return self.ns


class _OtherDelay(msgspec.Struct, gc=False, eq=False):
    streams: Streams
    name: str
    entity: str
    law: Distribution

    def draw(self) -> int:
        return self.law.quantile(self.streams.uniform(self.entity, self.name))


class Latencies:
    """Draws named delays, each from a stream of its own."""

    def __init__(self, streams: Streams, overrides: Mapping[str, Distribution] | None = None) -> None:
        self._streams = streams
        self._distributions: dict[str, Distribution] = {**_DEFAULTS, **(overrides or {})}

    def distribution(self, name: str) -> Distribution:
        """Return the law of a named delay."""
        return self._distributions[name]

    def sampler(self, name: str, entity: str) -> Sampler:
        """Return what draws the delays of that name for an entity, one after the other."""
        law = self._distributions[name]
        if type(law) is Uniform:
            return _UniformDelay(self._streams, name, entity, law.low_ns, law.high_ns - law.low_ns)
        if isinstance(law, Constant):
            return _FixedDelay(law.ns)
        return _OtherDelay(self._streams, name, entity, law)

    def draw(self, name: str, entity: str) -> int:
        """Draw one delay (ns)."""
        law = self._distributions[name]
        if type(law) is Constant:  # of an abstract class, isinstance is many times as slow where the answer is no
            return law.ns
        return law.quantile(self._streams.uniform(entity, name))
