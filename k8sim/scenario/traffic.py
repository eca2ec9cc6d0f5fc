"""The clients of a scenario (``traffic:``) and the settings of the network that they use (``cluster:``).

traffic:
  - name: shop                 # the stream's name in the trace and in metrics
    to: web                    # what the clients call: a Service, or a pod of one (db-0.db)
    rate: 100/s                # requests; also 30/m, 2/h, or a number a second
    request: 50ms              # how long the server works on one; {exponential: {mean: 5m}} for sessions
    connections:               # absent: each request has a connection of its own
      count: 40                # a pool that is kept open
      lifetime: 5m             # mean, then a connection is opened anew ("forever": only when it is cut)
      reconnect: 1s            # mean pause after an attempt that failed
      timeout: 5s              # until clients notice that a machine is gone
    retries: 2                 # a request that failed at once is sent again, to an endpoint chosen anew
    client:                    # how clients keep what DNS said (headless services, pods by name)
      caches: 3                # so many clients with caches, phases and addresses (sessionAffinity) of their own
      keep: 30s                # default: the record's TTL; 0s, or forever
      onError: resolve         # ask again after a failed request (default: keep)
    from: node-0               # where they are; absent: outside, with kube-proxy rules of their own
    afterSigterm: accept       # what the server does with new connections until it exits (default: refuse)
    container: app             # which container serves (default: the first)
    start: 10s
    stop: 5m

cluster:
  dns: {corefile: nodelocal}   # kubeadm (default), addons, nodelocal; or ttl, successTTL, denialTTL, cache
  kubeProxy: {minSyncPeriod: 1s}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from k8sim.network.control import candidates
from k8sim.network.settings import COREFILES, CacheScope, DNSSettings, NetworkSettings, ProxySettings
from k8sim.scenario.part import Part, did_you_mean
from k8sim.sim.distributions import Constant, Distribution, Exponential
from k8sim.workload.amounts import UNIT
from k8sim.workload.model import FOR_EVER, Connections, Traffic

_KEYS: Final = (
    "name", "to", "rate", "namespace", "request", "connections", "retries", "client", "from", "afterSigterm",
    "container", "start", "stop",
)  # fmt: skip
_PER: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_RATE: Final = 10**9
MAX_CONNECTIONS: Final = 10**9
MAX_CACHES: Final = 1000


def read_traffic(
    part: Part | None,
    duration_ns: int,
    nodes: Mapping[str, str],
    namespace: str,
    manifests: Iterable[Mapping[str, Any]],
    folder: Path,
) -> tuple[Traffic, ...]:
    """The streams of requests.

    Raises
    ------
    ScenarioError
        Naming the line and what is wrong.
    """
    streams: list[Traffic] = []
    abroad = _external_services(manifests, namespace)
    for item in part.items() if part is not None else ():
        stream = _stream(item, duration_ns, nodes, namespace, folder)
        if any((n.namespace, n.service) in abroad for n in candidates(stream.to, stream.namespace)[:1]):
            problem = f"{stream.to!r} is an ExternalName: requests to it leave the cluster"
            raise item.require("to").error(problem, "only pods serve requests here")
        if any(stream.name == other.name for other in streams):
            raise item.require("name").error(f"a second stream called {stream.name!r}", "rename one")
        streams.append(stream)
    return tuple(streams)


def _external_services(manifests: Iterable[Mapping[str, Any]], namespace: str) -> set[tuple[str, str]]:
    """Return the services that stand for a name outside the cluster."""
    services = [
        m for m in manifests if m.get("kind") == "Service" and (m.get("spec") or {}).get("type") == "ExternalName"
    ]
    return {(str(m["metadata"].get("namespace") or namespace), str(m["metadata"]["name"])) for m in services}


def _stream(part: Part, duration_ns: int, nodes: Mapping[str, str], namespace: str, folder: Path) -> Traffic:
    fields = part.mapping(_KEYS)
    name = part.require("name").word()
    to = part.require("to", "the service that the clients call, for example to: web")
    own = fields["namespace"].word() if "namespace" in fields else namespace
    if not candidates(to.word(), own):
        raise to.error(f"{to.value!r} is no name of the cluster", "web, web.shop, db-0.db, or db-0.db.shop.svc")
    start = _moment(fields.get("start"), duration_ns, 0)
    stop = _moment(fields.get("stop"), duration_ns, FOR_EVER)
    if stop <= start:
        raise fields["stop"].error(f"{fields['stop'].value!r} is not after the start")
    node = fields.get("from")
    if node is not None and node.word() not in nodes:
        raise node.error(f"there is no node {node.value!r}", did_you_mean(node.word(), nodes, "nodes"))
    stream = Traffic(
        name=name,
        to=to.word(),
        rate=read_rate(part.require("rate", "for example rate: 100/s")),
        namespace=own,
        connections=_connections(fields["connections"]) if "connections" in fields else None,
        retries=fields["retries"].integer(0, 100) if "retries" in fields else 0,
        node=node.word() if node is not None else "",
        start_ns=start,
        stop_ns=stop,
        container=fields["container"].word() if "container" in fields else "",
    )
    if "request" in fields:
        stream = replace(stream, request=_request(fields["request"], folder))
    if "afterSigterm" in fields:
        choice = fields["afterSigterm"].one_of(("refuse", "accept"), "behaviour")
        stream = replace(stream, after_sigterm=cast("Literal['refuse', 'accept']", choice))
    return _with_client(stream, fields["client"]) if "client" in fields else stream


def _moment(part: Part | None, duration_ns: int, default: int) -> int:
    if part is None:
        return default
    when = part.duration()
    if when > duration_ns:
        raise part.error(f"{part.value!r} is after the end of the scenario", "make spec.duration longer")
    return when


def _request(part: Part, folder: Path) -> Distribution:
    law = part.distribution(folder)
    if not isinstance(law, Constant | Exponential):
        raise part.error("only a constant or an exponential time can be reckoned exactly", "write for example 200ms")
    return law


def _connections(part: Part) -> Connections:
    fields = part.mapping(("count", "lifetime", "reconnect", "timeout"))
    pool = Connections(part.require("count").integer(1, MAX_CONNECTIONS))
    if "lifetime" in fields:
        pool = replace(pool, lifetime_ns=_positive(fields["lifetime"], for_ever=True))
    if "reconnect" in fields:
        pool = replace(pool, reconnect_ns=_positive(fields["reconnect"]))
    if "timeout" in fields:
        pool = replace(pool, timeout_ns=_positive(fields["timeout"]))
    return pool


def _positive(part: Part, for_ever: bool = False) -> int:
    if for_ever and part.value == "forever":
        return FOR_EVER
    ns = part.duration()
    if ns <= 0:
        raise part.error(f"{part.value!r} must be longer than 0s")
    return ns


def _with_client(stream: Traffic, part: Part) -> Traffic:
    fields = part.mapping(("caches", "keep", "onError"))
    changes: dict[str, Any] = {}
    if "caches" in fields:
        changes["clients"] = fields["caches"].integer(1, MAX_CACHES)
    if "keep" in fields:
        changes["cache_ns"] = FOR_EVER if fields["keep"].value == "forever" else fields["keep"].duration()
    if "onError" in fields:
        changes["on_error"] = fields["onError"].one_of(("keep", "resolve"), "reaction")
    return replace(stream, **changes)


def read_rate(part: Part) -> int:
    """A rate in units a second: ``100/s``, ``30/m``, ``2/h``, or a number a second."""
    value = part.value
    number, _, per = value.partition("/") if isinstance(value, str) else (value, "", "s")
    try:
        if isinstance(number, bool) or (isinstance(value, str) and per not in _PER):
            raise ValueError
        rate = float(number) / _PER[per or "s"]
    except (TypeError, ValueError):
        raise part.error(f"{value!r} is no rate", "write for example 100/s, 30/m or 2/h") from None
    if not 0 < rate <= MAX_RATE:
        raise part.error(f"{value!r} is not between 0 and {MAX_RATE:g} a second")
    return max(1, round(rate * UNIT))


# ---- the network's settings -------------------------------------------------------------------------------------


def read_network(part: Part | None) -> NetworkSettings:
    """The settings of DNS and kube-proxy among those of the cluster's components."""
    settings = NetworkSettings()
    if part is None or not isinstance(part.value, dict):
        return settings
    dns, proxy = part.child("dns"), part.child("kubeProxy")
    if proxy is not None:
        fields = proxy.mapping(("minSyncPeriod",))
        if "minSyncPeriod" in fields:
            settings = replace(settings, proxy=ProxySettings(fields["minSyncPeriod"].duration()))
    return settings if dns is None else replace(settings, dns=_dns(dns))


def _dns(part: Part) -> DNSSettings:
    fields = part.mapping(("corefile", "ttl", "successTTL", "denialTTL", "cache"))
    settings = COREFILES["kubeadm"]
    if "corefile" in fields:
        settings = COREFILES[fields["corefile"].one_of(COREFILES, "Corefile")]
    times: dict[str, Any] = {
        name: fields[key].duration()
        for key, name in (("ttl", "ttl_ns"), ("successTTL", "success_ns"), ("denialTTL", "denial_ns"))
        if key in fields
    }
    settings = replace(settings, **times)
    if "cache" in fields:
        scope = fields["cache"].one_of(("none", "node", "cluster"), "cache")
        settings = replace(settings, cache=cast("CacheScope", scope))
    elif settings.cache == "none" and (settings.success_ns or settings.denial_ns):
        settings = replace(settings, cache="cluster")
    return settings
