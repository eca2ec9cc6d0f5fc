"""What a machine and its agent, the kubelet, are to each other: what the one tells, and how it refuses the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class RuntimeFailure(Exception):
    """The container runtime has not done what it was asked for."""


class RuntimeDown(RuntimeFailure):
    """The container runtime does not answer."""

    def __init__(self) -> None:
        super().__init__("rpc error: code = Unavailable desc = connection error: the container runtime does not answer")


class NetworkPluginDown(RuntimeFailure):
    """The container runtime can neither make nor take down a pod's network."""

    def __init__(self) -> None:
        super().__init__("rpc error: code = Unknown desc = cni plugin not initialized")


class Agent(Protocol):
    """What runs on the machine and reacts to it: the kubelet."""

    def runtime_changed(self, uid: str) -> None:
        """Something in the runtime has changed for a pod."""

    def answers_changed(self, uid: str) -> None:
        """A container of the pod answers probes differently from now on."""

    def power_lost(self) -> None:
        """The machine is off."""

    def booted(self) -> None:
        """The machine is on again; its runtime is empty."""

    def manifest_changed(self, name: str | None, image: str | None) -> bool:
        """Manifests of static pods (None: all) name another image now, or (None) are gone; False: there are none."""

    def pressure_changed(self) -> None:
        """The machine runs short of something, or no longer does."""

    def shutdown_requested(self, power_off: Callable[[], None]) -> bool:
        """The machine is to be shut down: False to let it, True to call ``power_off`` later."""

    def link_lost(self) -> None:
        """The API server cannot be reached any more."""

    def link_restored(self) -> None:
        """The API server can be reached again."""

    def restarted(self, after_ns: int) -> None:
        """The agent's process ends and begins anew after a time; containers go on."""

    def runtime_stopped(self) -> None:
        """The container runtime does not answer any more."""

    def runtime_started(self) -> None:
        """The container runtime answers again."""

    def network_plugin_changed(self) -> None:
        """The network plug-in does not work any more, or works again."""
