"""A batch of notebooks, each with its own way to go wrong, gets the right scores."""

import csv
import json
import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import psutil
import pytest

from labtools.build import Lab
from labtools.grade import ControlFailed, grade_folder
from labtools.grades import BYTE_ORDER_MARK, Grade, grades_table, in_words
from labtools.marking import Desk, only_draws
from labtools.pages import feedback_page
from labtools.running import CaseResult
from labtools.submissions import find_submissions, read_submission
from labtools.words import explain, explain_cell
from tests.labs.conftest import Student

SECONDS = 30.0  # a busy machine needs many times what an idle one does, which is a second
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
FORGED_RUNNER = """
import labtools.running as running

running.run_case.__code__ = (
    lambda case, environment, *, seconds=1, salt=None, may_interrupt=False:
    __import__("labtools.running").running.CaseResult(case.name, case.points, case.hidden, True)
).__code__
"""
NOT_PYTHON = "def split_heads(x, n_heads)\n    return x"
EXIT = f"""
import os, subprocess, time

subprocess.Popen(["sleep", "{SLEEPER}"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    time.sleep({SLEEPER})
os._exit(0)
"""
PIP = "%pip uninstall -y surely-not-here\n!pip uninstall -y surely-not-here\n%pip --version"
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
        "not-python": student.notebook({"q4": NOT_PYTHON}, solved=True),
        "runner": student.notebook({"q1": student.solution("q1")}, after={"q1": FORGED_RUNNER}),
        "pip": student.notebook(solved=True, after={"q1": PIP}),
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
    (folder / "essay.pdf").write_bytes(b"%PDF-1.7")
    said: list[str] = []
    # A call that sleeps gets four times that. Two notebooks wait for most of their time.
    desk = Desk(jobs=3, seconds=SECONDS, call_seconds=3)
    grades = grade_folder(folder, {"lab01": lab}, desk=desk, say=said.append)
    return Batch({grade.submission: grade for grade in grades}, folder, folder / "grades", said)


def worth(lab: Lab, *questions: str) -> float:
    """The points of some questions, of all that need no person if none is named."""
    wanted = questions or tuple(lab.tests)
    return sum(one.points for one in lab.source.questions if one.name in wanted)


@pytest.mark.parametrize(
    ("name", "questions", "status"),
    [
        ("perfect.ipynb", "all", "graded"),
        ("pip.ipynb", "all", "graded"),
        ("blank.ipynb", "", "graded"),
        ("exception.ipynb", "all but q4", "graded"),
        ("not-python.ipynb", "all but q4", "graded"),
        ("endless-call.ipynb", "all but q7", "graded"),
        ("always-loops.ipynb", "q1 q2 q3", "time limit"),
        ("exits.ipynb", "q1 q2 q3", "stopped"),
        ("overridden-duplicates.ipynb", "q1 q5 q9", "graded"),
        ("runner.ipynb", "q1", "graded"),
        ("wrong-types.ipynb", "", "graded"),
        ("essay.ipynb", "", "not a notebook"),
        ("essay.pdf", "", "not a notebook"),
        ("binary.ipynb", "", "not a notebook"),
        ("list.ipynb", "", "not a notebook"),
        ("empty.zip", "", "not a notebook"),
        ("other-lab.ipynb", "", "unknown lab"),
        ("Ana Ñ (12)/export.zip", "q1 q2 q6", "graded"),
    ],
)
def test_score_and_status(batch: Batch, lab: Lab, name: str, questions: str, status: str) -> None:
    grade = batch.grades[name]
    if questions.startswith("all"):
        points = worth(lab) - (worth(lab, questions[-2:]) if "but" in questions else 0)
    else:
        points = worth(lab, *questions.split()) if questions else 0
    assert (grade.points, grade.status) == (points, status), grade.notes + [
        f"{case.property}: {case.said}"
        for cases in grade.results.values()
        for case in cases
        if not case.passed
    ]


def test_what_only_draws_does_not_run_unless_it_was_changed(lab: Lab) -> None:
    """Also where a reference stands above the drawing: such a cell trains a model."""
    code = [cell.source for cell in lab.student.cells if cell.cell_type == "code"]
    drawing = [source for source in code if "with labtools.look(" in source]
    assert any(not source.startswith("with") for source in drawing)
    assert [source for source in code if only_draws(source, lab)] == drawing
    assert not any(only_draws(f"{source}\nprint(1)", lab) for source in drawing)


def test_values_known_from_the_public_tests_earn_only_those(batch: Batch) -> None:
    for case in batch.grades["hard-coded.ipynb"].results["q6"]:
        assert case.passed is not case.hidden


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_file_has_one_row_and_one_page(batch: Batch, lab: Lab) -> None:
    rows = rows_of(batch.to / "grades.csv")
    files = {path.relative_to(batch.folder).as_posix() for path in batch.folder.rglob("*.*")}
    files = {name for name in files if not name.startswith("grades/")}
    assert sorted(row["submission"] for row in rows) == sorted(files)
    by_name = {row["submission"]: row for row in rows}
    perfect = by_name["perfect.ipynb"]
    columns = [f"{one.name} ({one.points:g})" for one in lab.source.questions if not one.manual]
    assert sum(float(perfect[column]) for column in columns) == worth(lab)
    assert float(perfect["points"]) == float(perfect["possible"]) == worth(lab)
    assert float(perfect["seconds"]) > 0
    assert by_name["essay.ipynb"][columns[0]] == by_name["essay.ipynb"]["points"] == ""
    assert "not JSON" in by_name["essay.ipynb"]["notes"]
    assert "hand in the .ipynb" in by_name["essay.pdf"]["notes"]
    pages = {path.name for path in batch.to.glob("*.html")}
    assert pages == {"index.html", *(row["page"] for row in rows)}
    assert len(pages) == len(rows) + 1
    assert not list(batch.to.glob(".*")), "no temporary file is left"


def test_excel_takes_the_table_for_utf_8(batch: Batch) -> None:
    assert (batch.to / "grades.csv").read_text(encoding="utf-8").startswith(BYTE_ORDER_MARK)
    assert "Ana Ñ (12)/export.zip" in (batch.to / "grades.csv").read_text(encoding="utf-8")


def test_control_comes_first_and_last_and_times_are_said(batch: Batch, lab: Lab) -> None:
    full = f"{worth(lab):g} of {worth(lab):g}"
    assert batch.said[0].startswith(f"control lab01: {full}")
    assert any(line.startswith(f"perfect.ipynb: {full}, graded, ") for line in batch.said)
    assert "s each" in batch.said[-2]
    assert batch.said[-1].startswith(f"control, once more, lab01: {full}")
    assert "essay.ipynb: not a notebook" in batch.said


def test_notes_say_what_happened(batch: Batch, lab: Lab) -> None:
    notes = {name: " ".join(grade.notes) for name, grade in batch.grades.items()}
    assert "public tests of q1" in notes["hard-coded.ipynb"]
    assert "ended its own process. Not reached: q4, q5" in notes["exits.ipynb"]
    assert f"did not end within {SECONDS:.0f} s. Not reached: q4" in notes["always-loops.ipynb"]
    assert "holds 0 notebooks" in notes["empty.zip"]
    assert "'lab99'" in notes["other-lab.ipynb"]
    assert notes["perfect.ipynb"] == ""


def test_a_flag_stands_in_a_column_of_its_own(batch: Batch) -> None:
    flags = {name: grade.flag for name, grade in batch.grades.items() if grade.flag}
    assert list(flags) == ["runner.ipynb"]
    assert "replaced labtools.running.run_case" in flags["runner.ipynb"]
    rows = {row["submission"]: row for row in rows_of(batch.to / "grades.csv")}
    assert rows["runner.ipynb"]["flag"] == flags["runner.ipynb"]
    assert "run_case" in (batch.to / "index.html").read_text(encoding="utf-8")
    assert "run_case" not in (batch.to / rows["runner.ipynb"]["page"]).read_text(encoding="utf-8")


def test_words_of_the_feedback(batch: Batch) -> None:
    def failures(name: str, question: str) -> list[str]:
        return [case.said for case in batch.grades[name].results[question] if not case.passed]

    assert "returned a list; it must return" in failures("wrong-types.ipynb", "q1")[0]
    assert "'str' object is not callable" in failures("wrong-types.ipynb", "q3")[0]
    assert "returned None. Is the `return` missing?" in " ".join(
        failures("wrong-types.ipynb", "q4")
    )
    assert "did not end" in failures("endless-call.ipynb", "q7")[0]
    assert "Your code raised IndexError" in failures("exception.ipynb", "q4")[0]
    assert "return [][0]" in failures("exception.ipynb", "q4")[0]
    assert (
        "`split_heads` was not defined when its tests ran" in failures("not-python.ipynb", "q4")[0]
    )


def test_errors_of_cells_name_the_cell(batch: Batch) -> None:
    errors = dict(batch.grades["exception.ipynb"].cell_errors)
    assert "ZeroDivisionError" in errors["the cell that begins with `1 / 0`"]
    assert (
        f"Stopped after {SECONDS / 3:.0f} s"
        in errors[f"the cell that begins with `{ENDLESS_CELL}`"]
    )
    ((where, words),) = batch.grades["not-python.ipynb"].cell_errors
    assert where == "the cell above the check of q4"
    assert "not Python: expected ':', in line 1" in words
    assert "def split_heads(x, n_heads)\n" in words


def test_page_shows_and_escapes(batch: Batch, lab: Lab) -> None:
    grade = batch.grades["hard-coded.ipynb"]
    page = (batch.to / grade.page).read_text(encoding="utf-8")
    assert f"{grade.points:g} of {worth(lab):g} points" in page
    assert "failed, hidden test" in page
    case = CaseResult("a < b", 1, True, False, words="<script>\ud800")
    grade = Grade("<b>.ipynb", "lab01", "graded", 1, {"q1": [case]})
    page = feedback_page(grade)
    assert "<script>" not in page
    assert "&lt;b&gt;.ipynb" in page
    page = feedback_page(grade, with_hidden=False)
    assert "a &lt; b" not in page
    assert "hidden tests</strong> 0 of 1 point" in page


def test_a_message_of_many_megabytes_is_cut_short() -> None:
    """It would go through a pipe, into a table and onto a page, and took all of the time."""
    error = ValueError("x" * 10**7)
    for words in (explain_cell(error, {}), explain(error, {})):
        assert "ValueError: xxx" in words
        assert len(words) < 2100


def test_the_overview_tells_how_each_question_went(batch: Batch, lab: Lab) -> None:
    page = (batch.to / "index.html").read_text(encoding="utf-8")
    ran = sum(grade.ran for grade in batch.grades.values())
    full = sum(
        grade.points_of("q1") == worth(lab, "q1") for grade in batch.grades.values() if grade.ran
    )
    assert f"<td>q1</td><td>{batch_mean(batch, 'q1'):.2f} of" in page
    assert f"<td>{full} of {ran}</td>" in page
    assert "The same code" in page
    for grade in batch.grades.values():
        assert f'<a href="{grade.page}">' in page


def batch_mean(batch: Batch, question: str) -> float:
    points = [grade.points_of(question) for grade in batch.grades.values() if grade.ran]
    return sum(points) / len(points)


def test_nothing_a_notebook_started_goes_on(batch: Batch) -> None:
    assert batch.grades["exits.ipynb"].status == "stopped"
    alive = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert not any(SLEEPER in (command or []) for command in alive)


def test_pip_in_a_notebook_changes_nothing(batch: Batch) -> None:
    import importlib.metadata

    assert importlib.metadata.version("jupytext")
    assert batch.grades["pip.ipynb"].cell_errors == []


def test_batch_is_refused_when_the_control_fails(
    student: Student, lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "perfect.ipynb").write_text(json.dumps(student.notebook(solved=True)))
    wrong = replace(lab, solved=student.notebook({"q9": "import no_such_package"}, solved=True))
    left = worth(lab) - worth(lab, "q9")
    with pytest.raises(ControlFailed, match=f"gets {left:g} of {worth(lab):g} on this machine"):
        grade_folder(tmp_path, {"lab01": wrong}, desk=Desk(seconds=SECONDS))
    assert [path.name for path in tmp_path.iterdir()] == ["perfect.ipynb"], "nothing is written"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"folder": "nowhere"}, r"submissions is .*nowhere; it must be a folder\."),
        ({}, r"submissions is .*; it must hold \.ipynb or \.zip files\."),
        ({"only": "lab77"}, r"lab is 'lab77'; it must be one of lab01\."),
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


ONE_CELL = {"cell_type": "code", "source": "x = 1"}
LAB = {"otter": {"assignment_name": "lab01", "tests": {"q1": "a test"}}}


@pytest.mark.parametrize(
    ("notebook", "lab", "cells"),
    [
        ({"cells": [ONE_CELL]}, "", ["x = 1"]),
        ({"cells": [ONE_CELL], "metadata": None}, "", ["x = 1"]),
        ({"cells": [ONE_CELL], "metadata": []}, "", ["x = 1"]),
        ({"cells": [ONE_CELL], "metadata": {"otter": None}}, "", ["x = 1"]),
        ({"cells": [ONE_CELL], "metadata": {"otter": {"tests": [1]}}}, "", ["x = 1"]),
        ({"cells": [ONE_CELL], "metadata": {"otter": {"assignment_name": ["a"]}}}, "", ["x = 1"]),
        ({"cells": [{**ONE_CELL, "metadata": None}], "metadata": LAB}, "lab01", ["x = 1"]),
        (
            {"cells": [{**ONE_CELL, "metadata": {"tags": None}}], "metadata": LAB},
            "lab01",
            ["x = 1"],
        ),
        ({"cells": [{"cell_type": "code"}, ONE_CELL], "metadata": LAB}, "lab01", ["", "x = 1"]),
        ({"cells": [{**ONE_CELL, "source": None}], "metadata": LAB}, "lab01", [""]),
    ],
)
def test_what_is_missing_beside_the_cells_loses_no_cell(
    tmp_path: Path, notebook: dict, lab: str, cells: list[str]
) -> None:
    path = tmp_path / "thing.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    submission = read_submission(path, tmp_path)
    assert (submission.problem, submission.lab, list(submission.cells)) == ("", lab, cells)


@pytest.mark.parametrize("name", ["\ud800lab", "two\nlines", "x" * 10_000, 'lab"01', "../lab01"])
def test_any_name_of_a_lab_is_a_short_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "thing.ipynb"
    metadata = {"otter": {"assignment_name": name}}
    path.write_text(json.dumps({"cells": [], "metadata": metadata}), encoding="utf-8")
    lab = read_submission(path, tmp_path).lab
    assert len(lab) <= 60
    assert lab.encode("utf-8").decode() == " ".join(lab.split())


def test_a_notebook_of_an_old_format_says_what_to_do(tmp_path: Path) -> None:
    old = {"nbformat": 3, "metadata": LAB, "worksheets": [{"cells": [ONE_CELL]}]}
    (tmp_path / "old.ipynb").write_text(json.dumps(old), encoding="utf-8")
    problem = read_submission(tmp_path / "old.ipynb", tmp_path).problem
    assert problem.startswith("old.ipynb is not a notebook as they are since 2014: open it in")


@pytest.mark.parametrize(
    "names",
    [
        ("./lab01.ipynb",),
        ("../../lab01.ipynb",),
        ("/srv/ada/lab01.ipynb",),
        ("./hand/./lab01.ipynb", "./__MACOSX/._lab01.ipynb", "./.ipynb_checkpoints/lab01.ipynb"),
        ("work\\lab01.ipynb", "__MACOSX\\work\\._lab01.ipynb"),
        ("lab01.ipynb/lab01.ipynb",),
    ],
)
def test_a_zip_from_any_program_holds_its_notebook(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Nothing is unpacked: a name that leads out of the folder leads nowhere."""
    path = tmp_path / "lab.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, json.dumps({"cells": [ONE_CELL], "metadata": LAB}))
    submission = read_submission(path, tmp_path)
    assert (submission.problem, submission.lab) == ("", "lab01")
    assert [one.name for one in tmp_path.iterdir()] == ["lab.zip"]


def test_a_zip_in_a_zip_is_said_to_be_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", b"whatever")
    problem = read_submission(tmp_path / "outer.zip", tmp_path).problem
    assert "holds 0 notebooks (but a zip file in it); it must hold one" in problem


@pytest.mark.parametrize("name", ["lab01.ipynb ", "lab01.ipynb.", "LAB01.IPYNB. ", "lab01.ipynb"])
def test_a_dot_or_a_space_after_the_name_changes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps({"cells": [ONE_CELL], "metadata": LAB}))
    assert read_submission(tmp_path / name, tmp_path).lab == "lab01"


def test_whatever_stands_in_the_folder_has_a_row_and_a_sentence(tmp_path: Path) -> None:
    """A link that leads nowhere was handed in by somebody, who would not be heard of."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "lab01.ipynb").write_text("{}", encoding="utf-8")
    (tmp_path / "full.ipynb").mkdir()
    (tmp_path / "full.ipynb" / "lab01.ipynb").write_text("{}", encoding="utf-8")
    (tmp_path / "empty folder.ipynb").mkdir()
    (tmp_path / "empty folder").mkdir()
    (tmp_path / "broken.ipynb").symlink_to("nowhere")
    (tmp_path / "loop.ipynb").symlink_to("loop.ipynb")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "linked.ipynb").symlink_to("real/lab01.ipynb")
    (tmp_path / "nothing.ipynb").touch()
    (tmp_path / "nothing.zip").touch()
    os.mkfifo(tmp_path / "pipe.ipynb")
    found = {
        path.relative_to(tmp_path).as_posix(): read_submission(path, tmp_path).problem
        for path in find_submissions(tmp_path, skip=tmp_path / "grades")
    }
    said = {
        "broken.ipynb": "cannot be read: No such file",
        "empty folder.ipynb": "is not a notebook but a folder: hand in",
        "folder": "is not a notebook but a folder: hand in",
        "full.ipynb/lab01.ipynb": "is not a notebook",
        "linked.ipynb": "is not a notebook",
        "loop.ipynb": "cannot be read: Too many levels",
        "nothing.ipynb": "is not a notebook: it is empty",
        "nothing.zip": "is not a zip file, although",
        "pipe.ipynb": "is not a notebook and no file",  # and nobody waits for it
        "real/lab01.ipynb": "is not a notebook",
    }
    assert found.keys() == said.keys()
    for name, words in said.items():
        assert found[name].startswith(f"{name} {words}")


def test_a_folder_that_is_closed_has_a_row(tmp_path: Path, monkeypatch) -> None:
    closed = tmp_path / "ada"
    closed.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed)
    assert find_submissions(tmp_path, skip=tmp_path / "grades") == [closed]


def test_many_notebooks_in_a_zip_do_not_fill_the_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("labtools.submissions.LARGEST_BYTES", 2**20)
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abc":
            archive.writestr(f"{name}.ipynb", " " * 2**19)
    assert "what is in it has more than 1 MB" in read_submission(path, tmp_path).problem


def test_a_results_folder_that_cannot_be_is_named_before_anything_runs(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "a.ipynb").write_text("{}", encoding="utf-8")
    for to in (tmp_path / "a.ipynb", tmp_path / "a.ipynb" / "below"):
        with pytest.raises(ValueError, match=r"to is .*; it must be a folder to write in"):
            grade_folder(tmp_path, {"lab01": lab}, to=to)


def test_a_time_that_no_calendar_has_is_left_out() -> None:
    assert in_words(2.0**40) == in_words(None) == ""
    assert in_words(-(2.0**60)) == in_words(float("nan")) == ""


def test_results_folder_and_checkpoints_are_not_submissions(tmp_path: Path) -> None:
    names = ("a.ipynb", ".ipynb_checkpoints/a.ipynb", "grades/b.ipynb", "__MACOSX/c", "notes.pdf")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_submissions(tmp_path, skip=tmp_path / "grades")
    assert [path.name for path in found] == ["a.ipynb", "notes.pdf"]


def test_table_of_no_questions_is_still_a_table() -> None:
    table = grades_table([Grade("a.ipynb", "", "not a notebook", 0, notes=["a, b"])])
    assert table.splitlines() == [
        "submission,id,name,lab,status,flag,points,possible,handed in,days late,seconds,page,notes",
        'a.ipynb,,,,not a notebook,,,,,,,,"a, b"',
    ]


def test_labs_with_other_questions_share_a_table() -> None:
    case = CaseResult("p", 2, False, True)
    grades = [
        Grade("a", "lab01", "graded", 2, {"q1": [case]}, questions={"q1": 2}),
        Grade("=b", "lab02", "graded", 5, {"q2": []}, questions={"q1": 3, "q2": 2}),
    ]
    header, first, second = csv.reader(grades_table(grades).splitlines())
    assert header[8:10] == ["q1 (2 or 3)", "q2 (2)"]
    assert first[8:10] == ["2", ""]
    assert second[8:10] == ["0", "0"]
    assert second[0] == "'=b", "no cell is a formula"
