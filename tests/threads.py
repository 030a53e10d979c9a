"""Work in several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def run_beside(work: Callable[[], object], other: Callable[[], Any]) -> list[Any]:
    """`work` in two threads and, until both end, `other` in one more: what `other` gave."""
    found, done = [], threading.Event()

    def again() -> None:
        while not done.is_set():
            found.append(other())

    workers = [threading.Thread(target=work) for _ in range(2)]
    beside = threading.Thread(target=again)
    for thread in (beside, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    beside.join()
    return found
