"""A small world for tests: a clock, an API server, nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from k8sim.api.core import Container, Namespace, Pod, PodSpec
from k8sim.api.meta import ObjectMeta
from k8sim.apiserver.server import Admission, APIServer
from k8sim.apiserver.settings import WatchSettings
from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace


def make_server(
    seed: int = 1,
    gates: Mapping[str, bool] | None = None,
    admission: tuple[Admission, ...] = (),
    watches: WatchSettings | None = None,
) -> APIServer:
    streams = Streams(seed)
    sim = Simulation(Clock(), streams, Latencies(streams), Trace(), gates or {})
    server = APIServer(sim, admission, watches=watches)
    server.preload(Namespace(metadata=ObjectMeta(name="default")))
    return server


def make_pod(name: str = "web-0", node: str = "", grace: int = 30, **meta: object) -> Pod:
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", **meta),  # type: ignore[arg-type]
        spec=PodSpec(
            containers=(Container(name="app", image="app:v1"),), node_name=node, termination_grace_period_seconds=grace
        ),
    )
