"""Reading a scenario needs none of what runs it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("simpy", "pandas", "matplotlib", "k8sim.cluster", "k8sim.apiserver.server", "k8sim.scheduler.scheduler")


def test_loading_imports_neither_the_engine_nor_what_draws() -> None:
    program = f"import sys, k8sim.scenario; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
