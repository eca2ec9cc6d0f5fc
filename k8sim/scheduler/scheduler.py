"""kube-scheduler as a process: takes pods from the queue one at a time, binds them asynchronously.

A cycle decides on what the cache shows at its start and takes effect at its end; meanwhile events change the cache and
are remembered for the pod in flight. Binding (waiting for volumes among it) goes on beside the next cycles, with the
pod assumed on its node. Preemption is carried out beside them, too.

Source: pkg/scheduler/{scheduler,schedule_one}.go; node.md 7.1, 7.2, 7.8.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final

from k8sim.api.core import Pod
from k8sim.api.meta import Condition, condition_of, set_condition
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.server import APIServer
from k8sim.scheduler.algorithm import Algorithm, Found, NotFound
from k8sim.scheduler.cache import Cache
from k8sim.scheduler.caches import Caches
from k8sim.scheduler.eventhandlers import EventHandlers
from k8sim.scheduler.framework import Diagnosis
from k8sim.scheduler.nominator import Nominator
from k8sim.scheduler.plugins import volume_binding
from k8sim.scheduler.plugins.registry import DEFAULT_PROFILE
from k8sim.scheduler.plugins.volume_binding import BindingFailed, PodClaims, PodVolumes
from k8sim.scheduler.preemption import (
    DISRUPTION_TARGET,
    PREEMPTION_BY_SCHEDULER,
    Candidate,
    Refusal,
    find_candidate,
    priority_of,
)
from k8sim.scheduler.queue import QueuedPod, SchedulingQueue
from k8sim.scheduler.settings import SchedulerSettings
from k8sim.scheduler.volume_binder import VolumeBinder
from k8sim.sim.clock import Event, rank
from k8sim.sim.simulation import Simulation
from k8sim.sim.tokenbucket import TokenBucket

Steps = Generator[Event, Any, None]

ACTOR: Final = "kube-scheduler"
POD_SCHEDULED: Final = "PodScheduled"
NO_NOMINATION: Final = ""
MOST_NODES_NAMED: Final = 10


class Scheduler:
    """The scheduler of one cluster, with a cache of its own."""

    def __init__(
        self,
        sim: Simulation,
        server: APIServer,
        informers: SharedInformers,
        settings: SchedulerSettings | None = None,
    ) -> None:
        settings = settings or SchedulerSettings()
        self.sim = sim
        self.clock = sim.clock
        self.server = server
        self.informers = informers
        self.rank = rank("kube-scheduler")
        self.pods = informers.of(Pod)
        self.cache = Cache()
        self.listers = Caches(informers)
        self.nominator = Nominator()
        self.algorithm = Algorithm(
            DEFAULT_PROFILE,
            self.cache.nodes,
            self.listers,
            sim.streams,
            self.nominator,
            settings.percentage_of_nodes_to_score,
        )
        self.binder = VolumeBinder(self.clock, self.rank, informers, self.listers, settings.bind_timeout_ns)
        self._preempting: set[str] = set()
        self.queue = SchedulingQueue(
            DEFAULT_PROFILE.interested, settings, sim.clock.second_phase_ns, lambda pod: pod.uid in self._preempting
        )
        self.handlers = EventHandlers(self.clock, self.cache, self.queue, self.nominator, self._kick)
        qps = settings.kube_api_qps
        self._limiter = TokenBucket(qps, settings.kube_api_burst) if qps is not None else None
        self._client = Client(server, ACTOR, self.rank, limiter=self._limiter)
        self._idle_clients: list[Client] = []
        self._clients = 0
        self._idle = False
        self._flush_at: int | None = None
        period = settings.flush_unschedulable_period_ns
        self._scan_phase = sim.streams.uniform_ns(ACTOR, "unschedulable pods scan", 0, period)

    def start(self) -> None:
        """Fill the cache and begin to schedule."""
        self.handlers.register(self.informers)
        self.clock.call_first(self._try_next)

    # ---- timers ---------------------------------------------------------------------------------------------

    def _kick(self) -> None:
        """See to it that the queue is looked at, and that it is flushed in time."""
        if self._idle:
            self._idle = False
            self.clock.call_now(self._try_next, self.rank)
        at = self.queue.next_flush(self._scan_phase)
        if at is not None and (self._flush_at is None or at < self._flush_at):
            self._flush_at = at
            self.clock.call_at(at, self._flush, at, rank=self.rank)

    def _flush(self, at: int) -> None:
        if self._flush_at == at:
            self._flush_at = None
            self.queue.flush(self.clock.now)
            self._kick()

    # ---- the scheduling cycle -------------------------------------------------------------------------------

    def _try_next(self) -> None:
        """Take the next pod to try; there is one attempt at a time."""
        while True:
            queued = self.queue.pop(self.clock.now)
            if queued is None:
                self._idle = True
                return
            uid = queued.pod.metadata.uid
            if not queued.pod.deleting and not self.cache.is_assumed(uid):
                break
            self.queue.done(uid)
        # Before it looks: with few nodes what takes time is to wake up, hardly the decision.
        delay_ns = self.sim.latencies.draw("schedulingCycle", uid)
        self.clock.call_after(delay_ns, self._schedule_one, queued, queued.pod, rank=self.rank)

    def _schedule_one(self, queued: QueuedPod, pod: Pod) -> None:
        """Judge a pod as it was when its turn came; what becomes of it meanwhile is for the next attempt."""
        result = self.algorithm.schedule(pod)
        if isinstance(result, NotFound):
            self.clock.carry_out(self._reject(queued, pod, result))
            return
        self.cache.assume_pod(pod, result.node)
        self.nominator.delete(pod.metadata.uid)
        assumed = self._reserve(result)
        self.queue.done(pod.metadata.uid)
        self.clock.carry_out(self._bind(queued, result.node, assumed))
        self._try_next()

    def _reject(self, queued: QueuedPod, pod: Pod, result: NotFound) -> Steps:
        """Find out whether preemption helps, and put the pod back."""
        preempted = self._preempt(pod, result)
        nomination: str | None = None
        message = result.diagnosis.message()
        if isinstance(preempted, Candidate):
            nomination = preempted.node
            self._preempting.add(pod.uid)
            self.clock.spawn(self._make_room(queued, preempted))
        elif preempted is not None:
            message = f"{message} {preempted.message}"
            nomination = NO_NOMINATION if preempted.futile else None
        yield from self._fail(queued, result.diagnosis, message, nomination, self._client)
        self._try_next()

    def _reserve(self, found: Found) -> PodVolumes | None:
        claims: PodClaims | None = found.cycle.state.get(volume_binding.NAME)
        if claims is None or not claims.delayed:
            return None
        return self.binder.reserve(claims.found_for(found.node), found.node)

    def _fail(
        self,
        queued: QueuedPod,
        diagnosis: Diagnosis | None,
        message: str,
        nomination: str | None,
        client: Client,
    ) -> Steps:
        """Put the pod back and say why (handleSchedulingFailure); nothing of that if it is gone or bound meanwhile.

        Parameters
        ----------
        diagnosis
            None: it was an error.
        nomination
            The node that was made room on, "" to take a nomination back, None to leave it as it is.
        """
        client.cause = queued.cause
        cached = self.pods.get(*queued.pod.key)
        if cached is None or cached.uid != queued.pod.uid or cached.spec.node_name:
            self.queue.done(queued.pod.uid)
            return
        queued.pod = cached
        self.queue.fail(queued, diagnosis.plugins if diagnosis is not None else (), self.clock.now)
        if nomination:
            self.nominator.add(cached, nomination)
        elif nomination is NO_NOMINATION:
            self.nominator.delete(cached.uid)
        self._kick()
        client.event(cached, "Warning", "FailedScheduling", message)
        if diagnosis is not None:
            self._say(cached, diagnosis, message, client.cause)
        reason = "Unschedulable" if diagnosis is not None else "SchedulerError"
        condition = Condition(type=POD_SCHEDULED, status="False", reason=reason, message=message)
        if nomination is None:
            nomination = cached.status.nominated_node_name
        if not _says(cached, condition) or nomination != cached.status.nominated_node_name:
            yield from self._patch(cached, condition, nomination, client)

    def _patch(self, pod: Pod, condition: Condition | None, nomination: str, client: Client) -> Steps:
        """Patch a pod's condition and nomination; an error is logged by the real scheduler, no more."""
        now = Time(self.clock.truncated())

        def change(stored: Pod) -> Pod:
            conditions = stored.status.conditions
            if condition is not None:
                conditions = set_condition(conditions, replace(condition, last_transition_time=now))
            return replace(stored, status=replace(stored.status, conditions=conditions, nominated_node_name=nomination))

        with suppress(ApiError):
            yield from client.patch_status(Pod, *pod.key, change)

    def _say(self, pod: Pod, diagnosis: Diagnosis, message: str, cause: int) -> None:
        """Leave a row that says why the pod waits and which nodes say so (some of them), if that has changed."""
        condition = condition_of(pod.status.conditions, POD_SCHEDULED)
        if condition is not None and condition.message == message:
            return
        infos = self.cache.nodes.infos
        why = [
            {
                "plugin": status.plugin,
                "reasons": list(status.reasons),
                "count": len(slots),
                "nodes": [infos[slot].name for slot in sorted(slots)[:MOST_NODES_NAMED]],
            }
            for status, slots in diagnosis.statuses
        ]
        detail = {"object": f"Pod/{pod.name}", "reason": message, "why": why}
        self.sim.trace.append(self.clock.now, "Scheduler", pod.name, "Waiting", detail, cause, pod.namespace)

    # ---- the binding cycle ----------------------------------------------------------------------------------

    def _take_client(self, cause: int) -> Client:
        """Return a connection that no other binding uses now."""
        if self._idle_clients:
            client = self._idle_clients.pop()
        else:
            name = f"{ACTOR}/{self._clients}"
            self._clients += 1
            client = Client(self.server, ACTOR, rank("kube-scheduler", name), entity=name, limiter=self._limiter)
        client.cause = cause
        return client

    def _bind(self, queued: QueuedPod, node: str, assumed: PodVolumes | None) -> Steps:
        pod = queued.pod
        client = self._take_client(queued.cause)
        try:
            if assumed is not None:
                yield from self._patch(pod, None, node, client)  # gate NominatedNodeNameForExpectation
                yield from self.binder.bind(pod, node, assumed, client)
            yield from client.bind(pod, node)
        except (ApiError, BindingFailed) as error:
            message = (
                error.message if isinstance(error, ApiError) else f'running PreBind plugin "VolumeBinding": {error}'
            )
            if assumed is not None:
                self.binder.unreserve(assumed)
            self.handlers.forget(pod, client.cause)
            yield from self._fail(queued, None, message, NO_NOMINATION, client)
        else:
            client.event(
                pod,
                "Normal",
                "Scheduled",
                f"Successfully assigned {pod.metadata.namespace}/{pod.metadata.name} to {node}",
            )
        self._idle_clients.append(client)

    # ---- preemption -----------------------------------------------------------------------------------------

    def _preempt(self, pod: Pod, result: NotFound) -> Candidate | Refusal | None:
        if result.diagnosis.nodes == 0:
            return None
        return find_candidate(
            pod,
            self.cache.nodes,
            result.diagnosis,
            self.nominator.node_of(pod.uid),
            self.listers.disruption_budgets(),
            lambda n: self.sim.streams.choice(pod.uid, "preemptionOffset", n),
            lambda info: self.algorithm.why_not(result.cycle, result.asked, info),
            self._latest,
        )

    def _latest(self, pod: Pod) -> Pod:
        """Return a pod with its present status, of which the cache does not hear while the pod just goes on."""
        latest = self.pods.get(*pod.key)
        return latest if latest is not None and latest.uid == pod.uid else pod

    def _make_room(self, queued: QueuedPod, candidate: Candidate) -> Steps:
        """Make room (Executor.prepareCandidateAsync): the pod is held back until the last victim is told to go."""
        pod = queued.pod
        client = self._take_client(queued.cause)
        for other in self.nominator.pods_of(candidate.node):
            if priority_of(other) < priority_of(pod):
                self.nominator.delete(other.uid)
                yield from self._patch(other, None, NO_NOMINATION, client)
        failed = False
        for i, victim in enumerate(candidate.victims):
            if i == len(candidate.victims) - 1:
                self._preempting.discard(pod.uid)
            try:
                yield from self._evict(pod, victim, candidate.node, client)
            except ApiError:
                failed = True
        self._preempting.discard(pod.uid)
        if failed:
            self.queue.activate(pod.uid, self.clock.now, client.cause)
            self._kick()
        self._idle_clients.append(client)

    def _evict(self, pod: Pod, victim: Pod, node: str, client: Client) -> Steps:
        now = Time(self.clock.truncated())
        condition = Condition(
            type=DISRUPTION_TARGET,
            status="True",
            reason=PREEMPTION_BY_SCHEDULER,
            message="default-scheduler: preempting to accommodate a higher priority pod",
            last_transition_time=now,
        )

        def change(stored: Pod) -> Pod:
            conditions = set_condition(stored.status.conditions, condition)
            return replace(stored, status=replace(stored.status, conditions=conditions))

        if victim.deleting:
            return
        yield from client.patch_status(Pod, *victim.key, change)
        yield from client.delete(Pod, *victim.key, uid=victim.uid)
        client.event(victim, "Normal", "Preempted", f"Preempted by pod {pod.uid} on node {node}")


def _says(pod: Pod, condition: Condition) -> bool:
    known = condition_of(pod.status.conditions, condition.type)
    return known is not None and (known.status, known.reason, known.message) == (
        condition.status, condition.reason, condition.message,
    )  # fmt: skip
