"""Why acknowledged writes are lost: one vocabulary for traces, metrics and reports.

A loss has a *cause* (a word of this table) and, where Kubernetes or a machine took part, a *path*: the row of the
enumeration in the storage specification (L1 to L42), as the world reports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CAUSES: Final[Mapping[str, str]] = {
    "unflushed": "the process was killed with writes in its own buffer (L1)",
    "unsynced": "the machine went down, or its disk was taken away, with writes in the kernel's cache (L2, L21)",
    "container-layer": "the data was in the container's own file system, and the container was restarted (L3)",
    "ephemeral-volume": "the data was in an emptyDir, and the pod ended (L4, L5)",
    "volume-gone": "the volume that had the last copy was deleted or destroyed (L8, L10 and others, see the path)",
    "all-copies-gone": "several copies were lost one after the other, before any was made anew; the path is the last's",
    "failover": "the new leader had not got the old one's last writes",
    "empty-primary": "the leader came back without data and kept its role, and the others followed it",
    "empty-majority": "members without data formed a majority",
    "old-snapshot": "the leader's volume was restored from a snapshot older than the last write (L28)",
    "torn-snapshot": "what the leader's volume was restored from cannot be read: the process was writing (L29)",
    "split-brain": "a leader that was cut off went on, with clients on its side, after another had been elected",
    "two-writers": "a second process under the same identity was writing; what it wrote was not kept (L20, L27)",
}

_PATHS: Final[Mapping[str, str]] = {
    "L1": "unflushed",
    "L2": "unsynced",
    "L21": "unsynced",
    "L3": "container-layer",
    "L4": "ephemeral-volume",
    "L5": "ephemeral-volume",
}

PATH_OF_ORIGIN: Final[Mapping[str, str]] = {"restored": "L28", "torn": "L29"}
"""Whose content lacks writes because of where it comes from."""


def cause_of_path(path: str, copies: int) -> str:
    """Return the cause of a loss by which the last copy of some writes went.

    Parameters
    ----------
    copies
        How many copies the group is meant to have.
    """
    cause = _PATHS.get(path, "volume-gone")
    return "all-copies-gone" if copies > 1 and cause not in ("unflushed", "unsynced") else cause


def cause_of_promotion(origin: str, empty: bool, kept_role: bool) -> str:
    """Return why a new leader's content lacks acknowledged writes.

    Parameters
    ----------
    origin
        Where its volume's content comes from: "" (it has been a copy since the beginning), "new", "restored" or
        "torn".
    empty
        It has nothing at all.
    kept_role
        It is the member that was leader before, and no majority has elected it.
    """
    if origin in PATH_OF_ORIGIN:
        return "old-snapshot" if origin == "restored" else "torn-snapshot"
    if empty:
        return "empty-primary" if kept_role else "empty-majority"
    return "failover"
