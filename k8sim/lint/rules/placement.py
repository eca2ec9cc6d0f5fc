"""Rules about nodes: what one of them can take along, and how long it takes until somebody notices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from k8sim.api.core import Toleration
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, about, rows, several, shortage
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.rule import Assumptions, Rule, Suspect
from k8sim.lint.workload import POD_SPEC, Path
from k8sim.scenario.model import HOSTNAME_LABEL, ZONE_LABEL, Step
from k8sim.sim.units import MINUTE, SECOND

SPREAD: Path = (*POD_SPEC, "topologySpreadConstraints")
AWAY: Final = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
"""The taints of a node that is away."""
AFTER_NS: Final = 30 * MINUTE


class _Together(Rule):
    """All pods can come to be in one place, and go with it."""

    label: str
    """Of nodes that are in the same place."""

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield workloads of several pods that nothing keeps apart."""
        workload = bench.workload
        if workload.replicas < 2 or workload.needed == workload.replicas or len(self._places(bench)) < 2:
            return
        if self._is_spread(bench):
            return
        constraint = {
            "maxSkew": 1,
            "topologyKey": self.label,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": dict(workload.selector)},
        }
        at = len(workload.pod_spec.topology_spread_constraints)
        yield Suspect(
            bench.ref,
            POD_SPEC,
            f"nothing keeps its {several(workload.replicas, 'pod')} on different {self._noun}s",
            f"all {self._noun}s but one are cordoned for five minutes while its pods are made anew; later that "
            f"{self._noun} loses power",
            self._lose,
            Fix((Edit(bench.ref, (*SPREAD, at), constraint),)),
        )

    @property
    def _noun(self) -> str:
        return "zone" if self.label == ZONE_LABEL else "node"

    def _places(self, bench: Bench) -> dict[str, list[str]]:
        """The places there are, and their nodes."""
        places: dict[str, list[str]] = {}
        for node in bench.calm.node_manifests():
            name = node["metadata"]["name"]
            place = {HOSTNAME_LABEL: name, **(node["metadata"].get("labels") or {})}.get(self.label)
            if place is not None:
                places.setdefault(place, []).append(name)
        return places

    def _is_spread(self, bench: Bench) -> bool:
        keys = bench.workload.topology_keys
        return self.label in keys or (self.label == HOSTNAME_LABEL and ZONE_LABEL in keys)

    def _lose(self, bench: Bench) -> Harm:
        begin, workload = bench.begin_ns, bench.workload
        places = self._places(bench)
        first = bench.settled.pods[0].node
        place = next(place for place, nodes in places.items() if first in nodes)
        others = " ".join(node for p, nodes in places.items() if p != place for node in nodes)
        lost = begin + 10 * MINUTE
        result = bench.run(
            lost + AFTER_NS,
            Step.kubectl(begin, f"cordon {others}"),
            *(Step.kubectl(begin + SECOND, f"delete pod {p.pod} --wait=false") for p in bench.settled.pods),
            Step.kubectl(begin + 5 * MINUTE, f"uncordon {others}"),
            *(Step.fault(lost, "node-crash", node=node) for node in places[place]),
        )
        gone = len({row.name for row in rows(result, "Container", "Lost", lost)})
        short = shortage(result, bench.ref, workload.needed, lost)
        text = f"{gone} of {several(workload.replicas, 'pod')} lost with {self._noun} {place}; "
        return Harm(short.ns / SECOND, text + short.text(workload.needed, workload.replicas))


class OneNode(_Together):
    """A node takes all pods along."""

    name = "one-node-takes-all"
    level = "warning"
    label = HOSTNAME_LABEL
    looks_for = "a workload of several pods without a spread constraint or anti-affinity by node"
    tries = "makes its pods anew while the other nodes are cordoned, and then takes the power from that node"
    source = "https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/"


class OneZone(_Together):
    """A zone takes all pods along."""

    name = "one-zone-takes-all"
    level = "warning"
    label = ZONE_LABEL
    looks_for = (
        "a workload of several pods without a spread constraint or anti-affinity by zone, where nodes have zones"
    )
    tries = "makes its pods anew while the other zones are cordoned, and then takes the power from that zone"
    source = "https://kubernetes.io/docs/setup/best-practices/multiple-zones/"


class SlowFailover(Rule):
    """A pod stays on a dead node for longer than need be."""

    name = "slow-failover"
    level = "note"
    looks_for = "a Deployment of one pod with the default tolerationSeconds, or any that tolerates a dead node for ever"
    tries = "takes the power from the node of a pod"
    source = "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions"
    seconds = 30
    default_s = 300

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield Deployments that wait long for a node that does not come back."""
        if bench.workload.deployment is None:
            return
        tolerations = bench.workload.pod_spec.tolerations
        found = [_tolerated_s(tolerations, key, self.default_s) for key in AWAY]
        if None not in found and (bench.workload.replicas > 1 or max(s or 0 for s in found) < self.default_s):
            return
        kept = [i for i, t in enumerate(tolerations) if not _is_about_away(t)]
        manifest = [bench.workload.pod_manifest["tolerations"][i] for i in kept]
        quick = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": self.seconds} for key in AWAY
        ]
        how_long = "for ever" if None in found else f"{max(s or 0 for s in found)}s"
        yield Suspect(
            bench.ref,
            (*POD_SPEC, "tolerations"),
            f"its pods stay bound to a node that is dead {how_long}",
            "the node of a pod loses power for good",
            self._lose,
            Fix((Edit(bench.ref, (*POD_SPEC, "tolerations"), [*manifest, *quick]),)),
        )

    def _lose(self, bench: Bench) -> Harm:
        begin, replicas = bench.begin_ns, bench.workload.replicas
        crash = Step.fault(begin, "node-crash", node=bench.settled.pods[0].node)
        result = bench.run(begin + AFTER_NS, crash)
        lost = {row.name for row in rows(result, "Container", "Lost", begin)}
        ready = [row.t for row in rows(result, "Pod", "Ready", begin) if row.name not in lost]
        if len(ready) < len(lost):
            return Harm(AFTER_NS / SECOND, f"its pod is not replaced within {about(AFTER_NS)}")
        away = max(ready) - begin
        return Harm(away / SECOND, f"{several(replicas, 'pod')} Ready again after {about(away)}")


def _is_about_away(toleration: Toleration) -> bool:
    return toleration.effect in ("", "NoExecute") and toleration.key in (*AWAY, "")


def _tolerated_s(tolerations: Sequence[Toleration], key: str, default_s: int) -> int | None:
    """How long a taint is tolerated, None: for ever (pkg/controller/tainteviction, getMinTolerationTime)."""
    matching = [t for t in tolerations if _is_about_away(t) and t.key in (key, "")]
    if not matching:
        return default_s
    limits = [t.toleration_seconds for t in matching if t.toleration_seconds is not None]
    return min(limits) if limits else None
