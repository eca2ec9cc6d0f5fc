"""What a scenario says of upgrades and reactions, as plain data.

Delays are distributions, drawn anew for each node or pod and each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from k8sim.api.core import Node
from k8sim.api.meta import LabelSelector
from k8sim.api.selectors import selector_matches
from k8sim.sim.distributions import Constant, Distribution, Uniform
from k8sim.sim.units import MINUTE, SECOND

NONE: Final = Constant(0)
REBOOT: Final = Constant(3 * MINUTE)
BOOT: Final = Constant(2 * MINUTE)
UNTAINT: Final = Constant(MINUTE)
READY_TIMEOUT_NS: Final = 15 * MINUTE
"""What a cluster autoscaler waits for a node (--max-node-provision-time), and Karpenter for a NodeClaim to register
(registration TTL). That an upgrade fails then is what managed groups do (EKS: NodeCreationFailure)."""
POLL: Final = Uniform(0, 2 * SECOND)
"""The AWS node termination handler asks every 2 s whether there is a notice."""


@dataclass(frozen=True)
class Chosen:
    """Nodes by patterns of their names, and by labels."""

    patterns: tuple[str, ...] = ("*",)
    selector: LabelSelector | None = None

    def matches(self, node: Node) -> bool:
        """Tell whether a node is among them."""
        named = any(fnmatchcase(node.name, pattern) for pattern in self.patterns)
        return named and (self.selector is None or selector_matches(self.selector, node.metadata.labels))


# ---- upgrades -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drain:
    """Flags of the ``kubectl drain`` that empties a node.

    Parameters
    ----------
    timeout_ns
        How long it tries (0: for ever). 1 h on GKE, 30 min on AKS, 15 min for a pod on EKS.
    """

    timeout_ns: int = 0
    grace_period: int = -1
    ignore_daemonsets: bool = True
    delete_emptydir_data: bool = True
    force: bool = True
    disable_eviction: bool = False
    pod_selector: str = ""

    def command(self, node: str) -> str:
        """Return the command line."""
        switches = ("ignore_daemonsets", "delete_emptydir_data", "force", "disable_eviction")
        words = ["drain", node, *(f"--{name.replace('_', '-')}" for name in switches if getattr(self, name))]
        if self.grace_period >= 0:
            words.append(f"--grace-period={self.grace_period}")
        if self.pod_selector:
            words.append(f"--pod-selector={self.pod_selector}")
        if self.timeout_ns:
            words.append(f"--timeout={self.timeout_ns / SECOND:g}s")
        return " ".join(words)


DrainFailure = Literal["proceed", "skip", "stop"]
"""What becomes of a node that cannot be drained: its machine is taken all the same (GKE, `kured --force-reboot`), it is
left cordoned and the upgrade goes on (AKS with undrainableNodeBehavior Cordon), or the upgrade ends (AKS, EKS)."""


@dataclass(frozen=True)
class NodeUpgrade:
    """One upgrade of a pool of nodes.

    Parameters
    ----------
    at_ns, every
        When it begins, and how long after its end it begins anew (None: never).
    surge
        New machines take the place of the old ones; else the old ones boot in place.
    parallel
        So many nodes at a time.
    reboot
        In place: from the loss of power until the machine boots.
    boot
        Surge: from the order of a machine until its kubelet runs.
    ready_timeout_ns
        How long it waits for a node to be Ready, from when its machine should boot (0: for ever). An upgrade that has
        waited in vain ends.
    settle
        Pause after a node is Ready, before it is uncordoned.
    """

    name: str = "upgrade"
    at_ns: int = 0
    every: Distribution | None = None
    nodes: Chosen = field(default_factory=Chosen)
    surge: bool = False
    parallel: int = 1
    drain: Drain = field(default_factory=Drain)
    on_drain_failure: DrainFailure = "stop"
    reboot: Distribution = REBOOT
    boot: Distribution = BOOT
    ready_timeout_ns: int = READY_TIMEOUT_NS
    settle: Distribution = NONE


# ---- reactions ----------------------------------------------------------------------------------------------------

Fence = Literal["none", "check", "powerOff"]
"""What is done before a silent node is declared dead: nothing (whoever is only partitioned runs on); its machine is
looked at, and left alone while it runs; its machine is switched off."""


@dataclass(frozen=True)
class ForceDelete:
    """Somebody deletes pods by force that hang in Terminating.

    Parameters
    ----------
    after
        From the moment at which the pod should have been gone (its deletionTimestamp).
    pods, namespaces
        Patterns of names.
    any_node
        Also where the node is Ready; else a pod is left alone whose node is.
    """

    after: Distribution
    pods: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    any_node: bool = False


@dataclass(frozen=True)
class OutOfService:
    """Somebody taints nodes ``node.kubernetes.io/out-of-service`` that have not been Ready for so long.

    Parameters
    ----------
    remove
        From the moment at which the node is Ready again until the taint is taken off; None: never.
    """

    after: Distribution
    nodes: Chosen = field(default_factory=Chosen)
    fence: Fence = "check"
    remove: Distribution | None = UNTAINT


@dataclass(frozen=True)
class DeleteNode:
    """Somebody deletes the Node object of nodes that have not been Ready for so long."""

    after: Distribution
    nodes: Chosen = field(default_factory=Chosen)
    fence: Fence = "check"


@dataclass(frozen=True)
class ReplaceNode:
    """A new machine takes the place of each Node object that is deleted (an auto-scaling group)."""

    after: Distribution
    nodes: Chosen = field(default_factory=Chosen)


@dataclass(frozen=True)
class TerminationHandler:
    """A program that reacts to the notice that a spot machine will be taken away.

    Parameters
    ----------
    after
        Until it has seen the notice.
    cordon_only
        It does not drain.
    """

    after: Distribution = POLL
    nodes: Chosen = field(default_factory=Chosen)
    cordon_only: bool = False


@dataclass(frozen=True)
class Operators:
    """Who reacts to what."""

    force_delete: tuple[ForceDelete, ...] = ()
    out_of_service: tuple[OutOfService, ...] = ()
    delete_node: tuple[DeleteNode, ...] = ()
    replace_node: tuple[ReplaceNode, ...] = ()
    termination_handler: tuple[TerminationHandler, ...] = ()
