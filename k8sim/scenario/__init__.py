"""Scenario files: what to simulate."""

from k8sim.machines.image import ImageBehaviour
from k8sim.scenario.errors import ScenarioError
from k8sim.scenario.loader import load, loads
from k8sim.scenario.model import NodeGroup, NotSimulated, Scenario, Source, Step

__all__ = [
    "ImageBehaviour",
    "NodeGroup",
    "NotSimulated",
    "Scenario",
    "ScenarioError",
    "Source",
    "Step",
    "load",
    "loads",
]
