"""Each attack is noticed, earns nothing, or is plainly said to be out of reach."""

import json
import re
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from otter.run import main as otter_run
from otter.test_files import GradingResults

from labtools.autograder import write_autograder
from labtools.build import Lab
from labtools.process import Outcome, Warm, run_notebook
from tests.labs.attacks import (
    ATTACKS,
    NOTICED,
    OUT_OF_REACH,
    THREE_LINES,
    WORTHLESS,
    ZEROS,
    Attack,
)
from tests.labs.conftest import ROOT, Student

SOME = ("q1", "q2", "q7")  # what is graded: a question that forbids, an oracle, a clock


def launch(attack: Attack, student: Student, lab: Lab, warm: Warm) -> Outcome:
    notebook = student.notebook(
        attack.answers, solved=bool(attack.answers), before=attack.before, only=SOME
    )
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return run_notebook(cells, {name: lab.tests[name] for name in SOME}, seconds=120, warm=warm)


def earned(outcome: Outcome, questions: object) -> float:
    cases = [case for name in questions for case in outcome.results.get(name, ())]
    return sum(case.points for case in cases if case.passed)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name.replace(" ", "-"))
def test_an_attack_is_noticed_or_worthless_or_said_to_be_out_of_reach(
    student: Student, lab: Lab, warm: Warm, attack: Attack
) -> None:
    outcome = launch(attack, student, lab, warm)
    assert outcome.cell_errors == []
    assert outcome.finished
    points, seen = earned(outcome, attack.answers or SOME), "; ".join(outcome.tampered)
    if attack.outcome == OUT_OF_REACH:  # when it no longer works, say so in the README
        assert not seen
        assert points > 0 or attack.answers
        assert attack.sentence in said_to_be_out_of_reach()
    else:
        assert points == 0 or attack.may_earn
    if attack.outcome == NOTICED:
        assert attack.sentence in seen
    if attack.outcome == WORTHLESS:
        assert not seen, "an honest notebook may have replaced the same"


def said_to_be_out_of_reach() -> str:
    """The sentence of the README that names what the grader cannot see."""
    text = " ".join((ROOT / "lib/labtools/README.md").read_text(encoding="utf-8").split())
    return re.search(r"Out of reach are [^.]+\.", text)[0]


def test_there_are_enough_attacks_and_each_is_another() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 25
    assert {attack.outcome for attack in ATTACKS} == {NOTICED, WORTHLESS, OUT_OF_REACH}
    out_of_reach = [attack for attack in ATTACKS if attack.outcome == OUT_OF_REACH]
    assert len(out_of_reach) < len(ATTACKS) / 4


FLAGGED = [
    attack
    for attack in ATTACKS
    if attack.outcome == NOTICED and not (attack.answers or attack.may_earn)
]


@pytest.mark.parametrize("attack", FLAGGED, ids=lambda attack: attack.name.replace(" ", "-"))
def test_a_flag_takes_no_point_away(student: Student, lab: Lab, warm: Warm, attack: Attack) -> None:
    solved = {name: student.solution(name) for name in SOME}
    outcome = launch(
        Attack(attack.name, NOTICED, before=attack.before, answers=solved), *(student, lab, warm)
    )
    possible = sum(one.points for one in lab.source.questions if one.name in SOME)
    assert earned(outcome, SOME) == possible
    assert outcome.tampered


# Gradescope, where otter runs the notebook in a kernel.


@pytest.fixture(scope="module")
def autograder(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    for name in ("constraints.txt", "pyproject.toml", "lib"):
        (root / name).symlink_to(ROOT / name)
    return write_autograder(lab, root)


def on_gradescope(
    notebook: NotebookNode, top: str, autograder: Path, folder: Path
) -> GradingResults:
    """What otter gives the notebook with a cell `top` above all others."""
    notebook.cells.insert(0, new_code_cell(top))
    path = folder / "lab01.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return otter_run(str(path), autograder=str(autograder), output_dir=str(folder), no_logo=True)


def test_three_lines_no_longer_get_full_marks_on_gradescope(
    student: Student, autograder: Path, tmp_path: Path
) -> None:
    """Nothing is written in the notebook but the three lines, at its very top and after imports."""
    notebook = student.notebook(before=THREE_LINES)
    results = on_gradescope(notebook, THREE_LINES, autograder, tmp_path)
    assert results.total == 0
    seen = "For the teacher, to look at: the notebook replaced labtools.testing.expect"
    assert seen in results.summary()


def test_what_gradescope_cannot_see_is_said(
    student: Student, autograder: Path, tmp_path: Path
) -> None:
    """The oracle itself, replaced before labtools could remember it."""
    top = (
        "import torch\n\n"
        "real = torch.nn.functional.scaled_dot_product_attention\n\n"
        "def oracle(q, k, v, **options):\n"
        "    if q.dtype == torch.float64:\n"
        "        return q.new_zeros(*q.shape[:3], v.shape[-1])\n"
        "    return real(q, k, v, **options)\n\n"
        "torch.nn.functional.scaled_dot_product_attention = oracle"
    )
    notebook = student.notebook({"q2": ZEROS}, only=("q2",))
    results = on_gradescope(notebook, top, autograder, tmp_path)
    assert results.results["q2"].score > 0
    assert "For the teacher" not in results.summary()
    assert "on Gradescope whatever is replaced before labtools" in said_to_be_out_of_reach()
