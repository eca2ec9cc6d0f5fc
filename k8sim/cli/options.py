"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Final

import typer

MAX_SEED: Final = 2**63 - 1


def _seed(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= MAX_SEED:
        raise typer.BadParameter(f"{value} is not between 0 and {MAX_SEED}")
    return value


Seed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        callback=_seed,
        show_default=False,
        help="Address of all chance [dim](default: the file's seed)[/dim].",
    ),
]
Replicate = Annotated[
    int, typer.Option(metavar="N", min=0, show_default=False, help="Which repetition under that seed.")
]
