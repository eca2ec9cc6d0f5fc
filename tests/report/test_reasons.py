from __future__ import annotations

from k8sim.api.meta import with_meta
from k8sim.api.struct import Time
from k8sim.report.reasons import pod_state
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod


def test_a_terminating_pod_says_for_how_long_it_has_been_that() -> None:
    """From the request, not from the deadline that the object carries."""
    pod = with_meta(make_pod(node="node-1"), deletion_timestamp=Time(130 * SECOND), deletion_grace_period_seconds=30)
    assert pod_state(pod, 160 * SECOND, ()) == "Terminating for 1m"
    assert pod_state(pod, 160 * SECOND, {"node-1"}) == "Terminating for 1m, node node-1 not Ready"
