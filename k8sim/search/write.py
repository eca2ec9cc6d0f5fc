"""A counterexample as a scenario file that replays, and the chain of causes that explains it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from k8sim.faults.catalogue import written
from k8sim.scenario.model import Scenario, Step
from k8sim.search.search import Counterexample
from k8sim.search.space import MISSING_TAG, UNREADY_TAG
from k8sim.sim.units import SECOND, format_duration

BROKEN: Final = {f"*:{MISSING_TAG}": {"missing": True}, f"*:{UNREADY_TAG}": {"ready": "never"}}
_DROPPED: Final = ("include", "replicates", "failures", "sweep")


def scenario_file(example: Counterexample, original: str) -> str:
    """Return the text of a scenario file.

    Parameters
    ----------
    original
        The text of the file that was searched: its settings are kept, its manifests written out.
    """
    documents = [d for d in yaml.safe_load_all(original) if isinstance(d, dict)]
    head = next(d for d in documents if d.get("kind") == "Scenario")
    scenario, finding = example.scenario, example.finding
    spec = {k: v for k, v in (head.get("spec") or {}).items() if k not in _DROPPED}
    name = f"{scenario.name}-{example.signature.guarantee}".replace(" ", "-")[:60]
    spec["description"] = f"{finding.guarantee.name}: {finding.subject}: {finding.problem}"
    spec["duration"] = format_duration(scenario.duration_ns)
    spec["seed"] = scenario.seed
    used = {p: b for p, b in BROKEN.items() if any(image.pattern == p for image in scenario.images)}
    if used:
        spec["images"] = {**used, **(spec.get("images") or {})}
    spec["timeline"] = [_step(s) for s in scenario.timeline]
    _keep_what_is_left(spec, scenario)
    top = {"apiVersion": head["apiVersion"], "kind": "Scenario", "metadata": {"name": name}, "spec": spec}
    parts = [top, *(dict(m) for m in scenario.manifests)]
    return "---\n".join(yaml.safe_dump(_plain(p), sort_keys=False, width=120) for p in parts)


def _keep_what_is_left(spec: dict[str, Any], scenario: Scenario) -> None:
    """Take from the scenario's settings the nodes and applications that shrinking has found to be needless."""
    counts = {group.name: group.count for group in scenario.nodes}
    if "nodes" in spec:
        spec["nodes"] = [{**group, "count": counts.get(group["name"], 1)} for group in spec["nodes"]]
    left = {application.name for application in scenario.applications}
    if "applications" in spec:
        spec["applications"] = [a for a in spec["applications"] if a["name"] in left]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _step(step: Step) -> dict[str, Any]:
    at = {"at": format_duration(step.at_ns)}
    if step.action == "kubectl":
        return {**at, "kubectl": step.command}
    if step.action == "evict":
        return {**at, "evict": step.pod}
    if step.action == "apply":
        return {**at, "apply": list(step.objects)}
    return {**at, "fault": step.name, **written(step.name, step.arguments)}


def timeline_lines(scenario: Scenario) -> list[str]:
    """Return a timeline for people, one line a step."""
    lines = []
    for step in scenario.timeline:
        written = _step(step)
        at = written.pop("at")
        lines.append(f"at {at}: " + ", ".join(f"{k} {v}" for k, v in written.items()))
    return lines


def why(example: Counterexample) -> Iterator[str]:
    """Yield the chain of causes of a finding, the first cause first, and what its subject waits for at the end."""
    log, finding = example.result.log, example.finding
    chain = log.chain(finding.row) if finding.row >= 0 else []
    for row in reversed(chain):
        yield f"{row.t / SECOND:10.3f}s  {row.kind} {row.name}: {row.event} {_brief(row.detail)}".rstrip()
    yield f"{finding.t_ns / SECOND:10.3f}s  {finding.subject}: {finding.problem}"
    reason = finding.guarantee.not_kept_under.get(finding.excuse)
    if reason:
        yield f"             because {reason}"
    waiting = {}
    for row in log:
        if row.event == "Waiting" and row.kind in ("Controller", "Scheduler", "Volume", "Eviction"):
            waiting[row.kind, row.name] = row
    for row in waiting.values():
        gone = row.kind == "Scheduler" and not _still_pending(example, row.name)
        if not gone:
            reason = row.detail.get("reason", "")
            yield f"             last word of {row.kind} on {row.name} ({row.t / SECOND:.1f}s): {reason}"


def _still_pending(example: Counterexample, pod: str) -> bool:
    pods = example.result.objects(kind="Pod")
    return any(p.name == pod and not getattr(p, "spec").node_name for p in pods)  # noqa: B009


def _brief(detail: Any) -> str:
    shown = {k: v for k, v in detail.items() if k in ("what", "inc", "node", "reason", "phase", "grace", "code", "out")}
    return " ".join(f"{k}={v}" for k, v in shown.items())


def write(example: Counterexample, original: str, folder: Path) -> Path:
    """Write a counterexample into a folder; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    words = "-".join(x for x in example.signature if x).replace(" ", "-").replace("'", "")
    path = folder / f"{example.scenario.name}-{''.join(c for c in words if c.isalnum() or c in '-_.')[:60]}.yaml"
    path.write_text(scenario_file(example, original))
    return path
