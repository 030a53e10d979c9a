"""Turn an exception raised under a test into words about the student's code."""

import dis
import linecache
import re
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from labtools.fakes import shown
from labtools.testing import Failure, Forbidden
from labtools.time_limit import TimeLimit
from labtools.where import is_graded

Namespace = dict[str, Any]

LONGEST = 2000
_RAISE = dis.opmap["RAISE_VARARGS"]
_MAGIC = re.compile(r"get_ipython\(\)\.(?:run_line_magic|run_cell_magic|system|getoutput)\(")
_USED_UP = (StopIteration, IndexError)


class NotDefined(AssertionError):
    """A name that a test needs is missing from the notebook."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"`{name}` is not defined. Run the cell in which you write it, then check again."
        )

    @property
    def afterwards(self) -> str:
        """The same to somebody who reads it on a page, when the notebook has been graded."""
        return (
            f"`{self.name}` was not defined when its tests ran: the cell that defines it is "
            "missing, or it raised an error."
        )


def is_unwritten(error: BaseException, environment: Namespace) -> bool:
    """Whether `error` says that the code is not there yet, rather than wrong."""
    return isinstance(error, NotDefined) or is_stub(error, environment)


def is_stub(error: BaseException, environment: Namespace) -> bool:
    """Whether the student's own line is `raise NotImplementedError`, and not torch or numpy."""
    if not isinstance(error, NotImplementedError):
        return False
    traces = _traces(error)
    if not traces or traces[-1].tb_frame.f_globals is not environment:
        return False
    last = traces[-1]
    return last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def explain(error: BaseException, environment: Namespace, test: Namespace | None = None) -> str:
    """One or more lines that say what went wrong; none for what need not be said.

    `environment` is the notebook's namespace: a frame that runs in it is the student's code.
    `test` is the namespace of the test: what runs in it below the student's code is a fake.
    """
    return _shortened(_explain(error, environment, test))


def explain_cell(error: BaseException, environment: Namespace) -> str:
    """The same for a cell that is no answer. A magic that only a kernel knows says nothing."""
    return _shortened(_explain_cell(error, environment))


def _shortened(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[:LONGEST]} ..."


def _explain_cell(error: BaseException, environment: Namespace) -> str:
    if isinstance(error, SyntaxError) and not _is_from_within(error, environment):
        return _not_python(error)
    traces = [trace for trace in _traces(error) if trace.tb_frame.f_globals is environment]
    if traces and _MAGIC.search(_source(traces[-1])):
        return ""
    if isinstance(error, TimeLimit):
        return _too_long(error, _place(traces[-1]) if traces else "", "the cell")
    if is_stub(error, environment):
        return f"`{_name(traces[-1])}` still raises NotImplementedError: it is not written yet."
    if not traces:
        return f"The cell raised {_said(error)}"
    return f"The cell raised {_said(error)}{_place(traces[-1])}"


def _explain(error: BaseException, environment: Namespace, test: Namespace | None) -> str:
    if isinstance(error, NotDefined) and is_graded():
        return error.afterwards
    if isinstance(error, Failure | NotDefined):
        return str(error)
    traces = _traces(error)
    own = [i for i, trace in enumerate(traces) if trace.tb_frame.f_globals is environment]
    student = traces[own[-1]] if own else None
    place = _place(student) if student else ""
    if isinstance(error, Forbidden):
        return f"{error}{place}"
    if is_stub(error, environment):
        return f"`{_name(student)}` still raises NotImplementedError: it is not written yet."
    if isinstance(error, TimeLimit):
        return _too_long(error, place, "the call")
    said = _said(error)
    if student is None:
        if _is_about_the_call(error):
            return f"Calling your function as the question says raised {said}"
        return f"What your function returned could not be used: {said}"
    below = traces[own[-1] + 1 :]
    fakes = [trace for trace in below if test is not None and trace.tb_frame.f_globals is test]
    if fakes:
        return f"{_misused(fakes[0], error)}{place}"
    if isinstance(error, RuntimeError) and _is_our_iterator(error, test):
        return f"Your code called a function of the test more often than it expects.{place}"
    return f"Your code raised {said}{place}"


def _misused(fake: TracebackType, error: BaseException) -> str:
    """What to say where a function that the test handed over cannot serve the call."""
    code, values = fake.tb_frame.f_code, fake.tb_frame.f_locals
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    given = ", ".join(f"{name}={shown(values[name])}" for name in names if name in values)
    name = "a function" if code.co_name == "<lambda>" else f"`{code.co_name}`"
    called = f"{name} that the test handed to it" + (f", with {given}," if given else ",")
    if isinstance(error, _USED_UP):
        return f"Your code called {called} more often than the test expects ({_said(error)})."
    return f"Your code called {called} and it cannot answer that: {_said(error)}."


def _is_our_iterator(error: RuntimeError, test: Namespace | None) -> bool:
    """Python turns StopIteration inside a generator into RuntimeError; look at what caused it."""
    cause = error.__cause__
    return isinstance(cause, StopIteration) and any(
        trace.tb_frame.f_globals is test for trace in _traces(cause)
    )


def _not_python(error: SyntaxError) -> str:
    line = (error.text or "").rstrip("\n")
    words = f"The cell is not Python: {error.msg}, in line {error.lineno} of it"
    if not line:
        return f"{words}."
    stripped = line.lstrip()
    offset = max((error.offset or 1) - 1 - (len(line) - len(stripped)), 0)
    return f"{words}:\n    {stripped}\n    {' ' * offset}^"


def _is_from_within(error: SyntaxError, environment: Namespace) -> bool:
    """Whether the cell ran and raised it, by `eval` or `exec`, and is Python itself."""
    return any(trace.tb_frame.f_globals is environment for trace in _traces(error))


def _too_long(error: TimeLimit, place: str, what: str) -> str:
    after = f"after {error.seconds:g} s" if error.seconds is not None else "by the time limit"
    if error.waited:
        return f"Stopped {after} on the clock: {what} did not end. Does it wait or sleep?{place}"
    return f"Stopped {after}: {what} did not end. Is there a loop without an end?{place}"


def _said(error: BaseException) -> str:
    """The type and the message. A student's own exception may fail to give one."""
    try:
        message = str(error)
    except Exception:
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _traces(error: BaseException) -> list[TracebackType]:
    traces, trace = [], error.__traceback__
    while trace is not None:
        traces.append(trace)
        trace = trace.tb_next
    return traces


def _name(trace: TracebackType | None) -> str:
    return trace.tb_frame.f_code.co_name if trace else "the function"


def _source(trace: TracebackType) -> str:
    """The line of a frame, as the cell holds it."""
    code = trace.tb_frame.f_code
    return linecache.getline(code.co_filename, trace.tb_lineno).strip()


def _place(trace: TracebackType) -> str:
    """The line of the student's code, and the shapes of the tensors named in it."""
    source = _source(trace)
    name = _name(trace)
    where = f"\n  in `{name}`, line {trace.tb_lineno} of its cell"
    if name == "<module>":
        where = f"\n  in line {trace.tb_lineno}"
    if not source:
        return f"{where}."
    shapes = [
        f"{name} {tuple(value.shape)}"
        for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", source))
        if isinstance(value := trace.tb_frame.f_locals.get(name), Tensor | np.ndarray)
    ]
    return f"{where}:\n    {source}" + (f"\n  with shapes {', '.join(shapes)}" if shapes else "")


def _is_about_the_call(error: BaseException) -> bool:
    """Whether Python refused the arguments: nothing of the function itself ran."""
    refused = re.search(r"\(\)|not callable", _said(error))
    return isinstance(error, TypeError) and refused is not None
