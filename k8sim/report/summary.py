"""What one run came to, for people: workloads, rollouts, who was away and why, commands, what was not simulated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from k8sim.faults.catalogue import written
from k8sim.report.notsimulated import not_simulated_table
from k8sim.report.readiness import BARE, Identity, Workload, readiness
from k8sim.report.rollouts import Rollout, rollouts
from k8sim.report.storage import storage_lines
from k8sim.sim.units import MILLISECOND, SECOND, format_duration

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.scenario import Step

SHOWN_IDENTITIES: Final = 20
"""When a workload has more, only those with trouble are shown, the longest absences first."""


def summary(result: Result) -> RenderableType:
    """Return the summary of a run, to be printed on a rich console."""
    scenario = result.scenario
    end_ns = scenario.duration_ns
    workloads = readiness(result.history, end_ns)
    rolled = rollouts(result.history)
    parts: list[RenderableType] = [_title(result)]
    waiting = _waiting(result)
    for workload in workloads:
        if workload.kind != BARE or workload.identities:
            own = [r for r in rolled if (r.kind, r.namespace, r.name) == _key(workload)]
            parts += ["", *_workload(workload, own, waiting.get(_key(workload), ""), end_ns)]
    if lines := list(storage_lines(result)):
        parts += ["", Text("Storage", "bold"), *lines]
    if scenario.timeline or refused(result):
        parts += ["", _commands(result)]
    if scenario.not_simulated:
        parts += ["", not_simulated_table(scenario.not_simulated)]
    return Group(*parts)


def _title(result: Result) -> Text:
    scenario = result.scenario
    replicate = f", replicate {result.replicate}" if result.replicate else ""
    text = Text.assemble(
        (scenario.name, "bold"), f"  {format_duration(scenario.duration_ns)} simulated, seed {result.seed}{replicate}"
    )
    if scenario.description:
        text.append(f"\n{' '.join(scenario.description.split())}", "italic")
    return text


def _key(workload: Workload) -> tuple[str, str, str]:
    return workload.kind, workload.namespace, workload.name


def _waiting(result: Result) -> dict[tuple[str, str, str], str]:
    """Return what each controller said last about why it does nothing, by workload."""
    return {
        (str(row.detail.get("controller")), row.namespace, row.name): str(row.detail.get("reason", ""))
        for row in result.log
        if row.kind == "Controller" and row.event == "Waiting"
    }


# ---- workloads --------------------------------------------------------------------------------------------------


def _workload(workload: Workload, rolled: list[Rollout], waiting: str, end_ns: int) -> Iterator[RenderableType]:
    yield _headline(workload)
    for rollout in rolled:
        yield _rollout(rollout, end_ns)
    stuck = workload.ready < workload.desired or (rolled and rolled[-1].end_ns is None)
    if waiting and stuck and not workload.deleted:
        yield Text.assemble("  its controller is ", (waiting, "yellow"))
    if workload.kind in ("StatefulSet", BARE):
        if workload.identities:
            yield Padding(_identities(workload, end_ns), (0, 0, 0, 2))
    elif workload.identities:
        unfinished = Counter(i.state for i in workload.identities.values() if i.state not in ("Ready", "gone"))
        problems = "".join(f"; {count} {state}" for state, count in unfinished.items())
        made = f"{_times(workload.made, 'pod')} made, {_times(workload.restarts, 'container restart')}"
        yield Text(f"  {made}{problems}")


def _headline(workload: Workload) -> Text:
    if workload.kind == BARE:
        return Text.assemble(("Pods without a controller", "bold"), f" in namespace {workload.namespace}")
    place = "" if workload.namespace == "default" else f" in namespace {workload.namespace}"
    kind = "Static pods of" if workload.kind == "Node" else workload.kind
    text = Text.assemble((f"{kind} {workload.name}", "bold"), place, ": ")
    if not workload.sized:
        return text.append(f"{_times(workload.ready, 'pod')} Ready at the end")
    if workload.deleted:
        text.append("deleted")
    else:
        style = "green" if workload.ready >= workload.desired else "red"
        text.append(f"{workload.ready} of {workload.desired} pods Ready at the end", style)
    if workload.complete_ns is None:
        text.append("\n  never complete", "" if workload.deleted else "red")
    else:
        text.append(f"\n  complete after {duration(workload.complete_ns)}")
    if workload.short_ns:
        text.append(
            f"; later short of pods for {duration(workload.short_ns)}, at worst {workload.worst} Ready", "yellow"
        )
    return text


def _rollout(rollout: Rollout, end_ns: int) -> Text:
    text = Text(f"  rollout at {duration(rollout.start_ns)} ({rollout.what}): ")
    took = duration((end_ns if rollout.end_ns is None else rollout.end_ns) - rollout.start_ns)
    if rollout.superseded:
        text.append(f"overtaken by another after {took}", "yellow")
    elif rollout.end_ns is None:
        text.append(f"not finished, {took} until the end", "red")
    else:
        text.append(f"finished in {took}", "green")
    return text


def _identities(workload: Workload, end_ns: int) -> RenderableType:
    identities = sorted(workload.identities.values(), key=lambda i: _ordinal(i.name))
    if len(identities) > SHOWN_IDENTITIES:
        identities = [i for i in identities if i.absences or i.restarts or i.state not in ("Ready", "gone")]
        identities.sort(key=lambda i: _away(i, end_ns)[0], reverse=True)
    calm = len(workload.identities) - len(identities)
    if not identities:
        return Text(f"{calm} pods without trouble")
    table = _table("pod", "made", "restarts", "first Ready", "away", "longest", "why", "at the end")
    for column in table.columns[1:6]:
        column.justify = "right"
    for identity in identities[:SHOWN_IDENTITIES]:
        total, longest = _away(identity, end_ns)
        first = identity.first_ready_ns
        table.add_row(
            identity.name, str(identity.made), str(identity.restarts),
            "never" if first is None else duration(first),
            duration(total) if total else "-", duration(longest) if longest else "-", _why(identity),
            Text(identity.state, "" if identity.state in ("Ready", "gone") else "red"),
        )  # fmt: skip
    hidden = len(identities) - SHOWN_IDENTITIES
    if hidden > 0:
        table.add_row(f"… {hidden} more", style="dim")
    if calm:
        table.add_row(f"… {calm} without trouble", style="dim")
    return table


def _ordinal(name: str) -> tuple[bool, int]:
    """Sort the pods of a StatefulSet by ordinal; others stay in the order of their appearance."""
    _, _, ordinal = name.rpartition("-")
    return (True, int(ordinal)) if ordinal.isdigit() else (False, 0)


def _away(identity: Identity, end_ns: int) -> tuple[int, int]:
    lengths = [a.length_ns(end_ns) for a in identity.absences]
    return sum(lengths), max(lengths, default=0)


def _why(identity: Identity) -> str:
    counts = Counter(a.why for a in identity.absences)
    return ", ".join(why if n == 1 else f"{why} ({n} times)" for why, n in counts.items())


# ---- commands ---------------------------------------------------------------------------------------------------


def refused(result: Result) -> list[tuple[int, str]]:
    """Return (time in ns, what the server said) of manifests that were refused at t = 0."""
    return [
        (row.t, str(row.detail.get("out", "")))
        for row in result.log
        if row.kind == "Command" and row.detail.get("step") == -1
    ]


def _commands(result: Result) -> Table:
    done = {row.detail["step"]: row for row in result.log if row.kind == "Command" and row.event == "Done"}
    table = _table("at", "step", "exit", "took", "said")
    for column in (table.columns[0], table.columns[2], table.columns[3]):
        column.justify = "right"
    for t, said in refused(result):
        table.add_row(duration(t), "apply (a manifest)", Text("1", "red"), "", Text(first_line(said)))
    for index, step in enumerate(result.scenario.timeline):
        row = done.get(index)
        what = Text(step_text(step), overflow="fold")
        if row is None:
            table.add_row(duration(step.at_ns), what, Text("…", "yellow"), "", "still running at the end")
        else:
            code = row.detail.get("code", 0)
            took = duration(row.t - step.at_ns) if step.action != "fault" else ""
            said = first_line(str(row.detail.get("out", "")))
            table.add_row(duration(step.at_ns), what, Text(str(code), "red" if code else "green"), took, Text(said))
    return table


def step_text(step: Step) -> str:
    """Return a timeline step as a person would say it."""
    if step.action == "kubectl":
        return f"kubectl {step.command}"
    if step.action == "apply":
        return "apply " + ", ".join(f"{o.get('kind')} {(o.get('metadata') or {}).get('name')}" for o in step.objects)
    if step.action == "evict":
        return f"evict {step.pod}"
    return " ".join([step.name, *(f"{key}={value}" for key, value in written(step.name, step.arguments).items())])


def first_line(text: str) -> str:
    """Return the first line of an output, with a mark if there was more."""
    head, _, rest = text.strip().partition("\n")
    return f"{head} …" if rest else head


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _times(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def duration(ns: int) -> str:
    """Return a duration, rounded for reading: milliseconds below a second, tenths below ten minutes."""
    if ns < SECOND:
        return format_duration(round(ns / MILLISECOND) * MILLISECOND)
    unit = SECOND // 10 if ns < 600 * SECOND else SECOND
    return format_duration(round(ns / unit) * unit)
