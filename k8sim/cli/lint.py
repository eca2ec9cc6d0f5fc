"""``k8sim lint``: what experience says is wrong with a workload, and what the simulator sees come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from k8sim.cli.failures import FAILED, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k8sim.lint import Report, Rule

EPILOG = """
[bold]Examples[/bold]

k8sim lint deploy/

[dim]# the database replays its log for up to ten minutes, and needs 45 s for its last checkpoint[/dim]
k8sim lint db.yaml --startup 10m --shutdown 45s

[dim]# two rules only; annotations in a pull request[/dim]
k8sim lint deploy/ --rule grace-too-short --rule no-budget --format github

[dim]# what is looked for, and how it is tried (also docs/lint.md)[/dim]
k8sim lint --list

[dim]Exit codes: 0 nothing found, 1 findings, 2 the input is wrong. Rules leave alone what has the annotation
k8sim.dev/lint-ignore: RULE,RULE.[/dim]
"""
FOUND: Final = FAILED
FORMATS: Final = ("text", "json", "sarif", "github")


def _duration(option: str, value: str | None) -> int | None:
    from k8sim.sim.units import parse_duration

    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as problem:
        raise UsageProblem(f"{option}: {problem}", f"{option} 120s") from None


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE", show_default=False, help="Kubernetes manifests, scenario files, folders or patterns."
    ),
]
OnlyRule = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="NAME", show_default=False, help="Only this rule. May be given again."),
]
Startup = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", show_default=False,
        help="How long a start may take until the software answers, with recovery [dim](default: what the "
        "scenario's images say, else 2m with claims, 15s without)[/dim].",
    ),
]  # fmt: skip
Shutdown = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", show_default=False,
        help="How long a process may take from SIGTERM to its end [dim](default: as images say, else 10s)[/dim].",
    ),
]  # fmt: skip
Slow = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", show_default=False, help="How long an answer may take under load [dim](default: 3s)[/dim]."
    ),
]  # fmt: skip
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="text, json, sarif, or github.")]
ListRules = Annotated[bool, typer.Option("--list", help="List the rules and end.")]


def lint(
    files: Files = None,
    rule: OnlyRule = None,
    startup: Startup = None,
    shutdown: Shutdown = None,
    slow: Slow = None,
    output_format: Format = "text",
    list_rules: ListRules = False,
) -> None:
    """Look for [bold]what experience says is wrong[/bold] with probes, grace, hooks and budgets.

    Each suspicion is tried: the simulator does to the workload what its rule is about (a slow start, a drain, a dead
    node), with the manifests as they are and as the rule would correct them. Only what did harm, and less with the
    correction, is reported: where it stands, what came of it, the fix, and what came of it then. Manifests in several
    files belong together; a scenario file stands by itself.
    """
    from k8sim.cli.files import manifest_files
    from k8sim.lint import RULES, Assumptions
    from k8sim.lint import lint as try_file
    from k8sim.scenario.loader import load_with_manifests

    if list_rules:
        from k8sim.lint.formats import rules_text

        typer.echo(rules_text(), nl=False)
        return
    if not files:
        raise UsageProblem("no file", "name a manifest, a scenario or a folder of them; k8sim lint --help")
    if output_format not in FORMATS:
        raise UsageProblem(f"there is no format {output_format!r}", f"known formats: {', '.join(FORMATS)}")
    rules = _rules(RULES, rule)
    assumed = Assumptions(_duration("--startup", startup), _duration("--shutdown", shutdown), _duration("--slow", slow))
    reports = [try_file(file, assumed, rules) for file in load_with_manifests(manifest_files(files))]
    _print(output_format, reports)
    if any(report.findings for report in reports):
        raise typer.Exit(FOUND)


def _rules(known: Sequence[Rule], names: list[str] | None) -> Sequence[Rule]:
    if not names:
        return known
    by_name = {rule.name: rule for rule in known}
    for name in names:
        if name not in by_name:
            from k8sim.scenario.part import did_you_mean

            raise UsageProblem(f"there is no rule {name!r}", did_you_mean(name, by_name, "rules"))
    return [rule for rule in known if rule.name in names]


def _print(output_format: str, reports: Sequence[Report]) -> None:
    from k8sim.cli.terminal import painter
    from k8sim.lint import formats

    if output_format == "text":
        typer.echo(formats.as_text(reports, painter()), nl=False)
    else:
        typer.echo(formats.FORMATS[output_format](reports), nl=False)
