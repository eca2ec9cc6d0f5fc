"""What a run leaves: its trace and the history of its objects. The Python API's result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from k8sim.api.meta import Object
from k8sim.api.scheme import encode, resolve_kind
from k8sim.apiserver.watch import Change
from k8sim.scenario.model import Scenario
from k8sim.sim.trace import Row, Trace

if TYPE_CHECKING:
    import pandas as pd

PublicEvent = tuple[float, str, str, str, dict[str, Any]]
PUBLIC_KINDS = frozenset(
    {
        "Pod", "PersistentVolumeClaim", "PersistentVolume", "Node", "EndpointSlice", "PodDisruptionBudget",
        "StatefulSet", "Deployment", "Command", "Event",
    }
)  # fmt: skip
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Result:
    """One replicate of a scenario, run to its end.

    Attributes
    ----------
    scenario, seed, replicate
        What was run; the same three give the same trace, bit for bit.
    log
        The trace with causes (`k8sim.sim.trace.Trace`).
    history
        Every change of every object as (time in ns, change), in order.
    aliases
        (kind, real name) -> name in the public trace.
    """

    scenario: Scenario
    seed: int
    replicate: int
    log: Trace
    history: Sequence[tuple[int, Change]]
    aliases: dict[tuple[str, str], str]

    @cached_property
    def trace(self) -> pd.DataFrame:
        """The trace as a DataFrame, one row an event.

        Columns: ``time_s`` (float, s), ``kind``, ``namespace``, ``name``, ``event`` (category), ``detail`` (dict),
        ``cause`` (row number of what led to it, -1: nothing). The index is the row number.
        """
        import pandas as pd  # slow to import, and many runs need no frame

        log = self.log
        frame = pd.DataFrame(
            {
                "time_s": [t / SECOND for t in log.column("t")],
                "kind": pd.Categorical(log.column("kind")),
                "namespace": pd.Categorical(log.column("namespace")),
                "name": log.column("name"),
                "event": pd.Categorical(log.column("event")),
                "detail": log.column("detail"),
                "cause": log.column("cause"),
            }
        )
        frame.index.name = "row"
        return frame

    def objects(self, at_s: float | None = None, kind: str | None = None) -> list[Object]:
        """Return the API objects that existed at a moment (default: the end).

        Parameters
        ----------
        at_s
            Simulated time in s; changes at that very moment count.
        kind
            Only this kind; kubectl's words work ("sts", "pods").
        """
        limit = self.scenario.duration_ns if at_s is None else round(at_s * SECOND)
        wanted = resolve_kind(kind) if kind is not None else None
        if kind is not None and wanted is None:
            raise ValueError(f"unknown kind {kind!r}")
        found: dict[tuple[str, str, str], Object] = {}
        for t, change in self.history:
            if t > limit:
                break
            obj = change.new
            if wanted is not None and obj.kind != wanted:
                continue
            if change.type == "DELETED":
                found.pop((obj.kind, *obj.key), None)
            else:
                found[(obj.kind, *obj.key)] = obj
        return list(found.values())

    def manifests(self, at_s: float | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """Return `objects` as plain manifests."""
        return [encode(obj) for obj in self.objects(at_s, kind)]

    def public_trace(self) -> list[PublicEvent]:
        """Return the trace in the public form: ``[t, kind, name, event, detail]``, t in s."""
        return list(public_events(self.log, self.aliases))

    def _repr_html_(self) -> str:
        counts = self.trace[self.trace["kind"].isin(PUBLIC_KINDS)].groupby(["kind", "event"], observed=True).size()
        table = counts.rename("events").to_frame().to_html()
        return (
            f"<p><b>{self.scenario.name}</b>: {self.scenario.duration_ns / SECOND:g} s, seed {self.seed}, "
            f"replicate {self.replicate}, {len(self.log)} trace rows</p>{table}"
        )


def public_events(log: Trace, aliases: dict[tuple[str, str], str]) -> Iterator[PublicEvent]:
    """Yield the rows of the public trace: public kinds, aliased names, first occurrences of Kubernetes Events."""
    seen: set[tuple[str, str]] = set()
    for row in log:
        if row.kind not in PUBLIC_KINDS:
            continue
        t = round(row.t / SECOND, 6)
        if row.kind == "Event":
            key = (row.detail["uid"], row.event)
            if key not in seen:
                seen.add(key)
                yield _public_event(t, row, aliases)
            continue
        name = aliases.get((row.kind, row.name), row.name)
        yield t, row.kind, name, row.event, _public_detail(row.detail, aliases)


def _public_event(t: float, row: Row, aliases: dict[tuple[str, str], str]) -> PublicEvent:
    kind, _, name = row.detail["object"].partition("/")
    name = aliases.get((kind, name), name)
    return t, "Event", name, row.event, {"object": f"{kind}/{name}", "type": row.detail["type"]}


_REFERS = {"pod": "Pod", "volume": "PersistentVolume"}


def _public_detail(detail: Any, aliases: dict[tuple[str, str], str]) -> dict[str, Any]:
    return {k: aliases.get((_REFERS[k], v), v) if k in _REFERS else v for k, v in detail.items()}
