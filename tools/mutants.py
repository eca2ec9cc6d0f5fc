#!/usr/bin/env python3
"""Plant realistic bugs in the decisions, one at a time, and show that the tests catch each.

    python tools/mutants.py              # all of them, in a copy of the tree; about a minute of CPU each
    python tools/mutants.py statefulset  # those with this word in their room or bug

A mutant that survives is a test that is missing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
TIMEOUT_S: Final = 600


class Mutant(NamedTuple):
    """A bug: in ``file`` the only ``old`` becomes ``new``; ``tests`` are to fail then."""

    room: str
    bug: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file, in the tree."""
        return Path("k8sim") / self.file


STATEFULSET: Final = ("tests/controllers/statefulset",)
ORACLES: Final = ("tests/oracles",)
CHECKERS: Final = ("tests/guarantees/test_checkers.py",)
MUTANTS: Final = (
    Mutant(
        "statefulset", "the update begins at the partition's far side", "controllers/statefulset/control.py",
        "    lowest = start_ordinal(sts) + partition\n", "    lowest = start_ordinal(sts) + partition + 1\n",
        STATEFULSET,
    ),
    Mutant(
        "statefulset", "scaling down goes past an unhealthy pod", "controllers/statefulset/control.py",
        "if highest in replicas.condemned_unavailable and highest != first_unavailable:",
        "if highest in replicas.condemned_unavailable and first_unavailable is None:", ORACLES,
    ),
    Mutant(
        "statefulset", "a pod that terminates counts as settled", "controllers/statefulset/replicas.py",
        "unavailable = replica.terminating or not replica.available", "unavailable = not replica.available",
        STATEFULSET,
    ),
    Mutant(
        "statefulset", "maxUnavailable rounds up", "controllers/statefulset/control.py",
        'value = int(value.rstrip("%")) * replicas // 100', 'value = -(-int(value.rstrip("%")) * replicas // 100)',
        ORACLES,
    ),
    Mutant(
        "statefulset", "a new pod below the partition gets the new template", "controllers/statefulset/identity.py",
        "return ordinal < start_ordinal(sts) + (strategy.rolling_update.partition or 0)", "return False", STATEFULSET,
    ),
    Mutant(
        "statefulset", "a rollout completes while a pod is not Ready", "controllers/statefulset/status.py",
        "        and status.ready_replicas == status.replicas\n", "", STATEFULSET,
    ),
    Mutant(
        "deployment", "the new ReplicaSet may exceed maxSurge", "controllers/deployment/control.py",
        "room = desired + max_surge(deployment) - wanted(others) - size",
        "room = desired + max_surge(deployment) - wanted(others)", ("tests/controllers/deployment",),
    ),
    Mutant(
        "deployment", "pods that are not available yet free the old ones", "controllers/deployment/control.py",
        "wanted(sets.all) - min_available - (new.spec.replicas - new.status.available_replicas)",
        "wanted(sets.all) - min_available", ("tests/controllers/deployment",),
    ),
    Mutant(
        "replicaset", "Ready pods are deleted first", "controllers/replicaset/victims.py",
        "(ready_a is not None) - (ready_b is not None),", "(ready_b is not None) - (ready_a is not None),",
        ("tests/controllers/replicaset",),
    ),
    Mutant(
        "disruption", "percentages round down", "controllers/disruption/control.py",
        "return -(-percent * total // 100)", "return percent * total // 100", ORACLES,
    ),
    Mutant(
        "disruption", "a pod that terminates is healthy", "controllers/disruption/control.py",
        "healthy = is_pod_ready(pod) and pod.metadata.deletion_timestamp is None", "healthy = is_pod_ready(pod)",
        ORACLES,
    ),
    Mutant(
        "disruption", "a granted eviction is forgotten at once", "controllers/disruption/control.py",
        "DELETION_TIMEOUT_NS = 120 * 1_000_000_000", "DELETION_TIMEOUT_NS = 0", ("tests/controllers/disruption",),
    ),
    Mutant(
        "eviction", "IfHealthyBudget evicts under an empty budget", "apiserver/eviction.py",
        "if status.current_healthy >= status.desired_healthy > 0:",
        "if status.current_healthy >= status.desired_healthy:", ORACLES,
    ),
    Mutant(
        "eviction", "a stale status is believed", "apiserver/eviction.py",
        "if status.observed_generation < budget.metadata.generation:", "if status.observed_generation < 0:", ORACLES,
    ),
    Mutant(
        "persistentvolume", "the largest volume of a shelf wins", "api/volume_matching.py",
        "for i in range(bisect_left(shelf, (request, \"\")), len(shelf)):",
        "for i in reversed(range(bisect_left(shelf, (request, \"\")), len(shelf))):", ORACLES,
    ),
    Mutant(
        "persistentvolume", "richer groups of access modes come first", "api/volume_matching.py",
        "key=lambda m: (len(m), sorted(m))", "key=lambda m: (-len(m), sorted(m))", ORACLES,
    ),
    Mutant(
        "persistentvolume", "a volume reserved for a former claim of that name is taken", "api/volume_matching.py",
        "    return not ref.uid or ref.uid == claim.uid\n", "    return True\n", ORACLES,
    ),
    Mutant(
        "attachdetach", "a volume is taken from a healthy node after six minutes",
        "controllers/attachdetach/control.py",
        "forced_by_time = timed_out and not is_node_ready(node)", "forced_by_time = timed_out",
        ("tests/controllers/attachdetach",),
    ),
    Mutant(
        "attachdetach", "the out-of-service taint is ignored", "controllers/attachdetach/control.py",
        "return node is not None and any(t.key == OUT_OF_SERVICE_TAINT for t in node.spec.taints)", "return False",
        ("tests/controllers/attachdetach",),
    ),
    Mutant(
        "probes", "one failure is enough", "kubelet/probeticks.py",
        "return self.success_threshold if outcome else self.failure_threshold",
        "return self.success_threshold if outcome else 1", ORACLES,
    ),
    Mutant(
        "probes", "liveness is probed before startup", "kubelet/probeticks.py",
        'if view.started == (ticks.kind == "startup"):', 'if view.started and ticks.kind == "startup":', ORACLES,
    ),
    Mutant(
        "probes", "the initial delay counts to the millisecond", "kubelet/probeticks.py",
        "if (at_ns - view.running_since) // SECOND < ticks.initial_delay_s:",
        "if at_ns - view.running_since <= ticks.initial_delay_s * SECOND:",
        ("tests/kubelet/test_probeticks.py", "tests/oracles"),
    ),
    Mutant(
        "pod worker", "SIGKILL follows SIGTERM without the two seconds", "kubelet/grace.py",
        "return max(grace_s, MINIMUM_GRACE_S)", "return grace_s",
        ("tests/kubelet/test_rules.py", "tests/kubelet/test_termination.py"),
    ),
    Mutant(
        "pod worker", "a later, longer grace period wins", "kubelet/grace.py",
        "if wish is not None and (grace == 0 or wish < grace):", "if wish is not None:",
        ("tests/kubelet/test_rules.py", "tests/kubelet/test_termination.py"),
    ),
    Mutant(
        "pod worker", "sidecars stop with the main containers", "kubelet/termination.py",
        "result[container.name] = mains if later is None else (*mains, later)",
        "result[container.name] = () if later is None else (later,)",
        ("tests/kubelet/test_rules.py", "tests/kubelet/test_termination.py"),
    ),
    Mutant(
        "restarts", "OnFailure restarts what has succeeded", "kubelet/restart.py",
        'return policy == "OnFailure" and exit_code != 0', 'return policy == "OnFailure"',
        ("tests/kubelet/test_rules.py", "tests/kubelet/test_restarts.py"),
    ),
    Mutant(
        "restarts", "the back-off never ends to grow", "kubelet/backoff.py",
        "delay = min(entry[0] * 2, self.max_ns)", "delay = entry[0] * 2",
        ("tests/kubelet/test_rules.py", "tests/kubelet/test_restarts.py"),
    ),
    Mutant(
        "taint eviction", "the longest toleration counts", "controllers/tainteviction/control.py",
        "return max(0, min(seconds)) if seconds else None", "return max(0, max(seconds)) if seconds else None",
        ("tests/controllers/tainteviction",),
    ),
    Mutant(
        "taint eviction", "a toleration of one taint is enough", "controllers/tainteviction/control.py",
        "            return False, ()\n", "            continue\n", ("tests/controllers/tainteviction",),
    ),
    Mutant(
        "scheduler", "a pod that fits exactly does not fit", "scheduler/plugins/node_resources.py",
        "if amount > 0 and amount > allocatable.get(name, 0) - requested.get(name, 0):",
        "if amount > 0 and amount >= allocatable.get(name, 0) - requested.get(name, 0):",
        ("tests/scheduler/test_plugins.py", "tests/scheduler/test_laws.py"),
    ),
    Mutant(
        "scheduler", "NoExecute taints do not keep pods away", "scheduler/plugins/taint_toleration.py",
        'if taint.effect in ("NoSchedule", "NoExecute") and not tolerates_taint(tolerations, taint):',
        'if taint.effect == "NoSchedule" and not tolerates_taint(tolerations, taint):',
        ("tests/scheduler/test_plugins.py", "tests/scheduler/test_statements.py"),
    ),
    Mutant(
        "scheduler", "maxSkew is exceeded by one", "scheduler/plugins/pod_topology_spread.py",
        "for domain, count in sums.items() if count > most}", "for domain, count in sums.items() if count > most + 1}",
        ("tests/scheduler/test_plugins.py", "tests/scheduler/test_laws.py"),
    ),
    Mutant(
        "scheduler", "the back-off of the queue does not double", "scheduler/queue.py",
        "                delay += delay\n", "                delay += 0\n", ("tests/scheduler/test_queue.py",),
    ),
    Mutant(
        "endpointslice", "pods that terminate stay ready endpoints", "controllers/endpointslice/control.py",
        "ready = service.spec.publish_not_ready_addresses or (serving and not terminating)",
        "ready = service.spec.publish_not_ready_addresses or serving", ("tests/controllers/endpointslice",),
    ),
    Mutant(
        "endpointslice", "pods that have ended stay endpoints", "controllers/endpointslice/control.py",
        "return bool(pod.status.pod_ip or pod.status.pod_ips) and not is_pod_terminal(pod)",
        "return bool(pod.status.pod_ip or pod.status.pod_ips)", ("tests/controllers/endpointslice",),
    ),
    Mutant(
        "quota", "pods that have ended are charged for", "apiserver/quota.py",
        "    if is_pod_terminal(pod):\n        return False\n    meta = pod.metadata\n", "    meta = pod.metadata\n",
        ("tests/apiserver/test_quota.py", "tests/controllers/resourcequota"),
    ),
    Mutant(
        "node lifecycle", "a node is silent at once", "controllers/nodelifecycle/control.py",
        "return now_ns > health.probe_ns + grace_ns", "return now_ns > health.probe_ns",
        ("tests/controllers/nodelifecycle",),
    ),
    Mutant(
        "node lifecycle", "two lost nodes are a partial disruption", "controllers/nodelifecycle/control.py",
        "if not_ready > 2 and not_ready / (not_ready + ready) >= unhealthy_zone_threshold:",
        "if not_ready > 1 and not_ready / (not_ready + ready) >= unhealthy_zone_threshold:",
        ("tests/controllers/nodelifecycle",),
    ),
    Mutant(
        "leases", "the renewal after the end counts", "apiserver/leases.py",
        "end = at_ns if self.until_ns is None else min(at_ns, self.until_ns)", "end = at_ns",
        ("tests/controllers/nodelifecycle", "tests/kubelet/test_node_failures.py"),
    ),
    Mutant(
        "quorum", "half of the voters are a majority", "workload/rules.py",
        "    return voters // 2 + 1\n", "    return (voters + 1) // 2\n", ("tests/workload/test_rules.py",),
    ),
    Mutant(
        "quorum", "members without their data vote", "workload/rules.py",
        "and not s.partial and (virgin or rules.empty_votes or not s.empty)]", "and not s.partial]",
        ("tests/workload/test_rules.py", "tests/workload/test_group.py"),
    ),
    Mutant(
        "flush", "what is in the process's buffer survives its end", "workload/copies.py",
        "return Content(self.branch, self.trajectory.at(self._last(self._rules.flush_ns, now_ns)))",
        "return Content(self.branch, self.trajectory.at(self._last(0, now_ns)))",
        ("tests/workload/test_group.py", "tests/workload/test_conservation.py", "tests/workload/test_scenarios.py"),
    ),
    Mutant(
        "flush", "what a node wrote is durable although another wrote more", "machines/disks.py",
        "disk.durable = max(disk.durable, disk.writers.pop(node))", "disk.durable = disk.writers.pop(node)",
        ("tests/machines/test_disks.py", "tests/storage/test_statements.py"),
    ),
    Mutant(
        "loss accounting", "a loss is counted from the beginning of the data", "workload/group.py",
        "gone = self.path.offset - left", "gone = self.path.offset", ("tests/workload/test_conservation.py",),
    ),
    Mutant(
        "loss accounting", "what branched off earlier is common", "workload/history.py",
        "a = Content(parent.branch, min(a.offset, parent.offset))", "a = Content(parent.branch, a.offset)",
        ("tests/workload/test_history.py", "tests/workload/test_conservation.py"),
    ),
    Mutant(
        "guarantees", "a stale claim excuses a controller that has looked since", "guarantees/settlement.py",
        "if gone is None or self.world.stirred(sts) > gone[0] + LAG:", "if gone is None:", CHECKERS,
    ),
    Mutant(
        "guarantees", "a fault excuses what happens on other nodes", "guarantees/world.py",
        "        return fault.target in (name, node", "        return True or fault.target in (name, node", CHECKERS,
    ),
    Mutant(
        "guarantees", "a fault excuses for ever", "guarantees/circumstances.py",
        "return self.until is None or now < self.until + longer", "return True", CHECKERS,
    ),
    Mutant(
        "guarantees", "any request by hand is an edit", "guarantees/circumstances.py",
        "return _shape(old) != _shape(new)", "return True", CHECKERS,
    ),
    Mutant(
        "guarantees", "a former instance's start counts for ever", "guarantees/probes.py",
        "return since is not None and not asked and self.world.recently(since, period_ns + LAG)",
        "return since is not None", CHECKERS,
    ),
    Mutant(
        "guarantees", "a pod of the old template excuses itself", "guarantees/settlement.py",
        "if ordered(sts) and (not is_pod_terminal(pod) or any(o < own for o in unready)):", "if True:", CHECKERS,
    ),
)  # fmt: skip


class Outcome(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    caught_by: str
    seconds: float


def planted(mutant: Mutant, text: str) -> str:
    """Return a file's text with the bug; the place has to be the only one of its kind."""
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.path} has {text.count(mutant.old)} times {mutant.old!r}")
    return text.replace(mutant.old, mutant.new)


def try_mutant(mutant: Mutant, tree: Path) -> Outcome:
    """Plant a bug in a copy of the tree, run its tests, and mend it."""
    file = tree / mutant.path
    whole = file.read_text("utf-8")
    file.write_text(planted(mutant, whole), "utf-8")
    began = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", *mutant.tests]
    try:
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        failed = [line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        caught_by = failed[0] if failed else ("pytest itself" if done.returncode not in (0, 1) else "")
    except subprocess.TimeoutExpired:
        caught_by = "the time limit"
    finally:
        file.write_text(whole, "utf-8")
    return Outcome(mutant, caught_by, time.perf_counter() - began)


def copy_of_the_tree(folder: Path) -> Path:
    """Copy what the tests need; the copy is what they import."""
    for part in ("k8sim", "tests", "tools", "scenarios", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def main() -> int:
    """Try mutants and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only those whose room or bug has one of these words")
    words = parser.parse_args().words
    chosen = [m for m in MUTANTS if not words or any(word in f"{m.room} {m.bug}" for word in words)]
    survived = 0
    print("| room | bug | caught by | s |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_of_the_tree(Path(folder))
        for mutant in chosen:
            outcome = try_mutant(mutant, tree)
            survived += not outcome.caught_by
            caught = f"`{outcome.caught_by}`" if outcome.caught_by else "**survived**"
            print(f"| {mutant.room} | {mutant.bug} | {caught} | {outcome.seconds:.0f} |", flush=True)
    print(f"\n{len(chosen) - survived} of {len(chosen)} caught")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
