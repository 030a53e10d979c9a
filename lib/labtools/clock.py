"""A clock that only moves when it is told to, to grade code that measures time."""


class FakeClock:
    """Stands in for `time.perf_counter`: call it to read it, `advance` it to let time pass.

    `readings` counts how often it was read.
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self.readings = 0

    def __call__(self) -> float:
        self.readings += 1
        return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now += seconds
