"""kubectl drain: cordon, choose pods, then one eviction loop per pod, all in parallel (workloads 3.3).

Source: staging/src/k8s.io/kubectl/pkg/cmd/drain/drain.go, kubectl/pkg/drain/{drain,filters}.go; the retries behind a
Retry-After header: client-go/rest/with_retry.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from k8sim.api.apps import DaemonSet
from k8sim.api.core import Node, Pod
from k8sim.api.meta import controller_of
from k8sim.api.pods import is_mirror_pod, is_pod_terminal
from k8sim.api.selectors import selector_matches
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Forbidden, NotFound, TooManyRequests
from k8sim.apiserver.watch import Change
from k8sim.kubectl.command import Command
from k8sim.kubectl.grammar import DrainOptions
from k8sim.kubectl.process import CommandError, Process, Steps, suffix
from k8sim.kubectl.selector import parse_selector
from k8sim.kubectl.verbs.nodes import set_unschedulable
from k8sim.sim.units import HOUR, MINUTE, SECOND

RETRY_DELAY = 5 * SECOND
"""How long an eviction loop sleeps after a refusal; --timeout does not interrupt it (observed, Controllers 4)."""
POLL_INTERVAL = SECOND
MAX_RETRIES = 10
"""How often the HTTP client repeats a request that was answered with Retry-After."""

DAEMON_SET_FATAL = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
DAEMON_SET_WARNING = "ignoring DaemonSet-managed Pods"
LOCAL_STORAGE_FATAL = "Pods with local storage (use --delete-emptydir-data to override)"
UNMANAGED_FATAL = "cannot delete Pods that declare no controller (use --force to override)"
UNMANAGED_WARNING = "deleting Pods that declare no controller"


# ---- which pods -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What the filters say of a pod: whether it goes, and the warning or the fatal error about it."""

    delete: bool
    warning: str = ""
    fatal: str = ""


OKAY = Verdict(True)


def is_overdue(pod: Pod, seconds: int, now_ns: int) -> bool:
    """Tell whether the deadline of a pod's deletion passed more than N > 0 seconds ago (shouldSkipPod)."""
    deadline = pod.metadata.deletion_timestamp
    return seconds > 0 and deadline is not None and int((now_ns - deadline) / SECOND) > seconds


def judge_pod(pod: Pod, daemon_set_missing: str | None, options: DrainOptions, now_ns: int) -> Verdict:
    """Run a pod through the filters in order; the first that excludes it decides, else the last one's warning stays.

    Parameters
    ----------
    daemon_set_missing
        The error of looking up the DaemonSet that owns the pod; None if it exists, or if no DaemonSet owns it.
    """
    if is_overdue(pod, options.skip_wait_for_delete_timeout, now_ns):
        return Verdict(False)
    owner = controller_of(pod)
    finished = is_pod_terminal(pod)
    if owner is not None and owner.kind == "DaemonSet" and not finished:
        if daemon_set_missing is not None:
            if not options.force:
                return Verdict(False, fatal=daemon_set_missing)
        elif options.ignore_daemonsets:
            return Verdict(False, warning=DAEMON_SET_WARNING)
        else:
            return Verdict(False, fatal=DAEMON_SET_FATAL)
    if is_mirror_pod(pod):
        return Verdict(False)
    has_local_storage = any(volume.empty_dir is not None for volume in pod.spec.volumes)
    if has_local_storage and not finished and not options.delete_emptydir_data:
        return Verdict(False, fatal=LOCAL_STORAGE_FATAL)
    if finished or owner is not None:
        return OKAY
    return Verdict(True, warning=UNMANAGED_WARNING) if options.force else Verdict(False, fatal=UNMANAGED_FATAL)


def grouped(messages: Iterable[tuple[str, Pod]]) -> list[str]:
    """Return one line per message, with the pods that it is about."""
    pods: dict[str, list[str]] = {}
    for message, pod in messages:
        pods.setdefault(message, []).append(f"{pod.namespace}/{pod.name}")
    return [f"{message}: {', '.join(names)}" for message, names in pods.items()]


def _choose_pods(process: Process, node: Node, options: DrainOptions) -> Steps[list[Pod]]:
    """LIST the node's pods once and judge them.

    Raises
    ------
    CommandError
        A pod may not be touched, so none is.
    """
    selector = parse_selector(options.pod_selector)
    on_node = yield from process.client.ask(lambda server: server.pods_of_node(node.name))
    pods = sorted((p for p in on_node if selector_matches(selector, p.metadata.labels)), key=lambda p: p.key)
    for _ in range((len(pods) - 1) // options.chunk_size if options.chunk_size > 0 else 0):
        yield from process.round_trip()  # the rest of the list comes in further requests
    verdicts = []
    for pod in pods:
        missing = yield from _find_daemon_set(process, pod)
        verdicts.append((judge_pod(pod, missing, options, process.clock.now), pod))
    fatal = grouped((v.fatal, pod) for v, pod in verdicts if v.fatal)
    if fatal:
        lines = [line if line.lower().startswith("cannot delete") else f"cannot delete {line}" for line in fatal]
        raise CommandError(_aggregate(lines))
    warnings = grouped((v.warning, pod) for v, pod in verdicts if v.warning)
    if warnings:
        process.warn(f"Warning: {'; '.join(warnings)}")
    return [pod for verdict, pod in verdicts if verdict.delete]


def _find_daemon_set(process: Process, pod: Pod) -> Steps[str | None]:
    owner = controller_of(pod)
    if owner is None or owner.kind != "DaemonSet" or is_pod_terminal(pod):
        return None
    try:
        yield from process.client.get(DaemonSet, pod.namespace, owner.name)
    except ApiError as error:
        return error.message
    return None


def _aggregate(lines: list[str]) -> str:
    return lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"


# ---- the command ------------------------------------------------------------------------------------------------


def drain(process: Process, command: Command) -> Steps[None]:
    """Run kubectl drain: nodes one after another, the pods of a node all at once."""
    options: DrainOptions = command.options
    nodes = [node for node in (yield from process.find(command)) if isinstance(node, Node)]
    if process.code:
        return
    for node in nodes:
        try:
            yield from set_unschedulable(process, node, True, options.dry_run)
        except ApiError as error:
            process.warn(f'error: unable to cordon node "{node.name}": {error.message}')
    failed: list[tuple[str, str]] = []
    for node in nodes:
        try:
            yield from _drain_node(process, node, options)
        except (ApiError, CommandError) as error:
            text = error.message if isinstance(error, ApiError) else str(error)
            process.warn(f'error: unable to drain node "{node.name}" due to error: {text}, continuing command...')
            failed.append((node.name, text))
        else:
            process.report(node, f"drained{suffix(options.dry_run)}")
    if failed:
        process.warn("There are pending nodes to be drained:")
        for name, _ in failed:
            process.warn(f" {name}")
        for _, text in failed:
            process.warn(text if len(failed) > 1 else f"error: {text}")
        process.code = 1


def _drain_node(process: Process, node: Node, options: DrainOptions) -> Steps[None]:
    pods = yield from _choose_pods(process, node, options)
    if options.dry_run == "client":
        for pod in pods:
            process.say(f"evicting pod {pod.namespace}/{pod.name}{suffix(options.dry_run)}")
    if not pods or options.dry_run == "client":
        return
    deadline = process.clock.now + options.timeout if options.timeout else None
    loop = _Loop(process, options, deadline)
    try:
        if options.disable_eviction:
            yield from loop.delete_all(pods)
        else:
            yield from process.round_trip()  # does the server know evictions at all (discovery)
            yield from loop.evict_all(pods)
    except CommandError as error:
        pending = yield from _choose_pods(process, node, options)
        if pending:
            process.warn(f'There are pending pods in node "{node.name}" when an error occurred: {error}')
            for pod in pending:
                process.warn(f"pod/{pod.name}")
        raise


@dataclass
class _Loop:
    """The eviction of a node's pods."""

    process: Process
    options: DrainOptions
    deadline: int | None
    errors: list[str] = field(default_factory=list)

    @property
    def _expired(self) -> bool:
        return self.deadline is not None and self.process.clock.now >= self.deadline

    @property
    def _rehearses(self) -> bool:
        """Tell whether the server is to check everything and do nothing."""
        return self.options.dry_run == "server"

    def evict_all(self, pods: list[Pod]) -> Steps[None]:
        """Run one loop per pod, and end when all have ended."""
        tasks = [self.process.clock.spawn(self._evict(pod)) for pod in pods]
        yield from tasks
        if self.errors:
            raise CommandError(_aggregate(self.errors))

    def _evict(self, pod: Pod) -> Steps[None]:
        """Evict until the server accepts; after a refusal, whatever pod has that name by then (the trap of 3.3)."""
        process, client = self.process, self.process.new_client(f"{pod.namespace}/{pod.name}")
        while True:
            where = f'pods/"{pod.name}" -n "{pod.namespace}"'
            process.say(f"evicting pod {pod.namespace}/{pod.name}{suffix(self.options.dry_run)}")
            if self._expired:
                limit = go_duration(self.options.timeout)
                self.errors.append(f"error when evicting {where}: global timeout reached: {limit}")
                return
            try:
                yield from self._post_eviction(client, pod)
                break
            except NotFound:
                return
            except TooManyRequests as error:
                process.warn(f"error when evicting {where} (will retry after 5s): {error.message}")
            except Forbidden as error:
                if not is_namespace_terminating(error):
                    self.errors.append(f"error when evicting {where}: {error.message}")
                    return
                if pod.deleting:
                    break
                process.warn(
                    f'error when evicting pod "{pod.name}" from terminating namespace "{pod.namespace}" '
                    f"(will retry after 5s): {error.message}"
                )
            except ApiError as error:
                self.errors.append(f"error when evicting {where}: {error.message}")
                return
            yield process.clock.sleep(RETRY_DELAY, process.rank)
            with suppress(ApiError):  # the eviction sorts it out
                pod = yield from client.get(Pod, *pod.key)
        if self._rehearses:
            return
        try:
            yield from self._wait_for_delete(client, [pod], "evicted")
        except (ApiError, CommandError) as error:
            self.errors.append(
                f'error when waiting for pod "{pod.name}" in namespace "{pod.namespace}" to terminate: {error}'
            )

    def _post_eviction(self, client: Client, pod: Pod) -> Steps[None]:
        grace = self.options.grace_period if self.options.grace_period >= 0 else None
        for left in reversed(range(MAX_RETRIES + 1)):
            try:
                yield from client.evict(*pod.key, grace_period_seconds=grace, dry_run=self._rehearses)
            except ApiError as error:
                if error.retry_after_s is None or not left:
                    raise
                yield self.process.clock.sleep(error.retry_after_s * SECOND, self.process.rank)
            else:
                return

    def delete_all(self, pods: list[Pod]) -> Steps[None]:
        """DELETE one pod after the other, past all budgets, then wait for all."""
        grace = self.options.grace_period if self.options.grace_period >= 0 else None
        client = self.process.client
        for pod in pods:
            try:
                if self._rehearses:
                    yield from client.get(Pod, *pod.key)
                else:
                    yield from client.delete(Pod, *pod.key, grace_period_seconds=grace)
            except NotFound:
                pass
            except ApiError as error:
                raise CommandError(error.message) from None
        if self._rehearses:
            return
        # Here the timeout counts from the beginning of the wait.
        self.deadline = self.process.clock.now + self.options.timeout if self.options.timeout else None
        yield from self._wait_for_delete(client, pods, "deleted")

    def _wait_for_delete(self, client: Client, pods: list[Pod], said: str) -> Steps[None]:
        """Poll every second until no pod is there any more, or has another UID; a virtual poll, on the real grid."""
        clock, options = self.process.clock, self.options
        pods = list(pods)
        watch = _Disappearance(self.process)
        try:
            while True:
                phase = clock.now
                for pod in list(pods):
                    live = yield from _find(client, pod)
                    if live is None or live.uid != pod.uid:
                        self.process.report(pod, said)
                        pods.remove(pod)
                    elif is_overdue(live, options.skip_wait_for_delete_timeout, clock.now):
                        n = options.skip_wait_for_delete_timeout
                        self.process.say(f'pod "{pod.name}" has DeletionTimestamp older than {n} seconds, skipping')
                        pods.remove(pod)
                if not pods:
                    return
                if not watch.some_gone(pods):
                    yield from watch.wait(pods, self._wake_up(pods))
                tick = clock.next_on_grid(phase, POLL_INTERVAL, max(clock.now, phase + 1))
                if self.deadline is not None and tick >= self.deadline:
                    yield clock.sleep(self.deadline - clock.now, self.process.rank)
                    raise CommandError("context deadline exceeded")
                yield clock.sleep(tick - clock.now, self.process.rank)
        finally:
            watch.close()

    def _wake_up(self, pods: list[Pod]) -> int | None:
        """Return when a poll can find something although no pod goes: the end of patience, or of a skip time."""
        times = [] if self.deadline is None else [self.deadline]
        seconds = self.options.skip_wait_for_delete_timeout
        if seconds > 0:
            for pod in pods:
                live = self.process.server.find(Pod, *pod.key)
                if live is not None and live.metadata.deletion_timestamp is not None:
                    times.append(live.metadata.deletion_timestamp + (seconds + 1) * SECOND)
        return min(times, default=None)


def _find(client: Client, pod: Pod) -> Steps[Pod | None]:
    try:
        return (yield from client.get(Pod, *pod.key))
    except NotFound:
        return None


class _Disappearance:
    """Knows at once, where the real program polls, that a pod has gone."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._signal = process.clock.signal(process.rank)
        self._keys: Mapping[Any, str] = {}
        process.server.watch(Pod, self._on_commit)

    def _on_commit(self, change: Change) -> None:
        if self._keys.get(change.new.key) == change.new.uid and change.type == "DELETED":
            self._signal.set()

    def some_gone(self, pods: list[Pod]) -> bool:
        """Tell whether one of the pods is gone now."""
        live = (self._process.server.find(Pod, *pod.key) for pod in pods)
        return any(now is None or now.uid != pod.uid for now, pod in zip(live, pods, strict=True))

    def wait(self, pods: list[Pod], until_ns: int | None) -> Steps[None]:
        """Wait until one of the pods goes, or until a time."""
        self._keys = {pod.key: pod.uid for pod in pods}
        gone = self._signal.wait()
        if until_ns is not None:
            self._process.clock.call_at(until_ns, self._signal.set, rank=self._process.rank)
        yield gone
        self._keys = {}

    def close(self) -> None:
        """Stop watching."""
        self._process.server.unwatch(Pod, self._on_commit)


def is_namespace_terminating(error: Forbidden) -> bool:
    """Tell whether a request was refused because its namespace is being deleted (cause NamespaceTerminating)."""
    return "because it is being terminated" in error.message


def go_duration(ns: int) -> str:
    """Write a duration as Go prints it: "12s", "1m30s", "5m0s", "1h0m0s"."""
    hours, rest = divmod(ns, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = f"{rest / SECOND:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
