"""k8sim: a discrete-event simulator of Kubernetes' stateful stack.

>>> import k8sim
>>> result = k8sim.run("scenarios/web-rolling-update.yaml", seed=7)  # doctest: +SKIP
>>> result.trace  # a pandas DataFrame, one row an event  # doctest: +SKIP

`experiment` runs thousands of replicates of a scenario and of its variants, `run` simulates one. `load` and `loads`
read scenarios, `Scenario`, `NodeGroup`, `ImageBehaviour` and `Step` build them in a program. Names are imported when
they are first used, so that ``import k8sim`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from k8sim.result import Result
    from k8sim.runner.experiment import experiment
    from k8sim.scenario import ImageBehaviour, NodeGroup, Scenario, ScenarioError, Step, load, loads

__version__ = "0.1.0"
KUBERNETES_VERSION: Final = "v1.36.2"
"""The release whose rules are simulated."""

__all__ = [
    "KUBERNETES_VERSION",
    "ImageBehaviour",
    "NodeGroup",
    "Result",
    "Scenario",
    "ScenarioError",
    "Step",
    "__version__",
    "experiment",
    "load",
    "loads",
    "run",
]

_HOME: Final = {
    "ImageBehaviour": "k8sim.scenario",
    "NodeGroup": "k8sim.scenario",
    "Result": "k8sim.result",
    "Scenario": "k8sim.scenario",
    "ScenarioError": "k8sim.scenario",
    "Step": "k8sim.scenario",
    "experiment": "k8sim.runner.experiment",
    "load": "k8sim.scenario",
    "loads": "k8sim.scenario",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'k8sim' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def run(scenario: Scenario | str | Path, seed: int | None = None, replicate: int = 0) -> Result:
    """Simulate one replicate of a scenario to its end.

    Parameters
    ----------
    scenario
        A scenario, or the path of a scenario file.
    seed
        Address of all chance; by default the scenario's own. The same scenario, seed and replicate give the same
        trace, bit for bit, on every machine.
    replicate
        Which repetition: another number gives other draws under the same seed.

    Raises
    ------
    ScenarioError
        The file is wrong; names file, line, problem and hint.
    """
    from k8sim.cluster import Cluster
    from k8sim.scenario import Scenario, load

    model = scenario if isinstance(scenario, Scenario) else load(scenario)
    return Cluster(model, seed=seed, replicate=replicate).run()
