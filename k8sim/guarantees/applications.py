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


class OneLeader(Checker):
    about = Guarantee(
        name="one-leader",
        promise="One process at a time has an identity, and one of them leads.",
        checks="times in which the model of a replicated application has two processes of one member, or a leader that "
        "was cut off beside the one that was elected",
        does_not_check="applications that the scenario does not describe; whether the second one wrote anything",
        source="a wish: StatefulSets promise one pod of a name at most, but nobody can stop a process out of reach "
        "(kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod)",
        kind="wish",
    )
    rows = ("Application", "Member")

    def row(self, row: Row, number: int) -> None:
        self.exercised += row.event == "Leader"
        if row.event == "TwoLeaders":
            self.violated(row.name, "has two leaders, of whom one is cut off", number, "split brain")
        elif row.event == "TwoProcesses":
            self.violated(row.name, "has two processes", number, "two processes")


CHECKERS: tuple[type[Checker], ...] = (WritesKept, OneLeader)
