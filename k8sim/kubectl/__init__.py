"""kubectl: commands parsed without a shell, and run against the API server with kubectl's own sequence of requests."""

from k8sim.kubectl.command import Command, KubectlSyntaxError, Target
from k8sim.kubectl.parser import parse

__all__ = ["Command", "KubectlSyntaxError", "Target", "parse"]
