"""What a node has to give to pods: its capacity without what is reserved and what hard eviction thresholds keep free.

Source: pkg/kubelet/cm/node_container_manager_linux.go (GetNodeAllocatableReservation),
pkg/kubelet/nodestatus/setters.go (MachineInfo), pkg/kubelet/eviction/api/types.go (GetThresholdQuantity); node.md 8.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from k8sim.api.quantity import format_milli, format_quantity, parse_milli, parse_quantity

RESERVABLE: Final = ("cpu", "memory", "ephemeral-storage")
_NODEFS_AVAILABLE: Final[float] = struct.unpack("f", struct.pack("f", 0.1))[0]
"""evictionHard's default of nodefs.available, 10 %: a float32 there, which shows in the bytes."""


def node_allocatable(
    capacity: Mapping[str, str], reserved: Mapping[str, str], eviction_hard_bytes: int
) -> dict[str, str]:
    """Return a node's allocatable resources.

    Parameters
    ----------
    reserved
        kubeReserved and systemReserved together.
    eviction_hard_bytes
        evictionHard's memory.available.
    """
    return {
        name: _left(name, amount, reserved.get(name, "0"), eviction_hard_bytes) for name, amount in capacity.items()
    }


def _left(name: str, amount: str, reserved: str, eviction_hard_bytes: int) -> str:
    if name == "cpu":
        return format_milli(max(0, parse_milli(amount) - parse_milli(reserved)))
    if name not in RESERVABLE:
        return amount
    there = parse_quantity(amount)
    kept_free = eviction_hard_bytes if name == "memory" else int(there * _NODEFS_AVAILABLE)
    return format_quantity(max(0, there - parse_quantity(reserved) - kept_free), binary=True)
