"""Every metric in one table: where it is, its unit, what it means."""

from __future__ import annotations

from typing import Final, NamedTuple

from k8sim.metrics.figures import FIGURES


class Definition(NamedTuple):
    """One column of a frame. ``unit`` "": a word or a count without one."""

    frame: str
    column: str
    unit: str
    meaning: str


DEFINITIONS: Final = (
    Definition("availability", "kind", "", "Pod, StatefulSet, Deployment, or Application"),
    Definition("availability", "namespace, name", "", "whose"),
    Definition("availability", "what", "", "ready (a pod: until it is asked to go); all, majority, any (a set: so "
               "many of the wanted pods); writes, reads (an application)"),
    Definition("availability", "availability", "share", "of the time from the first moment it was so (applications: "
               "from their first process, or when clients begin) to the end of the run"),
    Definition("availability", "down_s", "s", "time in which it was not so, over the same period"),
    Definition("outages", "kind, namespace, name, shard", "", "Application (which shard), StatefulSet, Deployment or "
               "Stream"),
    Definition("outages", "what", "", "writes, reads (an application that clients cannot use); majority (of the wanted "
               "pods of a set none is Ready, after the first one); requests (some or all new ones of a stream fail)"),
    Definition("outages", "start_s, end_s, duration_s", "s", "end NaN: it lasts at the end of the run"),
    Definition("outages", "reason", "", "what was missing at its beginning"),
    Definition("outages", "cause", "", "the step, fault or event at the far end of the chain of causes"),
    Definition("outages", "chain", "", "all causes, the first at the left"),
    Definition("outages", "held_up_by", "", "for what members waited that did not take part yet: names, variables"),
    Definition("disruptions", "namespace, name, inc, workload", "", "which pod, and whose"),
    Definition("disruptions", "time_s", "s", "when its deletion was asked for, or its machine was lost"),
    Definition("disruptions", "type", "", "voluntary (eviction API, rollout, scaling, kubectl) or involuntary (node "
               "lost, taint, preemption, node pressure, garbage collection)"),
    Definition("disruptions", "cause", "", "which of these"),
    Definition("losses", "namespace, application, shard", "", "of which application, and which part of it"),
    Definition("losses", "time_s", "s", "when they were lost"),
    Definition("losses", "writes", "writes", "acknowledged and lost; negative: found again by a later leader"),
    Definition("losses", "cause, path", "", "word of k8sim.workload.losses; row of k8sim.machines.losses"),
    Definition("losses", "chain", "", "all causes, the first at the left"),
    Definition("writes", "time_s", "s", "moments at which the counts are exact; straight lines between"),
    Definition("writes", "acknowledged, refused, lost, surviving", "writes", "totals up to then; "
               "acknowledged = surviving + lost"),
    Definition("requests", "stream, time_s", "s", "moments at which the counts are exact"),
    Definition("requests", "served, refused, no-endpoint, stale-address, unanswered, cut, in-flight", "requests",
               "totals up to then; their sum is what was sent"),
    Definition("copies", "application, shard, time_s", "s", "moments of change"),
    Definition("copies", "full, wanted", "copies", "copies that have every acknowledged write but for the lag; "
               "copies there should be"),
    Definition("copies", "at_risk", "", "True: one copy at most"),
    Definition("clocks", "application, member", "", "a member, whose pod has the same name"),
    Definition("clocks", "clock", "", "ready: Kubernetes says Ready; in-sync: the application says so"),
    Definition("clocks", "start_s, end_s", "s", "from when to when; end NaN: to the end of the run"),
    Definition("phases", "namespace, name, inc", "", "a pod that was made"),
    Definition("phases", "phase", "", "detect (machine lost to Node Unknown), evict (Unknown to deletion), schedule, "
               "pull, start (placed to first container), ready (started to Ready), terminate (asked for to gone), "
               "catch up (a member), attach, detach (a volume)"),
    Definition("phases", "duration_s", "s", "how long it took"),
    Definition("restarts", "namespace, name, restarts", "restarts", "containers started again, over all incarnations"),
    Definition("rollouts", "kind, namespace, name", "", "workload"),
    Definition("rollouts", "start_s, end_s, duration_s", "s", "from fewer updated than wanted pods to all updated "
               "and ready; end NaN: not finished"),
    Definition("rollouts", "blocked_by", "", "the last reason its controller gave for waiting"),
    Definition("commands", "step, command", "", "steps of the timeline (drains among them)"),
    Definition("commands", "start_s, duration_s, code", "s", "from its beginning to its end; exit code"),
    Definition("commands", "blocked_by", "", "of a drain: the budgets that refused evictions meanwhile"),
    Definition("two_writers", "application, member", "", "whose; of leaders, the one that was cut off"),
    Definition("two_writers", "what", "", "identity: two processes of one member ran; leaders: one that was cut off "
               "went on after another had been elected"),
    Definition("two_writers", "start_s, end_s, duration_s", "s", "end NaN: it lasts at the end of the run"),
    Definition("two_writers", "chain", "", "all causes, the first at the left"),
    Definition("quorum", "application, shard", "", "of which application (those that elect by majority)"),
    Definition("quorum", "start_s, end_s, duration_s", "s", "without a majority that could elect, after the first one"),
    Definition("quorum", "reason, chain", "", "who was missing at its beginning; all causes, the first at the left"),
    Definition("leaked_storage", "volume, claim, since_s", "s", "volumes that are Released or Failed at the end: "
               "storage that is paid for and that no claim has"),
    Definition("volumes.losses", "time_s, volume, event", "s", "something happened to the content of a volume"),
    Definition("volumes.losses", "fate", "", "lost, divergent, orphaned, inaccessible or unacknowledged"),
    Definition("volumes.losses", "rpo_s", "s", "of a restored volume: how much time's writes it lacks; else NaN"),
    Definition("volumes.losses", "path, why", "", "row of k8sim.machines.losses or a fault's name; in words"),
    Definition("volumes.losses", "bytes", "bytes", "that nothing else holds, or that are concerned; 0 where no "
               "writer is simulated"),
    Definition("losspaths.loss_paths", "path, act", "", "row of k8sim.machines.losses, all of them, and faults that "
               "lose content; in words"),
    Definition("losspaths.loss_paths", "fate", "", "the worst that this path does to content"),
    Definition("losspaths.loss_paths", "times", "", "how often it happened"),
    Definition("losspaths.loss_paths", "bytes", "bytes", "of volumes: as in volumes.losses"),
    Definition("losspaths.loss_paths", "writes", "writes", "of applications, lost"),
    Definition("losspaths.loss_paths", "away_s", "s", "for how long content was out of reach, over all volumes"),
    Definition("volumes.inaccessibility", "volume, path, why", "", "whose content was intact and out of reach"),
    Definition("volumes.inaccessibility", "ended_by", "", "Accessible; Inaccessible for another reason, Destroyed, "
               "Orphaned"),
    Definition("volumes.inaccessibility", "start_s, end_s, duration_s", "s", "end NaN: it is so at the end"),
    Definition("storagecost.leaked_storage", "what, name", "", "released, failed or orphaned volume; released or "
               "orphaned snapshot"),
    Definition("storagecost.leaked_storage", "size_gib", "GiB", "its size"),
    Definition("storagecost.leaked_storage", "since_s, until_s", "s", "for how long it was paid for and of no use"),
    Definition("storagecost.leaked_storage", "gib_hours", "GiB h", "what it has cost"),
    Definition("storagecost.storage_cost", "what, name", "", "volume or snapshot that was paid for, used or not"),
    Definition("storagecost.storage_cost", "size_gib", "GiB", "its size; of a snapshot that of its volume"),
    Definition("storagecost.storage_cost", "since_s, until_s", "s", "for how long it had that size"),
    Definition("storagecost.storage_cost", "gib_hours", "GiB h", "what it has cost"),
    *(Definition("figures", f"{f.of.upper()}.{f.name}", f.unit, f.meaning) for f in FIGURES),
)  # fmt: skip
"""``frame``: of `k8sim.metrics.Metrics`; ``volumes.…``, ``storagecost.…``, ``losspaths.…``: function of the module;
``figures``: numbers of `k8sim.metrics.figures.figures`, one for each application or stream."""
