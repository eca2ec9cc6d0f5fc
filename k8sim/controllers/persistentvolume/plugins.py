"""In-tree volume plug-ins of kube-controller-manager.

Source: cmd/kube-controller-manager/app/plugins.go, pkg/volume/{hostpath,nfs}; storage.md 1.9, 5.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from k8sim.api.core import PersistentVolume
from k8sim.api.volume_matching import PROVISIONED_BY

IN_TREE_PREFIX: Final = "kubernetes.io/"


@dataclass(frozen=True)
class InTreePlugin:
    """What one plug-in can do."""

    name: str
    provisions: bool = False
    deletes: bool = False
    recycles: bool = False
    recycle_floor_s: int = 60


HOST_PATH: Final = InTreePlugin("kubernetes.io/host-path", provisions=True, deletes=True, recycles=True)
NFS: Final = InTreePlugin("kubernetes.io/nfs", recycles=True, recycle_floor_s=300)
PLUGINS: Final[Mapping[str, InTreePlugin]] = {p.name: p for p in (HOST_PATH, NFS)}

DELETABLE_HOST_PATH: Final = "/tmp/"
"""The hostPath deleter removes only what lies under this path."""


def spec_plugin(volume: PersistentVolume) -> InTreePlugin | None:
    """Return the plug-in that handles a volume by its source."""
    if volume.spec.host_path is not None:
        return HOST_PATH
    return NFS if volume.spec.nfs is not None else None


@dataclass(frozen=True)
class Deleter:
    """Who deletes a volume: a plug-in, somebody outside (None and no problem), or nobody (problem)."""

    plugin: InTreePlugin | None = None
    problem: str = ""


def find_deleter(volume: PersistentVolume) -> Deleter:
    """Return who deletes a volume (findDeletablePlugin)."""
    provisioner = volume.metadata.annotations.get(PROVISIONED_BY, "")
    if provisioner:
        plugin = PLUGINS.get(provisioner)
        if plugin is not None and plugin.deletes:
            return Deleter(plugin)
        if not provisioner.startswith(IN_TREE_PREFIX):
            return Deleter()
        return Deleter(problem=f'no deletable volume plugin matched: "{provisioner}"')
    if volume.spec.csi is not None:
        return Deleter()
    plugin = spec_plugin(volume)
    if plugin is None or not plugin.deletes:
        problem = f'error getting deleter volume plugin for volume "{volume.name}": no deletable volume plugin matched'
        return Deleter(problem=problem)
    return Deleter(plugin)


def delete_problem(volume: PersistentVolume) -> str:
    """Return why a hostPath volume's deletion fails, or ""."""
    path = volume.spec.host_path.path if volume.spec.host_path is not None else ""
    if path.startswith(DELETABLE_HOST_PATH) and len(path) > len(DELETABLE_HOST_PATH):
        return ""
    return f"host_path deleter only supports /tmp/.+ but received provided {path}"
