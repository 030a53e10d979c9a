"""A process that has imported what notebooks need and forks one copy of itself for each.

Run as `python -m labtools.warm SOCKET`; `labtools.process` speaks to it through that socket. No
notebook's code ever runs in this process: what one submission does to its copy, no other sees.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import tempfile
import time
from typing import Any

import psutil

from labtools.limits import Limits

_SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER
HEADER = 8  # bytes that hold the length of a message


def main(descriptor: int) -> None:
    """Serve one job after the other until the other end of the socket closes."""
    channel = socket.socket(fileno=descriptor)
    _adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is up to the batch when to stop
    start = json.loads(receive(channel))
    for module in start["modules"] if start["warm"] else ():
        with contextlib.suppress(Exception):  # a notebook that imports it will say what is wrong
            importlib.import_module(module)
    if start["warm"]:
        from labtools.worker import warm_up

        warm_up()
    gc.collect()
    gc.freeze()  # what was imported is shared with every copy as long as nobody touches it
    send(channel, b"ready")
    while True:
        job, writing = receive_with_file(channel)
        if writing is None:
            return
        child = os.fork()
        if child == 0:
            channel.close()
            _become(job, writing, warm=start["warm"])
        os.close(writing)
        send(channel, json.dumps({"pid": child}).encode())
        _, status, usage = os.wait4(child, 0)
        _end_orphans()
        ended = {"status": os.waitstatus_to_exitcode(status), "cpu": _seconds(usage)}
        send(channel, json.dumps(ended).encode())


def send(channel: socket.socket, message: bytes, files: tuple[int, ...] = ()) -> None:
    """Send a message, its length first, and file descriptors with it."""
    header = len(message).to_bytes(HEADER, "big")
    if files:
        socket.send_fds(channel, [header], list(files))
    else:
        channel.sendall(header)
    channel.sendall(message)


def receive(channel: socket.socket) -> bytes:
    """Wait for a message; an empty one if the other end has closed."""
    return receive_with_file(channel)[0]


def receive_with_file(channel: socket.socket) -> tuple[bytes, int | None]:
    """Wait for a message and the file descriptor that comes with it, if one does."""
    header, files, _, _ = socket.recv_fds(channel, HEADER, 1)
    if not header:
        return b"", None
    header += _read(channel, HEADER - len(header))
    return _read(channel, int.from_bytes(header, "big")), files[0] if files else None


def _read(channel: socket.socket, length: int) -> bytes:
    parts = []
    while length > 0:
        part = channel.recv(min(length, 2**20))
        if not part:
            raise EOFError("the other end closed in the middle of a message")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _become(message: bytes, writing: int, *, warm: bool) -> None:
    """Be the process of one notebook: its own group, home and limits. Never returns."""
    code = 1
    try:
        os.setsid()
        job: dict[str, Any] = json.loads(message)
        _use_nothing_of_the_batch(job["environment"], job["folder"])
        Limits(**job["limits"]).apply()
        if not warm:
            _start_anew(message, writing)
        from labtools.worker import work

        work(job, writing)
        code = 0
    except BaseException as error:
        line = json.dumps({"kind": "crash", "words": f"{type(error).__name__}: {error}"})
        os.write(writing, f"{line}\n".encode("utf-8", "backslashreplace"))
    finally:
        os._exit(code)  # threads that the notebook left behind must not keep the process


def _start_anew(message: bytes, writing: int) -> None:
    """Become a new Python with the same limits, where a process with torch cannot be copied."""
    path = os.path.join(os.pardir, "job.json")
    with open(path, "wb") as file:
        file.write(message)
    os.set_inheritable(writing, True)
    command = [sys.executable, "-P", "-m", "labtools.worker", path, str(writing)]
    os.execv(sys.executable, command)


def _use_nothing_of_the_batch(environment: dict[str, str], folder: str) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - nothing for input() to read
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[:] = [""]
    sys.path.insert(0, "")  # a notebook may import what lies beside it
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _adopt_orphans() -> None:
    """On Linux, processes whose parent ended become children of this one and can be found."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _end_orphans() -> None:
    """End whatever the notebook started and left behind."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]))
