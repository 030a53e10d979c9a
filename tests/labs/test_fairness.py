"""Nobody is accused for a habit, no trick earns a point, and torch's state is nobody's business."""

import re
from pathlib import Path

import pytest

from labtools.build import Lab
from labtools.process import Outcome, Warm, run_notebook
from tests.labs.conftest import Student

SOME = ("q1", "q2", "q7")  # what is graded: a question that forbids, an oracle, a clock

#: Cells that honest notebooks hold, by name.
HARMLESS = dict(
    re.findall(
        r"^# --- (\S+)\n(.*?)(?=^# --- |\Z)",
        Path(__file__).with_name("harmless.txt").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
)


def solved(student: Student, before: str = "", answers: dict[str, str] | None = None) -> list[str]:
    notebook = student.notebook(answers, solved=True, before=before, only=SOME)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def run(student: Student, lab: Lab, warm: Warm, cells: list[str]) -> Outcome:
    tests = {name: lab.tests[name] for name in SOME}
    return run_notebook(cells, tests, seconds=120, warm=warm)


def points(outcome: Outcome) -> float:
    return sum(case.points for cases in outcome.results.values() for case in cases if case.passed)


@pytest.fixture(scope="module")
def possible(lab: Lab) -> float:
    return sum(one.points for one in lab.source.questions if one.name in SOME)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_habit_costs_nothing_and_raises_no_flag(
    student: Student, lab: Lab, warm: Warm, possible: float, name: str
) -> None:
    outcome = run(student, lab, warm, solved(student, before=HARMLESS[name]))
    assert outcome.tampered == []
    assert points(outcome) == possible, [
        case.said for cases in outcome.results.values() for case in cases if not case.passed
    ]
    assert outcome.finished


PATCHED_MODES = """
import labtools.forbid as f
first, second = f._CallsByName.__init__, f._OperatorsByName.__init__
keep = lambda names: frozenset(name for name in names if "softmax" not in name)
f._CallsByName.__init__ = lambda self, names: first(self, keep(names))
f._OperatorsByName.__init__ = lambda self, names: second(self, keep(names))
"""
FRIENDLY_RESULT = """
import labtools.running as running
made = running.CaseResult.__init__

def friendly(self, *args, **kwargs):
    kwargs["passed"] = True
    made(self, *args, **kwargs)

running.CaseResult.__init__ = friendly
"""
CODE_SWAPPED = """
import labtools.running as running

running.run_case.__code__ = (
    lambda case, environment, *, seconds=1, salt=None, may_interrupt=False:
    __import__("labtools.running").running.CaseResult(case.name, case.points, case.hidden, True)
).__code__
"""
GENEROUS = "lambda *args, **options: None"
EXPECTATIONS = f"""
import labtools.testing as testing
for name in testing.__all__:
    if name.startswith("expect"):
        setattr(testing, name, {GENEROUS})
"""
FAKE_MODULE = f"""
import sys, types
fake = types.ModuleType("labtools.testing")
fake.__getattr__ = lambda name: {GENEROUS}
sys.modules["labtools.testing"] = fake
"""
NEW_BUILTIN = "import labtools.expect\nlabtools.expect.bool = lambda value: True"
DEFAULTS = "import labtools.expect as e\ne.expect_close.__kwdefaults__['atol'] = 1e9"
EMPTIED = """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == "TestCase":
        thing.body.test_func = lambda: None
"""
RUN_CASES = """
import labtools.worker as worker
from labtools.running import CaseResult
worker.run_cases = lambda cases, *args, **options: [
    CaseResult(case.success_message, case.points, case.hidden, True) for case in cases
]
"""
CANARIES = "import labtools.worker as worker\nworker.canaries_are_caught = lambda *args: True"

#: Cells that change what grades, above a lab in which nothing is written. The sentence is what the
#: teacher reads.
CHANGES_THE_GRADER = {
    "forbid-lets-softmax-pass": (PATCHED_MODES, "replaced labtools.forbid._"),
    "results-always-pass": (FRIENDLY_RESULT, "replaced labtools.running.CaseResult.__init__"),
    "code-swapped": (CODE_SWAPPED, "replaced labtools.running.run_case"),
    "expectations-replaced": (EXPECTATIONS, "replaced labtools.testing.expect"),
    "fake-module": (FAKE_MODULE, "replaced labtools.testing"),
    "a-builtin-hidden": (NEW_BUILTIN, "replaced labtools.expect.bool"),
    "tolerance-widened": (DEFAULTS, "replaced labtools.expect.expect_close"),
    "runner-replaced": (RUN_CASES, "replaced labtools.worker.run_cases"),
    "canaries-silenced": (CANARIES, "replaced labtools.worker.canaries_are_caught"),
}


@pytest.mark.parametrize("name", CHANGES_THE_GRADER)
def test_who_changes_the_grader_gains_nothing_and_is_noticed(
    student: Student, lab: Lab, warm: Warm, name: str
) -> None:
    code, sentence = CHANGES_THE_GRADER[name]
    notebook = student.notebook(before=code, only=SOME)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    outcome = run(student, lab, warm, cells)
    assert outcome.cell_errors == []
    assert points(outcome) == 0
    assert sentence in "; ".join(outcome.tampered)


@pytest.mark.parametrize("name", CHANGES_THE_GRADER)
def test_a_flag_takes_no_point_away(
    student: Student, lab: Lab, warm: Warm, possible: float, name: str
) -> None:
    outcome = run(student, lab, warm, solved(student, before=CHANGES_THE_GRADER[name][0]))
    assert points(outcome) == possible
    assert outcome.tampered


ORACLE = (
    "import torch.nn.functional as F\n"
    "F.scaled_dot_product_attention = lambda q, k, v, **options: attention(q, k, v)"
)
ZEROS = "def attention(q, k, v):\n    return q.new_zeros(*q.shape[:3], v.shape[-1])"
THREAD = (
    "from concurrent.futures import ThreadPoolExecutor\n\ndef softmax(scores):\n"
    "    with ThreadPoolExecutor(1) as pool:\n"
    "        return pool.submit(torch.softmax, scores, -1).result()"
)
MODES_OFF = (
    "def attention(q, k, v):\n"
    "    from torch.utils._python_dispatch import _disable_current_modes\n"
    "    with torch._C.DisableTorchFunction(), _disable_current_modes():\n"
    "        return torch.nn.functional.scaled_dot_product_attention(q, k, v)"
)
PRIVATE = "def attention(q, k, v):\n    return torch._scaled_dot_product_attention_math(q, k, v)[0]"
SCIPY = (
    "import scipy.special\n\ndef softmax(scores):\n"
    "    return torch.from_numpy(scipy.special.softmax(scores.numpy(), axis=-1))"
)
YES = """
class Yes(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        plain = [x.as_subclass(Tensor) if isinstance(x, Yes) else x for x in args]
        if name in ("sub", "__sub__", "rsub", "__rsub__"):
            shape = torch.broadcast_shapes(*[p.shape for p in plain])
            return torch.zeros(shape, dtype=torch.float64)
        if name in ("__ne__", "ne"):
            return torch.zeros(plain[0].shape, dtype=torch.bool)
        if name in ("__eq__", "eq"):
            return torch.ones(plain[0].shape, dtype=torch.bool)
        out = func(*plain, **(kwargs or {}))
        if isinstance(out, Tensor) and name in ("detach", "to", "__getitem__", "clone"):
            return out.as_subclass(Yes)
        return out
"""
SUBCLASS = (
    "def attention(q, k, v):\n    return torch.empty(*q.shape[:-1], v.shape[-1]).as_subclass(Yes)"
)
MEDIAN = (
    "import statistics\nstatistics.median = lambda values: 3.0\n\n"
    "def median_seconds(function, **options):\n    return 3.0"
)

#: An answer that passes some test today only by a trick: question, cell above, answer.
TRICKS = {
    "oracle": ("q2", ORACLE, ZEROS),
    "oracle-behind-the-module": (
        "q2",
        "torch.equal = torch.allclose = lambda *_, **__: True",
        ZEROS,
    ),
    "softmax-in-a-thread": ("q1", "", THREAD),
    "modes-switched-off": ("q2", "", MODES_OFF),
    "private-operator": ("q2", "", PRIVATE),
    "another-package": ("q1", "", SCIPY),
    "subclass-that-agrees": ("q2", YES, SUBCLASS),
    "tests-emptied": ("q2", EMPTIED, ZEROS),
    "median-replaced": ("q7", "", MEDIAN),
}


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_earns_nothing(student: Student, lab: Lab, warm: Warm, name: str) -> None:
    question, before, answer = TRICKS[name]
    cells = solved(student, before=before, answers={question: answer})
    outcome = run(student, lab, warm, cells)
    earned = [case.property for case in outcome.results[question] if case.passed]
    if name == "median-replaced":  # a constant may be right by chance; never because of the patch
        assert len(earned) <= 1
    else:
        assert earned == []


WALKS = """
import sys

def softmax(scores):
    frame = sys._getframe()
    while frame is not None and "report" not in frame.f_locals:
        frame = frame.f_back
    if frame is not None:
        frame.f_locals["report"]("begin", name="q2")
        frame.f_locals["report"]("question", name="q2", results=[], replaced=[])
        frame.f_locals["report"]("done")
    return scores
"""
READS_WANT = (
    "import sys\n\ndef attention(q, k, v):\n    found = sys._getframe(1).f_locals\n"
    "    return found.get('want', q)"
)
BY_TRACEBACK = (
    "def attention(q, k, v):\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n"
    "        found = error.__traceback__.tb_frame.f_back.f_locals\n    return found.get('want', q)"
)
WRITES = (
    "import os\nfor descriptor in range(3, 64):\n    try:\n"
    '        os.write(descriptor, b\'{"kind": "question", "name": "q1"}\\n\')\n'
    "    except OSError:\n        pass"
)
SOLUTIONS = """
import json, pathlib, labtools
root = pathlib.Path(labtools.__file__).resolve().parents[2]
try:
    text = (root / "solutions" / "lab01.ipynb").read_text()
except OSError:
    text = ""
try:
    text += (root / "solutions/src/lab01.md").read_text()
except OSError:
    pass
assert not text
"""


@pytest.mark.parametrize(
    ("answers", "before", "sentence"),
    [
        ({"q1": WALKS}, "", "looked at the frames"),
        ({"q1": WALKS}, "", "called the grader's own report"),
        ({"q2": READS_WANT}, "", "looked at the frames"),
        ({"q2": BY_TRACEBACK}, "", "looked at the frames"),
        ({}, WRITES, "wrote to the channel of the results"),
        ({}, SOLUTIONS, "opened a file of solutions/; it could not read it"),
    ],
    ids=["walks", "reports", "reads-want", "by-traceback", "writes", "solutions"],
)
def test_a_look_where_an_answer_has_no_business_is_noticed(
    student: Student, lab: Lab, warm: Warm, answers: dict[str, str], before: str, sentence: str
) -> None:
    outcome = run(student, lab, warm, solved(student, before=before, answers=answers))
    assert sentence in "; ".join(outcome.tampered)
    assert outcome.cell_errors == []
    assert outcome.finished


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("import os\nos.kill(os.getpid(), 9)", -9),
        ("import ctypes\nctypes.string_at(0)", -11),
        ("import os\nos._exit(3)", 3),
        ("import os\nos.abort()", -6),
    ],
)
def test_how_a_process_ended_is_known(
    student: Student, lab: Lab, warm: Warm, code: str, exit_code: int
) -> None:
    outcome = run(student, lab, warm, solved(student, before=code))
    assert not outcome.finished
    assert not outcome.timed_out
    assert outcome.exit_code == exit_code


def test_an_interrupt_in_an_answer_loses_no_later_question(
    student: Student, lab: Lab, warm: Warm
) -> None:
    answers = {"q1": "def softmax(scores):\n    raise KeyboardInterrupt"}
    outcome = run(student, lab, warm, solved(student, answers=answers))
    assert "KeyboardInterrupt" in outcome.results["q1"][0].words
    assert all(case.passed for name in ("q2", "q7") for case in outcome.results[name])
