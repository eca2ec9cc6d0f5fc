"""Replicated data in a scenario (``applications:``).

applications:
  - name: etcd                   # its name in the trace and in metrics
    statefulSet: etcd            # whose pods are the members; or deployment: (one member, whatever its pod's name)
    preset: raft                 # a behaviour; everything below can be set beside it
    members: 3                   # voters at the beginning (default: the set's replicas)
    writes: 200/s                # what clients want to write
    start: 30s                   # when they begin
    volume: data                 # which volume has the data (default: the first claim, else emptyDir, else none)
    container: etcd              # which container is the member (default: the first)
    shards: 12                   # independent parts of the data ("members": one each)
    copies: 3                    # on how many members each part is
    ready: in-sync               # what readiness says: process, joined, in-sync, leader, serving
    # how it works
    acks: majority               # copies that have a write before it is acknowledged: a number, majority, all
    minInSync: 2                 # acks: all needs so many
    election: majority           # who may lead: majority, in-sync, any
    electionDelay: {uniform: [1s, 2s]}
    handover: 100ms              # the same after a clean stop
    keepsRole: true              # a leader that is back before another is elected goes on
    emptyVotes: false            # members that lost their data vote
    unclean: 5m                  # who was not in sync may lead after so long without a better one
    isolated: steps-down         # what a leader does that is cut off while another is elected, or goes-on
    detect: 9s                   # how long acks: all waits for one that died
    lag: 100ms                   # of copies that are not waited for
    flush: 1s                    # buffer to kernel; 0s: before every acknowledgement
    sync: 5s                     # kernel to disk
    writeSize: 1Ki
    dataset: 10Gi                # size of a full copy
    bandwidth: 100Mi             # per s, of a copy that catches up
    copyTime: 10m                # of a full copy, instead of dataset / bandwidth
    parallelCopies: 1
    retained: 5000               # writes that are kept for who was away; more: a full copy
    rewind: true                 # a copy that diverged is cut back instead of copied in full
    reads: any                   # any copy in sync, or leader
tornRestores: 0.1            # of volumes from snapshots taken under a process that wrote, without a journal
    # how it starts, grows, is saved
    startup: {peers: majority, environment: [DB_SERVICE_HOST], retry: 1s, giveUp: 30s}
    membership: {join: start, leave: preStop, leaveAfter: 1s, cleanAfter: 20s, removed: crash}
    backup: {every: 1h, keep: 24, restore: 20m}
    oldWriters: 0.5              # share of writes that stays with a process that was replaced or cut off, and lives
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, cast

from k8sim.api.quantity import parse_quantity
from k8sim.scenario.part import Part, did_you_mean
from k8sim.scenario.traffic import read_rate
from k8sim.workload.amounts import UNIT
from k8sim.workload.model import Application, Backup, Membership, Ready, Startup
from k8sim.workload.presets import PRESETS, SPREAD_OUT
from k8sim.workload.rules import Rules

MAX_MEMBERS: Final = 1000
MAX_SHARDS: Final = 10_000
_KEYS: Final = (
    "name", "statefulSet", "deployment", "namespace", "preset", "members", "writes", "start", "volume", "container",
    "shards", "copies", "ready", "startup", "membership", "backup", "oldWriters",
)  # fmt: skip
_READY: Final = ("process", "joined", "in-sync", "leader", "serving")
Manifests = Sequence[Mapping[str, Any]]


def read_applications(
    part: Part | None, duration_ns: int, namespace: str, manifests: Manifests, folder: Path
) -> tuple[Application, ...]:
    """The applications.

    Raises
    ------
    ScenarioError
        Naming the line and what is wrong.
    """
    found: list[Application] = []
    for item in part.items() if part is not None else ():
        application = _application(item, duration_ns, namespace, manifests, folder)
        for other in found:
            if other.name == application.name:
                raise item.require("name").error(f"a second application called {other.name!r}", "rename one")
        found.append(application)
    return tuple(found)


def _application(part: Part, duration_ns: int, namespace: str, manifests: Manifests, folder: Path) -> Application:
    fields = part.mapping((*_KEYS, *_RULES))
    name = part.require("name").word()
    own = fields["namespace"].word() if "namespace" in fields else namespace
    known = [key for key in ("statefulSet", "deployment") if key in fields]
    if len(known) != 1:
        raise part.error("say whose pods the members are", "statefulSet: NAME, or deployment: NAME")
    kind: Literal["StatefulSet", "Deployment"] = "StatefulSet" if known == ["statefulSet"] else "Deployment"
    workload = fields[known[0]]
    preset = PRESETS[fields["preset"].one_of(PRESETS, "preset")] if "preset" in fields else None
    members = _members(fields.get("members"), workload, kind, own, manifests)
    shards, copies = _layout(fields, preset.shards if preset else 1, preset.copies if preset else None, len(members))
    start_ns = fields["start"].duration() if "start" in fields else 0
    if start_ns > duration_ns:
        raise fields["start"].error("is after the end of the scenario", "make spec.duration longer")
    return Application(
        name=name,
        workload=workload.word(),
        members=members,
        rules=_rules(fields, preset.rules if preset else Rules(), folder),
        writes=read_rate(part.require("writes", "what clients want to write, for example writes: 100/s")),
        namespace=own,
        kind=kind,
        shards=shards,
        copies=copies,
        start_ns=start_ns,
        volume=fields["volume"].word() if "volume" in fields else "",
        container=fields["container"].word() if "container" in fields else "",
        ready=cast("Ready", fields["ready"].one_of(_READY, "readiness")) if "ready" in fields else "process",
        startup=_startup(fields["startup"], len(members)) if "startup" in fields else Startup(),
        membership=_membership(fields["membership"]) if "membership" in fields else Membership(),
        backup=_backup(fields["backup"]) if "backup" in fields else None,
        ghost_share=_share(fields["oldWriters"]) if "oldWriters" in fields else (1, 2),
        preset=str(fields["preset"].value) if preset else "",
    )


def _members(part: Part | None, workload: Part, kind: str, namespace: str, manifests: Manifests) -> tuple[str, ...]:
    """The voters' names: the pods that the workload's manifest asks for, or so many."""
    name = workload.word()
    of_kind = [m for m in manifests if m.get("kind") == kind]
    mine = [
        m
        for m in of_kind
        if m["metadata"]["name"] == name and (m["metadata"].get("namespace") or namespace) == namespace
    ]
    if not mine and part is None:
        names = [m["metadata"]["name"] for m in of_kind]
        hint = did_you_mean(name, names, f"{kind}s") if names else "say how many members there are: members: 3"
        raise workload.error(f"there is no {kind} {name!r} among the manifests", hint)
    spec = (mine[0].get("spec") or {}) if mine else {}
    if kind == "Deployment":
        if part is not None and part.integer(1, MAX_MEMBERS) != 1:
            raise part.error("the pods of a Deployment are one member", "members with names need a StatefulSet")
        return (name,)
    wanted = spec.get("replicas")
    count = part.integer(1, MAX_MEMBERS) if part is not None else 1 if wanted is None else int(wanted)
    if count < 1:
        raise workload.error(f"StatefulSet {name!r} has no replicas at the beginning", "say how many: members: 3")
    start = int((spec.get("ordinals") or {}).get("start") or 0)
    return tuple(f"{name}-{start + i}" for i in range(count))


def _layout(fields: Mapping[str, Part], shards: int, copies: int | None, members: int) -> tuple[int, int | None]:
    if "shards" in fields:
        spread = fields["shards"].value == "members"
        shards = SPREAD_OUT if spread else fields["shards"].integer(1, MAX_SHARDS)
    if "copies" in fields:
        copies = fields["copies"].integer(1, MAX_MEMBERS)
        if copies > members:
            raise fields["copies"].error(f"{copies} copies need as many members, there are {members}")
    if copies is not None and copies >= members:
        copies = None if members > 1 else 1
    return members if shards == SPREAD_OUT else shards, copies


# ---- rules --------------------------------------------------------------------------------------------------------


def _bytes(part: Part) -> int:
    if isinstance(part.value, bool) or not isinstance(part.value, str | int):
        raise part.error(f"{part.value!r} is no size", "write for example 1Ki, 100Mi or 10Gi")
    try:
        amount = int(parse_quantity(part.value))
    except ValueError as problem:
        raise part.error(f"{part.value!r}: {problem}", "write for example 1Ki, 100Mi or 10Gi") from None
    if amount < 0:
        raise part.error(f"{part.value!r} must not be negative")
    return amount


def _acks(part: Part) -> int | str:
    if part.value in ("majority", "all"):
        return str(part.value)
    if isinstance(part.value, str):
        raise part.error(f"{part.value!r} acknowledges nothing", "a number, majority or all")
    return part.integer(1, MAX_MEMBERS)


def _choice(*known: str) -> Callable[[Part, Path], str]:
    return lambda part, folder: part.one_of(known, "choice")


_RULES: Final[Mapping[str, tuple[str, Callable[[Part, Path], Any]]]] = {
    "acks": ("acks", lambda part, folder: _acks(part)),
    "minInSync": ("min_in_sync", lambda part, folder: part.integer(1, MAX_MEMBERS)),
    "election": ("election", _choice("majority", "in-sync", "any")),
    "electionDelay": ("election_delay", lambda part, folder: part.distribution(folder)),
    "handover": ("handover", lambda part, folder: part.distribution(folder)),
    "keepsRole": ("keeps_role", lambda part, folder: part.flag()),
    "emptyVotes": ("empty_votes", lambda part, folder: part.flag()),
    "unclean": ("unclean_delay_ns", lambda part, folder: part.duration()),
    "isolated": ("isolated", _choice("steps-down", "goes-on")),
    "detect": ("detect_ns", lambda part, folder: part.duration()),
    "lag": ("lag_ns", lambda part, folder: part.duration()),
    "flush": ("flush_ns", lambda part, folder: part.duration()),
    "sync": ("sync_ns", lambda part, folder: part.duration()),
    "writeSize": ("write_bytes", lambda part, folder: max(1, _bytes(part))),
    "dataset": ("dataset_bytes", lambda part, folder: _bytes(part)),
    "bandwidth": ("bandwidth", lambda part, folder: _bytes(part)),
    "copyTime": ("copy_time", lambda part, folder: part.distribution(folder)),
    "parallelCopies": ("parallel_copies", lambda part, folder: part.integer(0, MAX_MEMBERS)),
    "retained": ("retained", lambda part, folder: part.integer(0, 10**12) * UNIT),
    "rewind": ("rewind", lambda part, folder: part.flag()),
    "reads": ("reads", _choice("leader", "any")),
    "tornRestores": ("torn_restore", lambda part, folder: part.number(0.0, 1.0)),
}
"""Key -> (field of `Rules`, how it is read)."""


def _rules(fields: Mapping[str, Part], rules: Rules, folder: Path) -> Rules:
    changes = {_RULES[key][0]: _RULES[key][1](part, folder) for key, part in fields.items() if key in _RULES}
    if "unclean" in fields:
        changes["unclean"] = True
    return replace(rules, **changes)


# ---- start, membership, backups -----------------------------------------------------------------------------------


def _startup(part: Part, members: int) -> Startup:
    fields = part.mapping(("peers", "environment", "retry", "giveUp"))
    changes: dict[str, Any] = {}
    if "peers" in fields:
        peers = fields["peers"]
        changes["peers"] = peers.value if peers.value in ("majority", "all") else peers.integer(1, MAX_MEMBERS)
        if isinstance(changes["peers"], int) and changes["peers"] > members:
            raise peers.error(f"{peers.value} members will never be found, there are {members}")
    if "environment" in fields:
        changes["environment"] = tuple(item.word() for item in fields["environment"].items())
    if "retry" in fields:
        changes["retry_ns"] = fields["retry"].duration()
        if changes["retry_ns"] <= 0:
            raise fields["retry"].error("must be longer than 0s")
    if "giveUp" in fields:
        changes["give_up_ns"] = fields["giveUp"].duration()
    return Startup(**changes)


def _membership(part: Part) -> Membership:
    fields = part.mapping(("join", "leave", "leaveAfter", "cleanAfter", "removed"))
    changes: dict[str, Any] = {}
    if "join" in fields:
        changes["join"] = fields["join"].one_of(("static", "start"), "choice")
    if "leave" in fields:
        changes["leave"] = fields["leave"].one_of(("never", "preStop"), "choice")
    if "leaveAfter" in fields:
        changes["leave_after_ns"] = fields["leaveAfter"].duration()
    if "cleanAfter" in fields:
        changes["clean_after_ns"] = fields["cleanAfter"].duration()
    if "removed" in fields:
        changes["removed"] = fields["removed"].one_of(("crash", "rejoin"), "choice")
    return Membership(**changes)


def _backup(part: Part) -> Backup:
    fields = part.mapping(("every", "keep", "restore"))
    every = part.require("every").duration()
    if every <= 0:
        raise fields["every"].error("must be longer than 0s")
    backup = Backup(every)
    if "keep" in fields:
        backup = replace(backup, keep=fields["keep"].integer(1, 10**6))
    if "restore" in fields:
        backup = replace(backup, restore_ns=fields["restore"].duration())
    return backup


def _share(part: Part) -> tuple[int, int]:
    value = part.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise part.error(f"{value!r} is not between 0 and 1")
    share = Fraction(value).limit_denominator(1000)
    return share.numerator, share.denominator
