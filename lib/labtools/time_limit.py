"""Stop a call that does not end."""

import ctypes
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REPEAT_SECONDS = 0.5
WAIT_FACTOR = 4  # a call may take this much longer on the clock than it computes
COMPUTING_SHARE = 0.02  # what had a processor for less of the clock waits; more may be starved


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
    others makes no right answer late. On the clock it may take `on_the_clock` seconds: that ends
    what sleeps or waits. If they are not given, it may take four times as much, and longer if it
    computed for a fiftieth of the clock: such a body does not sleep, the machine is busy.

    On the main thread of a POSIX system the alarm also ends `time.sleep` and other waits.
    Elsewhere (Windows, a second thread) it takes effect between two Python instructions. Neither
    ends a single call into compiled code before that call returns.
    """
    share = COMPUTING_SHARE if on_the_clock is None else math.inf
    on_the_clock = WAIT_FACTOR * seconds if on_the_clock is None else on_the_clock
    limit = _alarm if _alarm_is_usable() else _asynchronous
    with limit(seconds, on_the_clock, share):
        yield


@contextmanager
def _alarm(seconds: float, on_the_clock: float, share: float) -> Iterator[None]:
    started, computed = time.monotonic(), time.thread_time()

    def stop(signum: int, frame: object) -> None:
        passed, worked = time.monotonic() - started, time.thread_time() - computed
        if worked >= seconds:
            raise TimeLimit(seconds)
        if passed >= on_the_clock and worked < share * passed:
            raise TimeLimit(on_the_clock, waited=True)
        left = seconds - worked
        if passed < on_the_clock:
            left = min(left, on_the_clock - passed)
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), REPEAT_SECONDS)

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
def _asynchronous(seconds: float, on_the_clock: float, share: float) -> Iterator[None]:
    """The time of one other thread cannot be read everywhere: that of the whole process counts."""
    thread = threading.get_ident()
    started, computed = time.monotonic(), time.process_time()
    finished = threading.Event()
    lock = threading.Lock()

    def is_over() -> bool:
        passed, worked = time.monotonic() - started, time.process_time() - computed
        return worked >= seconds or (passed >= on_the_clock and worked < share * passed)

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
