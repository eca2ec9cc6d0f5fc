"""What a command's FILE|DIR means: a scenario file, or a folder in which ``k8sim run -o`` has kept results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from k8sim.cli.failures import UsageProblem


class Source(NamedTuple):
    """The scenario's file, seed and replicates (None: the file's), and the folder of figures if there is one."""

    scenario: Path
    seed: int | None
    replicates: int | None
    kept: Path | None


def resolve(source: Path, seed: int | None, replicates: int | None) -> Source:
    """Find out what a file or a folder stands for; what the command line says goes before what the folder says.

    Raises
    ------
    UsageProblem
        A folder without results, or whose scenario has gone.
    """
    if not source.is_dir():
        return Source(source, seed, replicates, None)
    try:
        about = json.loads((source / "run.json").read_text("utf-8"))
        scenario = Path(about["scenario"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageProblem(
            f"{source} holds no results", "a folder that k8sim run -o has written has a file run.json"
        ) from None
    if not scenario.exists():
        raise UsageProblem(f"{scenario}, of which these are the results, is not there", "run k8sim in the same folder")
    figures = source / "replicates"
    kept = figures if seed is None and replicates is None and (figures / "batch.json").exists() else None
    return Source(scenario, about["seed"] if seed is None else seed, replicates or about.get("replicates"), kept)
