"""The image manager: pull policies, back-off, serial pulls, the client-side rate limit.

Source: pkg/kubelet/images/{image_manager,puller}.go; node.md 1.12.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from k8sim.api.core import Container, Pod
from k8sim.kubelet.backoff import Backoff
from k8sim.kubelet.settings import KubeletSettings
from k8sim.machines.machine import Machine
from k8sim.machines.registry import PullError
from k8sim.sim.clock import Clock, Event
from k8sim.sim.units import SECOND

RecordEvent = Callable[[Pod, str, str, str], None]
"""(pod, type, reason, message)."""
Need = Literal["present", "pull", "never"]


@dataclass(frozen=True, slots=True)
class StartFailure:
    """Why a container could not be started; ``expiry_ns`` says when a back-off ends that was the reason."""

    reason: str
    message: str
    expiry_ns: int | None = None


def what_image_needs(policy: str, present: bool) -> Need:
    """Return what a container's image needs before the container can be made (shouldPullImage)."""
    if policy == "Never":
        return "present" if present else "never"
    if policy == "Always" or not present:
        return "pull"
    return "present"


_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REFERENCE = re.compile(
    rf"(?:{_HOST}(?:\.{_HOST})*(?::[0-9]+)?/)?{_NAME}(?:/{_NAME})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z0-9_+.-]+:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)


@lru_cache(maxsize=1024)
def is_valid_reference(image: str) -> bool:
    """Tell whether an image's name can be parsed (github.com/distribution/reference)."""
    return _REFERENCE.fullmatch(image) is not None


class TokenBucket:
    """The rate limit of pulls: those beyond it fail at once (flowcontrol.NewTokenBucketRateLimiter)."""

    def __init__(self, clock: Clock, qps: int, burst: int) -> None:
        self._clock = clock
        self._qps = qps
        self._burst = burst
        self._tokens = burst * SECOND  # in token-nanoseconds
        self._at = clock.now

    def try_accept(self) -> bool:
        """Take a token if there is one."""
        if self._qps <= 0:
            return True
        now = self._clock.now
        self._tokens = min(self._burst * SECOND, self._tokens + (now - self._at) * self._qps)
        self._at = now
        if self._tokens < SECOND:
            return False
        self._tokens -= SECOND
        return True


class ImageManager:
    """Makes sure that a container's image is there, at every start of the container."""

    def __init__(self, clock: Clock, machine: Machine, settings: KubeletSettings, record: RecordEvent) -> None:
        self._clock = clock
        self._machine = machine
        self._record = record
        self._backoff = Backoff()
        self._limit = TokenBucket(clock, settings.registry_pull_qps, settings.registry_burst)
        parallel = settings.max_parallel_image_pulls
        self._free: int | None = parallel if not settings.serialize_image_pulls else 1
        self._queue: deque[Event] = deque()

    def ensure_image_exists(self, pod: Pod, container: Container) -> Generator[Event, Any, StartFailure | None]:
        """Wait until the image is on the node, or return why it will not be (EnsureImageExists)."""
        image = container.image
        if not is_valid_reference(image):
            message = f'Failed to apply default image tag "{image}": couldn\'t parse image name'
            self._record(pod, "Warning", "InspectFailed", message)
            return StartFailure("InvalidImageName", message)
        need = what_image_needs(container.image_pull_policy, image in self._machine.images)
        if need == "present":
            self._record(pod, "Normal", "Pulled", f'Container image "{image}" already present on machine')
            return None
        if need == "never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            self._record(pod, "Warning", "ErrImageNeverPull", message)
            return StartFailure("ErrImageNeverPull", message)
        key = f"{pod.metadata.uid}_{image}"
        expiry = self._backoff.expiry_since_update(key, self._clock.now)
        if expiry is not None:
            message = f'Back-off pulling image "{image}"'
            self._record(pod, "Normal", "BackOff", message)
            return StartFailure("ImagePullBackOff", message, expiry)
        self._record(pod, "Normal", "Pulling", f'Pulling image "{image}"')
        try:
            yield from self._pull(image)
        except PullError as error:
            self._record(pod, "Warning", "Failed", f'Failed to pull image "{image}": {error.message}')
            self._backoff.next(key, self._clock.now, self._clock.now)
            return StartFailure(error.reason, error.message)
        self._record(pod, "Normal", "Pulled", f'Successfully pulled image "{image}"')
        return None

    def _pull(self, image: str) -> Generator[Event, Any, None]:
        """Pull when it is this request's turn: first come, first served."""
        if self._free == 0:
            turn = self._clock.event()
            self._queue.append(turn)
            yield turn
        elif self._free is not None:
            self._free -= 1
        try:
            if not self._limit.try_accept():
                raise PullError("ErrImagePull", "pull QPS exceeded")
            there = self._machine.images.values()
            self._machine.images[image] = yield from self._machine.registry.pull(self._machine.name, image, there)
        finally:
            if self._queue:
                self._clock.fire(self._queue.popleft())
            elif self._free is not None:
                self._free += 1

    def forget(self, uid: str) -> None:
        """Drop the back-off of a pod that is gone."""
        self._backoff.forget(uid)
