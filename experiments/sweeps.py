"""Many runs at once: processes on this machine, or the workers of a Dask cluster.

Both hand over each result as soon as it is there, in whatever order, and both stop with a sentence
when nothing finishes for long.

On a cluster the jobs are submitted one by one and not through joblib. Its backend for Dask hears
only of jobs that return: one that ends otherwise, because Dask gives it up with its worker
(`KilledWorker`), is waited for without end. Nothing is asked of all workers at once either, since a
worker that has frozen would not answer.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import queue
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import joblib

if TYPE_CHECKING:
    from distributed import Client, Future

TRIES = 3
"""As often a job is submitted. Dask itself gives each try to several workers when they die."""
NOTICE = 60.0
"""Seconds without a result and without a worker after which that is said."""


class SweepError(Exception):
    """A sweep cannot go on; the message says why in a sentence."""


def run_here(
    work: Callable[..., Any], jobs: Sequence[tuple], *, processes: int, patience: float
) -> Iterator[Any]:
    """What `work(*job)` gives for each job, in processes of one thread each.

    With one process the jobs run in this one, and nothing watches over them. Raises SweepError when
    nothing has finished for `patience` seconds, or a process dies.
    """
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    calls = [joblib.delayed(work)(*job) for job in jobs]
    options = {"timeout": patience} if processes > 1 else {}
    with joblib.parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
        finished = joblib.Parallel(return_as="generator_unordered", **options)(calls)
        try:
            yield from finished
        except (TimeoutError, multiprocessing.TimeoutError):
            raise SweepError(_standstill("here", patience)) from None
        except TerminatedWorkerError:
            raise SweepError(
                "a process died, perhaps for want of memory; what is done is kept, and the same "
                "command goes on (with fewer --jobs)."
            ) from None


def run_on_cluster(
    work: Callable[..., Any], jobs: Sequence[tuple], *, address: str, patience: float
) -> Iterator[Any]:
    """The same on the workers of a Dask scheduler. A job whose worker dies is given to another.

    work: a function of a module that the workers can import. Raises SweepError when no scheduler
    answers, it or its workers are gone, they cannot import the module, a job is lost `TRIES` times,
    or nothing has finished for `patience` seconds.
    """
    with _client(address, patience) as client:
        sweep = _Sweep(client, work, address, patience)
        for job in jobs:
            sweep.submit(job)
        yield from sweep.results()


class _Sweep:
    """Jobs under way on a cluster: each is submitted until it has given one result."""

    def __init__(
        self, client: Client, work: Callable[..., Any], address: str, patience: float
    ) -> None:
        self.client, self.address, self.patience = client, address, patience
        self.work = (work.__module__, work.__name__)
        self.waiting: dict[Future, tuple[tuple, int]] = {}
        self.ended: queue.SimpleQueue[Future] = queue.SimpleQueue()

    def submit(self, job: tuple, tries: int = 1) -> None:
        future = self.client.submit(_sent(), *self.work, *job, pure=False)
        self.waiting[future] = job, tries
        future.add_done_callback(self.ended.put)

    def results(self) -> Iterator[Any]:
        deadline = time.monotonic() + self.patience
        while self.waiting:
            future = self._next_until(deadline)
            job, tries = self.waiting.pop(future)
            try:
                result = self._result_of(future, deadline)
            except _Lost:
                if tries == TRIES:
                    raise SweepError(
                        f"{' '.join(map(str, job[:2]))} has lost its workers {TRIES} times; it may "
                        "be what kills them. What is done is kept."
                    ) from None
                self.submit(job, tries + 1)
                continue
            deadline = time.monotonic() + self.patience
            yield result

    def _next_until(self, deadline: float) -> Future:
        told = False
        while True:
            left = deadline - time.monotonic()
            try:
                return self.ended.get(timeout=max(0.0, min(left, NOTICE)))
            except queue.Empty:
                if left <= NOTICE:
                    raise SweepError(self._standstill()) from None
            if not told and self._workers() == 0:
                print(f"{self.address} has no workers; waiting for one.", file=sys.stderr)
                told = True

    def _result_of(self, future: Future, deadline: float) -> Any:
        """What a job gave; its worker may die before it has handed that over."""
        from distributed import CancelledError, KilledWorker

        try:
            return future.result(timeout=max(1.0, deadline - time.monotonic()))
        except KilledWorker:
            raise _Lost from None
        except TimeoutError:
            raise SweepError(self._standstill()) from None
        except (OSError, CancelledError):
            raise SweepError(
                f"the scheduler at {self.address} is gone; what is done is kept, and the same "
                "command goes on."
            ) from None
        except ImportError as error:
            raise SweepError(
                f"the workers of {self.address} cannot import the experiments ({error}): "
                "start them in the repository's root with PYTHONPATH=. dask worker ..."
            ) from error

    def _workers(self) -> int | None:
        """How many the scheduler knows; None when it does not answer."""
        with contextlib.suppress(TimeoutError, OSError):
            return len(self.client.sync(self.client.scheduler.ncores, callback_timeout=10))
        return None

    def _standstill(self) -> str:
        workers = self._workers()
        known = "a scheduler that does not answer" if workers is None else f"{workers} workers"
        return _standstill(f"on {self.address}", self.patience, f", with {known}")


class _Lost(Exception):
    """Dask has given a job up after its workers died."""


def _standstill(where: str, patience: float, more: str = "") -> str:
    return (
        f"nothing finished {where} for {patience:g} s{more}; what is done is kept, and the same "
        "command goes on."
    )


def _sent() -> Callable[..., Any]:
    """A function that calls another by its name where it arrives.

    It is a local one so that it is sent as code. One that is sent by its name must be importable by
    the scheduler, and a worker that lacks it would leave without saying why.
    """

    def call(module: str, name: str, *arguments: Any) -> Any:
        from importlib import import_module

        return getattr(import_module(module), name)(*arguments)

    return call


@contextlib.contextmanager
def _client(address: str, patience: float) -> Iterator[Client]:
    """A client of a cluster that has a worker, or will have one within a minute."""
    from distributed import Client

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it means is said here
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise SweepError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=min(60, patience))
        except TimeoutError as error:
            raise SweepError(f"the scheduler at {address} has no workers.") from error
        yield client
