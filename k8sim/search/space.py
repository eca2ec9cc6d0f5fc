"""What could be done to a scenario's cluster: the kubectl commands and faults that its own manifests suggest.

Nothing here knows what might go wrong. A kind of action (`delete pods`, `node-partition`) is as likely as any other,
and then each of its targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from k8sim.machines.image import ImageBehaviour
from k8sim.scenario.model import ZONE_LABEL, Scenario, Step
from k8sim.sim.streams import Streams
from k8sim.sim.units import MINUTE, SECOND

MISSING_TAG: Final = "k8sim-missing"
UNREADY_TAG: Final = "k8sim-unready"
OTHER_TAG: Final = "k8sim-other"
BROKEN_IMAGES: Final = (
    ImageBehaviour(f"*:{MISSING_TAG}", missing=True),
    ImageBehaviour(f"*:{UNREADY_TAG}", ready=None),
)
"""Images that a mistaken update may bring: one that is not in the registry, one that never is ready."""
GAPS: Final = (500_000_000, 3 * SECOND, 20 * SECOND, 90 * SECOND, 7 * MINUTE)
DURATIONS: Final = (20 * SECOND, 2 * MINUTE, 10 * MINUTE, None)

NODE_TROUBLES: Final = (
    "node-shutdown", "node-slow", "memory-pressure", "disk-pressure", "runtime-outage", "network-plugin-outage",
)  # fmt: skip
"""What may go wrong with a node for a while."""
PASSING: Final = (20 * SECOND, 3 * MINUTE)
"""How long what a cluster stands on may be out of order."""
NOTICES: Final = (30 * SECOND, 2 * MINUTE)
"""How long before it takes a machine away a cloud says so (GCP, AWS)."""


class Chooser:
    """A source of choices; the same seed and label give the same ones."""

    def __init__(self, seed: int, label: str) -> None:
        self._stream = Streams(seed).stream("search", label)

    def below(self, n: int) -> int:
        """Return a number from 0 to n - 1."""
        return int(self._stream.uniform() * n)

    def of(self, options: Any) -> Any:
        """Return one of the options."""
        return options[self.below(len(options))]

    def chance(self, probability: float) -> bool:
        """Return True that often."""
        return self._stream.uniform() < probability


@dataclass(frozen=True)
class Target:
    """A StatefulSet or Deployment of the manifests."""

    kind: str
    name: str
    replicas: int
    image: str
    container: str
    claims: tuple[str, ...]
    pods: tuple[str, ...]


def targets_of(scenario: Scenario) -> list[Target]:
    """Return the workloads of a scenario's namespace."""
    found = []
    for manifest in scenario.manifests:
        kind, metadata, spec = manifest.get("kind"), manifest.get("metadata") or {}, manifest.get("spec") or {}
        if (
            kind not in ("StatefulSet", "Deployment")
            or metadata.get("namespace", scenario.namespace) != scenario.namespace
        ):
            continue
        replicas = spec.get("replicas", 1)
        containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or [{}]
        name, ordered = metadata.get("name", ""), kind == "StatefulSet"
        start = (spec.get("ordinals") or {}).get("start", 0)
        pods = tuple(f"{name}-{i}" for i in range(start, start + replicas)) if ordered else ()
        claims = tuple((c.get("metadata") or {}).get("name", "") for c in spec.get("volumeClaimTemplates") or ())
        image = untagged(str(containers[0].get("image", "")))
        found.append(Target(kind.lower(), name, replicas, image, containers[0].get("name", ""), claims, pods))
    return found


def untagged(image: str) -> str:
    """Return the name of an image, without its tag and digest."""
    name = image.partition("@")[0]
    return name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name


@dataclass(frozen=True)
class StaticPod:
    """A pod that lies as a manifest on a node."""

    node: str
    name: str
    image: str


def static_pods_of(scenario: Scenario, nodes: list[str]) -> list[StaticPod]:
    """Return the static pods of some nodes."""
    found = []
    for node in nodes:
        for manifest in scenario.static_pods(node):
            image = untagged(str(manifest["spec"]["containers"][0].get("image", "")))
            found.append(StaticPod(node, manifest["metadata"]["name"], image))
    return found


Maker = Callable[[Chooser], Step]


class Space:
    """All actions on a scenario. ``kinds`` maps the name of a kind of action to what makes one, at time 0."""

    def __init__(self, scenario: Scenario) -> None:
        self.targets = targets_of(scenario)
        self.pods = [pod for target in self.targets for pod in target.pods]
        self.nodes = [m["metadata"]["name"] for m in scenario.node_manifests()]
        labels = [(m["metadata"].get("labels") or {}) for m in scenario.node_manifests()]
        self.zones = sorted({str(x[ZONE_LABEL]) for x in labels if ZONE_LABEL in x})
        self.static_pods = static_pods_of(scenario, self.nodes)
        self.claims = [f"{c}-{p}" for t in self.targets for c in t.claims for p in t.pods]
        self.isolates = bool(scenario.applications or scenario.traffic)
        """Whether anything would tell a machine that nobody reaches from one that its API server does not reach."""
        self.kinds: dict[str, Maker] = {}
        if self.targets:
            self._workloads()
        if self.nodes:
            self._nodes()
        if self.pods:
            self._pods()
        self.kinds["controller-manager-restart"] = lambda c: _fault("controller-manager-restart", {})
        self.kinds["apiserver-outage"] = lambda c: _fault("apiserver-outage", {"for": c.of(DURATIONS[:3])})
        self._surroundings()

    def _workloads(self) -> None:
        def rollout(verb: str) -> Maker:
            return lambda c: _workload_step(c.of(self.targets), f"rollout {verb}")

        def scale(c: Chooser) -> Step:
            target = c.of(self.targets)
            sizes = sorted({0, 1, max(0, target.replicas - 1), target.replicas, target.replicas + 1})
            return _kubectl(f"scale {target.kind}/{target.name} --replicas={c.of(sizes)}")

        def broken_image(c: Chooser) -> Step:
            target = c.of([t for t in self.targets if t.image] or self.targets)
            image = f"{target.image}:{c.of((MISSING_TAG, UNREADY_TAG))}"
            return _kubectl(f"set image {target.kind}/{target.name} {target.container}={image}")

        self.kinds["rollout restart"] = rollout("restart")
        self.kinds["rollout undo"] = rollout("undo")
        self.kinds["scale"] = scale
        self.kinds["set image"] = broken_image

    def _nodes(self) -> None:
        def on_node(text: str) -> Maker:
            return lambda c: _kubectl(text.format(c.of(self.nodes)))

        def fault(name: str, what: str, options: list[str]) -> Maker:
            return lambda c: _fault(name, {what: c.of(options), "for": c.of(DURATIONS)})

        self.kinds["drain"] = on_node("drain {} --ignore-daemonsets --delete-emptydir-data --force")
        self.kinds["cordon"] = on_node("cordon {}")
        self.kinds["uncordon"] = on_node("uncordon {}")
        self.kinds["delete node"] = on_node("delete node {} --wait=false")
        self.kinds["node-crash"] = fault("node-crash", "node", self.nodes)
        self.kinds["node-partition"] = fault("node-partition", "node", self.nodes)
        self.kinds["kubelet-restart"] = lambda c: _fault("kubelet-restart", {"node": c.of(self.nodes)})
        if self.isolates:
            self.kinds["node-isolation"] = fault("node-isolation", "node", self.nodes)
        if self.zones:
            self.kinds["zone-outage"] = fault("zone-outage", "zone", self.zones)
            self.kinds["zone-partition"] = fault("zone-partition", "zone", self.zones)
            if self.isolates:
                self.kinds["zone-isolation"] = fault("zone-isolation", "zone", self.zones)

    def _pods(self) -> None:
        def delete(c: Chooser) -> Step:
            chosen = [pod for pod in self.pods if c.chance(0.4)] or [c.of(self.pods)]
            return _kubectl(f"delete pod {' '.join(chosen)} --wait=false")

        def force(c: Chooser) -> Step:
            return _kubectl(f"delete pod {c.of(self.pods)} --force --grace-period=0")

        def claim(c: Chooser) -> Step:
            return _kubectl(f"delete pvc {c.of(self.claims)} --wait=false")

        def on_pod(name: str) -> Maker:
            return lambda c: _fault(name, {"pod": c.of(self.pods), "for": c.of(DURATIONS[:3])})

        self.kinds["delete pods"] = delete
        self.kinds["delete pod by force"] = force
        if self.claims:
            self.kinds["delete claim"] = claim
        self.kinds["unready"] = on_pod("unready")
        self.kinds["hang"] = on_pod("hang")
        self.kinds["slow-answers"] = on_pod("slow-answers")
        self.kinds["oom-kill"] = lambda c: _fault("oom-kill", {"pod": c.of(self.pods)})
        self.kinds["container-exit"] = lambda c: _container_exit(c, self.targets)

    def _surroundings(self) -> None:
        """Add faults of what the cluster stands on: registries, storage systems, the machines' resources."""

        def passing(name: str, **options: Any) -> Maker:
            return lambda c: _fault(name, {**{what: c.of(o) for what, o in options.items()}, "for": c.of(PASSING)})

        for name in ("registry-outage", "storage-outage", "disk-slow"):
            self.kinds[name] = passing(name)
        if self.nodes:
            for name in NODE_TROUBLES:
                self.kinds[name] = passing(name, node=self.nodes)
            self.kinds["node-oom"] = lambda c: _fault("node-oom", {"node": c.of(self.nodes)})
            self.kinds["spot-reclaim"] = lambda c: _fault(
                "spot-reclaim", {"node": c.of(self.nodes), "notice": c.of(NOTICES)}
            )
        if self.static_pods:
            self.kinds["static-pod-change"] = lambda c: _static_pod_change(c, c.of(self.static_pods))
        if self.claims:
            self.kinds["disk-loss"] = lambda c: _fault("disk-loss", {"claim": c.of(self.claims)})

    def reactions(self, pod: str, chooser: Chooser) -> list[Step]:
        """Return what somebody might do about a pod in trouble."""
        target = next((t for t in self.targets if pod in t.pods), None)
        if target is None:
            return []
        steps = [_kubectl(f"delete pod {pod} --wait=false"), _kubectl(f"delete pod {pod} --force --grace-period=0")]
        steps += [_kubectl(f"delete pvc {claim}-{pod} --wait=false") for claim in target.claims]
        if "drain" in self.kinds:
            steps.append(self.kinds["drain"](chooser))
        return [*steps, _workload_step(target, "rollout undo"), _workload_step(target, "rollout restart")]

    def action(self, chooser: Chooser) -> Step:
        """Return an action at time 0."""
        step: Step = self.kinds[chooser.of(list(self.kinds))](chooser)
        return step


def _kubectl(text: str) -> Step:
    return Step.kubectl(0, text)


def _fault(name: str, arguments: Mapping[str, Any]) -> Step:
    return Step(0, "fault", name=name, arguments=arguments)


def _workload_step(target: Target, verb: str) -> Step:
    return _kubectl(f"{verb} {target.kind}/{target.name}")


def _container_exit(c: Chooser, targets: list[Target]) -> Step:
    target = c.of([t for t in targets if t.pods])
    arguments = {"pod": c.of(target.pods), "container": target.container, "code": 1}
    return _fault("container-exit", arguments)


def _static_pod_change(c: Chooser, pod: StaticPod) -> Step:
    """Let a manifest be taken away, or name another version: one that works, is not there, or is never ready."""
    arguments = {"node": pod.node, "manifest": pod.name}
    tag = c.of((None, OTHER_TAG, MISSING_TAG, UNREADY_TAG))
    return _fault("static-pod-change", arguments if tag is None else {**arguments, "image": f"{pod.image}:{tag}"})


def moved(step: Step, at_ns: int) -> Step:
    """Return a step at another time."""
    return replace(step, at_ns=at_ns)
