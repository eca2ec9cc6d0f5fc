"""How the software in an image behaves: how long it takes to be pulled, to start, to be ready, to stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from typing import Final

from k8sim.sim.distributions import Constant, Distribution

ZERO: Final = Constant(0)


@dataclass(frozen=True)
class ImageBehaviour:
    """How the software behaves in images whose name matches `pattern` (fnmatch).

    For `started`, `ready`, `alive`, `hang`, `answer` and `stop`, None is "never".

    Parameters
    ----------
    pull
        Time a pull takes when the image is not on the node.
    missing
        The registry does not have the image.
    start
        Time the runtime needs to start the container.
    started, ready
        Container age from which a startup or readiness probe passes.
    alive
        Container age from which a liveness probe passes: a process that recovers first may not answer meanwhile.
    hang
        Container age from which liveness and readiness probes fail.
    answer
        Time the software takes to answer a probe; one that takes as long as the probe's timeoutSeconds has failed.
    exit_after, exit_code, exit_reason
        The process ends by itself; None: it does not. The reason is the runtime's word for it ("": by the code).
    stop
        From SIGTERM to the process' exit; None: only SIGKILL ends it.
    hooks
        Durations of hooks that are not a plain sleep, by `postStart` and `preStop`.
    moves
        Moments (ns) at which the registry's tag moves, in order, with the image whose content it names from then on.
    """

    pattern: str
    pull: Distribution = ZERO
    start: Distribution = ZERO
    started: Distribution | None = ZERO
    ready: Distribution | None = ZERO
    stop: Distribution | None = ZERO
    alive: Distribution | None = ZERO
    hang: Distribution | None = None
    answer: Distribution | None = ZERO
    missing: bool = False
    exit_after: Distribution | None = None
    exit_code: int = 0
    exit_reason: str = ""
    hooks: Mapping[str, Distribution] = field(default_factory=dict)
    moves: tuple[tuple[int, str], ...] = ()


_INSTANT: Final = ImageBehaviour("*")


def with_tag(image: str) -> str:
    """Return the image's name as the registry knows it: without tag and digest it is the tag ``latest``."""
    bare = "@" not in image and ":" not in image.rpartition("/")[2]
    return f"{image}:latest" if bare else image


@cache
def digest(content: str) -> str:
    """Return the digest of an image's content, which is named after the image that it belongs to."""
    return f"sha256:{sha256(with_tag(content).encode()).hexdigest()}"


class Images:
    """The behaviours of a scenario; of those whose pattern matches an image, the first counts."""

    def __init__(self, behaviours: Iterable[ImageBehaviour] = ()) -> None:
        self._behaviours = tuple(behaviours)
        self._known: dict[str, ImageBehaviour] = {}

    def of(self, image: str) -> ImageBehaviour:
        """Return how an image's software behaves; without a match everything happens at once."""
        known = self._known.get(image)
        if known is None:
            names = {image, with_tag(image)}
            matching = (b for b in self._behaviours if any(fnmatchcase(name, b.pattern) for name in names))
            known = self._known[image] = next(matching, _INSTANT)
        return known
