"""Where work is done: in this process, in processes on this machine, or wherever a `concurrent.futures.Executor` leads.

`in_order_of_completion` hands out items, keeps a few in flight for each worker, and gives results as they come. A
worker that dies (killed, out of memory) takes its pool with it in the standard library; a new pool is made and what was
in flight is run again, each item at most `MAX_ATTEMPTS` times. What is done here must give the same result each time.

Beyond one machine: ``dask://HOST:PORT`` is the scheduler of a Dask cluster (`distributed`), which has its own retries.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Final, TypeVar

MAX_ATTEMPTS: Final = 4
IN_FLIGHT: Final = 2
"""Items handed out for each worker: one that it does, one that waits for it."""
DASK: Final = "dask://"
MODEL: Final = "k8sim.cluster"
"""What workers have imported before they are forked."""

Item = TypeVar("Item")
Done = TypeVar("Done")


class WorkerLost(Exception):
    """Workers died again and again over the same piece of work."""


class Workers:
    """Does pieces of work, in any order.

    Parameters
    ----------
    jobs
        How many at a time; 1 without an executor means in this process.
    executor
        Someone else's, which is left open; None: processes on this machine, made when they are needed.
    """

    def __init__(self, jobs: int = 1, executor: Executor | None = None) -> None:
        if jobs < 1:
            raise ValueError(f"at least one job, not {jobs}")
        self.jobs = jobs
        self._given = executor
        self._pool: Executor | None = executor
        self._before: set[multiprocessing.process.BaseProcess] = set()

    def in_order_of_completion(
        self, function: Callable[[Item], Done], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Done]]:
        """Apply a function to items; give each with its result as soon as it is there.

        Raises
        ------
        WorkerLost
            An item whose worker died `MAX_ATTEMPTS` times.
        """
        if self.jobs == 1 and self._given is None:
            for item in items:
                yield item, function(item)
            return
        waiting = iter(items)
        again: list[tuple[Item, int]] = []
        running: dict[Future[Done], tuple[Item, int]] = {}
        try:
            while True:
                while len(running) < self.jobs * IN_FLIGHT:
                    if again:
                        item, attempts = again.pop()
                    else:
                        try:
                            item, attempts = next(waiting), 0
                        except StopIteration:
                            break
                    try:
                        running[self._open().submit(function, item)] = item, attempts + 1
                    except BrokenExecutor:
                        again.append((item, attempts))
                        break
                if not running and not again:
                    return
                done = wait(running, return_when=FIRST_COMPLETED).done
                for future in [asked for asked in running if asked in done]:  # a set has no order
                    item, attempts = running.pop(future)
                    try:
                        yield item, future.result()
                    except BrokenExecutor:
                        if attempts >= MAX_ATTEMPTS:
                            raise WorkerLost(f"{attempts} workers died over {item}") from None
                        again.append((item, attempts))
                        self._replace()
        finally:
            for future in running:
                future.cancel()

    def _open(self) -> Executor:
        if self._pool is None:
            # Not fork: this process may have threads (progress, an embedding program).
            method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            context = multiprocessing.get_context(method)
            if method == "forkserver":
                context.set_forkserver_preload([MODEL])
            self._before = set(multiprocessing.active_children())
            self._pool = ProcessPoolExecutor(self.jobs, context, initializer=_ignore_interrupts)
            self._pool.submit(int).result()  # starts the first process, and shows at once if none can be
        return self._pool

    def _replace(self) -> None:
        """Give up a pool that has broken. Of a given executor nothing can be replaced."""
        if self._given is None and self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def close(self, at_once: bool = False) -> None:
        """End own workers, after the work they have begun or at once."""
        pool, self._pool = self._pool, self._given
        if pool is None or self._given is not None:
            return
        own = set(multiprocessing.active_children()) - self._before
        if at_once:
            for process in own:
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches all processes of a terminal; the one that started the others ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def workers(jobs: int = 1, executor: Executor | str | None = None) -> Iterator[Workers]:
    """Open workers, and end them; at once when something went wrong or the user has had enough.

    Parameters
    ----------
    executor
        An open executor, or ``dask://HOST:PORT``.
    """
    if isinstance(executor, str):
        with _dask(executor) as (given, threads):
            yield Workers(max(jobs, threads), given)
        return
    made = Workers(jobs, executor)
    try:
        yield made
    except BaseException:
        made.close(at_once=True)
        raise
    made.close()


@contextmanager
def _dask(address: str) -> Iterator[tuple[Executor, int]]:
    if not address.startswith(DASK):
        raise ValueError(f"unknown executor {address!r}; dask://HOST:PORT is known")
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("Dask's scheduler needs the package distributed: pip install 'k8sim[dask]'") from None
    place = address.removeprefix(DASK)
    where = place if "://" in place else f"tcp://{place}"
    with Client(where, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(1, timeout=60)
        threads = sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())
        yield client.get_executor(retries=MAX_ATTEMPTS - 1), threads
