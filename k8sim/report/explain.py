"""Explanations: how long something was away and why, phase by phase; what led to it; why nothing happens now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from k8sim.api.scheme import resolve_kind
from k8sim.report.belongings import Belongings, Key
from k8sim.report.causes import is_outside, row_words
from k8sim.report.eventlog import details
from k8sim.report.outages import episodes
from k8sim.report.phases import PHASES, Episode, Family, Phase
from k8sim.report.summary import duration

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.sim.trace import Row

FAMILY_STYLE: Final[dict[Family, str]] = {
    "notice": "yellow", "stop": "magenta", "place": "white", "storage": "blue", "start": "cyan", "probe": "green",
    "crash": "red",
}  # fmt: skip
BRIEF_SHARE: Final = 0.005
"""Phases shorter than this share of an outage are left out of its sentence."""
FOLDED: Final = 8
"""So many of them one after the other, or more, are told as one: a pod that is rejected and made anew, say."""
SHOWN_WATERFALLS: Final = 3
SHOWN_ROWS: Final = 12
_QUIET: Final = ("Event", "Step", "Fault", "Proxy", "DNS", "Traffic")
_NARROW: Final = 76
_WIDE: Final = 110
_CHAIN_MAX: Final = 30


class NoSuchObject(ValueError):
    """The run knows no object of that name; ``known`` are some that it knows."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(name)
        self.known = known


# ---- sentences --------------------------------------------------------------------------------------------------


def headline(episode: Episode, end_ns: int) -> str:
    """Return in one sentence who was away, for how long, and what it goes back to."""
    took = duration(episode.length_ns(end_ns))
    since = duration(episode.start_ns)
    if episode.kind == "start":
        if episode.end_ns is None:
            return f"{episode.name} was made at {since} and was not Ready by the end, {took} later"
        return f"{episode.name} was made at {since} and Ready {took} later"
    why = episode.cause or (episode.phases[0].text if episode.phases else "")
    if episode.end_ns is None:
        return f"{episode.name} has been away since {since}, for {took} until the end: {why}"
    fate = " and then replaced by another pod" if episode.replaced else ""
    return f"{episode.name} was away for {took}, from {since} to {duration(episode.end_ns)}{fate}: {why}"


def phase_words(phase: Phase | Flurry, end_ns: int) -> str:
    """Return one phase as a clause: how long, for what, and what ended it."""
    took = duration(phase.length_ns(end_ns))
    if isinstance(phase, Flurry):
        return f"{took} of {phase.text}"
    until = f", until {phase.until}" if phase.until else ""
    if phase.text.startswith("for "):
        return f"{took} {phase.text}{until}"
    return f"{took}: {phase.text}{until}"


class Flurry(NamedTuple):
    """Many brief phases, one after the other."""

    phases: tuple[Phase, ...]

    @property
    def start_ns(self) -> int:
        """When the first began."""
        return self.phases[0].start_ns

    def length_ns(self, run_end_ns: int) -> int:
        """Return how long all were."""
        return sum(phase.length_ns(run_end_ns) for phase in self.phases)

    @property
    def text(self) -> str:
        """Say which there were, and how many."""
        kinds = ", ".join(dict.fromkeys(PHASES[phase.name].label for phase in self.phases))
        return f"{len(self.phases)} brief phases: {kinds}"


def folded(episode: Episode, end_ns: int) -> Iterator[Phase | Flurry]:
    """Yield the phases of an episode, many brief ones as one."""
    least = episode.length_ns(end_ns) * BRIEF_SHARE
    for brief, together in groupby(episode.phases, lambda phase: phase.length_ns(end_ns) <= least):
        phases = tuple(together)
        if brief and len(phases) >= FOLDED:
            yield Flurry(phases)
        else:
            yield from phases


def sentence(episode: Episode, end_ns: int) -> str:
    """Return the whole story of an episode; phases too short to matter are left out."""
    least = episode.length_ns(end_ns) * BRIEF_SHARE
    told = [p for p in folded(episode, end_ns) if p.length_ns(end_ns) > least]
    return f"{headline(episode, end_ns)}; " + "; ".join(phase_words(p, end_ns) for p in told) + "."


# ---- the waterfall ----------------------------------------------------------------------------------------------


class Waterfall:
    """The phases of an episode under each other, each with a bar, as wide as the terminal allows."""

    def __init__(self, episode: Episode, end_ns: int) -> None:
        self._episode = episode
        self._end_ns = end_ns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide, roomy = options.max_width >= _WIDE, options.max_width >= _NARROW
        bar = min(40, options.max_width - 60)
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        if roomy:
            table.add_column(no_wrap=True, width=bar)
        if wide:
            table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for phase in folded(self._episode, self._end_ns):
            first = phase.phases[0] if isinstance(phase, Flurry) else phase
            style = FAMILY_STYLE[PHASES[first.name].family]
            cells: list[RenderableType] = [duration(phase.start_ns), duration(phase.length_ns(self._end_ns))]
            if roomy:
                cells.append(Text(self._bar(phase, bar, ascii_only=options.ascii_only), style))
            label = Text(label_of(phase), style)
            cells += [label, what_words(phase)] if wide else [Text.assemble(label, "  ", what_words(phase))]
            table.add_row(*cells)
        yield table

    def _bar(self, phase: Phase | Flurry, width: int, *, ascii_only: bool) -> str:
        total = max(self._episode.length_ns(self._end_ns), 1)
        left = (phase.start_ns - self._episode.start_ns) * width // total
        length = max(1, round(phase.length_ns(self._end_ns) * width / total))
        left = min(left, width - 1)
        return " " * left + ("#" if ascii_only else "█") * min(length, width - left)


def label_of(phase: Phase | Flurry) -> str:
    """Return what a phase is called."""
    return "again and again" if isinstance(phase, Flurry) else PHASES[phase.name].label


def what_words(phase: Phase | Flurry) -> str:
    """Return what a phase waited for and what ended it, to stand beside its label."""
    if isinstance(phase, Flurry):
        return phase.text
    text = phase.text.removeprefix(f"{PHASES[phase.name].label}, ")
    return text + (f", until {phase.until}" if phase.until else "")


# ---- what led to it ---------------------------------------------------------------------------------------------


def chain_lines(result: Result, row: int) -> Iterator[str]:
    """Yield a row and what led to it, one line each, the latest first."""
    chain = list(_chain_of(result, row))
    width = max(len(duration(link.t)) for _, link in chain)
    for arrow, link in chain:
        yield f"{duration(link.t):>{width}}  {arrow:6}  {_link(result, link)}".rstrip()


def _chain_of(result: Result, row: int) -> Iterator[tuple[str, Row]]:
    """Yield rows with how each is linked to the one before: its cause, or else the same pod's event before it."""
    log, arrow = result.log, ""
    for _ in range(_CHAIN_MAX):
        link = log[row]
        yield arrow, link
        cause, arrow = link.cause, "due to"
        if cause < 0 and link.kind == "Pod":
            same = (link.kind, link.name, link.namespace)
            before = ((i, log[i]) for i in range(row - 1, -1, -1))
            earlier = (i for i, other in before if (other.kind, other.name, other.namespace) == same)
            cause, arrow = next(earlier, -1), "after"
        if cause < 0:
            return
        row = cause


def _link(result: Result, row: Row) -> str:
    if is_outside(row):
        return row_words(result, row)
    name = result.aliases.get((row.kind, row.name), row.name)
    said = {k: v for k, v in row.detail.items() if k not in ("uid", "inc", "why", "object", "type", "durable")}
    if row.kind == "Event":
        return f"Event {row.event} of {row.detail['object']}: {said.get('message', '')}"
    if "until" in said:
        said["until"] = duration(said["until"])
    return " ".join([row.kind, name, row.event, details(said)]).rstrip()


# ---- why nothing happens now ------------------------------------------------------------------------------------


class Open(NamedTuple):
    """An episode that lasts, and what its pod and its controller say about it."""

    episode: Episode
    reasons: list[str]


def still_open(result: Result, found: Iterable[Episode]) -> list[Open]:
    """Return what has not ended at the end of the run, and what those concerned say about it."""
    has, names = Belongings(result), _real_names(result)
    said: dict[tuple[str, Key], str] = {}
    for row in result.log:
        key = (row.namespace, row.name)
        if row.event == "Waiting" and row.kind == "Controller":
            said[f"Controller {row.detail.get('controller')}", key] = str(row.detail.get("reason", ""))
        elif row.kind == "Event" and row.detail["type"] == "Warning" and row.detail["object"].startswith("Pod/"):
            said["Event", key] = f"{row.event}: {row.detail.get('message', '')}"
        elif row.kind == "Pod" and row.event in ("Created", "Ready"):
            said.pop(("Event", key), None)
    out = []
    for episode in found:
        if episode.end_ns is not None:
            continue
        key = (episode.namespace, names.get(episode.name, episode.name))
        reasons = []
        owner = has.owner_of.get(key)
        if owner is not None:
            waits = said.get((f"Controller {owner.kind}", (key[0], owner.name)))
            if waits:
                reasons.append(f"{owner.kind} {owner.name} is {waits}")
        warning = said.get(("Event", key), "")
        if warning and not (episode.phases and episode.phases[-1].name == "unschedulable"):
            reasons.append(f"its last warning was {warning}")
        out.append(Open(episode, reasons))
    return out


def open_words(item: Open, end_ns: int) -> str:
    """Return why an episode that lasts does not end, in one sentence."""
    episode = item.episode
    if not episode.phases:
        return headline(episode, end_ns)
    phase = episode.phases[-1]
    waits = f"waiting {phase.text}" if phase.text.startswith("for ") else phase.text
    text = f"{episode.name} is not Ready, for {duration(episode.length_ns(end_ns))} now: {waits}"
    text += f" (since {duration(phase.start_ns)})"
    return "; ".join([text, *item.reasons])


def _real_names(result: Result) -> dict[str, str]:
    return {alias: real for (kind, real), alias in result.aliases.items() if kind == "Pod"}


# ---- the whole explanation --------------------------------------------------------------------------------------


def explain(result: Result, name: str = "") -> RenderableType:
    """Explain a run, or one object of it, as of its end.

    Parameters
    ----------
    name
        A pod, a workload (then: its pods), a node, a claim, a volume: ``db-1``, ``pod/db-1``, ``sts/db``, ``node/n-1``.
        Empty: everything that was away.

    Raises
    ------
    NoSuchObject
        There is no such object in the trace.
    """
    end_ns = result.scenario.duration_ns
    found = episodes(result)
    if not name:
        return Group(*_everything(result, [e for e in found if e.kind == "outage" or e.end_ns is None], end_ns))
    kind, _, bare = name.rpartition("/")
    wanted = resolve_kind(kind) if kind else ""
    if kind and wanted is None:
        raise NoSuchObject(name, [])
    pods = _pods_named(result, wanted or "", bare)
    if pods:
        own = [e for e in found if (e.namespace, e.name) in pods]
        return Group(*_pods(result, own, sorted(pods), end_ns))
    return Group(*_object(result, wanted or "", bare))


def _pods_named(result: Result, kind: str, name: str) -> set[Key]:
    """Return the pods, by their public names, that a name means: itself, or those of a workload."""
    has = Belongings(result)
    public = {key: (key[0], result.aliases.get(("Pod", key[1]), key[1])) for key in has.containers}
    if kind in ("", "Pod"):
        itself = {shown for key, shown in public.items() if name in (key[1], shown[1])}
        if itself or kind == "Pod":
            return itself
    members = {key for key, owner in has.owner_of.items() if owner.name == name and kind in ("", owner.kind)}
    if kind in ("", "Deployment"):
        members |= {key for key, shown in public.items() if shown[1].count(":") == 2 and shown[1].split(":")[0] == name}
    return {public[key] for key in members}


def _everything(result: Result, found: list[Episode], end_ns: int) -> Iterator[RenderableType]:
    yield Text.assemble((result.scenario.name, "bold"), f"  seed {result.seed}, as of {duration(end_ns)}")
    if not found:
        yield Text("Nothing was away.", "green")
    longest = sorted(found, key=lambda e: -e.length_ns(end_ns))[:SHOWN_WATERFALLS]
    for episode in found:
        yield ""
        yield Text(headline(episode, end_ns), "bold")
        if episode in longest:
            yield Waterfall(episode, end_ns)
    yield from _now(result, found, end_ns)


def _now(result: Result, found: list[Episode], end_ns: int) -> Iterator[RenderableType]:
    lasting = still_open(result, found)
    if lasting:
        yield ""
        yield Text("Why nothing happens now", "bold yellow")
        for item in lasting:
            yield Text(open_words(item, end_ns))


def _pods(result: Result, found: list[Episode], pods: list[Key], end_ns: int) -> Iterator[RenderableType]:
    outages = [e for e in found if e.kind == "outage"]
    shown = outages or found
    for number, episode in enumerate(shown):
        if number:
            yield ""
        yield Text(sentence(episode, end_ns))
        yield ""
        yield Waterfall(episode, end_ns)
    if not outages:
        yield ""
        yield Text("It has not been away since." if len(pods) == 1 else "None has been away since.", "green")
    yield from _now(result, found, end_ns)
    if len(pods) == 1:
        names = _real_names(result)
        yield from _chain(result, "Pod", names.get(pods[0][1], pods[0][1]))


def _chain(result: Result, kind: str, name: str) -> Iterator[RenderableType]:
    log = result.log
    last = max((i for i, row in enumerate(log) if (row.kind, row.name) == (kind, name)), default=-1)
    if last >= 0:
        yield ""
        yield Text("What led to its present state, the latest first", "bold")
        for line in chain_lines(result, last):
            yield Text(line)


def _object(result: Result, kind: str, name: str) -> Iterator[RenderableType]:
    log, real = result.log, {alias: n for (_, n), alias in result.aliases.items()}
    name = real.get(name, name)
    rows = [i for i, row in enumerate(log) if row.name == name and row.kind not in _QUIET and kind in ("", row.kind)]
    if not rows:
        raise NoSuchObject(name, _known(result))
    shown_kind = log[rows[-1]].kind
    yield Text(f"The last of what happened to {shown_kind} {result.aliases.get((shown_kind, name), name)}", "bold")
    for i in rows[-SHOWN_ROWS:]:
        yield Text(f"{duration(log[i].t):>10}  {_link(result, log[i])}")
    yield from _chain(result, shown_kind, name)


def _known(result: Result) -> list[str]:
    kinds = ("Pod", "StatefulSet", "Deployment", "Node", "PersistentVolumeClaim")
    pairs = dict.fromkeys((row.kind, result.aliases.get((row.kind, row.name), row.name)) for row in result.log)
    return [f"{kind.lower()}/{name}" for kind in kinds for k, name in sorted(pairs) if k == kind]
