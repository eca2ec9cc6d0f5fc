"""Rules about images: what a restart needs the registry for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from k8sim.api.core import Container
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, about, rows
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.rule import Assumptions, Rule, Suspect
from k8sim.lint.workload import Path
from k8sim.scenario.model import Step
from k8sim.sim.units import MINUTE, SECOND

OUTAGE_NS: Final = 20 * MINUTE


class RegistryNeeded(Rule):
    """A container cannot restart while the registry is away, although its image is on the node."""

    name = "restart-needs-registry"
    level = "warning"
    looks_for = "imagePullPolicy Always, which is what an image without a tag or with latest gets"
    tries = "ends a container during a registry outage of twenty minutes"
    source = "https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield containers that ask the registry at each start."""
        for path, container in bench.workload.lasting_containers:
            if container.image_pull_policy != "Always":
                continue
            bare = ":" not in container.image.rpartition("/")[2] and "@" not in container.image
            moving = "has no tag" if bare else f"has the pull policy {container.image_pull_policy}"
            yield Suspect(
                bench.ref,
                (*path, "image"),
                f"image {container.image} of container {container.name} {moving}: the registry is asked "
                "at each start, and restarts may bring another version",
                f"the registry is away for {about(OUTAGE_NS)}; ten seconds into that, the process of one pod ends",
                partial(self._outage, path, container),
                Fix((Edit(bench.ref, (*path, "imagePullPolicy"), "IfNotPresent"),)),
            )

    def _outage(self, path: Path, container: Container, bench: Bench) -> Harm:
        begin, pod = bench.begin_ns, bench.settled.pods[0].pod
        ended = begin + 10 * SECOND
        result = bench.run(
            begin + OUTAGE_NS + 30 * MINUTE,
            Step.fault(begin, "registry-outage", **{"for": OUTAGE_NS}),
            Step.fault(ended, "container-exit", pod=pod, container=container.name, code=1),
        )
        again = next((row for row in rows(result, "Container", "Started", ended) if row.name == pod), None)
        away = (result.scenario.duration_ns if again is None else again.t) - ended
        return Harm(away / SECOND, f"runs again {about(away)} after its end")
