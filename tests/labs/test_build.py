"""One source gives the notebooks that are committed, and every rule of a lab holds."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from labtools.build import Lab, build_lab, notebook_text, write_lab
from labtools.nothing import NOTHING
from labtools.process import Outcome, Warm
from labtools.rules import check_leaks, check_tests, check_text
from labtools.source import find_sources
from labtools.verify import (
    check_blank,
    check_mutants,
    check_nothing,
    check_solution,
    run_solution,
)
from tests.labs.conftest import ROOT, built

NAMES = [path.stem for path in find_sources(ROOT / "solutions" / "src")]


@pytest.mark.parametrize("name", NAMES)
def test_committed_notebooks_match_the_source(name: str) -> None:
    for folder, notebook in (("labs", built(name).student), ("solutions", built(name).solved)):
        committed = (ROOT / folder / f"{name}.ipynb").read_bytes()
        assert committed == notebook_text(notebook).encode(), "run `make labs` and commit"


def test_another_process_builds_the_same_bytes(tmp_path: Path) -> None:
    sources = tmp_path / "solutions" / "src"
    sources.mkdir(parents=True)
    (sources / "lab01.md").write_bytes((ROOT / "solutions/src/lab01.md").read_bytes())
    code = (
        "import sys; from pathlib import Path; from labtools.build import *; "
        "root = Path(sys.argv[1]); write_lab(build_lab(root / 'solutions/src/lab01.md'), root)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, env={"PYTHONHASHSEED": "7"}
    )
    for folder in ("labs", "solutions"):
        again = (tmp_path / folder / "lab01.ipynb").read_bytes()
        assert again == (ROOT / folder / "lab01.ipynb").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_rules_that_need_no_run(name: str) -> None:
    lab = built(name)
    assert [*check_text(lab), *check_tests(lab), *check_leaks(lab)] == []


@pytest.mark.parametrize("name", NAMES)
def test_solution_gets_all_and_every_mutant_and_nothing_are_refused(name: str, warm: Warm) -> None:
    lab = built(name)
    outcome = run_solution(lab, warm=warm)
    assert [
        *check_solution(lab, outcome),
        *check_mutants(lab, outcome),
        *check_nothing(outcome),
    ] == []
    tried = Counter(question for question, _, _ in outcome.nothing)
    assert tried == dict.fromkeys(lab.tests, len(NOTHING)), "every kind, in every question"


@pytest.mark.parametrize("name", NAMES)
def test_blank_gets_nothing(name: str, warm: Warm) -> None:
    assert check_blank(built(name), warm=warm) == []


def test_student_notebook_is_fit_to_hand_out(lab: Lab) -> None:
    nbformat.validate(lab.student)
    ids = [cell.id for cell in lab.student.cells]
    assert len(set(ids)) == len(ids)
    assert all(not cell.get("outputs") for cell in lab.student.cells)
    for cell in lab.student.cells:
        if cell.cell_type == "code":
            assert "BEGIN" not in cell.source
            compile(cell.source, cell.id, "exec")
    assert "raise NotImplementedError" not in "".join(cell.source for cell in lab.solved.cells)


# Each rule is broken once on purpose: a rule that never complains protects nothing.


def broken(tmp_path: Path, old: str, new: str) -> Lab:
    text = (ROOT / "solutions/src/lab01.md").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "lab01.md"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return build_lab(path)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("8 minutes · 2 points", "8 minutes · 5 points", "q1 says 5 points"),
        ("●○○ · 8 minutes", "8 minutes", "q1 has no line like"),
        ("<details><summary>Hint 1</summary>", "", "q1 must have three hints"),
        ("Expected: `softmax", "`softmax", "q1 must show what to expect"),
        ("hidden: true\n", "", "q1 must have public and hidden"),
        ("points: 3\n", "points: 4\n", "add up to 3, not 4"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    lab = broken(tmp_path, old, new)
    problems = [*check_text(lab), *check_tests(lab)]
    assert any(complaint in problem for problem in problems)


def test_too_few_mutants_are_named(lab: Lab) -> None:
    few = tuple(mutant for mutant in lab.source.mutants if mutant.question != "q2")
    poor = replace(lab, source=replace(lab.source, mutants=few))
    assert any("q2 has 0 mutants" in problem for problem in check_tests(poor))


@pytest.mark.parametrize(
    "leak", ["# BEGIN SOLUTION", "x = 1  # SOLUTION", "# IGNORE", "# MUTANT q1", "test_branches"]
)
def test_a_leak_is_named(lab: Lab, leak: str) -> None:
    notebook = nbformat.reads(notebook_text(lab.student), as_version=4)
    notebook.cells[3].source += f"\n{leak}"
    assert check_leaks(replace(lab, student=notebook)) != []


def test_a_mutant_that_survives_or_is_broken_is_named(lab: Lab) -> None:
    mutants = lab.source.mutants[:2]
    poor = replace(lab, source=replace(lab.source, mutants=mutants))
    passing = {"passed": True, "error": ""}
    dying = {"passed": False, "error": "NameError"}
    outcome = Outcome(
        mutants=[
            {"question": mutant.question, "name": mutant.name, "results": [case]}
            for mutant, case in zip(mutants, (passing, dying), strict=True)
        ]
    )
    problems = check_mutants(poor, outcome)
    assert "passes every test" in problems[0]
    assert "is broken: NameError" in problems[1]
    assert len(check_mutants(poor, Outcome())) == 2


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "success_message: scores of 1000",
            'success_message: a "quoted" word',
            'must not contain "',
        ),
        ("success_message: scores", "success_message: a: b", "must be YAML"),
        (
            "success_message: scores of 1000 and more give finite weights\n",
            "",
            "success_message of a test of q1 is missing; it must be stated.",
        ),
        ("# MUTANT q1 overflows", "# MUTATION", "it must be `# MUTANT question name`."),
        ("  kernelspec:", "  other:", "names no kernel; it must have `jupyter: kernelspec:`."),
        (
            '""" # BEGIN TEST CONFIG',
            "# a test",
            "begins with '# a test'; it must begin with a TEST CONFIG.",
        ),
    ],
)
def test_a_source_that_would_break_otter_is_refused(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        broken(tmp_path, old, new)


def test_a_failed_write_leaves_the_old_notebook(lab: Lab, tmp_path: Path, monkeypatch) -> None:
    write_lab(lab, tmp_path)
    before = (tmp_path / "labs/lab01.ipynb").read_bytes()

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("labtools.files.os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_lab(replace(lab, student=lab.solved), tmp_path)
    assert (tmp_path / "labs/lab01.ipynb").read_bytes() == before
    assert [path.name for path in (tmp_path / "labs").iterdir()] == ["lab01.ipynb"]
