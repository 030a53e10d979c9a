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


UNREADABLE = {
    "a zero byte": "x = 1\0",
    "half a character": "x = '\ud800'",
    "a row of signs": "x = " + "-" * 8000 + "1",
    "a row of words": "x = " + "not " * 3000 + "1",
    "a sum": "x = " + "+".join(["1"] * 20_000),
}


def test_a_cell_that_no_parser_takes_ends_nothing_but_itself(
    student: Student, lab: Lab, warm: Warm, possible: float
) -> None:
    first, *rest = solved(student)
    outcome = run(student, lab, warm, [first, *UNREADABLE.values(), *rest])
    assert (outcome.crash, outcome.tampered) == ("", [])
    assert [index for index, _ in outcome.cell_errors] == list(range(1, 1 + len(UNREADABLE)))
    assert points(outcome) == possible


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
