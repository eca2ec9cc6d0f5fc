"""When another instance of a control-plane program leads after the leader has gone.

The leader renews its Lease every 2 s. The others look at it every 2 to 4.4 s, and take it when they have not seen it
change for 15 s, on their own clock: whoever sees the last renewal late, waits late. kube-controller-manager does not
release its Lease, not even when it ends in order (gate ControllerManagerReleaseLeaderElectionLockOnExit: alpha, off;
kubernetes/kubernetes#132599), and a process that is started again is another instance and waits as long.

Source: staging/src/k8s.io/client-go/tools/leaderelection/leaderelection.go (acquire, tryAcquireOrRenew),
staging/src/k8s.io/component-base/config/v1alpha1/defaults.go (--leader-elect-...).
"""

from __future__ import annotations

from typing import Final

from k8sim.sim.streams import Streams
from k8sim.sim.units import SECOND

LEASE_DURATION: Final = 15 * SECOND
RENEW_DEADLINE: Final = 10 * SECOND
"""A leader that could not renew for so long gives up, and its process ends."""
RETRY_PERIOD: Final = 2 * SECOND
JITTER_FACTOR: Final = 1.2


def takeover_ns(streams: Streams, program: str, unreachable_ns: int = 0) -> int:
    """Return how long after a leader's last moment another one leads.

    Parameters
    ----------
    program
        Names the draws.
    unreachable_ns
        How long after the leader's last moment the API server answers nobody.
    """
    draw = streams.stream(program, "leaderElection").uniform

    def pause() -> int:
        return streams.jitter_ns(program, "leaderElection", RETRY_PERIOD, JITTER_FACTOR)

    look = int(draw() * pause()) - int(draw() * RETRY_PERIOD)  # the first one after the last renewal
    while 0 <= look < unreachable_ns:
        look += pause()
    seen = look
    while look < seen + LEASE_DURATION or look < unreachable_ns:
        look += pause()
    return look
