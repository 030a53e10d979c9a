"""Stop a call that does not end."""

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REPEAT_SECONDS = 0.5
WAIT_FACTOR = 4  # a call may take this much longer on the clock than it computes


class TimeLimit(BaseException):
    """Raised inside a call that has used up its seconds, or `waited` them.

    It is no `Exception`, so that `except Exception: pass` in the stopped code does not hide it.
    """

    def __init__(self, seconds: float | None = None, *, waited: bool = False) -> None:
        self.seconds = seconds
        self.waited = waited
        super().__init__(f"stopped after {seconds:g} s" if seconds is not None else "stopped")


def _alarm_is_usable() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def time_limit(seconds: float, *, on_the_clock: float | None = None) -> Iterator[None]:
    """Raise `TimeLimit` in the body once it has computed for `seconds`, and until it gives in.

    What counts is the time that the body's own thread had a processor, so that a machine busy with
    others makes no right answer late. On the clock it may take `on_the_clock` seconds, four times
    as much if not given: that ends what sleeps or waits.

    On the main thread of a POSIX system the alarm also ends `time.sleep` and other waits.
    Elsewhere (Windows, a second thread) it takes effect between two Python instructions. Neither
    ends a single call into compiled code before that call returns.
    """
    on_the_clock = WAIT_FACTOR * seconds if on_the_clock is None else on_the_clock
    limit = _alarm if _alarm_is_usable() else _asynchronous
    with limit(seconds, on_the_clock):
        yield


@contextmanager
def _alarm(seconds: float, on_the_clock: float) -> Iterator[None]:
    started, computed = time.monotonic(), time.thread_time()

    def stop(signum: int, frame: object) -> None:
        left = seconds - (time.thread_time() - computed)
        on_clock = on_the_clock - (time.monotonic() - started)
        if left <= 0:
            raise TimeLimit(seconds)
        if on_clock <= 0:
            raise TimeLimit(on_the_clock, waited=True)
        signal.setitimer(signal.ITIMER_REAL, max(min(left, on_clock), 0.001), REPEAT_SECONDS)

    previous = signal.signal(signal.SIGALRM, stop)
    # Repeated, because a bare `except:` in the stopped code would swallow a single one.
    first = min(seconds, on_the_clock)
    left, interval = signal.setitimer(signal.ITIMER_REAL, first, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if left:  # somebody else's alarm goes on where it was
            left = max(left - (time.monotonic() - started), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, interval)


@contextmanager
def _asynchronous(seconds: float, on_the_clock: float) -> Iterator[None]:
    """The time of one other thread cannot be read everywhere: that of the whole process counts."""
    thread = threading.get_ident()
    started, computed = time.monotonic(), time.process_time()
    finished = threading.Event()
    lock = threading.Lock()

    def is_over() -> bool:
        on_clock = time.monotonic() - started
        return on_clock >= on_the_clock or (
            on_clock >= seconds and time.process_time() - computed >= seconds
        )

    def watch() -> None:
        wait = min(seconds, on_the_clock)
        while not finished.wait(wait):
            with lock:
                if not finished.is_set() and is_over():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread), ctypes.py_object(TimeLimit)
                    )
            wait = min(REPEAT_SECONDS, seconds)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with lock:
            finished.set()
