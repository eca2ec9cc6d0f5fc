"""What goes wrong, by whose fault, and the exit code that says so.

0: fine. 1: an objective of the scenario failed. 2: the input is wrong. 3: our bug. 130: interrupted.
"""

from __future__ import annotations

import shlex
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8sim.scenario.errors import ScenarioError
    from k8sim.sim.trace import Row

FAILED: Final = 1
BAD_INPUT: Final = 2
OUR_BUG: Final = 3
INTERRUPTED: Final = 130
SHOWN_ROWS: Final = 12


class UsageProblem(Exception):
    """Something about the command line that only shows while it is carried out (a folder without scenarios)."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class Crash(Exception):
    """A run that failed by our fault.

    Parameters
    ----------
    replay
        The command that fails again in the same way.
    rows
        The last rows of the trace.
    """

    def __init__(self, replay: str, rows: Sequence[Row]) -> None:
        super().__init__(replay)
        self.replay = replay
        self.rows = rows


class Commands(TyperGroup):
    """The group of all commands; turns exceptions into one message on stderr and an exit code."""

    def invoke(self, ctx: Any) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except UsageProblem as problem:
            say_error(problem.problem, problem.hint)
            raise typer.Exit(BAD_INPUT) from None
        except Crash as crash:
            say_crash(crash)
            raise typer.Exit(OUR_BUG) from None
        except KeyboardInterrupt:
            typer.secho("interrupted; nothing was left half-written", err=True, fg="yellow")
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as problem:
            if hasattr(problem, "format_message"):  # the parser's: a usage error
                raise
            raise typer.Exit(_say(problem)) from None


def _say(problem: Exception) -> int:
    """Print a mistake of the user's or of ours; return the exit code."""
    from k8sim.scenario.errors import ScenarioError  # not before: reading scenarios is slow to import

    if isinstance(problem, ScenarioError):
        say_scenario_error(problem)
        return BAD_INPUT
    crash = Crash(shlex.join(["k8sim", *sys.argv[1:]]), ())
    crash.__cause__ = problem
    say_crash(crash)
    return OUR_BUG


def say_error(problem: str, hint: str | None = None) -> None:
    """Print one message to stderr."""
    typer.secho("error: ", err=True, fg="red", bold=True, nl=False)
    typer.echo(problem, err=True)
    if hint:
        typer.secho("  hint: ", err=True, fg="cyan", nl=False)
        typer.echo(hint, err=True)


def say_scenario_error(error: ScenarioError) -> None:
    """Print where, what, and what would be right."""
    where = error.file if error.line is None else f"{error.file}:{error.line}"
    say_error(f"{where}: {error.problem}", error.hint)


def say_crash(crash: Crash) -> None:
    """Print what happened last, what failed, and how to see it again."""
    from k8sim.report.eventlog import plain_row

    if crash.rows:
        typer.echo("The last rows of the trace:", err=True)
        for row in crash.rows:
            typer.echo(f"  {plain_row(row)}", err=True)
    cause = crash.__cause__
    if cause is not None:
        typer.echo("".join(traceback.format_exception(cause)).rstrip(), err=True)
    say_error(
        f"this is a bug in k8sim ({type(cause).__name__}: {cause})",
        f"please report it with the scenario and this command, which shows it again:\n    {crash.replay}",
    )
