"""What the users of an application hope for; Kubernetes promises none of it."""

from __future__ import annotations

from k8sim.guarantees.guarantee import Checker, Guarantee
from k8sim.sim.trace import Row


class WritesKept(Checker):
    about = Guarantee(
        name="acknowledged-writes-kept",
        promise="No write that was acknowledged to a client is lost.",
        checks="losses that the model of a replicated application reports",
        does_not_check="applications that the scenario does not describe",
        source="a wish: what an application makes of its volumes is its own affair",
        kind="wish",
    )
    rows = ("Application",)

    def row(self, row: Row, number: int) -> None:
        self.exercised += 1
        if row.event == "Lost":
            cause = row.detail.get("cause", "")
            self.violated(row.name, f"lost acknowledged writes ({cause})", number, cause)


CHECKERS: tuple[type[Checker], ...] = (WritesKept,)
