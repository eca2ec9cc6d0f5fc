"""Settings of cluster DNS and kube-proxy, under the names that their own configurations use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from k8sim.sim.units import SECOND

CacheScope = Literal["none", "node", "cluster"]


@dataclass(frozen=True)
class DNSSettings:
    """Cluster DNS.

    Parameters
    ----------
    ttl_ns
        Of the records; a client that honours it asks again afterwards (30 s in all shipped Corefiles).
    success_ns, denial_ns
        How long a server's cache keeps answers and denials; 0: not at all.
    cache
        Who shares a cache: nobody, the pods of a node (NodeLocal DNSCache), or the cluster (one CoreDNS).
    """

    ttl_ns: int = 30 * SECOND
    success_ns: int = 0
    denial_ns: int = 0
    cache: CacheScope = "none"


COREFILES: Final[Mapping[str, DNSSettings]] = {
    "kubeadm": DNSSettings(),
    "addons": DNSSettings(success_ns=30 * SECOND, denial_ns=30 * SECOND, cache="cluster"),
    "nodelocal": DNSSettings(success_ns=30 * SECOND, denial_ns=5 * SECOND, cache="node"),
}
"""What ships with Kubernetes 1.36 (workloads.md 7.2): kubeadm's Corefile switches both caches off for the cluster's
domain, that of cluster/addons caches everything up to 30 s, NodeLocal DNSCache denials up to 5 s."""


@dataclass(frozen=True)
class ProxySettings:
    """kube-proxy (pkg/proxy/apis/config/v1alpha1/defaults.go; workloads.md 7.4)."""

    min_sync_period_ns: int = 1 * SECOND


@dataclass(frozen=True)
class NetworkSettings:
    """Both."""

    dns: DNSSettings = field(default_factory=DNSSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
