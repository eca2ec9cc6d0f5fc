"""Python's garbage collector during runs: what is chosen for it, and why, in one place.

A run makes next to no garbage in cycles: objects are immutable versions that refer downwards, and `msgspec` keeps them
out of the collector's sight altogether (an outage of a zone of 300 nodes leaves 11,000 objects after 60,000 writes).
What does form cycles is a cluster as a whole, which dies as a whole. So the collector looks for garbage while a cluster
is made and runs only when there is much that is new, lest the failures of months pile up: that saves a tenth of the
time of a small cluster, and a fifth of that of a large one. A cluster that is taken apart (`k8sim.cluster.simulate`)
leaves nothing to find, unless a process ended during its run: then some hundred objects, and what they refer to. One
that is not is found by the first look after a short run, among the youngest objects, before anything of it has aged.
What was there before the first replicate, modules included, is put out of the collector's sight.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MUCH: Final = 1_000_000
"""So many objects more than at the last look, most of a trace: some 200 MB."""


@contextmanager
def blind_to_the_past() -> Iterator[None]:
    """Let the collector look only at what is made from here on, for as long as replicates are simulated."""
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()  # only what is younger than the freeze
        gc.unfreeze()


@contextmanager
def asleep() -> Iterator[None]:
    """Let the collector look only when there is much that is new, for as long as one cluster is made or runs."""
    young, *older = gc.get_threshold()
    gc.set_threshold(MUCH if young else 0, *older)
    try:
        yield
    finally:
        gc.set_threshold(young, *older)
