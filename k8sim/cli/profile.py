"""``k8sim run --profile``: where the CPU time of one replicate goes, by room and by function."""

from __future__ import annotations

import cProfile
import pstats
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from k8sim.scenario import Scenario

SHOWN: Final = 20
_PACKAGE: Final = Path(__file__).parents[1]


def profile_run(scenario: Scenario, seed: int | None, folder: Path | None) -> None:
    """Run a replicate without and with the profiler and print where its time went.

    Parameters
    ----------
    folder
        Where profile.pstats is kept, for ``python -m pstats`` and its likes.
    """
    from k8sim.cli.simulate import simulate
    from k8sim.cli.terminal import console

    simulate(scenario, seed)  # what only a first run does (imports, caches) does not count
    start = time.process_time()
    result = simulate(scenario, seed)
    cpu_s = time.process_time() - start
    profiler = cProfile.Profile()
    profiler.enable()
    simulate(scenario, seed)
    profiler.disable()
    stats: Any = pstats.Stats(profiler)
    entries = [(_place(key), key, own, total, calls) for key, (_, calls, own, total, _) in stats.stats.items()]
    whole = sum(own for _, _, own, _, _ in entries)
    typer.echo(
        f"{scenario.name}: {cpu_s * 1000:.1f} ms of CPU, {len(result.log)} trace rows; the profiler itself takes"
    )
    typer.echo("time, so read shares rather than seconds.\n")
    rooms: dict[str, float] = {}
    for room, _, own, _, _ in entries:
        rooms[room] = rooms.get(room, 0.0) + own
    table = _table("room", "share of time")
    for room, own in sorted(rooms.items(), key=lambda item: -item[1])[:SHOWN]:
        table.add_row(room, f"{own / whole:.1%}")
    functions = _table("function", "own time", "with what it calls", "calls")
    for _, key, own, total, calls in sorted(entries, key=lambda entry: -entry[2])[:SHOWN]:
        functions.add_row(_name(key), f"{own / whole:.1%}", f"{total / whole:.1%}", f"{calls:,}")
    console().print(table, "", functions)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        profiler.dump_stats(folder / "profile.pstats")
        typer.echo(f"\nwritten to {folder}/profile.pstats")


def _place(key: tuple[str, int, str]) -> str:
    """The room of k8sim, or the package, that a function belongs to."""
    path = Path(key[0])
    if path.is_relative_to(_PACKAGE):
        parts = path.relative_to(_PACKAGE).parts
        return f"k8sim/{parts[0]}"
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    return "Python"


def _name(key: tuple[str, int, str]) -> str:
    file, line, function = key
    path = Path(file)
    if path.is_relative_to(_PACKAGE):
        return f"{path.relative_to(_PACKAGE.parent)}:{line} {function}"
    return function if file == "~" else f"{path.name}:{line} {function}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table
