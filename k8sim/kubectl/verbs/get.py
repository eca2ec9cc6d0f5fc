"""kubectl get (kubectl/pkg/cmd/get/get.go)."""

from __future__ import annotations

from k8sim.kubectl.command import Command
from k8sim.kubectl.grammar import GetOptions
from k8sim.kubectl.printers.output import print_objects
from k8sim.kubectl.process import Process, Steps, class_of


def get(process: Process, command: Command) -> Steps[None]:
    """Run kubectl get."""
    options: GetOptions = command.options
    objects = yield from process.find(command, options.ignore_not_found)
    if not objects:
        if not process.code and not options.ignore_not_found and options.output in ("", "wide"):
            process.warn(_nothing(process, command))
        return
    lines = print_objects(
        objects,
        process.clock.now,
        options.output,
        namespaces=options.all_namespaces,
        labels=options.show_labels,
        headings=not options.no_headers,
    )
    for line in lines:
        process.say(line)


def _nothing(process: Process, command: Command) -> str:
    namespaced = [class_of(kind).namespaced for kind in command.kinds]
    if command.options.all_namespaces or not any(namespaced):
        return "No resources found"
    return f"No resources found in {command.options.namespace or process.namespace} namespace."
