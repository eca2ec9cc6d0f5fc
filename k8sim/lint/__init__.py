"""What experience says is wrong with a workload, each finding backed by a simulated consequence."""

from k8sim.lint.linter import Finding, Report, Untried, lint
from k8sim.lint.rule import Assumptions, Rule
from k8sim.lint.rules import RULES

__all__ = ["RULES", "Assumptions", "Finding", "Report", "Rule", "Untried", "lint"]
