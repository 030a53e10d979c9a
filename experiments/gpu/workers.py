"""Jobs in several processes at once: compiling keeps a processor busy and the card idle.

A fault in one kernel makes all later calls of its process fail, so a process whose card no longer
answers is replaced by a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

Work = Callable[[str, str], dict[str, Any]]
"""(name of a job, device) -> its numbers."""


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
                yield name, {}, 0.0, "not begun: no time left"
            else:
                yield (name, *_one(work, name, device))
        return
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "2")  # of each process
    context = multiprocessing.get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    for name in names:
        todo.put(name)
    crew = [_start(context, work, device, todo, done) for _ in range(min(processes, len(names)))]
    left, spare = list(names), len(names)
    while left and time.monotonic() < until:
        try:
            name, *rest = done.get(timeout=0.5)
        except queue.Empty:
            for place, one in enumerate(crew):
                if not one.is_alive() and spare > 0:
                    crew[place] = _start(context, work, device, todo, done)
                    spare -= 1
            continue
        left.remove(name)
        yield (name, *rest)
    for one in crew:
        one.terminate()
    for name in left:
        yield name, {}, 0.0, "not ended: no time left, or its process died"


def _start(context: Any, work: Work, device: str, todo: Any, done: Any) -> Any:
    process = context.Process(target=_serve, args=(work, device, todo, done), daemon=True)
    process.start()
    return process


def _serve(work: Work, device: str, todo: Any, done: Any) -> None:
    torch.set_num_threads(2)
    while True:
        name = todo.get()
        values, seconds, error = _one(work, name, device)
        done.put((name, values, seconds, error))
        if not _answers(device):
            done.close()
            done.join_thread()
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
