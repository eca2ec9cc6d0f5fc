"""Metrics of a run as tidy DataFrames, computed from the trace only; `Metrics.table` defines each of them."""

from k8sim.metrics.frames import Metrics

__all__ = ["Metrics"]
