"""One run as a command does it: with progress when it takes long, and with a replay command when it fails."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from k8sim.cli.failures import SHOWN_ROWS, Crash

if TYPE_CHECKING:
    from k8sim.cluster import Cluster
    from k8sim.result import Result
    from k8sim.scenario import Scenario

PATIENCE_S: Final = 2.0
"""How long a run may take before it shows its progress."""


def simulate(
    scenario: Scenario, seed: int | None = None, replicate: int = 0, *, keep_history: bool = True, label: str = ""
) -> Result:
    """Run one replicate.

    Raises
    ------
    Crash
        It failed, which is never the scenario's fault.
    """
    from k8sim.cluster import Cluster

    cluster = None
    try:
        cluster = Cluster(scenario, seed=seed, replicate=replicate, keep_history=keep_history)
        with _progress(cluster, label or scenario.name):
            return cluster.run()
    except Exception as bug:
        trace = cluster.sim.trace if cluster is not None else ()
        rows = [trace[i] for i in range(max(0, len(trace) - SHOWN_ROWS), len(trace))]
        raise Crash(replay_command(scenario, seed, replicate), rows) from bug


def replay_command(scenario: Scenario, seed: int | None, replicate: int) -> str:
    """Return the command that repeats a run."""
    number = scenario.seed if seed is None else seed
    repeat = f" --replicate {replicate}" if replicate else ""
    return f"k8sim trace {shlex.quote(scenario.path or scenario.name)} --seed {number}{repeat}"


@contextmanager
def _progress(cluster: Cluster, label: str) -> Iterator[None]:
    """Show how far the clock has come, once the run has taken `PATIENCE_S`; only to a person at a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(cluster, label, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(cluster: Cluster, label: str, done: threading.Event) -> None:
    if done.wait(PATIENCE_S):
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from k8sim.sim.units import SECOND

    total = cluster.scenario.duration_ns / SECOND
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} simulated seconds"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        while not done.wait(0.2):
            progress.update(task, completed=cluster.sim.clock.now / SECOND)
