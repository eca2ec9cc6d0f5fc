"""``python -m k8sim``: the command line without its entry point."""

from k8sim.cli import main

main()
