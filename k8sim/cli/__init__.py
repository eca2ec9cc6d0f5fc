"""The command line. `main` is the entry point of the ``k8sim`` program."""


def main() -> None:
    """Run the program."""
    from k8sim.cli.app import app

    app()
