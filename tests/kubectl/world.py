"""A server with objects, and commands that run against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from k8sim.api.meta import Object
from k8sim.api.scheme import decode
from k8sim.apiserver.server import APIServer
from k8sim.kubectl import parse
from k8sim.kubectl.apply import apply
from k8sim.kubectl.process import CommandError, Process, Result
from k8sim.kubectl.run import run
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_server

STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: app, image: "app:v1"}, {name: side, image: "side:v1"}]
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: app, image: "app:v1"}]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec: {containers: [{name: app, image: "app:v1"}]}
"""


class World:
    """One server; ``self.now`` is in seconds."""

    def __init__(self, *manifests: str, seed: int = 1) -> None:
        self.server: APIServer = make_server(seed)
        self.clock = self.server.sim.clock
        for manifest in manifests:
            self.create(manifest)

    def create(self, manifest: str) -> Object:
        """Create an object at once."""
        return self.server.create(decode(yaml.safe_load(manifest)))

    def start(self, text: str) -> list[tuple[float, Result]]:
        """Start a command; the list gets the time of its end and its result."""
        done: list[tuple[float, Result]] = []

        def go() -> Any:
            result = yield from run(Process(self.server, "default", text), parse(text))
            done.append((self.clock.now / SECOND, result))

        self.clock.spawn(go())
        return done

    def kubectl(self, text: str, within: float = 5.0) -> Result:
        """Run a command to its end, which must come in time."""
        done = self.start(text)
        self.run(within)
        assert done, f"{text} has not ended"
        return done[0][1]

    def apply(self, manifest: str) -> Result:
        """Apply an object."""
        process = Process(self.server, "default", "apply")

        def go() -> Any:
            try:
                yield from apply(process, yaml.safe_load(manifest))
            except CommandError as error:
                process.fail(error)

        self.clock.spawn(go())
        self.run(1)
        return process.result

    def at(self, second: float, function: Callable[..., object], *args: Any) -> None:
        """Do something at a time."""
        self.clock.call_at(round(second * SECOND), function, *args)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run(self.clock.now + round(seconds * SECOND))

    def get(self, kind: type[Any], name: str, namespace: str = "default") -> Any:
        """Return an object."""
        return self.server.get(kind, namespace if kind.namespaced else "", name)
