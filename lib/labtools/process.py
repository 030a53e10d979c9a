"""One process a notebook: start it, listen to it, end it with everything it started."""

import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import psutil

import labtools
from labtools.limits import Limits
from labtools.running import CALL_SECONDS, CaseResult
from labtools.source import Mutant
from labtools.warm import receive, send
from labtools.where import BATCH_VARIABLE

LIBRARY = Path(labtools.__file__).resolve().parent.parent
START_SECONDS = 240.0  # to import what grades it, on a machine that is busy with others
END_SECONDS = 20.0  # to end what a notebook left behind
CELL_SHARE = 1 / 3  # of the time limit: one endless cell leaves time for the others
#: A process that has imported torch can be copied on Linux; elsewhere each starts from nothing.
CAN_BE_WARM = sys.platform == "linux"
GRADER_MODULES = ("labtools.worker", "matplotlib.pyplot")


@dataclass
class Outcome:
    """What came of running one notebook."""

    results: dict[str, list[CaseResult]] = field(default_factory=dict)
    salted: dict[str, list[CaseResult]] = field(default_factory=dict)
    cell_errors: list[tuple[int, str]] = field(default_factory=list)
    mutants: list[dict[str, Any]] = field(default_factory=list)
    nothing: list[tuple[str, str, list[CaseResult]]] = field(default_factory=list)
    tampered: list[str] = field(default_factory=list)  # with what grades it, a sentence each
    replaced: list[str] = field(default_factory=list)  # tools that tests did not use so
    crash: str = ""  # an error of the grader's own
    began: str = ""  # the question whose tests ran last
    ready: float | None = None  # when the process had imported what it needs
    finished: bool = False
    timed_out: bool = False
    exit_code: int | None = None  # negative: the signal that ended it
    seconds: float = 0.0  # on the clock
    cpu_seconds: float = 0.0


class Warm:
    """A process that imports `modules` once and forks a copy of itself for each notebook.

    It serves one notebook at a time. A notebook that kills it costs the next one a new start.
    """

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self._modules = [*GRADER_MODULES, *modules]
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def __enter__(self) -> "Warm":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "labtools.warm", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**_shared_environment(), "HOME": os.devnull, "MPLCONFIGDIR": _fonts()},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._channel.settimeout(START_SECONDS)
        start = {"modules": self._modules, "warm": CAN_BE_WARM}
        send(self._channel, json.dumps(start).encode())
        receive(self._channel)

    def run(self, job: dict[str, Any], outcome: Outcome, seconds: float) -> None:
        """Fork a copy that does `job`; take in what it reports, for at most `seconds`."""
        with contextlib.suppress(OSError, EOFError):  # it is not there: it was killed
            self.start()
        reading, writing = os.pipe()
        try:
            with contextlib.suppress(OSError, EOFError, ValueError):
                try:
                    send(self._channel, json.dumps(job).encode(), (writing,))
                finally:
                    os.close(writing)
                child = json.loads(receive(self._channel))["pid"]
                ended = _listen(reading, self._channel, seconds, outcome)
                if not ended:
                    self._end(child, outcome)
        finally:
            os.close(reading)
            _end_marked(job["environment"]["LABTOOLS_RUN"])

    def _end(self, child: int, outcome: Outcome) -> None:
        """End the copy, which is done or out of time, and wait until all it started has ended."""
        if not outcome.finished:
            _kill_group(child)
        self._channel.settimeout(END_SECONDS)
        try:
            _take_in_end(receive(self._channel), outcome)
        except OSError:
            _kill_group(child)
            self.close()
        else:
            self._channel.settimeout(START_SECONDS)

    def close(self) -> None:
        """End the process."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            _kill_group(self._process.pid)
            self._process.wait()
            self._process = None


def run_notebook(
    cells: list[str],
    tests: dict[str, str],
    *,
    seconds: float,
    call_seconds: float = CALL_SECONDS,
    mutants: tuple[Mutant, ...] = (),
    functions: dict[str, list[str]] | None = None,
    salt: str = "",
    salts: Sequence[str] = (),
    limits: Limits | None = None,
    warm: Warm | None = None,
) -> Outcome:
    """Run `cells` and their `tests` in a new process with a home and a temporary folder of its own.

    The time counts from when the process is ready. After `seconds` it is ended, with all that it
    started. `warm` is a process to be copied; without it a new one starts and ends. Afterwards the
    tests of the notebook's last state run again with each of `salts`, with each mutant, and with
    each question's `functions` replaced by ones that do nothing.
    """
    started = time.monotonic()
    outcome = Outcome()
    with (
        tempfile.TemporaryDirectory(prefix="labtools-", ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as stack,
    ):
        job = {
            "cells": cells,
            "tests": tests,
            "call_seconds": call_seconds,
            "cell_seconds": seconds * CELL_SHARE,
            "mutants": [asdict(mutant) for mutant in mutants],
            "functions": functions or {},
            "salt": salt,
            "salts": list(salts),
            "limits": asdict(limits or Limits()),
            "environment": _environment(Path(folder)),
            "folder": str(Path(folder) / "work"),
        }
        warm = warm or stack.enter_context(Warm())
        warm.run(job, outcome, seconds)
    outcome.seconds = time.monotonic() - started
    return outcome


def _shared_environment() -> dict[str, str]:
    """Few variables, none of them secret. pip finds nothing to install and nothing to remove."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(LIBRARY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "PIP_NO_INDEX": "1",
        "PIP_DRY_RUN": "1",
        "PIP_PYTHON": "/nonexistent/a-submission-changes-no-packages",
        "UV_OFFLINE": "1",
        "CONDA_OFFLINE": "1",
        BATCH_VARIABLE: "1",
    }


def _environment(folder: Path) -> dict[str, str]:
    """The variables of one run, and folders that vanish with it."""
    for name in ("home", "temporary", "work"):
        (folder / name).mkdir()
    home = str(folder / "home")
    # The list of fonts takes seconds to make and is no secret.
    for fonts in Path(_fonts()).glob("fontlist-*.json"):
        shutil.copy(fonts, folder / "home")
    return {
        **_shared_environment(),
        "HOME": home,
        "IPYTHONDIR": home,
        "MPLCONFIGDIR": home,
        "TMPDIR": str(folder / "temporary"),
        "LABTOOLS_RUN": secrets.token_hex(8),
    }


def _fonts() -> str:
    return matplotlib.get_cachedir()


def _listen(reading: int, channel: socket.socket, seconds: float, outcome: Outcome) -> bool:
    """Take in what is reported until the notebook is done, has ended, or is out of time.

    Whether it has ended, so that nobody has to wait for that.
    """
    buffer = b""
    started = time.monotonic()
    os.set_blocking(reading, False)
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        selector.register(channel, selectors.EVENT_READ)
        while not outcome.finished:
            deadline = started + START_SECONDS if outcome.ready is None else outcome.ready + seconds
            left = deadline - time.monotonic()
            events = selector.select(left) if left > 0 else []
            if not events:
                outcome.timed_out = True
                return False
            ready = {key.fileobj for key, _ in events}
            if reading in ready:
                data = os.read(reading, 65536)
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    _take_in(line, outcome)
                if data:
                    continue
                selector.unregister(reading)
            if channel in ready:
                _take_in_end(receive(channel), outcome)
                return True
    return False


def _take_in(line: bytes, outcome: Outcome) -> None:
    """Take in one line. What the worker did not write is noticed, and changes no point."""
    try:
        message = json.loads(line)
        kind = message.pop("kind")
        match kind:
            case "question":
                if message["name"] != outcome.began:
                    raise ValueError("results without a test")
                outcome.results[message["name"]] = _results(message)
                outcome.replaced.extend(set(message["replaced"]) - set(outcome.replaced))
            case "begin":
                outcome.began = message["name"]
            case "ready":
                outcome.ready = time.monotonic()
            case "cell":
                outcome.cell_errors.append((message["index"], message["words"]))
            case "mutant":
                outcome.mutants.append(message)
            case "salted":
                outcome.salted[f"{message['name']} with salt {message['salt']}"] = _results(message)
            case "nothing":
                outcome.nothing.append((message["question"], message["name"], _results(message)))
            case "suspicion":
                _suspect(outcome, message["words"])
            case "crash":
                outcome.crash = message["words"]
            case "done":
                outcome.finished = True
            case _:
                raise ValueError("not a kind of message")
    except (ValueError, KeyError, TypeError, AttributeError):
        _suspect(outcome, "the notebook wrote to the channel of the results")


def _results(message: dict[str, Any]) -> list[CaseResult]:
    return [CaseResult(**result) for result in message["results"]]


def _suspect(outcome: Outcome, words: str) -> None:
    if words not in outcome.tampered:
        outcome.tampered.append(words)


def _take_in_end(message: bytes, outcome: Outcome) -> None:
    if message:
        ended = json.loads(message)
        outcome.exit_code, outcome.cpu_seconds = ended["status"], ended["cpu"]


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _end_marked(mark: str) -> None:
    """End what left the group but carries the run's mark, where orphans cannot be adopted."""
    if CAN_BE_WARM:
        return
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if other.environ().get("LABTOOLS_RUN") == mark:
                other.kill()
