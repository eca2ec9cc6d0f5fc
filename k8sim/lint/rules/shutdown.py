"""Rules about the end of a pod: grace, hooks, and who still sends requests meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import ceil

from k8sim.api.core import Container
from k8sim.kubelet.hooks import hook_course
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, about, lost_requests, rows
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.rule import Assumptions, Duration, Rule, Suspect
from k8sim.lint.rules.clients import clients
from k8sim.lint.workload import POD_SPEC, Path
from k8sim.machines.image import with_tag
from k8sim.scenario.model import Step
from k8sim.sim.units import MINUTE, SECOND

GRACE: Path = (*POD_SPEC, "terminationGracePeriodSeconds")


def pre_stop_ns(bench: Bench, container: Container) -> int:
    """How long the preStop hook of a container takes."""
    hook = container.lifecycle.pre_stop if container.lifecycle is not None else None
    if hook is None:
        return 0
    duration = hook_course(hook).duration_ns
    if duration is not None:
        return duration
    told = bench.behaviour(with_tag(container.image)).hooks.get("preStop")
    return 0 if told is None else round(told.mean_s * SECOND)


def _enough(*needed_ns: int) -> int:
    """A grace period for all that is to be done, with half as much again in reserve, in steps of five seconds."""
    return ceil(sum(needed_ns) * 1.5 / SECOND / 5) * 5


def deletion(container: Container, needs: Duration, bench: Bench) -> Harm:
    """Delete a pod whose process takes a while to stop; the harm is the work that SIGKILL leaves undone, in s."""
    begin, pod = bench.begin_ns, bench.settled.pods[0].pod
    image = with_tag(container.image)
    stopping = {image: replace(bench.behaviour(image), stop=needs.law)}
    grace = bench.workload.pod_spec.termination_grace_period_seconds
    result = bench.run(
        begin + (grace + 60) * SECOND, Step.kubectl(begin, f"delete pod {pod} --wait=false"), images=stopping
    )
    mine = {"container": container.name}
    term = next(r for r in rows(result, "Container", "SIGTERM", begin, **mine) if r.name == pod)
    ended = next(r for r in rows(result, "Container", "Exited", begin, **mine) if r.name == pod)
    if ended.detail["code"] != 137:
        return Harm(0, f"ends by itself {about(ended.t - begin)} after the delete, code {ended.detail['code']}")
    undone = needs.ns - (ended.t - term.t)
    text = f"SIGTERM {about(term.t - begin)} and SIGKILL {about(ended.t - begin)} after the delete (code 137)"
    return Harm(undone / SECOND, f"{text}: {about(undone)} of its shutdown undone")


class GraceTooShort(Rule):
    """SIGKILL comes before the process has stopped."""

    name = "grace-too-short"
    level = "error"
    looks_for = "a terminationGracePeriodSeconds that is less than preStop hook and shutdown take"
    tries = "deletes a pod whose process takes as long to stop as it may"
    source = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield containers that cannot stop in time, though their hook leaves them some."""
        grace = bench.workload.pod_spec.termination_grace_period_seconds
        for _, container in bench.workload.containers:
            needs, hook = assumed.shutdown(bench, container), pre_stop_ns(bench, container)
            if needs is None or (hook and hook >= grace * SECOND) or hook + needs.ns <= grace * SECOND:
                continue
            after = f" after {about(hook)} of preStop hook" if hook else ""
            yield Suspect(
                bench.ref,
                GRACE,
                f"container {container.name} may take {about(needs.ns)} to stop{after}; the grace period is {grace}s",
                f"one pod is deleted; its shutdown takes {needs}",
                partial(deletion, container, needs),
                Fix((Edit(bench.ref, GRACE, _enough(hook, needs.ns)),)),
            )


class HookTakesGrace(Rule):
    """The preStop hook leaves the process nothing of the grace period."""

    name = "prestop-uses-up-grace"
    level = "error"
    looks_for = "a preStop hook that takes as long as the grace period or longer"
    tries = "deletes a pod whose process takes as long to stop as it may"
    source = "https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield hooks that are cut off, after which the kubelet gives two seconds (node.md 3.3)."""
        grace = bench.workload.pod_spec.termination_grace_period_seconds
        for path, container in bench.workload.containers:
            needs, hook = assumed.shutdown(bench, container), pre_stop_ns(bench, container)
            if needs is None or not hook or hook < grace * SECOND:
                continue
            yield Suspect(
                bench.ref,
                (*path, "lifecycle", "preStop"),
                f"the preStop hook of container {container.name} takes {about(hook)}, and counts as part of the "
                f"{grace}s of grace: the process gets SIGTERM with two seconds left",
                f"one pod is deleted; its shutdown takes {needs}",
                partial(deletion, container, needs),
                Fix((Edit(bench.ref, GRACE, _enough(hook, needs.ns)),)),
            )


class NoPreStop(Rule):
    """Clients are sent to a process that has closed its port."""

    name = "no-prestop-behind-service"
    level = "warning"
    looks_for = "a container behind a Service without a preStop hook"
    tries = "a rolling restart under traffic"
    source = "https://kubernetes.io/docs/tutorials/services/pods-and-endpoint-termination-flow/"
    sleep_s = 5

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield a serving container that gets SIGTERM while kube-proxy still sends it connections."""
        path, container = bench.workload.containers[0]
        if not bench.workload.services or (
            container.lifecycle is not None and container.lifecycle.pre_stop is not None
        ):
            return
        stop, grace = assumed.shutdown(bench, container), bench.workload.pod_spec.termination_grace_period_seconds
        hook = Edit(bench.ref, (*path, "lifecycle", "preStop"), {"sleep": {"seconds": self.sleep_s}})
        needed = self.sleep_s * SECOND + (0 if stop is None else stop.ns)
        longer = (Edit(bench.ref, GRACE, _enough(needed)),) if needed > grace * SECOND else ()
        yield Suspect(
            bench.ref,
            path,
            f"container {container.name} serves {bench.workload.serves} and has no preStop hook: it may close "
            "its port up to a second or two before kube-proxy sends no more connections to it",
            "a rolling restart under 100 requests a second; the server refuses connections from SIGTERM on",
            self._restart,
            Fix((hook, *longer)),
        )

    def _restart(self, bench: Bench) -> Harm:
        begin = bench.begin_ns
        end = begin + (bench.workload.replicas + 2) * MINUTE
        step = bench.kubectl(begin, "rollout restart")
        return lost_requests(bench.run(end, step, traffic=clients(bench, begin - SECOND)))
