"""All guarantees."""

from __future__ import annotations

from typing import Final

from k8sim.guarantees import (
    applications,
    budgets,
    controllers,
    pods,
    probes,
    services,
    settlement,
    statefulsets,
    storage,
    termination,
)
from k8sim.guarantees.guarantee import Checker, Guarantee

CHECKERS: Final[tuple[type[Checker], ...]] = (
    *statefulsets.CHECKERS,
    *storage.CHECKERS,
    *pods.CHECKERS,
    *termination.CHECKERS,
    *probes.CHECKERS,
    *budgets.CHECKERS,
    *services.CHECKERS,
    *controllers.CHECKERS,
    *settlement.CHECKERS,
    *applications.CHECKERS,
)
GUARANTEES: Final[dict[str, Guarantee]] = {checker.about.name: checker.about for checker in CHECKERS}
