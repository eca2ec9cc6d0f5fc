"""What Kubernetes promises, checked on a run.

`GUARANTEES` lists them; `check` looks at a finished run, `follow` at one that goes on.
"""

from k8sim.guarantees.audit import PATIENCE, Audit, check, follow
from k8sim.guarantees.catalogue import CHECKERS, GUARANTEES
from k8sim.guarantees.circumstances import CIRCUMSTANCES
from k8sim.guarantees.guarantee import Checker, Finding, Guarantee
from k8sim.guarantees.world import World

__all__ = [
    "CHECKERS", "CIRCUMSTANCES", "GUARANTEES", "PATIENCE", "Audit", "Checker", "Finding", "Guarantee", "World", "check",
    "follow",
]  # fmt: skip
