"""The image registry that all machines pull from."""

from __future__ import annotations

from collections.abc import Collection

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

    def behaviour(self, content: str) -> ImageBehaviour:
        """Return how an image's software behaves."""
        return self.images.of(content)

    def content(self, image: str) -> str:
        """Return what an image's name stands for now: itself, or the image that its tag has moved to."""
        content = image
        for moment, other in self.images.of(image).moves:
            if moment <= self._clock.now:
                content = other
        return content

    def pull(self, node: str, image: str, there: Collection[str]) -> Steps:
        """Bring an image to a node that has some contents already; returns its content, or raises PullError."""
        yield self._sleep(self._latencies.draw("imageCheck", node))
        behaviour = self.images.of(image)
        if not self.available:
            raise PullError("ErrImagePull", f'failed to pull image "{image}": the registry cannot be reached')
        if behaviour.missing:
            raise PullError("ErrImagePull", f'failed to pull image "{image}": not found')
        content = self.content(image)
        if content not in there:
            duration = self._duration(self.images.of(content).pull, node, content)
            if duration > 0:
                yield self._sleep(duration)
        return content

    def _duration(self, law: Distribution, node: str, image: str) -> int:
        if isinstance(law, Constant):
            return law.ns
        return law.quantile(self._streams.uniform(f"{node}/{image}", "pull"))

    def _sleep(self, delay_ns: int) -> Event:
        return self._clock.sleep(delay_ns)
