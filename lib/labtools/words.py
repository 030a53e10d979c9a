"""Turn an exception raised under a test into words about the student's code."""

import linecache
import re
import traceback
from types import FrameType
from typing import Any

import numpy as np
from torch import Tensor

from labtools.testing import Failure, Forbidden
from labtools.time_limit import TimeLimit

Namespace = dict[str, Any]

LONGEST = 2000


class NotDefined(AssertionError):
    """A name that a test needs is missing from the notebook."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"`{name}` is not defined. Run the cell in which you write it, then check again."
        )


def is_unwritten(error: BaseException) -> bool:
    """Whether `error` says that the code is not there yet, rather than wrong."""
    return isinstance(error, NotImplementedError | NotDefined)


def explain(error: BaseException, environment: Namespace) -> str:
    """One or more lines that say what went wrong.

    `environment` is the notebook's namespace: a frame that runs in it is the student's code.
    """
    words = _explain(error, environment)
    return words if len(words) <= LONGEST else f"{words[:LONGEST]} ..."


def _explain(error: BaseException, environment: Namespace) -> str:
    frame = _deepest_student_frame(error, environment)
    place = _place(*frame) if frame else ""
    if isinstance(error, Failure | NotDefined):
        return str(error)
    if isinstance(error, Forbidden):
        return f"{error}{place}"
    if isinstance(error, NotImplementedError):
        return f"`{_name(frame)}` still raises NotImplementedError: it is not written yet."
    if isinstance(error, TimeLimit):
        after = f"after {error.seconds:g} s" if error.seconds is not None else "by the time limit"
        return f"Stopped {after}: the call did not end. Is there a loop without an end?{place}"
    said = _said(error)
    if frame:
        return f"Your code raised {said}{place}"
    if _is_about_the_call(error):
        return f"Calling your function as the question says raised {said}"
    return f"What your function returned could not be used: {said}"


def _said(error: BaseException) -> str:
    """The type and the message. A student's own exception may fail to give one."""
    try:
        message = str(error)
    except Exception:
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _deepest_student_frame(
    error: BaseException, environment: Namespace
) -> tuple[FrameType, int] | None:
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals is environment
    ]
    return frames[-1] if frames else None


def _name(frame: tuple[FrameType, int] | None) -> str:
    return frame[0].f_code.co_name if frame else "the function"


def _place(frame: FrameType, line: int) -> str:
    """The line of the student's code, and the shapes of the tensors named in it."""
    source = linecache.getline(frame.f_code.co_filename, line).strip()
    where = f"\n  in `{_name((frame, line))}`, line {line} of its cell"
    if not source:
        return f"{where}."
    shapes = [
        f"{name} {tuple(value.shape)}"
        for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", source))
        if isinstance(value := frame.f_locals.get(name), Tensor | np.ndarray)
    ]
    return f"{where}:\n    {source}" + (f"\n  with shapes {', '.join(shapes)}" if shapes else "")


def _is_about_the_call(error: BaseException) -> bool:
    """Whether Python refused the arguments: nothing of the function itself ran."""
    refused = re.search(r"\(\)|not callable", _said(error))
    return isinstance(error, TypeError) and refused is not None
