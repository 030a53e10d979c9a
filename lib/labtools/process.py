"""One process a notebook: start it, listen to it, end it with everything it started."""

import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import psutil

import labtools
from labtools.grader import BATCH_VARIABLE
from labtools.running import CALL_SECONDS, CaseResult
from labtools.signature import sign
from labtools.source import Mutant

LIBRARY = Path(labtools.__file__).resolve().parent.parent
START_SECONDS = 240.0  # to import what grades it, on a machine that is busy with others
CELL_SHARE = 1 / 3  # of the time limit: one endless cell leaves time for the others


@dataclass
class Outcome:
    """What came of running one notebook."""

    results: dict[str, list[CaseResult]] = field(default_factory=dict)
    cell_errors: list[tuple[int, str]] = field(default_factory=list)
    mutants: list[dict[str, Any]] = field(default_factory=list)
    tampered: str = ""
    ready: float | None = None  # when the process had imported what it needs
    finished: bool = False
    timed_out: bool = False
    seconds: float = 0.0


def run_notebook(
    cells: list[str],
    tests: dict[str, str],
    *,
    seconds: float,
    call_seconds: float = CALL_SECONDS,
    mutants: tuple[Mutant, ...] = (),
) -> Outcome:
    """Run `cells` and their `tests` in a new process with a home and a temporary folder of its own.

    The time counts from when the process is ready. After `seconds` it is ended, with all that it
    started.
    """
    started = time.monotonic()
    key = secrets.token_hex(16)
    job = {
        "cells": cells,
        "tests": tests,
        "key": key,
        "call_seconds": call_seconds,
        "cell_seconds": seconds * CELL_SHARE,
        "mutants": [asdict(mutant) for mutant in mutants],
    }
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="labtools-", ignore_cleanup_errors=True) as folder:
        reading, writing = os.pipe()
        environment = _environment(Path(folder))
        process = subprocess.Popen(
            [sys.executable, "-m", "labtools.worker", str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(folder) / "work",
            env=environment,
            pass_fds=[writing],
            start_new_session=True,
        )
        os.close(writing)
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(job).encode())
                process.stdin.close()
            _listen(reading, seconds, key, outcome)
        finally:
            os.close(reading)
            _end(process, environment["LABTOOLS_RUN"])
    outcome.seconds = time.monotonic() - started
    return outcome


def _environment(folder: Path) -> dict[str, str]:
    """Few variables, none of them secret, and folders that vanish with the run."""
    for name in ("home", "temporary", "work"):
        (folder / name).mkdir()
    home, temporary = str(folder / "home"), str(folder / "temporary")
    # The list of fonts takes seconds to make and is no secret.
    for fonts in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        shutil.copy(fonts, folder / "home")
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "TMPDIR": temporary,
        "IPYTHONDIR": home,
        "MPLCONFIGDIR": home,
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(LIBRARY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "LABTOOLS_RUN": secrets.token_hex(8),
        BATCH_VARIABLE: "1",
    }


def _listen(reading: int, seconds: float, key: str, outcome: Outcome) -> None:
    """Take in what the worker reports until it is done, dead, or out of time."""
    buffer = b""
    started = time.monotonic()
    os.set_blocking(reading, False)
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while not outcome.finished:
            deadline = started + START_SECONDS if outcome.ready is None else outcome.ready + seconds
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                outcome.timed_out = True
                return
            data = os.read(reading, 65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                _take_in(line, key, outcome)


def _take_in(line: bytes, key: str, outcome: Outcome) -> None:
    try:
        signed = json.loads(line)
        if signed["signature"] != sign(signed["line"], key):
            raise ValueError("wrong signature")
        message = json.loads(signed["line"])
    except (ValueError, KeyError, TypeError):
        outcome.tampered = "the notebook wrote to the channel of the results"
        return
    match message.pop("kind"):
        case "question":
            outcome.results[message["name"]] = [
                CaseResult(**result) for result in message["results"]
            ]
            outcome.tampered = outcome.tampered or message["tampered"]
        case "ready":
            outcome.ready = time.monotonic()
        case "cell":
            outcome.cell_errors.append((message["index"], message["words"]))
        case "mutant":
            outcome.mutants.append(message)
        case "done":
            outcome.finished = True


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """End the process group, and what left the group but carries the run's mark."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if other.environ().get("LABTOOLS_RUN") == mark:
                other.kill()
