"""Objects as kubectl get prints them: pure functions of the objects and the time.

Source: pkg/printers/internalversion/printers.go (columns and cells), cli-runtime/pkg/printers (layout).
"""

from k8sim.kubectl.printers.events import events_table
from k8sim.kubectl.printers.output import print_objects
from k8sim.kubectl.printers.pods import pod_status
from k8sim.kubectl.printers.text import human_duration

__all__ = ["events_table", "human_duration", "pod_status", "print_objects"]
