"""Static pods: what a kubelet runs from manifests on its machine, and the mirrors by which the API server knows of it.

A static pod needs no API server: it is started, restarted and stopped by its kubelet alone. Its mirror is an object
that shows it, and nothing more: whoever deletes it finds it made again, while the containers run on.

Source: pkg/kubelet/config/{common,file}.go, pkg/kubelet/pod/{pod_manager,mirror_client}.go, pkg/kubelet/kubelet.go
(tryReconcileMirrorPods, fastStaticPodsRegistration); kubernetes.io/docs/tasks/configure-pod-container/static-pod.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from typing import Any, Final

import msgspec

from k8sim.api.core import Node, Pod, PodStatus, Toleration
from k8sim.api.defaults import default_object
from k8sim.api.meta import OwnerReference, with_meta
from k8sim.api.pods import CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.sim.clock import Event

Requests = Generator[Event, Any, None]
Key = tuple[str, str]

BEARS_ALL: Final = Toleration(operator="Exists", effect="NoExecute")
"""What the kubelet gives a static pod, lest it be evicted when its node is in trouble (config/common.go)."""


def static_pod(manifest: Pod, node: str) -> Pod:
    """Return the pod that a node's kubelet makes of a manifest (applyDefaults).

    Its UID is a hash of the manifest and the node's name: it is the same after each restart and each reboot.
    """
    uid = hashlib.md5(node.encode() + msgspec.json.encode(manifest), usedforsecurity=False).hexdigest()
    meta, spec = manifest.metadata, manifest.spec
    tolerations = spec.tolerations if BEARS_ALL in spec.tolerations else (*spec.tolerations, BEARS_ALL)
    pod = replace(
        with_meta(
            manifest,
            uid=uid,
            name=f"{meta.name}-{node.lower()}",
            namespace=meta.namespace or "default",
            annotations={**meta.annotations, CONFIG_HASH: uid, CONFIG_SOURCE: "file"},
        ),
        spec=replace(spec, node_name=node, tolerations=tolerations),
        status=PodStatus(phase="Pending"),
    )
    return default_object(pod)


def with_image(pod: Pod, image: str) -> Pod:
    """Return the static pod that a changed manifest makes of one: its first container has another image."""
    uid = hashlib.md5(f"{pod.uid} {image}".encode(), usedforsecurity=False).hexdigest()
    first, *others = pod.spec.containers
    spec = replace(pod.spec, containers=(replace(first, image=image), *others))
    return replace(with_meta(pod, uid=uid, annotations={**pod.metadata.annotations, CONFIG_HASH: uid}), spec=spec)


def mirror_of(pod: Pod, node: Node) -> Pod:
    """Return the object that shows a static pod: its node owns it (CreateMirrorPod)."""
    owner = OwnerReference(api_version="v1", kind="Node", name=node.name, uid=node.uid, controller=True)
    annotations = {**pod.metadata.annotations, CONFIG_MIRROR: pod.uid}
    mirror = with_meta(pod, uid="", annotations=annotations, owner_references=(owner,))
    return replace(mirror, status=PodStatus())


def shows(mirror: Pod, pod: Pod) -> bool:
    """Tell whether an object is the mirror of just this static pod, and not of an earlier version (IsMirrorPodOf)."""
    return mirror.key == pod.key and mirror.metadata.annotations.get(CONFIG_MIRROR) == pod.uid


class Mirrors:
    """The static pods of a kubelet's process, and the mirrors that it has seen in its watch.

    Parameters
    ----------
    get_node
        Returns the kubelet's node, or None until the process has seen it.
    """

    def __init__(self, client: Client, get_node: Callable[[], Node | None]) -> None:
        self._client = client
        self._get_node = get_node
        self._static: dict[Key, Pod] = {}
        self._mirrors: dict[Key, Pod] = {}
        self._started: dict[Key, str] = {}

    def add_static(self, pod: Pod) -> None:
        """Take in a static pod."""
        self._static[pod.key] = pod

    def remove_static(self, pod: Pod) -> None:
        """Note that a static pod's manifest is gone."""
        self._static.pop(pod.key, None)

    def may_start(self, pod: Pod) -> bool:
        """Tell whether no earlier version of a static pod is still there (allowStaticPodStart)."""
        return self._started.setdefault(pod.key, pod.uid) == pod.uid

    def ended(self, uid: str) -> Pod | None:
        """Note that a pod has come to its end; return its mirror, if that shows nothing any more."""
        key = next((key for key, started in self._started.items() if started == uid), None)
        if key is None:
            return None
        del self._started[key]
        return self._mirrors.get(key) if key not in self._static else None

    def static(self) -> list[Pod]:
        """Return all static pods."""
        return list(self._static.values())

    def static_of(self, mirror: Pod) -> Pod | None:
        """Return the static pod of a mirror's name."""
        return self._static.get(mirror.key)

    def seen(self, mirror: Pod) -> Pod | None:
        """Note a mirror as the watch shows it; return what was known under its name."""
        before = self._mirrors.get(mirror.key)
        self._mirrors[mirror.key] = mirror
        return before

    def gone(self, mirror: Pod) -> None:
        """Note that a mirror has been removed."""
        known = self._mirrors.get(mirror.key)
        if known is not None and known.uid == mirror.uid:
            del self._mirrors[mirror.key]

    def uid_of(self, pod: Pod) -> str:
        """Return which of the kubelet's pods an object shows (TranslatePodUID).

        A mirror that the watch has not delivered yet shows none.
        """
        if CONFIG_MIRROR not in pod.metadata.annotations:
            return pod.metadata.uid
        known = self._mirrors.get(pod.key)
        static = self._static.get(pod.key)
        if known is None or static is None or known.uid != pod.uid or not shows(pod, static):
            return pod.metadata.uid
        return static.uid

    def is_shown(self, pod: Pod) -> bool:
        """Tell whether a static pod has the mirror that it is to have."""
        mirror = self._mirrors.get(pod.key)
        return mirror is not None and not mirror.deleting and shows(mirror, pod)

    def reconcile(self, pod: Pod) -> Requests:
        """See to it that a static pod has its mirror; what fails is tried again with the pod's next sync.

        Without its node a kubelet makes none: it is not registered yet, or has been taken out of the cluster.
        """
        if self.is_shown(pod):
            return
        mirror = self._mirrors.get(pod.key)
        if mirror is not None and not (yield from self._delete(mirror)):
            return
        node = self._get_node()
        if node is None or node.deleting:
            return
        try:
            yield from self._client.create(mirror_of(pod, node))
        except ApiError:
            return

    def remove(self, mirror: Pod) -> Generator[Event, Any, bool]:
        """Remove a mirror that shows nothing, if it is still there; False if the API server did not answer."""
        known = self._mirrors.get(mirror.key)
        if self.static_of(mirror) is not None or known is None or known.uid != mirror.uid:
            return True
        return (yield from self._delete(mirror))

    def _delete(self, mirror: Pod) -> Generator[Event, Any, bool]:
        """Remove a mirror at once; False if that was not possible."""
        try:
            yield from self._client.delete(Pod, *mirror.key, grace_period_seconds=0, uid=mirror.uid)
        except NotFound:
            return True
        except ApiError:
            return False
        return True
