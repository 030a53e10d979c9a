"""A batch of notebooks, each with its own way to go wrong, gets the right scores."""

import csv
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import psutil
import pytest

from labtools.build import Lab
from labtools.grade import ControlFailed, Grade, grade_folder, grades_table
from labtools.pages import feedback_page
from labtools.running import CaseResult
from labtools.submissions import read_submission
from tests.labs.conftest import Student

ALL = 32
SECONDS = 45.0  # a busy machine needs several times what an idle one does
SLEEPER = "86399.25"

ENDLESS_CALL = """
def median_seconds(function, *, warmup=2, repeats=5, clock=None):
    while True:
        try:
            time.sleep(1)
        except Exception:
            pass
"""
ENDLESS_CELL = "while True: time.sleep(1)"
WRONG_TYPES = {
    "q1": "def softmax(scores):\n    return scores.tolist()",
    "q2": "def attention(q, k, v):\n    return (q @ k.mT).numpy()",
    "q3": "causal_mask = padding_mask = masked_attention = 'a string'",
    "q4": "def split_heads(x):\n    return x\n\ndef merge_heads(x):\n    return None",
    "q5": "def layer_flops(*a):\n    return [1, 2]\n\ndef crossover_length(*a):\n    return '3072'",
    "q6": "def score_bytes(*a):\n    return True\n\ndef longest_length(*a):\n    return None",
    "q7": "def median_seconds(function, **options):\n    return 'fast'",
    "q8": "def fit_exponent(lengths, seconds):\n    return float('nan')",
    "q9": "def matmul_intensity(*a):\n    return None\n\ndef reachable_flops(*a):\n    return 1j",
    "q10": "def decode_step(q, k, v, cache):\n    return q",
}
HARD_CODED = {
    "q6": (
        "def score_bytes(batch, heads, length, dtype):\n"
        "    return {4: 600, 2: 300}[dtype.itemsize]\n\n"
        "def longest_length(*sizes):\n    return 1930"
    )
}
OVERRIDDEN = """
class Generous:
    def check(self, question):
        return "all tests passed"

grader = Generous()
"""
ORACLE = """
import torch.nn.functional as F

F.scaled_dot_product_attention = lambda q, k, v, **options: attention(q, k, v)
"""
FORGED_RUNNER = """
import labtools.running as running

running.run_case.__code__ = (
    lambda case, environment, *, seconds=1: __import__("labtools.running").running.CaseResult(
        case.name, case.points, case.hidden, True
    )
).__code__
"""
EXIT = f"""
import os, subprocess

subprocess.Popen(["sleep", "{SLEEPER}"], start_new_session=True)
os._exit(0)
"""
SWALLOWS_EVERYTHING = """
import time

while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass
"""


@dataclass
class Batch:
    grades: dict[str, Grade]
    folder: Path
    to: Path
    said: list[str]


def hand_in(student: Student, folder: Path) -> None:
    """Write every submission of the batch."""
    notebooks = {
        "perfect": student.notebook(solved=True, pictures=True),
        "blank": student.notebook(pictures=True),
        "exception": student.notebook(
            {"q4": "def split_heads(x, n_heads):\n    return [][0]\n\nmerge_heads = split_heads"},
            solved=True,
            after={"q2": "1 / 0", "q6": "exit()\nquit()", "q9": ENDLESS_CELL},
        ),
        "endless-call": student.notebook({"q7": ENDLESS_CALL}, solved=True),
        "always-loops": student.notebook(solved=True, after={"q3": SWALLOWS_EVERYTHING}),
        "exits": student.notebook(solved=True, after={"q3": EXIT}),
        "oracle": student.notebook(
            {"q2": "def attention(q, k, v):\n    return q.new_zeros(*q.shape[:3], v.shape[-1])"},
            after={"q1": ORACLE},
        ),
        "runner": student.notebook(after={"q1": FORGED_RUNNER}),
        "wrong-types": student.notebook(WRONG_TYPES),
        "hard-coded": student.notebook(HARD_CODED),
    }
    edited = notebooks["hard-coded"].metadata.otter.tests
    edited["q1"] = edited["q2"]
    twice = student.notebook(
        {
            "q1": "def softmax(scores):\n    return scores",
            **{name: student.solution(name) for name in ("q5", "q9")},
        },
        before=OVERRIDDEN,
        after={"q5": "softmax = layer_flops = None  # a later cell takes the names"},
    )
    first_check = next(
        i for i, cell in enumerate(twice.cells) if cell.source == 'grader.check("q1")'
    )
    copies = [dict(cell) for cell in twice.cells[first_check - 1 : first_check + 1]]
    copies[0]["source"] = student.solution("q1")
    twice.cells[first_check + 1 : first_check + 1] = [nbformat.from_dict(c) for c in copies]
    notebooks["overridden-duplicates"] = twice  # with duplicate ids, as a copied file may have
    for name, notebook in notebooks.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    (folder / "essay.ipynb").write_text("Dear professor,\n", encoding="utf-8")
    (folder / "binary.ipynb").write_bytes(b"\xff\xfe\x00\x81")
    (folder / "list.ipynb").write_text("[1, 2]", encoding="utf-8")
    other = student.notebook()
    other.metadata.otter.assignment_name = "lab99"
    (folder / "other-lab.ipynb").write_text(json.dumps(other), encoding="utf-8")
    partial = student.notebook({name: student.solution(name) for name in ("q1", "q2", "q6")})
    nested = folder / "Ana Ñ (12)"
    nested.mkdir()
    with zipfile.ZipFile(nested / "export.zip", "w") as archive:
        archive.writestr("my lab.ipynb", json.dumps(partial))
        archive.writestr("picture.txt", "not a notebook")
    with zipfile.ZipFile(folder / "empty.zip", "w") as archive:
        archive.writestr("notes.txt", "no notebook here")


@pytest.fixture(scope="module")
def batch(student: Student, lab: Lab, tmp_path_factory) -> Batch:
    folder = tmp_path_factory.mktemp("submissions")
    hand_in(student, folder)
    said: list[str] = []
    grades = grade_folder(folder, {"lab01": lab}, jobs=2, seconds=SECONDS, say=said.append)
    return Batch({grade.submission: grade for grade in grades}, folder, folder / "grades", said)


@pytest.mark.parametrize(
    ("name", "points", "status"),
    [
        ("perfect.ipynb", 32, "graded"),
        ("blank.ipynb", 0, "graded"),
        ("exception.ipynb", 29, "graded"),
        ("endless-call.ipynb", 29, "graded"),
        ("always-loops.ipynb", 10, "time limit"),
        ("exits.ipynb", 10, "stopped"),
        ("overridden-duplicates.ipynb", 10, "graded"),
        ("oracle.ipynb", 0, "tampered"),
        ("runner.ipynb", 0, "tampered"),
        ("wrong-types.ipynb", 0, "graded"),
        ("hard-coded.ipynb", 2, "graded"),
        ("essay.ipynb", 0, "not a notebook"),
        ("binary.ipynb", 0, "not a notebook"),
        ("list.ipynb", 0, "not a notebook"),
        ("empty.zip", 0, "not a notebook"),
        ("other-lab.ipynb", 0, "unknown lab"),
        ("Ana Ñ (12)/export.zip", 9, "graded"),
    ],
)
def test_score_and_status(batch: Batch, name: str, points: float, status: str) -> None:
    grade = batch.grades[name]
    assert (grade.points, grade.status) == (points, status), grade.notes + [
        f"{case.property}: {case.said}"
        for cases in grade.results.values()
        for case in cases
        if not case.passed
    ]


def test_every_submission_has_one_row_and_one_page(batch: Batch) -> None:
    with open(batch.to / "grades.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["submission"] for row in rows} == set(batch.grades)
    assert len(rows) == len(batch.grades)
    by_name = {row["submission"]: row for row in rows}
    perfect = by_name["perfect.ipynb"]
    questions = [f"q{number}" for number in range(1, 11)]
    assert sum(float(perfect[question]) for question in questions) == ALL
    assert float(perfect["points"]) == float(perfect["possible"]) == ALL
    assert float(perfect["seconds"]) > 0
    assert by_name["hard-coded.ipynb"]["q6"] == "2"
    assert by_name["essay.ipynb"]["q1"] == ""
    assert "not JSON" in by_name["essay.ipynb"]["notes"]
    pages = {path.name for path in batch.to.glob("*.html")}
    assert pages == {f"{name.replace('/', '__')}.html" for name in batch.grades}
    assert not list(batch.to.glob(".*")), "no temporary file is left"


def test_control_comes_first_and_times_are_said(batch: Batch) -> None:
    assert batch.said[0].startswith("control lab01: 32 of 32")
    assert any(line.startswith("perfect.ipynb: 32 of 32, graded, ") for line in batch.said)
    assert "s each" in batch.said[-1]


def test_notes_say_what_happened(batch: Batch) -> None:
    notes = {name: " ".join(grade.notes) for name, grade in batch.grades.items()}
    assert "replaced torch.nn.functional.scaled_dot_product_attention" in notes["oracle.ipynb"]
    assert "replaced labtools.running.run_case" in notes["runner.ipynb"]
    assert "public tests of q1" in notes["hard-coded.ipynb"]
    assert "ended its own process. Not reached: q4, q5" in notes["exits.ipynb"]
    assert "did not end within 45 s. Not reached: q4" in notes["always-loops.ipynb"]
    assert "holds 0 notebooks" in notes["empty.zip"]
    assert "'lab99'" in notes["other-lab.ipynb"]
    assert notes["perfect.ipynb"] == ""


def test_words_of_the_feedback(batch: Batch) -> None:
    def failures(name: str, question: str) -> list[str]:
        return [case.said for case in batch.grades[name].results[question] if not case.passed]

    assert "returned a list; it must return" in failures("wrong-types.ipynb", "q1")[0]
    assert "'str' object is not callable" in failures("wrong-types.ipynb", "q3")[0]
    assert "returned None. Is the `return` missing?" in failures("wrong-types.ipynb", "q4")[1]
    assert "did not end" in failures("endless-call.ipynb", "q7")[0]
    assert "Your code raised IndexError" in failures("exception.ipynb", "q4")[0]
    assert "return [][0]" in failures("exception.ipynb", "q4")[0]
    cell_errors = dict(batch.grades["exception.ipynb"].cell_errors)
    assert any("ZeroDivisionError" in words for words in cell_errors.values())
    assert any("Stopped after 15 s" in words for words in cell_errors.values())


def test_page_shows_and_escapes(batch: Batch) -> None:
    page = (batch.to / "hard-coded.ipynb.html").read_text(encoding="utf-8")
    assert "2 of 32 points" in page
    assert "failed, hidden test" in page
    grade = Grade(
        "<b>.ipynb",
        "lab01",
        "graded",
        1,
        {"q1": [CaseResult("a < b", 1, True, False, words="<script>\ud800")]},
    )
    page = feedback_page(grade)
    assert "<script>" not in page
    assert "&lt;b&gt;.ipynb" in page


def test_nothing_a_notebook_started_goes_on(batch: Batch) -> None:
    assert batch.grades["exits.ipynb"].status == "stopped"
    alive = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not any(SLEEPER in (command or []) for command in alive)


def test_batch_is_refused_when_the_control_fails(
    student: Student, lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "perfect.ipynb").write_text(json.dumps(student.notebook(solved=True)))
    wrong = replace(lab, solved=student.notebook({"q9": "import no_such_package"}, solved=True))
    with pytest.raises(ControlFailed, match="gets 29 of 32 on this machine"):
        grade_folder(tmp_path, {"lab01": wrong}, seconds=SECONDS)
    assert [path.name for path in tmp_path.iterdir()] == ["perfect.ipynb"], "nothing is written"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"folder": "nowhere"}, "submissions must be a folder"),
        ({}, "found none in"),
        ({"only": "lab77"}, "lab must be one of lab01"),
    ],
)
def test_bad_input(lab: Lab, tmp_path: Path, arguments: dict[str, str], sentence: str) -> None:
    folder = tmp_path / arguments.pop("folder", ".")
    with pytest.raises(ValueError, match=sentence):
        grade_folder(folder, {"lab01": lab}, **arguments)


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"cells": 3}', '{"cells": [{}]}', '{"cells": [1]}', "[" * 100_000, "null", '"x"'],
)
def test_any_content_gets_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "thing.ipynb"
    path.write_text(content, encoding="utf-8")
    submission = read_submission(path, tmp_path)
    assert submission.problem.startswith("thing.ipynb is not a notebook")


def test_results_folder_and_checkpoints_are_not_submissions(tmp_path: Path) -> None:
    from labtools.submissions import find_submissions

    for name in ("a.ipynb", ".ipynb_checkpoints/a.ipynb", "grades/b.ipynb", "notes.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_submissions(tmp_path, skip=tmp_path / "grades") == [tmp_path / "a.ipynb"]


def test_table_of_no_questions_is_still_a_table() -> None:
    table = grades_table([Grade("a.ipynb", "", "not a notebook", 0, notes=["a, b"])])
    assert table.splitlines() == [
        "submission,lab,status,points,possible,seconds,notes",
        'a.ipynb,,not a notebook,0,0,0.0,"a, b"',
    ]
