"""ImageLocality: nodes that have the pod's images already (plugins/imagelocality/image_locality.go)."""

from __future__ import annotations

from typing import Final

from k8sim.api.core import Pod
from k8sim.scheduler.framework import MAX_NODE_SCORE, Cycle, Plugin, Scores, Slots

MIB: Final = 1024 * 1024
MIN_THRESHOLD: Final = 23 * MIB
MAX_CONTAINER_THRESHOLD: Final = 1000 * MIB


def normalized_image_name(name: str) -> str:
    """Return an image name with its tag: "latest" if it has none."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"


def images_of(pod: Pod) -> list[str]:
    """Return the images of all containers, init containers first."""
    return [normalized_image_name(c.image) for c in pod.spec.init_containers + pod.spec.containers]


def priority(sum_scores: int, containers: int) -> int:
    """Scale a sum of sizes to 0..100 (calculatePriority)."""
    highest = MAX_CONTAINER_THRESHOLD * containers
    clamped = min(max(sum_scores, MIN_THRESHOLD), highest)
    return MAX_NODE_SCORE * (clamped - MIN_THRESHOLD) // (highest - MIN_THRESHOLD)


class ImageLocality(Plugin):
    """See the module. An image counts with its size times the share of nodes that have it."""

    name = "ImageLocality"
    weight = 1

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        if not cycle.nodes.images:
            return None
        images = [image for image in images_of(cycle.pod) if image in cycle.nodes.images]
        if not images:
            return None
        nodes = len(cycle.nodes.order())
        containers = len(cycle.pod.spec.init_containers) + len(cycle.pod.spec.containers)
        sums = []
        for slot in slots:
            total = 0
            for image in images:
                size = cycle.nodes.images[image].get(slot)
                if size is not None:
                    total += int(float(size) * (len(cycle.nodes.images[image]) / nodes))
            sums.append(priority(total, containers))
        return sums
