"""How much a notebook may use: memory, files, processes."""

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path

import psutil

GIGABYTE = 2**30


@dataclass(frozen=True)
class Limits:
    """What one notebook may use, beyond what the grader itself has.

    `memory` and `file` are bytes, `processes` counts processes and threads. A user who may do
    everything has no limit on processes.
    """

    memory: int = 4 * GIGABYTE
    file: int = GIGABYTE
    processes: int = 256

    def apply(self) -> None:
        """Limit this process and all that it will start."""
        _limit("RLIMIT_CORE", 0)  # a crash leaves no file behind
        _limit("RLIMIT_FSIZE", self.file)
        _limit("RLIMIT_NPROC", self.processes + _tasks_of_this_user())
        _limit("RLIMIT_DATA", self.memory + _data_of_this_process())


def _limit(name: str, value: int) -> None:
    """Set a limit where the system has it; never raise one."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _tasks_of_this_user() -> int:
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid():
                count += process.num_threads()
    return count


def _data_of_this_process() -> int:
    """Bytes of memory of its own, which Linux counts against RLIMIT_DATA."""
    with contextlib.suppress(OSError, StopIteration):
        status = Path("/proc/self/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmData:"))
        return int(line.split()[1]) * 1024
    return GIGABYTE
