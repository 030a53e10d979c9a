"""Notice code that goes where an answer has no business: the solutions, the frames of a test.

Python calls an audit hook at every `open` and at every look into a frame, and nothing in Python can
take the hook away. It sees what a notebook does itself, not what a program does that it starts.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_FRAMES = (
    "sys._getframe",
    "sys._current_frames",
    "sys.settrace",
    "gc.get_objects",
    "gc.get_referrers",
)
_ATTRIBUTES = ("tb_frame", "gi_frame", "cr_frame")


class Watch:
    """Tells `report` in a sentence what was seen; one sentence of a kind is enough.

    `environment` is the notebook's namespace: what runs in it is the notebook's code. `secret` is
    the folder with the solutions: no file in it can be opened.
    """

    def __init__(
        self, environment: dict[str, Any], secret: Path, report: Callable[[str], None]
    ) -> None:
        self.testing = False
        self._environment = environment
        self._secret = secret.resolve()
        self._names = {path.name for path in self._secret.rglob("*") if path.is_file()}
        self._report = report
        self._told: set[str] = set()
        self._busy = False

    def start(self) -> None:
        """Watch from now on until the process ends."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._busy or not (
            event == "open" or (self.testing and (event in _FRAMES or _reads_a_frame(event, args)))
        ):
            return
        self._busy = True
        try:
            if event != "open":
                if self._is_the_notebooks(sys._getframe(1)):
                    self._tell(
                        "an answer looked at the frames or objects of the test that calls it"
                    )
            elif self._is_secret(args[0]):
                self._tell("the notebook opened a file of solutions/; it could not read it")
                raise PermissionError(13, "Permission denied", str(args[0]))
        finally:
            self._busy = False

    def _is_secret(self, path: Any) -> bool:
        if not isinstance(path, str) or path.rpartition("/")[2] not in self._names:
            return False
        return Path(path).resolve().is_relative_to(self._secret)

    def _is_the_notebooks(self, frame: FrameType | None) -> bool:
        while frame is not None and frame.f_globals is vars(inspect):
            frame = frame.f_back
        return frame is not None and frame.f_globals is self._environment

    def _tell(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            self._report(words)


def _reads_a_frame(event: str, args: tuple[Any, ...]) -> bool:
    return event == "object.__getattr__" and args[1] in _ATTRIBUTES
