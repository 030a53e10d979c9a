"""Stop a call that does not end."""

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REPEAT_SECONDS = 0.5


class TimeLimit(BaseException):
    """Raised inside a call that has used up its seconds.

    It is no `Exception`, so that `except Exception: pass` in the stopped code does not hide it.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = seconds
        super().__init__(f"stopped after {seconds:g} s" if seconds is not None else "stopped")


def _alarm_is_usable() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimit` in the body once `seconds` have passed, and go on until it gives in.

    On the main thread of a POSIX system the alarm also ends `time.sleep` and other waits.
    Elsewhere (Windows, a second thread) it takes effect between two Python instructions. Neither
    ends a single call into compiled code before that call returns.
    """
    limit = _alarm(seconds) if _alarm_is_usable() else _asynchronous(seconds)
    with limit:
        yield


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def stop(signum: int, frame: object) -> None:
        raise TimeLimit(seconds)

    started = time.monotonic()
    previous = signal.signal(signal.SIGALRM, stop)
    # Repeated, because a bare `except:` in the stopped code would swallow a single one.
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if left:  # somebody else's alarm goes on where it was
            left = max(left - (time.monotonic() - started), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, interval)


@contextmanager
def _asynchronous(seconds: float) -> Iterator[None]:
    thread = threading.get_ident()
    finished = threading.Event()
    lock = threading.Lock()

    def watch() -> None:
        wait = seconds
        while not finished.wait(wait):
            with lock:
                if not finished.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread), ctypes.py_object(TimeLimit)
                    )
            wait = REPEAT_SECONDS

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with lock:
            finished.set()
