"""Plug-ins and what is known of them beforehand: for all pods, and for all pods of a template.

Source: pkg/scheduler/profile/profile.go, pkg/scheduler/framework/runtime/framework.go.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from k8sim.api.core import Pod, PodSpec
from k8sim.scheduler.framework import Event, Hint, Plugin

_MOST_SHAPES: Final = 256

Interested = Mapping[Event, Sequence[tuple[str, Hint]]]
"""For each event the plug-ins whose rejected pods it may help."""


def interested_in(hints: Mapping[str, Mapping[Event, Hint]]) -> Interested:
    """Return what plug-ins have registered for, by event."""
    interested: dict[Event, list[tuple[str, Hint]]] = {}
    for plugin, events in hints.items():
        for event, hint in events.items():
            interested.setdefault(event, []).append((plugin, hint))
    return interested


class Shape:
    """What pods have in common whose specs share the parts that plug-ins look at: those of one template do.

    Attributes
    ----------
    filters
        The plug-ins that may reject such pods: all of them, and by their kinds.
    signature
        What local results depend on. Equal for more pods than those of one shape.
    """

    __slots__ = ("_parts", "counting", "filters", "local", "nodewise", "pre_filters", "signature")

    def __init__(self, pod: Pod, plugins: Sequence[Plugin], parts: object) -> None:
        self._parts = parts  # kept, so that their identities are not used again
        self.filters = [plugin for plugin in plugins if plugin.concerns(pod.spec)]
        self.local = [plugin for plugin in self.filters if plugin.local]
        others = [plugin for plugin in self.filters if not plugin.local]
        self.pre_filters = [plugin for plugin in others if "pre_filter" in plugin.defined]
        self.counting = [plugin for plugin in others if "filter" in plugin.defined]
        self.nodewise = [plugin for plugin in others if "judges_nodes" in plugin.defined]
        self.signature: Hashable = tuple([plugin.signature(pod) for plugin in plugins if "signature" in plugin.defined])


class Profile:
    """Plug-ins in the order in which Kubernetes asks them. It knows nothing of any cluster, so that all share it."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.interested = interested_in({plugin.name: plugin.events() for plugin in plugins})
        self.scoring_nodes = [p for p in plugins if "score_node" in p.defined and p.weight]
        self.scoring = [p for p in plugins if "score" in p.defined and p.weight]
        self._filtering = [p for p in plugins if not p.defined.isdisjoint(("filter", "filter_node"))]
        self._shapes: dict[tuple[int, ...], Shape] = {}

    def shape_of(self, pod: Pod) -> Shape:
        """Return the pod's shape, the one that is known if a pod was like it."""
        parts = _parts_of(pod.spec)
        key = (*map(id, parts), bool(pod.spec.volumes))
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes = {}  # not the oldest alone: clusters in other threads may be adding to them
            shape = self._shapes[key] = Shape(pod, self._filtering, parts)
        return shape


def _parts_of(spec: PodSpec) -> tuple[object, ...]:
    """Return all that plug-ins look at in a spec, but for volumes: of those, only whether there are any."""
    return (
        spec.containers,
        spec.init_containers,
        spec.overhead or None,
        spec.affinity,
        spec.node_selector or None,
        spec.tolerations,
        spec.topology_spread_constraints,
    )
