"""Every row of the trace that the kubelet writes leads back to what brought it about."""

from k8sim.sim.trace import Row
from tests.kubelet.bench import READY, Bench, image, seconds


def chain(bench: Bench, event: str, kind: str = "Pod", nth: int = 0) -> list[str]:
    rows = [i for i, r in enumerate(bench.sim.trace) if r.kind == kind and r.event == event]
    links: list[Row] = bench.sim.trace.chain(rows[nth])
    return [f"{r.kind} {r.event}" for r in links]


def test_end_of_a_deleted_pod():
    bench = Bench(image(stop=1))
    bench.pod()
    bench.delete_at(5)
    bench.run(10)
    assert chain(bench, "Deleted") == ["Pod Deleted", "Container Exited", "Pod Terminating"]
    assert chain(bench, "Phase", nth=1)[:3] == ["Pod Phase", "Container Exited", "Pod Terminating"]


def test_restart_after_a_failed_liveness_probe():
    bench = Bench(image(stop=1, hang=5))
    bench.pod("app", {"livenessProbe": {**READY, "failureThreshold": 2}})
    bench.run(9)
    restart = chain(bench, "Started", nth=1)
    assert restart[:3] == ["Pod Started", "Container Started", "Event Unhealthy"]
    assert restart[-2:] == ["Container Started", "Pod Scheduled"]


def test_fault_that_made_a_pod_unready():
    bench = Bench(image())
    bench.pod("app", {"readinessProbe": {**READY, "failureThreshold": 1}})

    def fault() -> None:
        trace = bench.sim.trace
        trace.fault = trace.append(bench.clock.now, "Step", "unready", "Begins", {})
        bench.machine.set_unready(("default", "app"), seconds(20))
        trace.fault = -1

    bench.at(10, fault)
    bench.run(15)
    assert chain(bench, "NotReady") == ["Pod NotReady", "Event Unhealthy", "Step Begins"]
