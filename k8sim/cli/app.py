"""The program's commands. Each is a module of this package that imports the simulator only when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from k8sim.cli import calibrate, check, compare, explain, get, lint, rare, report, run, search, trace, validate, version
from k8sim.cli.failures import Commands

HELP = """Try a Kubernetes cluster's stateful workloads [bold]without a cluster[/bold].

A scenario file holds ordinary manifests, nodes, and a timeline of kubectl commands and faults; \
k8sim plays it through the rules of Kubernetes in simulated time, the same way every time for the same seed.
"""
EPILOG = """
[bold]Start here[/bold]

k8sim run scenarios/web-rolling-update.yaml

[dim]Exit codes: 0 fine, 1 an objective failed, 2 the input is wrong, 3 a bug in k8sim.[/dim]
"""

app = typer.Typer(
    name="k8sim",
    cls=Commands,
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(help=HELP)
def _program(
    show_version: Annotated[
        bool, typer.Option("--version", help="The same as k8sim version.", callback=version.when_asked, is_eager=True)
    ] = False,
) -> None:
    del show_version  # its callback has done everything


app.command(epilog=run.EPILOG, no_args_is_help=True)(run.run)
app.command(epilog=explain.EPILOG, no_args_is_help=True)(explain.explain)
app.command(epilog=rare.EPILOG, no_args_is_help=True)(rare.rare)
app.command(epilog=report.EPILOG, no_args_is_help=True)(report.report)
app.command(epilog=compare.EPILOG, no_args_is_help=True)(compare.compare)
app.command(epilog=calibrate.EPILOG, no_args_is_help=True)(calibrate.calibrate)
app.command(epilog=trace.EPILOG, no_args_is_help=True)(trace.trace)
app.command(epilog=get.EPILOG, no_args_is_help=True)(get.get)
app.command(epilog=validate.EPILOG, no_args_is_help=True)(validate.validate)
app.command(epilog=lint.EPILOG)(lint.lint)
app.command(epilog=check.EPILOG)(check.guarantees)
app.command(epilog=search.EPILOG, no_args_is_help=True)(search.search)
app.command()(version.version)
