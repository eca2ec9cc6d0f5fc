"""``k8sim version``."""

import platform

import typer

import k8sim


def version() -> None:
    """Print the versions of k8sim, of the Kubernetes it follows, and of Python."""
    typer.echo(
        f"k8sim {k8sim.__version__} (the rules of Kubernetes {k8sim.KUBERNETES_VERSION}; "
        f"Python {platform.python_version()})"
    )


def when_asked(value: bool) -> None:
    """Print the versions and end, if the option was given."""
    if value:
        version()
        raise typer.Exit
