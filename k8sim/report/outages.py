"""Outages and their phases, read from the trace in one pass.

An identity (a pod name) is away from the moment it can no longer work (its containers are lost with their node, its
process ends, it is deleted, its readiness is lost) until the API server sees it Ready again. This differs from
`k8sim.report.readiness`, which says what the API server believed: a node that loses power is noticed late.

Each row of the trace that concerns an identity may move it from one phase to the next; the rules are the methods of
`_Walk`, one for each kind of row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from k8sim.report.belongings import Belongings, Key
from k8sim.report.causes import root_words
from k8sim.report.phases import Episode, Phase
from k8sim.sim.units import SECOND, format_duration

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.sim.trace import Row

_PLACING: Final = ("unscheduled", "unschedulable")
_STORING: Final = ("held", "detaching", "attaching", "mounting")
_IMAGE_TROUBLE: Final = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


@dataclass
class _Open:
    """An episode that has not ended."""

    kind: Literal["start", "outage"]
    start_ns: int
    row: int
    phases: list[Phase] = field(default_factory=list)


@dataclass
class _Identity:
    """What the rows so far say about one pod name."""

    key: Key
    node: str = ""
    uid: str = ""
    ready: bool = False
    terminating: bool = False
    known: bool = False
    grace: int = 0
    running: set[str] = field(default_factory=set)
    open: _Open | None = None
    done: list[Episode] = field(default_factory=list)

    @property
    def phase(self) -> str:
        """Name of the phase it is in, "" if in none."""
        return self.open.phases[-1].name if self.open is not None and self.open.phases else ""

    @property
    def words(self) -> str:
        """What it waits for."""
        return self.open.phases[-1].text if self.open is not None and self.open.phases else ""


def episodes(result: Result) -> list[Episode]:
    """Return all starts and outages of a run, in the order of their beginning.

    The result must have its history (`k8sim.run` keeps it), which says what belongs to what.
    """
    return _Walk(result).all()


class _Walk:
    def __init__(self, result: Result) -> None:
        self._result = result
        self._has = Belongings(result)
        self._identities: dict[Key, _Identity] = {}
        self._nodes_away: set[str] = set()
        self._rules: dict[str, Callable[[int, Row], None]] = {
            "Pod": self._pod, "Container": self._container, "Event": self._event, "Scheduler": self._scheduler,
            "Eviction": self._eviction, "PersistentVolumeClaim": self._claim, "Volume": self._volume,
            "VolumeAttachment": self._attachment, "Node": self._node,
        }  # fmt: skip

    def all(self) -> list[Episode]:
        for i, row in enumerate(self._result.log):
            rule = self._rules.get(row.kind)
            if rule is not None:
                rule(i, row)
        end_ns = self._result.scenario.duration_ns
        found = []
        for identity in self._identities.values():
            if identity.open is not None:
                if identity.phase == "gone" and not self._has.is_wanted(identity.key, end_ns):
                    identity.open = None
                else:
                    self._close(identity, None)
            found += identity.done
        return sorted(found, key=lambda e: (e.start_ns, e.row))

    # ---- opening, moving on, closing ------------------------------------------------------------------------

    def _of(self, row: Row) -> _Identity:
        return self._identities.setdefault((row.namespace, row.name), _Identity((row.namespace, row.name)))

    def _begin(self, who: _Identity, kind: Literal["start", "outage"], i: int, t: int) -> None:
        if who.open is None:
            who.open = _Open(kind, t, i)

    def _enter(self, who: _Identity, i: int, t: int, name: str, text: str, until: str = "") -> None:
        """Move an open episode on; ``until`` says what ended the phase before."""
        if who.open is None:
            return
        phases = who.open.phases
        if phases and phases[-1].name == name and phases[-1].text == text:
            return
        if phases:
            last = phases.pop()
            if last.start_ns < t or until:
                phases.append(Phase(last.name, last.start_ns, t, last.text, until, last.row))
        phases.append(Phase(name, t, None, text, "", i))

    def _reword(self, who: _Identity, text: str) -> None:
        if who.open is not None and who.open.phases:
            last = who.open.phases[-1]
            who.open.phases[-1] = Phase(last.name, last.start_ns, last.end_ns, text, last.until, last.row)

    def _close(self, who: _Identity, t: int | None, *, replaced: bool = False) -> None:
        opened, who.open = who.open, None
        if opened is None:
            return
        phases = opened.phases
        if t is not None and phases:
            last = phases.pop()
            phases.append(Phase(last.name, last.start_ns, t, last.text, last.until, last.row))
        cause = root_words(self._result, opened.row) if opened.kind == "outage" else ""
        alias = self._result.aliases.get(("Pod", who.key[1]), who.key[1])
        who.done.append(
            Episode(opened.kind, who.key[0], alias, opened.start_ns, t, cause, tuple(phases), opened.row, replaced)
        )

    # ---- pods -----------------------------------------------------------------------------------------------

    def _pod(self, i: int, row: Row) -> None:
        who = self._of(row)
        rule: Callable[[_Identity, int, Row], None] | None = getattr(self, f"_pod_{row.event.lower()}", None)
        if rule is not None:
            rule(who, i, row)

    def _pod_created(self, who: _Identity, i: int, row: Row) -> None:
        who.node, who.ready, who.terminating = "", False, False
        who.running.clear()
        self._begin(who, "start", i, row.t)
        self._enter(who, i, row.t, "unscheduled", "for the scheduler to choose a node")

    def _pod_scheduled(self, who: _Identity, i: int, row: Row) -> None:
        who.node = row.detail["node"]
        if self._has.claims_of.get(who.key):
            self._enter(who, i, row.t, "attaching", f"for its volume to be attached to {who.node}")
        else:
            self._enter(who, i, row.t, "starting", f"for the kubelet of {who.node} to set it up")

    def _pod_unschedulable(self, who: _Identity, i: int, row: Row) -> None:
        if who.phase == "unscheduled":
            self._enter(who, i, row.t, "unschedulable", "no node fits")

    def _pod_waiting(self, who: _Identity, i: int, row: Row) -> None:
        container, reason = row.detail["container"], row.detail["reason"]
        if reason in _IMAGE_TROUBLE:
            self._enter(who, i, row.t, "pulling", f"the image of {container} cannot be had")
        elif reason == "CrashLoopBackOff":
            self._enter(who, i, row.t, "backoff", "back-off before its container is started again")
        else:
            self._enter(who, i, row.t, "starting", f"{container}: {reason}")

    def _pod_ready(self, who: _Identity, i: int, row: Row) -> None:
        if not who.terminating:
            who.ready = True
            self._close(who, row.t)

    def _pod_notready(self, who: _Identity, i: int, row: Row) -> None:
        who.ready = False
        if who.terminating:
            return
        self._begin(who, "outage", i, row.t)
        if who.node in self._nodes_away:
            self._enter(who, i, row.t, "tolerated", f"{who.node} known to be away, its pods not yet evicted")
        elif not who.phase:
            self._enter(who, i, row.t, "unready", "readiness probes fail")

    def _pod_phase(self, who: _Identity, i: int, row: Row) -> None:
        if who.terminating:
            return
        if row.detail["phase"] == "Succeeded":
            who.open = None
        elif row.detail["phase"] == "Failed":
            self._begin(who, "outage", i, row.t)
            self._enter(who, i, row.t, "failed", "the pod has failed for good")

    def _pod_terminating(self, who: _Identity, i: int, row: Row) -> None:
        grace = row.detail["grace"]
        if who.terminating:
            return
        who.terminating, who.ready = True, False
        self._begin(who, "outage", i, row.t)
        if who.node in self._nodes_away:
            text = f"terminating, waiting for the kubelet of {who.node}, which does not answer"
        else:
            text = f"terminating, with up to {grace} s to stop"
        self._enter(who, i, row.t, "terminating", text)

    def _pod_deleted(self, who: _Identity, i: int, row: Row) -> None:
        who.ready = who.terminating = False
        opened = who.open
        if opened is None:
            return
        if not self._has.comes_back(who.key):
            if opened.kind == "start" or opened.phases[0].name == "terminating":
                who.open = None  # a pod of another name takes its place, and has a start of its own
            else:
                self._close(who, row.t, replaced=True)
            return
        began, ended = root_words(self._result, opened.row), root_words(self._result, i)
        alone = who.key not in self._has.owner_of
        asked_for = alone and any(words.startswith("kubectl delete") for words in (began, ended))
        if asked_for or not self._has.is_wanted(who.key, row.t):
            who.open = None
        else:
            text = (
                "nobody makes it again, for it has no controller" if alone else "for its controller to make a new pod"
            )
            self._enter(who, i, row.t, "gone", text, ended if ended != began else "")

    # ---- containers -----------------------------------------------------------------------------------------

    def _container(self, i: int, row: Row) -> None:
        who, container = self._of(row), row.detail["container"]
        if container in self._has.init_containers.get(who.key, ()):
            self._init_container(who, i, row, container)
        elif row.event == "Started":
            who.running.add(container)
            if who.running >= set(self._has.containers.get(who.key, ())):
                self._enter(who, i, row.t, "readying", "for the readiness of its containers to be seen")
        elif row.event in ("Exited", "Lost"):
            who.running.discard(container)
            if who.terminating:
                return
            if who.ready:
                self._begin(who, "outage", i, row.t)
            if row.event == "Lost":
                self._enter(who, i, row.t, "unnoticed", f"for it to be noticed that {who.node} is away")
            elif who.phase != "failed":
                self._enter(who, i, row.t, "crashed", f"{container} ended with code {row.detail['code']}")

    def _init_container(self, who: _Identity, i: int, row: Row, container: str) -> None:
        if row.event == "Started":
            self._enter(who, i, row.t, "init", f"for init container {container}")
        elif row.event == "Exited" and row.detail.get("code") and not who.terminating:
            self._enter(who, i, row.t, "crashed", f"init container {container} ended with code {row.detail['code']}")

    def _event(self, i: int, row: Row) -> None:
        if not row.detail["object"].startswith("Pod/"):
            return
        who = self._identities.get((row.namespace, row.name))
        if who is None or who.terminating:
            return
        if row.event == "Pulling":
            if "cannot be had" not in who.words:
                self._enter(who, i, row.t, "pulling", "for its image to be pulled")
        elif row.event == "Pulled":
            if who.phase in ("pulling", "attaching", "mounting"):
                self._enter(who, i, row.t, "starting", "for its containers to start")
        elif row.event == "BackOff" and who.phase == "crashed":
            self._enter(who, i, row.t, "backoff", "back-off before its container is started again")
        elif row.event == "Killing" and who.phase == "unready":
            message = str(row.detail.get("message", "")).partition(",")[0]
            self._enter(who, i, row.t, "crashed", message[:1].lower() + message[1:])

    # ---- placing --------------------------------------------------------------------------------------------

    def _scheduler(self, i: int, row: Row) -> None:
        who = self._of(row)
        if who.phase in _PLACING or who.phase == "provisioning":
            self._enter(
                who, i, row.t, "unschedulable", str(row.detail["reason"]).partition(" preemption: ")[0].rstrip(".")
            )

    def _eviction(self, i: int, row: Row) -> None:
        who = self._of(row)
        until = row.detail.get("until")
        if who.phase == "tolerated" and until is not None:
            lasts = format_duration(round((until - row.t) / SECOND) * SECOND)
            self._reword(who, f"{who.node} known to be away, which its pod tolerates for {lasts}")

    def _node(self, i: int, row: Row) -> None:
        if row.event in ("Unknown", "NotReady", "Deleted"):
            self._nodes_away.add(row.name)
        elif row.event == "Ready":
            self._nodes_away.discard(row.name)
            for who in self._identities.values():
                if who.node == row.name and who.phase in ("tolerated", "unnoticed"):
                    if who.running:
                        self._enter(who, i, row.t, "readying", f"{row.name} is back; for its readiness to be seen")
                    else:
                        self._enter(who, i, row.t, "starting", f"{row.name} is back; for its containers to start")

    # ---- storage --------------------------------------------------------------------------------------------

    def _claim(self, i: int, row: Row) -> None:
        for key in self._has.users.get((row.namespace, row.name), ()):
            who = self._identities.get(key)
            if who is None:
                continue
            if row.event == "Selected" and who.phase in _PLACING:
                self._enter(who, i, row.t, "provisioning", f"for the volume of {row.name} to be made")
            elif row.event == "Bound" and who.phase == "provisioning":
                self._enter(who, i, row.t, "unscheduled", "for the scheduler to see the bound claim")

    def _volume(self, i: int, row: Row) -> None:
        node, words = row.detail.get("node", ""), self._has.volume_words(row.name)
        for key in self._has.users_of_volume(row.name):
            who = self._identities.get(key)
            if who is None or who.phase not in _STORING:
                continue
            if row.event == "Waiting" and row.detail["reason"] == "MultiAttachError" and node == who.node:
                held_by = row.detail.get("attached", "another node")
                self._enter(who, i, row.t, "held", f"the volume {words} is still attached to {held_by}")
            elif row.event == "Detaching" and node != who.node:
                forced = "the controller detached it by force" if row.detail.get("forced") else ""
                self._enter(who, i, row.t, "detaching", f"for the volume {words} to be detached from {node}", forced)
            elif row.event == "Detached" and node != who.node:
                self._enter(who, i, row.t, "attaching", f"for its volume to be attached to {who.node}")
            elif row.event == "Attached" and node == who.node:
                self._enter(who, i, row.t, "mounting", "for its volume to be mounted")
            elif row.event == "Mounted" and self._has.pod_of_uid.get(row.detail.get("pod", "")) == key:
                self._enter(who, i, row.t, "starting", "for the kubelet to set it up")

    def _attachment(self, i: int, row: Row) -> None:
        for key in self._has.users_of_volume(row.detail.get("volume", "")):
            who = self._identities.get(key)
            if who is None or who.phase not in ("held", "detaching"):
                continue
            if row.event == "Attaching" and row.detail["node"] == who.node:
                self._enter(who, i, row.t, "attaching", f"for its volume to be attached to {who.node}")
