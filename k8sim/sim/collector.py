"""Python's garbage collector during runs: what is chosen for it, and why, in one place.

A run makes next to no garbage in cycles: objects are immutable versions that refer downwards, and `msgspec` keeps them
out of the collector's sight altogether. What does form cycles is a cluster as a whole, which dies as a whole. With
Python's defaults the collector looks at everything that is alive, modules included, every few replicates; so what was
there before the runs is put out of its sight. Its thresholds stay as they are: to collect more rarely costs more than
it saves, because memory of dead clusters is then not reused while it is still in the processor's cache.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def blind_to_the_past() -> Iterator[None]:
    """Let the collector look only at what is made from here on, for as long as replicates are simulated."""
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()  # only what is younger than the freeze
        gc.unfreeze()
