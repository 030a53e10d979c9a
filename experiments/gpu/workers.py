"""Jobs in several processes at once: compiling keeps a processor busy and the card idle.

A fault in one kernel makes all later calls of its process fail, so a process whose card no longer
answers is replaced by a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

Work = Callable[[str, str], dict[str, Any]]
"""(name of a job, device) -> its numbers."""
NO_TIME = "no time left"
"""How the message of a job ends that was not reached."""


def run(
    work: Work, names: Sequence[str], device: str, *, processes: int, until: float
) -> Iterator[tuple[str, dict[str, Any], float, str | None]]:
    """Name, numbers, seconds and message of every job, in the order in which they end.

    processes: 0 runs them here, one after the other. until: `time.monotonic()` when to stop; what
    was not begun by then is given with a message, and what still runs is ended.
    """
    if processes == 0:
        for name in names:
            if time.monotonic() > until:
                yield name, {}, 0.0, f"not begun: {NO_TIME}"
            else:
                yield (name, *_one(work, name, device))
        return
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")  # of each process
    waiting = list(reversed(names))
    crew = [_Worker(work, device) for _ in range(min(processes, len(names)))]
    try:
        while (waiting or any(one.job for one in crew)) and time.monotonic() < until:
            for place, one in enumerate(crew):
                if one.job is None and not one.process.is_alive():
                    crew[place] = _Worker(work, device)
                elif one.job is None and waiting:
                    one.begin(waiting.pop())
                elif one.job is not None and one.pipe.poll(0.02):
                    yield one.end()
    finally:
        for one in crew:
            one.process.terminate()
    for name in [*(one.job for one in crew if one.job is not None), *reversed(waiting)]:
        yield name, {}, 0.0, f"not ended: {NO_TIME}"


class _Worker:
    """A process, the pipe to it, and the job that it has."""

    def __init__(self, work: Work, device: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, device, theirs))
        self.process.start()
        theirs.close()
        self.job: str | None = None

    def begin(self, job: str) -> None:
        self.job = job
        with suppress(OSError):  # it is no more, as `end` will see
            self.pipe.send(job)

    def end(self) -> tuple[str, dict[str, Any], float, str | None]:
        """The job's name and what it gave."""
        job, self.job = self.job, None
        try:
            return (job, *self.pipe.recv())
        except (EOFError, OSError):
            self.process.join()
            return job, {}, 0.0, "its process died"


def _serve(work: Work, device: str, pipe: Any) -> None:
    torch.set_num_threads(2)
    with suppress(EOFError):  # nothing more to do
        while True:
            pipe.send(_one(work, pipe.recv(), device))
            if not _answers(device):
                return


def _one(work: Work, name: str, device: str) -> tuple[dict[str, Any], float, str | None]:
    began = time.monotonic()
    try:
        return work(name, device), time.monotonic() - began, None
    except Exception as error:  # one case must not end the part
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"line {where.lineno} of {Path(where.filename).name}"
        message = f"{type(error).__name__}: {error} ({place})"
        return {}, time.monotonic() - began, message


def _answers(device: str) -> bool:
    if torch.device(device).type != "cuda":
        return True
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True
