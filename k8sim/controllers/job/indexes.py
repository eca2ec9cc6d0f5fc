"""Completion indexes of Indexed jobs (pkg/controller/job/indexed_job_utils.go)."""

from __future__ import annotations

from collections.abc import Iterable

from k8sim.api.core import Pod

INDEX = "batch.kubernetes.io/job-completion-index"


def parse_indexes(text: str) -> set[int]:
    """Return the indexes of "0-2,5"."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    """Write indexes as "0-2,5"."""
    runs: list[list[int]] = []
    for i in sorted(indexes):
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return ",".join(str(a) if a == b else f"{a},{b}" if b == a + 1 else f"{a}-{b}" for a, b in runs)


def index_of(pod: Pod) -> int | None:
    """Return the completion index of a pod, None if it has none."""
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isdigit() else None
