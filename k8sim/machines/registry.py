"""The image registry that all machines pull from."""

from __future__ import annotations

from k8sim.machines.image import ImageBehaviour, Images
from k8sim.sim.clock import Clock, Event, Steps
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams


class PullError(Exception):
    """A pull has failed: ``reason`` is the kubelet's word for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Registry:
    """Answers pulls. ``available`` False is an outage: every pull fails, also of an image that is on the node."""

    def __init__(self, sim: Simulation, images: Images) -> None:
        self.images = images
        self.available = True
        self._clock: Clock = sim.clock
        self._streams: Streams = sim.streams
        self._latencies: Latencies = sim.latencies

    def behaviour(self, image: str) -> ImageBehaviour:
        """Return how an image's software behaves."""
        return self.images.of(image)

    def pull(self, node: str, image: str, present: bool) -> Steps:
        """Bring an image to a node, or find that what is there is current; raises PullError."""
        yield self._sleep(self._latencies.draw("imageCheck", node))
        behaviour = self.images.of(image)
        if not self.available:
            raise PullError("ErrImagePull", f'failed to pull image "{image}": the registry cannot be reached')
        if behaviour.missing:
            raise PullError("ErrImagePull", f'failed to pull image "{image}": not found')
        if not present:
            duration = self._duration(behaviour.pull, node, image)
            if duration > 0:
                yield self._sleep(duration)

    def _duration(self, law: Distribution, node: str, image: str) -> int:
        if isinstance(law, Constant):
            return law.ns
        return law.quantile(self._streams.uniform(f"{node}/{image}", "pull"))

    def _sleep(self, delay_ns: int) -> Event:
        return self._clock.sleep(delay_ns)
