"""Many runs at once: processes on this machine, or the workers of a Dask cluster.

Both hand over each result as soon as it is there, in whatever order. On a cluster the jobs are
submitted one by one and not through joblib, whose backend keeps its own list of what is under way:
when a worker was killed while jobs were being dealt out, the list waited for ever.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib

LOST_WORKERS = 10
"""As often one job may lose its worker before it counts as the cause."""


class SweepError(Exception):
    """A sweep cannot go on; the message says why in a sentence."""


def run_here(work: Callable[..., Any], jobs: Sequence[tuple], *, processes: int) -> Iterator[Any]:
    """What `work(*job)` gives for each job, in processes of one thread each."""
    calls = [joblib.delayed(work)(*job) for job in jobs]
    with joblib.parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
        yield from joblib.Parallel(return_as="generator_unordered")(calls)


def run_on_cluster(
    work: Callable[..., Any], jobs: Sequence[tuple], *, address: str, patience: float
) -> Iterator[Any]:
    """The same on the workers of a Dask scheduler.

    A job whose worker dies is given to another. patience: seconds in which something must finish.

    Raises SweepError when no scheduler answers, its workers lack the code, a job has lost
    `LOST_WORKERS` workers, or nothing has finished for `patience` seconds.
    """
    from distributed import KilledWorker

    ended: queue.Queue[Any] = queue.Queue()

    with _client(address, patience) as client:

        def submit(job: tuple) -> Any:
            future = client.submit(work, *job, pure=False)
            future.add_done_callback(ended.put)
            return future

        waiting = {submit(job): (job, 0) for job in jobs}
        while waiting:
            try:
                future = ended.get(timeout=patience)
            except queue.Empty:
                raise SweepError(_standstill(client, address, patience, len(waiting))) from None
            job, lost = waiting.pop(future)
            if future.status == "error" and isinstance(future.exception(), KilledWorker):
                if lost + 1 == LOST_WORKERS:
                    raise SweepError(f"{job[:2]} has lost {LOST_WORKERS} workers; it is given up.")
                waiting[submit(job)] = (job, lost + 1)
                continue
            if future.status not in ("finished", "error"):  # the scheduler is gone
                raise SweepError(f"the scheduler at {address} is gone; what is done is kept.")
            yield future.result()


def _standstill(client: Any, address: str, patience: float, left: int) -> str:
    workers = len(client.scheduler_info()["workers"])
    return (
        f"nothing finished on {address} for {patience:g} s, with {workers} workers and {left} jobs "
        "to go; what is done is kept, and the same command goes on."
    )


@contextlib.contextmanager
def _client(address: str, patience: float) -> Iterator[Any]:
    """A client of the cluster whose workers can import the experiments."""
    from distributed import Client, TimeoutError

    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise SweepError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=min(60, patience))
        except TimeoutError as error:
            raise SweepError(f"the scheduler at {address} has no workers.") from error
        for said in client.run(_importable, on_error="return").values():
            if isinstance(said, ImportError):
                raise SweepError(
                    f"the workers of {address} cannot import the experiments ({said}): "
                    "start them in the repository's root with PYTHONPATH=. dask worker ..."
                )
        yield client


def _importable() -> None:
    import experiments.runner  # noqa: F401
