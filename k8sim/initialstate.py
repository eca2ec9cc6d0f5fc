"""A cluster that has been running before t = 0: what an API server had stored, and what ran on the machines.

The objects come from `kubectl get -o yaml`. Their times are shifted, so that the latest of them is in the second of
t = 0. On machines whose node was Ready, containers run, or have ended, as the pods' statuses say; the other machines
are without power. Addresses of pods and IDs of containers are the simulator's own, and are put in the place of the real
ones. What only lives in the memory of components begins anew, as after their restart: back-offs, and countdowns of
evictions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from k8sim.api.apps import ControllerRevision, StatefulSet
from k8sim.api.core import ContainerStatus, Node, PersistentVolume, Pod, PodIP, PodStatus, PodTemplateSpec
from k8sim.api.defaults import default_object, default_template
from k8sim.api.discovery import EndpointSlice
from k8sim.api.meta import Object, condition_of
from k8sim.api.pods import CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, is_mirror_pod, runtime_uid
from k8sim.api.scheme import decode, decode_part, parse_time
from k8sim.api.storage import VolumeAttachment
from k8sim.api.struct import replace
from k8sim.api.volumes import is_multi_attach_allowed
from k8sim.apiserver.server import APIServer
from k8sim.machines.disks import Storage, location
from k8sim.machines.machine import Machine
from k8sim.machines.sandbox import Earlier

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_TIME_FIELD: Final = re.compile(r"time|time[A-Z]\w*|\w*(Time|Timestamp)|(started|finished)At")
"""Fields of the API that hold a time: a text that looks like one elsewhere (an argument, a variable) is the user's."""
_UNIX_EPOCH: Final = parse_time("1970-01-01T00:00:00Z")
_TEXT: Final = ("annotations", "labels", "data", "stringData")
_LEFT_OUT: Final = ("managedFields", "resourceVersion", "selfLink", "disruptedPods")


# ---- times --------------------------------------------------------------------------------------------------------


def moment_of(manifests: Iterable[Mapping[str, Any]]) -> int:
    """Return when a dump was made (ns): the latest time in it, 0 if there is none."""
    return max((moment for manifest in manifests for moment in _past(manifest)), default=0)


def shifted(value: Any, moment_ns: int) -> Any:
    """Return a part of a dump with its times in ns since a moment, without what means nothing to another server."""
    if isinstance(value, Mapping):
        return {
            key: item if key in _TEXT else _shifted_field(key, item, moment_ns)
            for key, item in value.items()
            if key not in _LEFT_OUT
        }
    if isinstance(value, list):
        return [shifted(item, moment_ns) for item in value]
    return value


def _shifted_field(key: str, value: Any, moment_ns: int) -> Any:
    at = _moment(key, value)
    return shifted(value, moment_ns) if at is None else at - moment_ns


def _past(value: Any) -> Iterator[int]:
    """Yield all moments that a part of a dump names; a deletionTimestamp may be yet to come."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in _TEXT or key == "deletionTimestamp":
                continue
            if (moment := _moment(key, item)) is not None:
                yield moment
            else:
                yield from _past(item)
    elif isinstance(value, list):
        for item in value:
            yield from _past(item)


def _moment(key: str, value: Any) -> int | None:
    """Return the time (ns since the epoch of the simulation) that a field holds; None: it holds something else."""
    if not _TIME_FIELD.fullmatch(str(key)):
        return None
    if key == "creationTime" and isinstance(value, int):  # VolumeSnapshotContent: ns since 1970 (external-snapshotter)
        return value + _UNIX_EPOCH
    if isinstance(value, datetime):  # YAML knows times too; without a zone they are UTC
        return parse_time((value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat())
    return parse_time(value) if isinstance(value, str) and _TIME.fullmatch(value) else None


# ---- objects ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InitialState:
    """What was there: all objects but nodes, with the pods in the order of their creation."""

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    others: tuple[Object, ...]


def read(manifests: Sequence[Mapping[str, Any]], second_ns: int = 0) -> InitialState:
    """Return the objects of a dump, typed, with times relative to the moment of the dump.

    Parameters
    ----------
    second_ns
        The last whole second before t = 0: the API's times are cut to seconds, and so they still are afterwards.
    """
    moment = moment_of(manifests) - second_ns
    objects = [decode(shifted(manifest, moment)) for manifest in manifests]
    sets = {obj.uid: obj for obj in map(default_object, objects) if isinstance(obj, StatefulSet)}
    others = [_revision(obj, sets) if isinstance(obj, ControllerRevision) else obj for obj in objects]
    return InitialState(
        tuple(obj for obj in objects if isinstance(obj, Node)),
        tuple(sorted((o for o in objects if isinstance(o, Pod)), key=lambda p: p.metadata.creation_timestamp or 0)),
        tuple(obj for obj in others if not isinstance(obj, Node | Pod)),
    )


def _revision(revision: ControllerRevision, sets: Mapping[str, StatefulSet]) -> ControllerRevision:
    """Return a revision with its template typed.

    That of the set's update revision is the set's template itself: the real one has fields that we leave out, and a
    difference would start a rollout.
    """
    for owner in revision.metadata.owner_references:
        owning = sets.get(owner.uid)
        if owning is not None and owning.status.update_revision == revision.name:
            return replace(revision, data=owning.spec.template)
    try:
        template = dict(revision.data["spec"]["template"])
        template.pop("$patch", None)
        typed = decode_part(PodTemplateSpec, template)
    except (KeyError, TypeError, ValueError):  # damaged: nobody could roll back to it
        typed = PodTemplateSpec()
    return replace(revision, data=default_template(typed))


def is_ready(node: Node) -> bool:
    """Tell whether a node is Ready; one without conditions is taken for so."""
    ready = condition_of(node.status.conditions, "Ready")
    return ready is None or ready.status == "True"


def earlier_containers(pod: Pod) -> list[Earlier]:
    """Return the containers that a pod's status says are on its machine."""
    images = {c.name: c.image for c in (*pod.spec.init_containers, *pod.spec.containers)}
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    found = (_earlier(status, images[status.name]) for status in statuses if status.name in images)
    return [earlier for earlier in found if earlier is not None]


def _earlier(status: ContainerStatus, image: str) -> Earlier | None:
    if status.state.running is not None:
        return Earlier(status.name, image, status.state.running.started_at or 0, status.restart_count)
    ended = status.state.terminated or status.last_state.terminated
    if ended is None:
        return None
    return Earlier(
        status.name, image, ended.started_at or 0, status.restart_count, ended.finished_at or 0, ended.exit_code,
        ended.reason,
    )  # fmt: skip


# ---- putting it there ---------------------------------------------------------------------------------------------


def populate(state: InitialState, server: APIServer, machines: Mapping[str, Machine], storage: Storage) -> None:
    """Put a dump's objects into the store and its pods on the machines; the nodes are there already."""
    addresses: dict[str, str] = {}
    pods = [_placed(pod, machines, addresses) for pod in state.pods]
    for obj in state.others:
        if isinstance(obj, EndpointSlice):
            obj = _readdressed(obj, addresses)
        if server.find(type(obj), *obj.key) is None:
            server.preload(obj)
    for pod in pods:
        server.preload(pod)
    for attachment in server.list(VolumeAttachment):
        volume = server.find(PersistentVolume, "", attachment.spec.source.persistent_volume_name or "")
        if volume is not None and attachment.status.attached:
            exclusive = not is_multi_attach_allowed(volume)
            storage.attach(location(volume), attachment.spec.node_name, exclusive=exclusive)


def static_pods(state: InitialState) -> dict[str, list[Pod]]:
    """Return the static pods of each node: its kubelet has the manifests of what the mirrors show."""
    found: dict[str, list[Pod]] = {}
    for pod in filter(is_mirror_pod, state.pods):
        found.setdefault(pod.spec.node_name, []).append(_shown_by(pod))
    return found


def _shown_by(mirror: Pod) -> Pod:
    uid = runtime_uid(mirror)
    annotations = {CONFIG_SOURCE: "file", **mirror.metadata.annotations, CONFIG_HASH: uid}
    del annotations[CONFIG_MIRROR]
    meta = replace(mirror.metadata, uid=uid, annotations=annotations, owner_references=())
    return replace(mirror, metadata=meta, status=PodStatus(phase="Pending"))


def _placed(pod: Pod, machines: Mapping[str, Machine], addresses: dict[str, str]) -> Pod:
    """Let a pod be on its machine, and return it with the address and container IDs that it has there."""
    machine = machines.get(pod.spec.node_name)
    containers = earlier_containers(pod)
    if machine is None or not machine.powered or not containers or pod.status.phase in ("Succeeded", "Failed"):
        return pod
    sandbox = machine.has_run(runtime_uid(pod), pod.key, containers)
    address = machine.host_ip if pod.spec.host_network else sandbox.sandboxes[0].ip
    for old in (pod.status.pod_ip, *(ip.ip for ip in pod.status.pod_ips)):
        addresses[old] = address
    ids = {container.record.name: container.record.id for container in sandbox.containers}

    def renamed(statuses: tuple[ContainerStatus, ...]) -> tuple[ContainerStatus, ...]:
        return tuple(replace(s, container_id=ids[s.name]) if s.name in ids else s for s in statuses)

    status = replace(
        pod.status,
        host_ip=machine.host_ip,
        pod_ip=address,
        pod_ips=(PodIP(ip=address),),
        init_container_statuses=renamed(pod.status.init_container_statuses),
        container_statuses=renamed(pod.status.container_statuses),
    )
    return replace(pod, status=status)


def _readdressed(endpoints: EndpointSlice, addresses: Mapping[str, str]) -> EndpointSlice:
    changed = (replace(e, addresses=tuple(addresses.get(a, a) for a in e.addresses)) for e in endpoints.endpoints)
    return replace(endpoints, endpoints=tuple(changed))
