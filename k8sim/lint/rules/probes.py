"""Rules about probes: what they kill, and what they let through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Any, Final

from k8sim.api.core import Container, Probe
from k8sim.lint.bench import Bench
from k8sim.lint.evidence import Harm, about, lost_requests, probe_kills, ready_again_ns, rhythm, rows, several
from k8sim.lint.fix import Edit, Fix
from k8sim.lint.rule import Assumptions, Duration, Rule, Suspect
from k8sim.lint.rules.clients import clients
from k8sim.lint.workload import Path, manifest_of
from k8sim.machines.image import ImageBehaviour, with_tag
from k8sim.scenario.model import Step
from k8sim.sim.units import MINUTE, SECOND

HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
START_WATCHED_NS: Final = 30 * MINUTE
TROUBLE_NS: Final = 5 * MINUTE


def earliest_kill_ns(probe: Probe) -> int:
    """How old a container that never answers is at least when a probe gives up on it.

    Source: pkg/kubelet/prober/worker.go; node.md 2.9 statement 2: the first attempt is at the first tick from
    initialDelaySeconds on, each further one a period later.
    """
    return (probe.initial_delay_seconds + probe.period_seconds * (probe.failure_threshold - 1)) * SECOND


def same_question(one: Probe, other: Probe) -> bool:
    """Whether two probes ask the same."""
    return (one.exec, one.http_get, one.tcp_socket, one.grpc) == (
        other.exec, other.http_get, other.tcp_socket, other.grpc,
    )  # fmt: skip


def field_of(bench: Bench, path: Path) -> Any:
    """Return a part of the workload's manifest."""
    place: Any = manifest_of(bench.workload.scenario, bench.ref)
    for step in path:
        place = place[step]
    return place


def handler_of(bench: Bench, path: Path) -> dict[str, Any]:
    """Return what a probe of the manifest asks."""
    return {key: value for key, value in field_of(bench, path).items() if key in HANDLERS and value is not None}


def port_check(bench: Bench, container: Container) -> dict[str, Any] | None:
    """Return a handler that asks only whether the process listens; None: no port is known."""
    for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
        asked = None if probe is None else probe.http_get or probe.tcp_socket or probe.grpc
        if asked is not None:
            return {"tcpSocket": {"port": asked.port}}
    if container.ports:
        return {"tcpSocket": {"port": container.ports[0].container_port}}
    ports = [port for service in bench.workload.services for port in service.spec.ports]
    return {"tcpSocket": {"port": ports[0].target_port or ports[0].port}} if ports else None


class SlowStart(Rule):
    """A probe kills a container that is only starting."""

    name = "start-killed-by-probe"
    level = "error"
    looks_for = "a liveness probe without a startup probe, or a startup probe, that gives up before the software is up"
    tries = "starts the workload with software that takes as long as it may, and watches half an hour"
    source = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield containers that a probe would kill while they start."""
        for path, container in bench.workload.lasting_containers:
            needs = assumed.startup(bench, container)
            probe, kind = container.startup_probe, "startup"
            if probe is None:
                probe, kind = container.liveness_probe, "liveness"
            if probe is None or needs is None or earliest_kill_ns(probe) >= needs.ns:
                continue
            yield Suspect(
                bench.ref,
                (*path, f"{kind}Probe"),
                f"the {kind} probe of container {container.name} gives up {about(earliest_kill_ns(probe))} after its "
                f"start at the earliest; the start may take {about(needs.ns)}",
                f"a start that takes {needs}",
                partial(self._start, container, needs, kind),
                self._fix(bench, path, container, needs),
            )

    def _fix(self, bench: Bench, path: Path, container: Container, needs: Duration) -> Fix:
        startup = container.startup_probe
        period = 10 if startup is None else startup.period_seconds
        failures = ceil(2 * needs.ns / SECOND / period)
        if startup is not None:
            return Fix((Edit(bench.ref, (*path, "startupProbe", "failureThreshold"), failures),))
        handler = handler_of(bench, (*path, "livenessProbe"))
        probe = {**handler, "periodSeconds": period, "failureThreshold": failures}
        return Fix((Edit(bench.ref, (*path, "startupProbe"), probe),))

    def _start(self, container: Container, needs: Duration, kind: str, bench: Bench) -> Harm:
        result = bench.run(START_WATCHED_NS, images=_starting(bench, container, needs))
        kills = [kill for probe in ("startup", "liveness") for kill in probe_kills(result, probe, 0, container.name)]
        ready = next(rows(result, "Pod", "Ready"), None)
        if not kills:
            return Harm(0, "not killed" if ready is None else f"not killed; first pod Ready after {about(ready.t)}")
        first = next(rows(result, "Container", "Started", container=container.name))
        alone = [row for row in kills if row.name == kills[0].name]
        text = f"killed {about(kills[0].t - first.t)} after its start"
        if rhythm(kills):
            text += f", and again {rhythm(kills)}, {len(alone)} times in {about(START_WATCHED_NS)}"
        return Harm(len(kills), text + ("; never Ready" if ready is None else f"; Ready after {about(ready.t)}"))


def _starting(bench: Bench, container: Container, needs: Duration) -> dict[str, ImageBehaviour]:
    """How the images behave when a start takes long; as the file says if it says so itself."""
    image = with_tag(container.image)
    behaviour = bench.behaviour(image)
    if needs.source != "images":
        behaviour = replace(behaviour, started=needs.law, ready=needs.law, alive=needs.law)
    return {image: behaviour}


class DependencyKills(Rule):
    """A liveness probe restarts processes because something that they depend on is away."""

    name = "liveness-asks-dependencies"
    level = "error"
    looks_for = "a liveness probe that asks what the readiness probe asks"
    tries = "lets what that answer depends on be away for five minutes"
    source = "https://kubernetes.io/docs/concepts/workloads/pods/probes/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield containers whose two probes are one."""
        for path, container in bench.workload.containers:
            liveness, readiness = container.liveness_probe, container.readiness_probe
            if liveness is None or readiness is None or liveness.tcp_socket is not None:
                continue
            if same_question(liveness, readiness):
                yield Suspect(
                    bench.ref,
                    (*path, "livenessProbe"),
                    f"the liveness probe of container {container.name} asks the same as its readiness probe: what "
                    "should take a pod out of service restarts it, and all pods at the same time",
                    f"the answer of all pods fails for {about(TROUBLE_NS)}, as when a dependency is away",
                    partial(self._trouble, path),
                    self._fix(bench, path, container),
                )

    def _fix(self, bench: Bench, path: Path, container: Container) -> Fix:
        check = port_check(bench, container)
        if check is None:
            return Fix((Edit(bench.ref, (*path, "livenessProbe"), None),))
        old = field_of(bench, (*path, "livenessProbe"))
        rest = {key: value for key, value in old.items() if key not in HANDLERS}
        return Fix((Edit(bench.ref, (*path, "livenessProbe"), {**check, **rest}),))

    def _trouble(self, path: Path, bench: Bench) -> Harm:
        container = next(c for p, c in bench.workload.containers if p == path)
        liveness, readiness = container.liveness_probe, container.readiness_probe
        both = liveness is not None and readiness is not None and same_question(liveness, readiness)
        return restarts(bench, "hang" if both else "unready", {})


def restarts(bench: Bench, fault: str, arguments: dict[str, Any]) -> Harm:
    """Let something be wrong with all pods for a while, and count what liveness probes make of it."""
    begin, pods = bench.begin_ns, bench.settled.pods
    steps = [Step.fault(begin, fault, pod=p.pod, **{"for": TROUBLE_NS}, **arguments) for p in pods]
    end = begin + TROUBLE_NS
    result = bench.run(end + 30 * MINUTE, *steps)
    kills = probe_kills(result, "liveness", begin)
    back = ready_again_ns(result, bench.ref, len(pods), end)
    after = "never all Ready again" if back is None else f"all Ready again {about(back)} after it was over"
    if not kills:
        return Harm(0, f"no restarts; {after}")
    killed = len({row.name for row in kills})
    text = f"{killed} of {several(len(pods), 'pod')} restarted, the first after {about(kills[0].t - begin)}, "
    return Harm(len(kills), f"{text}{several(len(kills), 'kill')} in {about(TROUBLE_NS)}; {after}")


class Overload(Rule):
    """A liveness probe restarts processes because they are slow."""

    name = "liveness-timeout-under-load"
    level = "warning"
    looks_for = "a liveness probe that runs a command, or asks what the service answers, with a short timeoutSeconds"
    tries = "lets all pods answer slowly for five minutes"
    source = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield liveness probes that time out when the software is busy."""
        slow = assumed.slow
        for path, container in bench.workload.lasting_containers:
            probe, readiness = container.liveness_probe, container.readiness_probe
            if probe is None or probe.timeout_seconds * SECOND > slow.ns:
                continue
            if probe.exec is None and readiness is not None and not same_question(probe, readiness):
                continue  # an answer of its own, which costs little
            timeout = ceil(slow.ns / SECOND) * 2
            yield Suspect(
                bench.ref,
                (*path, "livenessProbe", "timeoutSeconds"),
                f"the liveness probe of container {container.name} waits {probe.timeout_seconds}s for an answer, which "
                f"may take {about(slow.ns)} when the software is busy",
                f"answers of all pods take {slow} for {about(TROUBLE_NS)}",
                partial(self._overload, path, slow),
                Fix((Edit(bench.ref, (*path, "livenessProbe", "timeoutSeconds"), timeout),)),
            )

    def _overload(self, path: Path, slow: Duration, bench: Bench) -> Harm:
        return restarts(bench, "slow-answers", {"answer": slow.ns})


class KillWaits(Rule):
    """A hung process is left alone for the whole grace period of a clean shutdown."""

    name = "hung-process-waits-for-grace"
    level = "warning"
    looks_for = "a liveness probe without a terminationGracePeriodSeconds of its own, in a pod with more than a minute"
    tries = "lets a process hang that ignores SIGTERM, too"
    source = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#probe-level-terminationgraceperiodseconds"
    longest_s = 60
    own_s = 10

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield liveness probes that wait long."""
        grace = bench.workload.pod_spec.termination_grace_period_seconds
        for path, container in bench.workload.lasting_containers:
            probe = container.liveness_probe
            if probe is None or grace <= self.longest_s or probe.termination_grace_period_seconds is not None:
                continue
            yield Suspect(
                bench.ref,
                (*path, "livenessProbe"),
                f"the liveness probe of container {container.name} gives a process that hangs the {grace}s that a "
                "clean shutdown may take",
                "the process of one pod hangs, and does not hear SIGTERM",
                partial(self._hang, container, grace),
                Fix((Edit(bench.ref, (*path, "livenessProbe", "terminationGracePeriodSeconds"), self.own_s),)),
            )

    def _hang(self, container: Container, grace: int, bench: Bench) -> Harm:
        begin, pod = bench.begin_ns, bench.settled.pods[0].pod
        image = with_tag(container.image)
        deaf = {image: replace(bench.behaviour(image), stop=None)}
        until = begin + grace * SECOND + TROUBLE_NS
        hang = Step.fault(begin, "hang", pod=pod, **{"for": until - begin})
        result = bench.run(until, hang, images=deaf)
        starts = rows(result, "Container", "Started", begin, container=container.name)
        again = next((row for row in starts if row.name == pod), None)
        if again is None:
            return Harm((until - begin) / SECOND, f"not restarted within {about(until - begin)}")
        return Harm((again.t - begin) / SECOND, f"restarted {about(again.t - begin)} after it began to hang")


class NoReadiness(Rule):
    """Clients are sent to a process that does not answer yet."""

    name = "no-readiness-probe"
    level = "error"
    looks_for = "a container behind a Service without a readiness probe"
    tries = "a rolling restart under traffic, with software that needs a while to start"
    source = "https://kubernetes.io/docs/concepts/workloads/pods/probes/"

    def suspects(self, bench: Bench, assumed: Assumptions) -> Iterator[Suspect]:
        """Yield a serving container that is Ready as soon as it runs."""
        path, container = bench.workload.containers[0]
        needs, check = assumed.startup(bench, container), port_check(bench, container)
        if not bench.workload.services or container.readiness_probe is not None or needs is None or check is None:
            return
        probe = {**check, "periodSeconds": 5}
        yield Suspect(
            bench.ref,
            path,
            f"container {container.name} serves {bench.workload.serves} and has no readiness probe: it counts "
            "as Ready from its start, and an update goes on before it answers",
            f"a rolling restart under 100 requests a second; a start takes {needs}",
            partial(self._restart, container, needs),
            Fix((Edit(bench.ref, (*path, "readinessProbe"), probe),)),
        )

    def _restart(self, container: Container, needs: Duration, bench: Bench) -> Harm:
        each = (bench.workload.replicas + 1) * (needs.ns + MINUTE)
        begin = bench.begin_ns + each
        result = bench.run(
            begin + each + 5 * MINUTE,
            bench.kubectl(begin, "rollout restart"),
            images=_starting(bench, container, needs),
            traffic=clients(bench, begin - SECOND),
        )
        return lost_requests(result)
