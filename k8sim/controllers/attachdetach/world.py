"""What the attach/detach controller holds in memory: which volumes pods want where, and which it believes attached.

Source: pkg/controller/volume/attachdetach/cache/{desired_state_of_world,actual_state_of_world}.go; storage.md 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Place = tuple[str, str]
"""(volume's unique name, node)"""


@dataclass
class Wanted:
    """A volume that pods want on a node."""

    volume_name: str
    multi_attach: bool
    pods: dict[str, tuple[str, str]] = field(default_factory=dict)  # uid -> (namespace, name)
    told: bool = False


class DesiredWorld:
    """Volumes by place, and places by pod, so that a pod can go although its claim no longer says what it used."""

    def __init__(self) -> None:
        self.wanted: dict[Place, Wanted] = {}
        self._by_pod: dict[str, dict[Place, None]] = {}
        self._by_volume: dict[str, dict[Place, None]] = {}

    def add(self, place: Place, volume_name: str, multi_attach: bool, uid: str, key: tuple[str, str]) -> bool:
        """Note that a pod wants a volume on its node; tell whether that is news."""
        wanted = self.wanted.get(place)
        if wanted is None:
            wanted = self.wanted[place] = Wanted(volume_name, multi_attach)
            self._by_volume.setdefault(place[0], {})[place] = None
        elif uid in wanted.pods:
            return False
        wanted.pods[uid] = key
        self._by_pod.setdefault(uid, {})[place] = None
        return True

    def places_of(self, uid: str) -> list[Place]:
        """Return where a pod wants what."""
        return list(self._by_pod.get(uid, ()))

    def remove(self, place: Place, uid: str) -> bool:
        """Note that a pod no longer wants a volume; tell whether nobody wants it there now."""
        wanted = self.wanted.get(place)
        if wanted is None or uid not in wanted.pods:
            return False
        del wanted.pods[uid]
        places = self._by_pod[uid]
        del places[place]
        if not places:
            del self._by_pod[uid]
        if wanted.pods:
            return False
        del self.wanted[place]
        del self._by_volume[place[0]][place]
        return True

    def places_with(self, volume: str) -> list[Place]:
        """Return where a volume is wanted."""
        return list(self._by_volume.get(volume, ()))


@dataclass
class Attached:
    """A volume that is, or may be, attached to a node."""

    volume_name: str
    state: Literal["attached", "uncertain"]
    mounted: bool = True
    reported: bool = True
    detach_requested_ns: int | None = None
    why_waiting: str = ""


class ActualWorld:
    """Attachments by place."""

    def __init__(self) -> None:
        self.attached: dict[Place, Attached] = {}
        self._nodes: dict[str, dict[str, None]] = {}
        self._volumes: dict[str, dict[str, None]] = {}

    def mark(self, place: Place, volume_name: str, state: Literal["attached", "uncertain"]) -> Attached:
        """Note an attachment; a fresh one is presumed mounted until its node says otherwise."""
        known = self.attached.get(place)
        if known is None:
            known = self.attached[place] = Attached(volume_name, state)
            self._nodes.setdefault(place[0], {})[place[1]] = None
            self._volumes.setdefault(place[1], {})[place[0]] = None
        known.state = state
        if state == "attached":
            known.reported = True
        return known

    def forget(self, place: Place) -> None:
        """Note that a volume is not attached there."""
        if self.attached.pop(place, None) is not None:
            del self._nodes[place[0]][place[1]]
            del self._volumes[place[1]][place[0]]

    def nodes_with(self, volume: str) -> list[str]:
        """Return the nodes to which the volume is known to be attached; uncertain ones do not count."""
        return [n for n in self._nodes.get(volume, ()) if self.attached[volume, n].state == "attached"]

    def on_node(self, node: str) -> list[tuple[str, Attached]]:
        """Return what is or may be attached to a node, by volume."""
        return [(volume, self.attached[volume, node]) for volume in sorted(self._volumes.get(node, ()))]

    def places_with(self, volume: str) -> list[Place]:
        """Return where a volume is or may be attached."""
        return [(volume, node) for node in self._nodes.get(volume, ())]
