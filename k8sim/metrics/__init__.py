"""Metrics of a run as tidy DataFrames, computed from the trace only; `Metrics.table` defines each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k8sim.metrics.frames import Metrics

__all__ = ["Metrics"]


def __getattr__(name: str) -> Any:
    """Import pandas when a DataFrame is wanted, and not for the names of metrics."""
    if name == "Metrics":
        from k8sim.metrics.frames import Metrics

        return Metrics
    raise AttributeError(name)
