"""From a file to a `Scenario`: read it, follow its includes, check everything, say what has no effect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from k8sim.scenario.applications import read_applications
from k8sim.scenario.cluster import read_cluster
from k8sim.scenario.errors import ScenarioError
from k8sim.scenario.failures import read_failures
from k8sim.scenario.include import included_documents
from k8sim.scenario.manifests import MINIMAL_SCENARIO, Manifest, assumed_drivers, check_manifest, check_names, flatten
from k8sim.scenario.model import ZONE_LABEL, NodeGroup, NotSimulated, Scenario
from k8sim.scenario.operations import read_node_upgrades, read_operators
from k8sim.scenario.part import Part
from k8sim.scenario.spec import (
    MAX_DURATION,
    MAX_NODES,
    MAX_REPLICATES,
    MAX_SEED,
    SPEC_KEYS,
    read_feature_gates,
    read_images,
    read_latencies,
    read_nodes,
    read_objectives,
)
from k8sim.scenario.state import absent_owners, split, stored_objects
from k8sim.scenario.staticpods import check_references, static_manifests
from k8sim.scenario.sweep import Variant, apply, read_sweep
from k8sim.scenario.timeline import applied_manifests, read_timeline
from k8sim.scenario.traffic import read_network, read_traffic
from k8sim.scenario.yamlsource import Document, read_file, read_text
from k8sim.sim.units import HOUR, format_duration

GROUP: Final = "k8sim.dev"
API_VERSION: Final = f"{GROUP}/v1alpha1"
#: Where no nodes are given at all.
DEFAULT_NODES: Final = (NodeGroup("node", 3),)


def load(path: str | Path) -> Scenario:
    """Read a scenario file.

    Raises
    ------
    ScenarioError
        Naming the file, the line, the problem, and mostly what would be right.
    """
    return _read(_gather(read_file(Path(path), str(path)), str(path), Path(path).parent, Path(path)))


def load_variants(path: str | Path) -> list[Variant]:
    """Read a scenario file and make the variants of its sweep; one variant if it has none.

    Raises
    ------
    ScenarioError
        As `load`; a value of the sweep is refused where it stands.
    """
    return _variants(_gather(read_file(Path(path), str(path)), str(path), Path(path).parent, Path(path)))


def loads_variants(text: str, name: str = "<text>", folder: Path | None = None) -> list[Variant]:
    """`load_variants` of a text."""
    return _variants(_gather(read_text(text, name), name, folder or Path(), None))


def loads(text: str, name: str = "<text>", folder: Path | None = None) -> Scenario:
    """Read a scenario from a text.

    Parameters
    ----------
    name
        What messages call it.
    folder
        Where relative includes and files are looked for; the current directory by default.
    """
    return _read(_gather(read_text(text, name), name, folder or Path(), None))


@dataclass(frozen=True)
class Loaded:
    """A scenario with the manifests it was read from, which know their lines; ``bare``: there are only manifests."""

    scenario: Scenario
    manifests: tuple[Manifest, ...]
    bare: bool


def load_with_manifests(paths: Iterable[str | Path]) -> list[Loaded]:
    """Read scenario files, each by itself, and Kubernetes manifests as they are, which all together make one scenario.

    Raises
    ------
    ScenarioError
        As `load`.
    """
    loaded, bare, names = [], list[Document](), list[str]()
    for path in map(Path, paths):
        documents = read_file(path, str(path))
        if documents and not any(is_scenario(document) for document in documents):
            bare += documents
            names.append(str(path))
        else:
            source = _gather(documents, str(path), path.parent, path)
            loaded.append(Loaded(_read(source), tuple(source.manifests), bare=False))
    if bare:
        data = {"apiVersion": API_VERSION, "kind": "Scenario", "metadata": {"name": "manifests"}}
        source = _gather(
            [Document(names[0], bare[0].line, data), *bare], names[0], Path(names[0]).parent, Path(names[0])
        )
        loaded.append(Loaded(_read(source), tuple(source.manifests), bare=True))
    return loaded


def is_scenario(document: Document) -> bool:
    """True for a document that is meant to be a Scenario."""
    data = document.data
    if not isinstance(data, dict):
        return False
    return data.get("kind") == "Scenario" or str(data.get("apiVersion")).startswith(f"{GROUP}/")


@dataclass(frozen=True)
class _Source:
    """What a scenario is read from: its document and all manifests, in order."""

    root: Document
    manifests: list[Manifest]
    folder: Path
    path: str | None


def _read(source: _Source) -> Scenario:
    root = Part(source.root)
    spec = _spec(root)
    if "sweep" in spec:
        read_sweep(spec["sweep"])
    return _scenario(root, spec, source.manifests, source.folder, source.path)


def _variants(source: _Source) -> list[Variant]:
    base = _read(source)  # what is wrong with the file itself is said first
    sweep = _spec(Part(source.root)).get("sweep")
    if sweep is None:
        return [Variant({}, base)]
    made = []
    for choices in read_sweep(sweep):
        root, manifests = apply(choices, source.root, source.manifests)
        scenario = _read(replace(source, root=root, manifests=manifests))
        made.append(Variant({choice.field: choice.part.value for choice in choices}, scenario))
    return made


def _gather(documents: list[Document], name: str, folder: Path, path: Path | None) -> _Source:
    if not documents:
        raise ScenarioError(name, None, "the file is empty", f"a scenario needs {MINIMAL_SCENARIO}")
    scenarios = [document for document in documents if is_scenario(document)]
    if not scenarios:
        for document in documents:
            flatten(document)  # is it Kubernetes at all?
        raise ScenarioError(
            name, documents[0].line, "there is no Scenario document", f"put one in front: {MINIMAL_SCENARIO}"
        )
    if len(scenarios) > 1:
        problem = f"a second Scenario document (the first is in line {scenarios[0].line})"
        raise scenarios[1].error((), problem, "one Scenario a file")
    spec = _spec(Part(scenarios[0]))
    here = documents.index(scenarios[0])
    included = included_documents(spec.get("include"), name, folder, path)
    manifests = [m for d in (*documents[:here], *included, *documents[here + 1 :]) for m in flatten(d)]
    return _Source(scenarios[0], manifests, folder, None if path is None else name)


def _spec(root: Part) -> dict[str, Part]:
    fields = root.mapping(("apiVersion", "kind", "metadata", "spec"))
    version, kind = root.require("apiVersion"), root.require("kind")
    if kind.value != "Scenario":
        raise kind.error(f"there is no kind {kind.value!r} in {GROUP}", "kind: Scenario")
    if version.value != API_VERSION:
        raise version.error(f"{version.value!r} is not known", f"apiVersion: {API_VERSION}")
    metadata = root.require("metadata", "metadata: {name: my-scenario}")
    metadata.mapping(("name", "labels", "annotations"))
    metadata.require("name").word()
    return fields["spec"].mapping(SPEC_KEYS) if "spec" in fields else {}


def _scenario(root: Part, spec: dict[str, Part], manifests: list[Manifest], folder: Path, path: str | None) -> Scenario:
    duration_ns = _duration(spec.get("duration"))
    namespace = spec["namespace"].word() if "namespace" in spec else "default"
    cluster = read_cluster(spec.get("cluster"))
    groups = read_nodes(spec.get("nodes"), cluster.kubelet.eviction_hard_bytes)
    static = static_manifests(spec.get("nodes"), folder)
    groups = tuple(replace(g, static_pods=tuple(m.new_object for m in static[g.name])) for g in groups)
    gates, not_simulated = read_feature_gates(spec.get("featureGates"))
    timeline = spec.get("timeline")
    applied = applied_manifests(timeline)
    for manifest in (*manifests, *applied):
        if is_scenario(manifest.document):
            raise manifest.document.error((), "a Scenario inside another", "one Scenario a file")
        not_simulated += check_manifest(manifest)
    for manifest in (m for found in static.values() for m in found):
        not_simulated += check_manifest(manifest)
        check_references(manifest)
    check_names(manifests, namespace)
    if "nodes" not in spec and not any(_is_node(manifest) for manifest in (*manifests, *applied)):
        groups = DEFAULT_NODES
        assumed = NotSimulated("spec.nodes", "absent: three nodes node-0 to node-2 are assumed", root.source)
        not_simulated.append(assumed)
    nodes = _node_zones(groups, manifests, applied)
    not_simulated += assumed_drivers((*manifests, *applied), {d.name for d in cluster.storage_drivers})
    new, dump = split(manifests)
    not_simulated += absent_owners(dump)
    objects, state = tuple(manifest.new_object for manifest in new), tuple(stored_objects(dump, namespace))
    return Scenario(
        name=root.require("metadata").require("name").word(),
        description=spec["description"].text() if "description" in spec else "",
        duration_ns=duration_ns,
        seed=spec["seed"].integer(0, MAX_SEED) if "seed" in spec else 0,
        replicates=spec["replicates"].integer(1, MAX_REPLICATES) if "replicates" in spec else 1,
        namespace=namespace,
        nodes=groups,
        feature_gates=gates,
        images=read_images(spec.get("images"), folder),
        timeline=read_timeline(timeline, duration_ns, nodes),
        objects=objects,
        object_sources=tuple(manifest.source for manifest in new),
        state=state,
        cluster=cluster,
        latencies=read_latencies(spec.get("latencies"), folder),
        node_upgrades=read_node_upgrades(spec.get("nodeUpgrades"), duration_ns, folder, nodes),
        operators=read_operators(spec.get("operators"), folder, nodes),
        failures=read_failures(spec.get("failures"), folder, nodes),
        network=read_network(spec.get("cluster")),
        applications=read_applications(spec.get("applications"), duration_ns, namespace, (*state, *objects), folder),
        objectives=read_objectives(spec.get("objectives")),
        traffic=read_traffic(spec.get("traffic"), duration_ns, nodes, namespace, (*state, *objects), folder),
        not_simulated=_first_of_each(not_simulated),
        path=path,
    )


def _first_of_each(notes: list[NotSimulated]) -> tuple[NotSimulated, ...]:
    """One note for each thing, where it stands first."""
    return tuple({(note.what, note.why): note for note in reversed(notes)}.values())[::-1]


def _duration(part: Part | None) -> int:
    if part is None:
        return HOUR
    duration_ns = part.duration()
    if not 0 < duration_ns <= MAX_DURATION:
        raise part.error(f"{part.value!r} is not between 0s and {format_duration(MAX_DURATION)}")
    return duration_ns


def _is_node(manifest: Manifest) -> bool:
    return bool(manifest.data["kind"] == "Node" and manifest.data["apiVersion"] == "v1")


def _node_zones(groups: tuple[NodeGroup, ...], manifests: list[Manifest], applied: list[Manifest]) -> dict[str, str]:
    """All nodes there are at some time, and their zones ("" for none)."""
    zones = {
        f"{group.name}-{i}": group.zones[i % len(group.zones)] if group.zones else group.labels.get(ZONE_LABEL, "")
        for group in groups
        for i in range(group.count)
    }
    for manifest in filter(_is_node, manifests):
        name = manifest.data["metadata"]["name"]
        if name in zones:
            problem = f"{manifest.label}: spec.nodes already makes a node of that name"
            raise manifest.document.error(("metadata", "name"), problem, "remove one of them")
        zones[name] = _zone(manifest)
        if len(zones) > MAX_NODES:
            raise manifest.document.error((), f"{len(zones)} nodes are too many", f"at most {MAX_NODES}")
    zones.update((manifest.data["metadata"]["name"], _zone(manifest)) for manifest in filter(_is_node, applied))
    return zones


def _zone(node: Manifest) -> str:
    return str((node.data["metadata"].get("labels") or {}).get(ZONE_LABEL) or "")
