"""Who belongs to an application: members that are added when they start, and removed by a hook before they stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sim.workload.group import Group

if TYPE_CHECKING:
    from k8sim.workload.application import Application, Running


class Members:
    """The membership of one application.

    A member that was removed keeps its data unless the hook lived long enough to clean up: that is the trap of a hook
    that the grace period cuts off.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._spec = application.spec.membership
        self._removed: dict[str, None] = {}
        self._clock = application.sim.clock

    def takes_part(self, group: Group, member: str) -> bool:
        """Tell whether a member has a copy of a group: as a voter, or because new ones get one."""
        return member in group.voters or (self._spec.join == "start" and group.shard is None)

    def may_start(self, running: Running, row: int) -> bool:
        """Tell whether a process can start at all: not with the data of a member that has been removed."""
        member, groups = running.process.member, self._application.groups
        if member not in self._removed:
            return True
        has_data = any(group.on_disk(running.process.place).offset > 0 for group in groups)
        if has_data and self._spec.removed == "crash":
            groups[0].note_member(member, "Refused", row, reason="it has the data of a member that was removed")
            return False
        if has_data:
            self._application.wipe(running, row)
        del self._removed[member]
        return True

    def admit(self, group: Group) -> None:
        """Make new members voters as soon as they are in sync."""
        if self._spec.join == "start":
            new = [n for n, r in group.replicas.items() if n not in group.voters and r.state in ("in-sync", "leader")]
            for name in new:
                group.note_member(name, "Added", -1, voters=len(group.voters) + 1)
            if new:
                group.set_voters([*group.voters, *new], -1)

    def leaves(self, running: Running, row: int) -> None:
        """Note that a member's preStop hook has begun."""
        if self._spec.leave == "preStop":
            self._clock.call_after(self._spec.leave_after_ns, self._leave, running, row)

    def _leave(self, running: Running, row: int) -> None:
        application, member = self._application, running.process.member
        if not application.is_running(running):
            return
        for group in application.groups:
            if member in group.voters and len(group.voters) > 1:
                row = group.note_member(member, "Removed", row, voters=len(group.voters) - 1)
                group.down(running.process, "clean", row)
                group.set_voters([v for v in group.voters if v != member], row)
                self._removed[member] = None
        self._clock.call_after(self._spec.clean_after_ns, self._clean, running, row)

    def _clean(self, running: Running, row: int) -> None:
        if self._application.is_running(running) and running.process.member in self._removed:
            self._application.wipe(running, row)
            del self._removed[running.process.member]
