"""Where output goes: colour only on a terminal that wants it, lines cut only where a person would see them wrap."""

from __future__ import annotations

import os
import shutil
import sys

import typer

from k8sim.report.eventlog import Paint


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
