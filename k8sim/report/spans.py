"""States over time, read from the trace: one row a time during which an object stayed in one state.

All frames are tidy: times are floats in s, states are words, and a state that lasts at the end of the run ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from k8sim.report.belongings import Belongings
from k8sim.report.phases import PHASES, Episode
from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.sim.trace import Row

POD_STATES: Final = ("pending", "starting", "ready", "lost", "unready", "terminating")
VOLUME_STATES: Final = ("attaching", "attached", "detaching")


class _Lanes:
    """Collects spans: each key is in one state at a time, or in none."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, ...], tuple[int, str, dict[str, Any]]] = {}
        self.spans: list[dict[str, Any]] = []

    def state(self, key: tuple[str, ...]) -> str:
        return self._open[key][1] if key in self._open else ""

    def enter(self, key: tuple[str, ...], t: int, state: str, **more: Any) -> None:
        if self.state(key) != state:
            self.leave(key, t)
            self._open[key] = (t, state, more)

    def leave(self, key: tuple[str, ...], t: int) -> None:
        if key in self._open:
            start, state, more = self._open.pop(key)
            if t > start:
                self.spans.append({**more, "state": state, "start_s": start / SECOND, "end_s": t / SECOND})

    def finish(self, t: int) -> list[dict[str, Any]]:
        for key in list(self._open):
            self.leave(key, t)
        return self.spans


def pod_spans(result: Result) -> pd.DataFrame:
    """Return what state each pod was in, when.

    Columns: ``namespace``, ``name``, ``inc``, ``node`` ("" before it is scheduled), ``state`` (one of `POD_STATES`),
    ``start_s``, ``end_s``. *lost* is a pod whose containers are gone though the API server still lists it as Ready,
    *unready* one that has been Ready before.
    """
    lanes, nodes, incs = _Lanes(), dict[tuple[str, ...], str](), dict[tuple[str, ...], int]()
    for row in result.log:
        if row.kind not in ("Pod", "Container"):
            continue
        key, state = (row.namespace, row.name), ""
        was = lanes.state(key)
        if row.kind == "Container":
            if row.event == "Lost" and was == "ready":
                state = "lost"
        else:
            incs[key] = row.detail["inc"]
            if row.event == "Created":
                state, nodes[key] = "pending", ""
            elif row.event == "Scheduled":
                state, nodes[key] = "starting", row.detail["node"]
            elif row.event == "Ready" and was != "terminating":
                state = "ready"
            elif row.event == "NotReady" and was in ("ready", "lost"):
                state = "unready"
            elif row.event == "Terminating":
                state = "terminating"
            elif row.event == "Deleted":
                lanes.leave(key, row.t)
        if state:
            name = result.aliases.get(("Pod", row.name), row.name)
            lanes.enter(
                key, row.t, state, namespace=row.namespace, name=name, inc=incs.get(key, 1), node=nodes.get(key, "")
            )
    columns = ["namespace", "name", "inc", "node", "state", "start_s", "end_s"]
    return _frame(lanes.finish(result.scenario.duration_ns), columns, sort="name")


def node_spans(result: Result) -> pd.DataFrame:
    """Return how the control plane saw each node: ``name``, ``state``, ``start_s``, ``end_s``.

    State is "ready", "away" (NotReady, Unknown or deleted) or "cordoned".
    """
    lanes, cordoned = _Lanes(), set[str]()
    for manifest in result.scenario.node_manifests():
        lanes.enter((manifest["metadata"]["name"],), 0, "ready", name=manifest["metadata"]["name"])
    for row in result.log:
        if row.kind != "Node":
            continue
        state = ""
        if row.event in ("Unknown", "NotReady", "Deleted"):
            state = "away"
        elif row.event in ("Ready", "Created", "Uncordoned", "Cordoned"):
            (cordoned.add if row.event == "Cordoned" else cordoned.discard)(row.name)
            state = "cordoned" if row.name in cordoned else "ready"
        if state:
            lanes.enter((row.name,), row.t, state, name=row.name)
    return _frame(lanes.finish(result.scenario.duration_ns), ["name", "state", "start_s", "end_s"], sort="name")


def attachment_spans(result: Result) -> pd.DataFrame:
    """Return where each volume was attached.

    Columns: ``claim``, ``node``, ``state`` (`VOLUME_STATES`), ``start_s``, ``end_s``.
    """
    lanes, has = _Lanes(), Belongings(result)
    for row in result.log:
        if row.kind != "VolumeAttachment" or "volume" not in row.detail:
            continue
        volume, node = row.detail["volume"], row.detail["node"]
        state = {"Attaching": "attaching", "Attached": "attached", "Detaching": "detaching"}.get(row.event, "")
        key = (volume, node)
        if state:
            claim = has.claim_of_volume.get(volume)
            lanes.enter(key, row.t, state, claim=claim[1] if claim is not None else volume, node=node)
        elif row.event == "Detached":
            lanes.leave(key, row.t)
    columns = ["claim", "node", "state", "start_s", "end_s"]
    return _frame(lanes.finish(result.scenario.duration_ns), columns, sort="claim")


def service_spans(result: Result) -> pd.DataFrame:
    """Return whether applications could be written to and read: ``name``, ``what``, ``state``, ``start_s``, ``end_s``.

    ``what`` is as the application calls it ("Write", "Read"); ``state`` is "available" or "unavailable". Empty without
    applications.
    """
    lanes = _Lanes()
    for row in result.log:
        if row.kind != "Application":
            continue
        for ending, state in (("Unavailable", "unavailable"), ("Available", "available")):
            if row.event.endswith(ending):
                what = row.event.removesuffix(ending)
                lanes.enter((row.namespace, row.name, what), row.t, state, name=row.name, what=what)
                break
    columns = ["name", "what", "state", "start_s", "end_s"]
    return _frame(lanes.finish(result.scenario.duration_ns), columns, sort="name")


def counts_over_time(result: Result) -> pd.DataFrame:
    """Return numbers that change over time, one row a change: ``time_s``, ``kind``, ``name``, ``what``, ``value``.

    Of workloads *ready* and *replicas*; of services *ready endpoints*; of budgets *allowed* disruptions; of
    applications the *full copies* of their data. Each begins at 0 s.
    """
    rows: list[tuple[float, str, str, str, int]] = []
    last: dict[tuple[str, str, str, str], int] = {}
    endpoints: dict[tuple[str, str], set[str]] = {}

    def note(t: int, namespace: str, kind: str, name: str, what: str, value: int) -> None:
        key = (namespace, kind, name, what)
        if key not in last:
            rows.append((0.0, kind, name, what, 0))
            last[key] = 0
        if last[key] != value:
            last[key] = value
            rows.append((t / SECOND, kind, name, what, value))

    for row in result.log:
        for kind, name, what, value in _counts(row, endpoints):
            note(row.t, row.namespace, kind, name, what, value)
    return pd.DataFrame(rows, columns=["time_s", "kind", "name", "what", "value"])


def _counts(row: Row, endpoints: dict[tuple[str, str], set[str]]) -> Iterator[tuple[str, str, str, int]]:
    if row.kind in ("StatefulSet", "Deployment") and row.event == "Status":
        yield row.kind, row.name, "ready", row.detail["ready"]
        yield row.kind, row.name, "replicas", row.detail["replicas"]
    elif row.kind == "EndpointSlice":
        ready = endpoints.setdefault((row.namespace, row.name), set())
        if row.event == "Endpoint" and row.detail["ready"]:
            ready.add(row.detail["pod"])
        elif row.event in ("Endpoint", "Removed"):
            ready.discard(row.detail.get("pod", ""))
        yield "Service", row.name, "ready endpoints", len(ready)
    elif row.kind == "PodDisruptionBudget" and row.event == "Status":
        yield row.kind, row.name, "allowed", row.detail["allowed"]
    elif row.kind == "Application" and row.event == "Copies":
        yield row.kind, row.name, "full copies", row.detail["full"]


def phase_frame(episodes: Iterable[Episode], end_ns: int) -> pd.DataFrame:
    """Return episodes as a frame, one row a phase.

    Columns: ``episode`` (number), ``kind``, ``namespace``, ``name``, ``cause``, ``phase``, ``family``, ``text``,
    ``start_s``, ``end_s``, ``duration_s``, ``ended`` (False: lasts at the end of the run).
    """
    rows = [
        {
            "episode": number, "kind": episode.kind, "namespace": episode.namespace, "name": episode.name,
            "cause": episode.cause, "phase": phase.name, "family": PHASES[phase.name].family, "text": phase.text,
            "start_s": phase.start_ns / SECOND, "end_s": (phase.start_ns + phase.length_ns(end_ns)) / SECOND,
            "duration_s": phase.length_ns(end_ns) / SECOND, "ended": phase.end_ns is not None,
        }
        for number, episode in enumerate(episodes)
        for phase in episode.phases
    ]  # fmt: skip
    columns = ["episode", "kind", "namespace", "name", "cause", "phase", "family", "text", "start_s", "end_s"]
    return pd.DataFrame(rows, columns=[*columns, "duration_s", "ended"])


def _frame(spans: list[dict[str, Any]], columns: list[str], *, sort: str) -> pd.DataFrame:
    frame = pd.DataFrame(spans, columns=columns)
    return frame.sort_values([sort, "start_s"], ignore_index=True, kind="stable")
