"""Hypothesis: the same examples in every run, and no deadlines, for a busy machine is not a failed law.

``pytest --hypothesis-profile=explore`` looks for new counterexamples.
"""

from hypothesis import HealthCheck, settings

_SLOW_MACHINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("repeatable", derandomize=True, **_SLOW_MACHINE)
settings.register_profile("explore", derandomize=False, max_examples=2000, **_SLOW_MACHINE)
settings.load_profile("repeatable")
