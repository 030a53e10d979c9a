"""A student opens the notebook, and nothing but the notebook, in a real Jupyter kernel."""

import json
import os
import re
from pathlib import Path

import nbformat
import otter
import pytest
import torch
from nbclient import NotebookClient
from nbformat import NotebookNode

from labtools.build import Lab
from labtools.grader import Grader, score
from tests.labs.conftest import ROOT, Student


def public_points(lab: Lab, *names: str) -> str:
    """The public points of some questions, of all if none is named, as they are shown."""
    points = sum(
        case.points
        for question in lab.source.questions
        for case in question.cases
        if not case.hidden and (not names or question.name in names)
    )
    return f"{points:g}"


WRONG = {
    "q1": "def softmax(scores):\n    return scores.exp() / scores.exp().sum(dim=-1, keepdim=True)",
    "q2": "def attention(q, k, v):\n    weights = q @ k\n    return weights @ v",
    "q3": (
        "def causal_mask(length):\n    return torch.ones(length, length)\n\n"
        "def padding_mask(padding):\n    return padding\n\n"
        "def masked_attention(q, k, v, mask):\n    return v[..., :1]"
    ),
    "q4": "def split_heads(x, n_heads):\n    pass\n\ndef merge_heads(x):\n    return x",
    "q5": "def layer_flops(length):\n    return {}\n\ndef crossover_length(a, b):\n    return 1536",
    "q6": "def score_bytes(*a):\n    return 'many'\n\ndef longest_length(*a):\n    return 5.5",
    "q7": "def median_seconds(function, **options):\n    while True:\n        pass",
    "q8": "fit_exponent = 2.0",
    "q9": "def matmul_intensity(*a):\n    raise ValueError\n\nreachable_flops = 1",
    "q10": "decode_steps = None",
}


def execute(notebook: NotebookNode, folder: Path, name: str) -> NotebookNode:
    """Run the notebook as "Run All Cells" would, in `folder`, where nothing else lies."""
    (folder / name).write_text(json.dumps(notebook), encoding="utf-8")
    client = NotebookClient(
        notebook,
        timeout=240,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute()


def said(notebook: NotebookNode, source: str) -> str:
    """The text that the cell with `source` shows."""
    (cell,) = (cell for cell in notebook.cells if cell.source == source)
    texts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append(f"TRACEBACK {output.ename}")
        else:
            texts.append(output.data["text/plain"])
    return "\n".join(texts)


@pytest.fixture(scope="module")
def blank(tmp_path_factory) -> NotebookNode:
    notebook = nbformat.read(ROOT / "labs" / "lab01.ipynb", as_version=4)
    return execute(notebook, tmp_path_factory.mktemp("home"), "my own name (1).ipynb")


@pytest.fixture(scope="module")
def wrong(student: Student, tmp_path_factory) -> NotebookNode:
    notebook = student.notebook(WRONG)
    for cell in notebook.cells:
        if cell.source == 'grader.check("q7")':
            cell.source = 'grader.seconds = 2\ngrader.check("q7")'
        if cell.source == 'grader.check("q8")':
            cell.source = 'grader.seconds = 60\ngrader.check("q8")'
        if cell.source == "labtools.score(grader)":
            cell.source = ""
    return execute(notebook, tmp_path_factory.mktemp("home"), "lab01.ipynb")


def test_blank_runs_to_its_end_and_says_what_is_missing(blank: NotebookNode, lab: Lab) -> None:
    for cell in blank.cells:
        assert all(output.output_type != "error" for output in cell.get("outputs", [])), cell.source
    for name in lab.tests:
        words = said(blank, f'grader.check("{name}")')
        assert words.startswith(f"{name}: not written yet, 0 of ")
        assert "still raises NotImplementedError: it is not written yet." in words
    score = said(blank, "labtools.score(grader)")
    assert f"0 of {public_points(lab)} public points" in score
    assert "passed" not in score
    looks = [cell for cell in blank.cells if "labtools.look(" in cell.source]
    assert len(looks) == 6
    assert all("Nothing to see yet" in said(blank, cell.source) for cell in looks)


@pytest.mark.parametrize(
    ("cell", "sentences"),
    [
        (
            'grader.check("q1")',
            (
                "q1: 0.5 of 1 public point",
                "✓ each row along the last axis becomes weights that sum to 1 (0.5 points)",
                "✗ scores of 1000 and more give finite weights (0.5 points)",
                "Large scores overflow in exp.",
                "67 % of the values are NaN (8 of 12)",
            ),
        ),
        (
            'grader.check("q2")',
            (
                "Your code raised RuntimeError",
                "in `attention`, line 2 of its cell:",
                "weights = q @ k",
                "with shapes q (2, 3, 4, 5), k (2, 3, 7, 5)",
            ),
        ),
        (
            'grader.check("q3")',
            (
                "expected dtype torch.bool, got torch.float32",
                "expected shape (2, 3, 5, 4), got (2,",
            ),
        ),
        ('grader.check("q4")', ("returned None. Is the `return` missing?",)),
        (
            'grader.check("q5")',
            ("Calling your function as the question says raised TypeError: layer_flops() takes",),
        ),
        (
            'grader.check("q6")',
            ("returned a str; it must return a number", "expected 1930, got 5.5"),
        ),
        (
            'grader.seconds = 2\ngrader.check("q7")',
            ("Stopped after 2 s: the call did not end.", "in `median_seconds`, line "),
        ),
        ('grader.seconds = 60\ngrader.check("q8")', ("'float' object is not callable",)),
        ('grader.check("q9")', ("Your code raised ValueError\n", "raise ValueError")),
        ('grader.check("q10")', ("`decode_step` is not defined. Run the cell in which",)),
    ],
)
def test_wrong_answers_are_explained(
    wrong: NotebookNode, cell: str, sentences: tuple[str, ...]
) -> None:
    words = said(wrong, cell)
    assert "TRACEBACK" not in words
    assert "Traceback" not in words
    for sentence in sentences:
        assert sentence in words, words


def test_solved_notebook_shows_its_pictures_and_its_score(lab: Lab, tmp_path: Path) -> None:
    """All of it, with fewer steps of training: nothing here depends on what was learned."""
    solved = nbformat.read(ROOT / "solutions" / "lab01.ipynb", as_version=4)
    (training,) = (cell for cell in solved.cells if "text.topics(), 1200, 60" in cell.source)
    training.source = training.source.replace("1200, 60", "60, 3")
    notebook = execute(solved, tmp_path, "lab01.ipynb")
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5
    score = said(notebook, "labtools.score(grader)")
    assert f"{public_points(lab)} of {public_points(lab)} public points" in score
    assert "Public tests passed." in score
    assert "all tests" not in score.lower()
    check = next(cell for cell in notebook.cells if cell.source == 'grader.check("q1")')
    html = check.outputs[0].data["text/html"]
    of = public_points(lab, "q1")
    assert f"q1: public tests passed, {of} of {of} public point" in html
    assert not (tmp_path / ".OTTER_LOG").exists()


def test_otters_own_notebook_finds_the_tests_too(
    student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lab01.ipynb").write_text(json.dumps(student.notebook()), encoding="utf-8")
    environment: dict[str, object] = {}
    exec("import torch\nfrom torch import Tensor\n" + student.solution("q1"), environment)
    result = otter.Notebook("lab01.ipynb").check("q1", global_env=environment)
    assert result.passed_all


@pytest.mark.parametrize("variable", ["JPY_SESSION_NAME", "__vsc_ipynb_file__", None])
def test_finds_the_open_notebook(
    student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path if variable else elsewhere)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    path = elsewhere / "renamed.ipynb"
    path.write_text(json.dumps(student.notebook()), encoding="utf-8")
    (tmp_path / "broken.ipynb").write_text("{")
    environment: dict[str, object] = {}
    if variable == "JPY_SESSION_NAME":
        monkeypatch.setitem(os.environ, variable, str(path))
    elif variable:
        environment[variable] = str(path)
    report = Grader("lab01").check("q1", environment)
    assert report.heading == "q1: not written yet, 0 of 1 public point"


def test_says_what_it_cannot_find(
    student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setattr("labtools.opened.LABS", tmp_path / "nowhere")  # as it was handed out
    with pytest.raises(ValueError, match="no notebook with the tests of lab01 was found"):
        Grader("lab01").check("q1", {})
    Path("lab01.ipynb").write_text(json.dumps(student.notebook()), encoding="utf-8")
    with pytest.raises(ValueError, match=r"question is 'q99'; for lab01 it must be one of q1, q2"):
        Grader("lab01").check("q99", {})


# What was reached survives a restart of the kernel, and the tests can be read.


@pytest.fixture
def home(student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the notebook in it and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    (tmp_path / "lab01.ipynb").write_text(json.dumps(student.notebook()), encoding="utf-8")
    return tmp_path


def kernel(*answers: str) -> dict[str, object]:
    """The variables of a notebook in which these cells have run."""
    environment: dict[str, object] = {}
    for cell in ("import math\nimport time\n\nimport torch\nfrom torch import Tensor", *answers):
        exec(cell, environment)
    return environment


def started(capsys: pytest.CaptureFixture[str]) -> tuple[Grader, str]:
    """The grader of a kernel that has just started, and what it says."""
    capsys.readouterr()
    grader = Grader("lab01")
    return grader, capsys.readouterr().out


HALF_Q2 = "def attention(q, k, v):\n    return torch.softmax(q @ k.mT, -1) @ v"


def test_progress_survives_a_restart(
    student: Student, lab: Lab, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grader, said_first = started(capsys)
    assert said_first == ""
    environment = kernel(student.solution("q1"), HALF_Q2)
    assert grader.check("q1", environment).passed
    half = grader.check("q2", environment)
    assert not half.passed
    assert not grader.check("q3", environment).passed  # not written: nothing to remember

    grader, line = started(capsys)
    points = float(public_points(lab, "q1")) + half.earned
    assert line.startswith(f"{points:g} public point")
    assert "passed: q1; begun: q2. Run the cells" in line
    assert "q3" not in line

    score(grader, kernel())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("… q1: ")
    assert lines[0].endswith(", not run since")
    assert f"0 of {public_points(lab)} public points" in lines, "nothing counts that has not run"
    assert f"{points:g} more were reached before; run those cells again and they count." in lines

    grader, again = started(capsys)
    assert again == line, "a score with nothing run forgets nothing"
    score(grader, kernel(student.solution("q1")))
    assert capsys.readouterr().out.startswith("✓ q1: public tests passed")


def test_a_later_check_takes_the_place_of_an_earlier_one(
    student: Student, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grader, _ = started(capsys)
    grader.check("q1", kernel(student.solution("q1")))
    grader.check("q1", kernel("def softmax(scores):\n    return scores"))
    assert "begun: q1" in started(capsys)[1]


@pytest.mark.parametrize("content", ["", "[]", "null", '{"q1": 3}', '{"q1": {"x": 1}}', "\x00"])
def test_a_damaged_memory_costs_the_memory_and_no_more(
    student: Student, home: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (home / ".lab01-progress.json").write_text(content)
    grader, line = started(capsys)
    assert line == ""
    assert grader.check("q1", kernel(student.solution("q1"))).passed
    assert "passed: q1" in started(capsys)[1]


def test_the_memory_of_one_lab_is_not_that_of_another(
    student: Student, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grader, _ = started(capsys)
    grader.check("q1", kernel(student.solution("q1")))
    other = nbformat.read(ROOT / "labs" / "lab02.ipynb", as_version=4)
    (home / "lab02.ipynb").write_text(json.dumps(other), encoding="utf-8")
    capsys.readouterr()
    Grader("lab02")
    assert capsys.readouterr().out == ""


def test_a_kernel_that_grades_says_nothing_of_progress(
    student: Student, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    grader, _ = started(capsys)
    grader.check("q1", kernel(student.solution("q1")))
    monkeypatch.setenv("LABTOOLS_BATCH", "1")
    assert started(capsys)[1] == ""


def test_show_prints_the_public_tests_and_their_inputs(student: Student, home: Path) -> None:
    environment = kernel(student.solution("q2"))
    shown = Grader("lab01").show("q2", environment)
    words = repr(shown)
    cases = {one.name: one.cases for one in student.lab.source.questions}["q2"]
    for case in cases:
        name = re.search(r"def (\w+)", case.code)[1]
        assert (f"# {case.success_message}\ndef {name}(" in words) is not case.hidden
        assert (case.success_message in words) is not case.hidden
    assert "expect_close(out, want" in words, "the whole test, not its name alone"
    assert "calls[0]  attention(a (2, 3, 4, 5) tensor, a (2, 3, 7, 5) tensor" in words
    q, k, v = shown.calls[0].args
    assert torch.equal(shown.calls[0].again(), environment["attention"](q, k, v))


def test_show_keeps_the_inputs_as_they_were(home: Path) -> None:
    careless = "def attention(q, k, v):\n    q.zero_()\n    return q"
    environment = kernel(careless)
    shown = Grader("lab01").show("q2", environment)
    q = shown.calls[0].args[0]
    assert q.any(), "as the test made it, not as the answer left it"
    shown.calls[0].again()
    assert q.any()


def test_show_reads_the_tests_of_what_is_not_written(home: Path) -> None:
    shown = Grader("lab01").show("q2", kernel())
    assert "def test_" in repr(shown)
    assert shown.calls == ()
    with pytest.raises(ValueError, match=r"question is 'q99'; for lab01 it must be one of q1, q2"):
        Grader("lab01").show("q99", kernel())
