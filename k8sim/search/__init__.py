"""Counterexamples: histories of commands and faults that break a guarantee, an objective or a hope."""

from k8sim.search.search import Counterexample, Report, Signature, search
from k8sim.search.space import Space
from k8sim.search.write import scenario_file, timeline_lines, why, write

__all__ = [
    "Counterexample",
    "Report",
    "Signature",
    "Space",
    "scenario_file",
    "search",
    "timeline_lines",
    "why",
    "write",
]
