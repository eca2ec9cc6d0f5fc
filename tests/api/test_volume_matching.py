from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import (
    Node,
    NodeSelector,
    NodeSelectorTerm,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
    ResourceRequirements,
    VolumeNodeAffinity,
)
from k8sim.api.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from k8sim.api.struct import Time, replace
from k8sim.api.volume_matching import (
    VolumeIndex,
    candidates,
    find_matching_volume,
    is_volume_bound_to_claim,
    node_affinity_fits,
)

MODES = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]
modes = st.lists(st.sampled_from(MODES), min_size=1, unique=True).map(tuple)
sizes = st.integers(1, 5).map(lambda n: f"{n}Gi")
classes = st.sampled_from(["", "fast"])
volume_modes = st.sampled_from(["Filesystem", "Filesystem", "Filesystem", "Block"])
references = st.one_of(
    st.none(),
    st.none(),
    st.builds(
        ObjectReference,
        namespace=st.just("ns"),
        name=st.sampled_from(["data", "other"]),
        uid=st.sampled_from(["", "u"]),
    ),
)


def affinity(name: str | None) -> VolumeNodeAffinity | None:
    if name is None:
        return None
    requirement = LabelSelectorRequirement(key="kubernetes.io/hostname", operator="In", values=(name,))
    return VolumeNodeAffinity(
        required=NodeSelector(node_selector_terms=(NodeSelectorTerm(match_expressions=(requirement,)),))
    )


@st.composite
def volumes(draw: st.DrawFn) -> PersistentVolume:
    return PersistentVolume(
        metadata=ObjectMeta(
            name=draw(st.sampled_from("abcdefgh")),
            labels=draw(st.sampled_from([{}, {"tier": "gold"}])),
            deletion_timestamp=draw(st.sampled_from([None, None, None, Time(1)])),
        ),
        spec=PersistentVolumeSpec(
            capacity={"storage": draw(sizes)},
            access_modes=draw(modes),
            storage_class_name=draw(classes),
            volume_mode=draw(volume_modes),
            claim_ref=draw(references),
            node_affinity=affinity(draw(st.sampled_from([None, "n1", "n2"]))),
        ),
        status=PersistentVolumeStatus(phase=draw(st.sampled_from(["Available", "Available", "Pending", "Released"]))),
    )


@st.composite
def claims(draw: st.DrawFn) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(
        metadata=ObjectMeta(namespace="ns", name="data", uid="u"),
        spec=PersistentVolumeClaimSpec(
            access_modes=draw(modes),
            resources=ResourceRequirements(requests={"storage": draw(sizes)}),
            storage_class_name=draw(classes),
            volume_mode=draw(volume_modes),
            selector=draw(st.sampled_from([None, None, LabelSelector(match_labels={"tier": "gold"})])),
        ),
    )


@given(st.lists(volumes(), max_size=12), claims(), st.booleans(), st.sets(st.sampled_from("abcdefgh")))
def test_the_index_finds_what_the_search_through_all_groups_finds(
    versions: list[PersistentVolume], claim: PersistentVolumeClaim, delay: bool, removed: set[str]
) -> None:
    index = VolumeIndex()
    stored: dict[str, PersistentVolume] = {}
    for version in versions:
        index.put(version)
        stored[version.name] = version
    for name in sorted(removed):
        index.remove(name)
        stored.pop(name, None)
    wanted = set(claim.spec.access_modes)
    groups = {frozenset(v.spec.access_modes) for v in stored.values()}
    expected = None
    for group in sorted(groups, key=lambda g: (len(g), sorted(g))):
        if expected is None and wanted <= group:
            members = sorted((v for v in stored.values() if set(v.spec.access_modes) == group), key=lambda v: v.name)
            expected = find_matching_volume(claim, members, delay_binding=delay)
    assert index.find_best_match(claim, delay) == expected
    assert len(index) == len(stored)


@given(st.lists(volumes(), max_size=8, unique_by=lambda v: v.name), claims())
def test_the_schedulers_choice_fits_the_claim_and_the_node(
    offered: list[PersistentVolume], claim: PersistentVolumeClaim
) -> None:
    node = Node(metadata=ObjectMeta(name="n1", labels={"kubernetes.io/hostname": "n1"}))
    found = find_matching_volume(claim, offered, node=node, delay_binding=True)
    if found is None:
        return
    assert found.spec.node_affinity in (None, affinity("n1"))
    if not is_volume_bound_to_claim(found, claim):
        assert found.status.phase == "Available"
        assert set(claim.spec.access_modes) <= set(found.spec.access_modes)
        excluded = find_matching_volume(claim, offered, node=node, excluded={found.name}, delay_binding=True)
        assert excluded is None or excluded.name != found.name


@given(st.lists(volumes(), max_size=8, unique_by=lambda v: v.name), claims(), st.sets(st.sampled_from("abcdefgh")))
def test_the_first_candidate_in_reach_is_the_schedulers_choice(
    offered: list[PersistentVolume], claim: PersistentVolumeClaim, taken: set[str]
) -> None:
    node = Node(metadata=ObjectMeta(name="n1", labels={"kubernetes.io/hostname": "n1"}))
    pointing = [v for v in offered if is_volume_bound_to_claim(v, claim)]
    in_reach = (v for v in candidates(claim, offered) if v.name not in taken and node_affinity_fits(v, node))
    short = [*pointing, *islice(in_reach, 1)]
    chosen = find_matching_volume(claim, short, node=node, excluded=taken)
    assert chosen == find_matching_volume(claim, [*pointing, *offered], node=node, excluded=taken)


def test_a_pre_bound_volume_out_of_the_nodes_reach_means_no_match() -> None:
    node = Node(metadata=ObjectMeta(name="n1", labels={"kubernetes.io/hostname": "n1"}))
    free = PersistentVolume(
        metadata=ObjectMeta(name="free"),
        spec=PersistentVolumeSpec(capacity={"storage": "1Gi"}, access_modes=("ReadWriteOnce",)),
        status=PersistentVolumeStatus(phase="Available"),
    )
    reference = ObjectReference(namespace="ns", name="data")
    reserved = replace(
        free,
        metadata=ObjectMeta(name="reserved"),
        spec=replace(free.spec, claim_ref=reference, node_affinity=affinity("n2")),
    )
    claim = PersistentVolumeClaim(
        metadata=ObjectMeta(namespace="ns", name="data", uid="u"),
        spec=PersistentVolumeClaimSpec(
            access_modes=("ReadWriteOnce",), resources=ResourceRequirements(requests={"storage": "1Gi"})
        ),
    )
    assert find_matching_volume(claim, [reserved, free], node=node) is None
    assert find_matching_volume(claim, [free], node=node) == free
