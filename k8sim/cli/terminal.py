"""Where output goes: colour only on a terminal that wants it, lines cut only where a person would see them wrap."""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from k8sim.report.eventlog import Paint

PLAIN_WIDTH: Final = 140
"""Of tables that do not go to a terminal."""


def wants_colour() -> bool:
    """Tell whether stdout gets colours (NO_COLOR and FORCE_COLOR are honoured; see no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def painter() -> Paint:
    """Return what adds colour to a piece of text, or leaves it as it is."""
    if not wants_colour():
        return lambda text, style: text
    return lambda text, style: typer.style(text, dim=True) if style == "dim" else typer.style(text, fg=style)


def line_width() -> int | None:
    """Return the terminal's width; None when stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def console() -> Console:
    """Return a console on stdout; wide when nobody's window limits it."""
    from rich.console import Console

    fixed = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(width=fixed, highlight=False, no_color=not wants_colour())


def as_text(view: RenderableType) -> str:
    """Return what would be printed, as plain text."""
    from rich.console import Console

    target = Console(file=io.StringIO(), width=PLAIN_WIDTH, highlight=False, no_color=True)
    with target.capture() as capture:
        target.print(view)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
