"""What must hold for every lab, checked on the lab itself."""

import re

from otter.test_files.exception_test import ExceptionTestFile

from labtools.build import Lab
from labtools.grade import GRADED, grade_submission
from labtools.process import Outcome, run_notebook
from labtools.running import CALL_SECONDS
from labtools.source import Question
from labtools.submissions import Submission

MUTANTS_A_QUESTION = 3
SECONDS = 300.0

HINTS = 3

_RUBRIC = re.compile(r"^- (\d+(?:\.\d+)?) points?: ", re.MULTILINE)
_HEADER = re.compile(r"^[●○]{3} · \d+ minutes · (\d+(?:\.\d+)?) points?$", re.MULTILINE)
_LEAKS = (
    re.compile(r"BEGIN (?:SOLUTION|PROMPT|TESTS?|QUESTION)\b|END (?:SOLUTION|PROMPT|TESTS?)\b"),
    re.compile(r"#\s*SOLUTION\b"),
    re.compile(r"\bMUTANT\b"),
    re.compile(r"#\s*IGNORE\b"),
    re.compile(r"hidden=True"),
)
#: A mutant that dies of these proves nothing about the tests.
_BROKEN = {"NameError", "SyntaxError", "ImportError", "ModuleNotFoundError"}


def verify_lab(lab: Lab, *, seconds: float = SECONDS) -> list[str]:
    """Every way in which `lab` breaks a rule, a sentence each; empty if it keeps them all."""
    problems = [*check_text(lab), *check_tests(lab), *check_leaks(lab)]
    outcome = run_notebook(
        solved_cells(lab),
        lab.tests,
        seconds=seconds,
        call_seconds=CALL_SECONDS,
        mutants=lab.source.mutants,
    )
    return [
        *problems,
        *check_solution(lab, outcome),
        *check_mutants(lab, outcome),
        *check_blank(lab),
    ]


def solved_cells(lab: Lab) -> list[str]:
    """The code of the solved notebook."""
    return [cell.source for cell in lab.solved.cells if cell.cell_type == "code"]


def blank_cells(lab: Lab) -> list[str]:
    """The code of the student's notebook as it is handed out."""
    return [cell.source for cell in lab.student.cells if cell.cell_type == "code"]


def check_text(lab: Lab) -> list[str]:
    """Each question says what it is worth, has three hints, an expectation, a stub to fill in.

    An open question has a rubric that adds up and a model answer in place of the last two.
    """
    problems = []
    for question in lab.source.questions:
        header = _HEADER.search(question.text)
        if header is None:
            problems.append(f"{question.name} has no line like `●●○ · 10 minutes · 3 points`.")
        elif float(header[1]) != question.points:
            problems.append(
                f"{question.name} says {header[1]} points and is worth {question.points:g}."
            )
        if question.text.count("<details>") != HINTS:
            problems.append(f"{question.name} must have three hints that fold out.")
        problems.extend(_check_open(question) if question.manual else _check_stub(question))
    return problems


def _check_stub(question: Question) -> list[str]:
    problems = []
    if "Expected" not in question.text and "looks like" not in question.text:
        problems.append(f"{question.name} must show what to expect.")
    if "raise NotImplementedError" not in question.solution:
        problems.append(f"{question.name} must have a stub that raises NotImplementedError.")
    return problems


def _check_open(question: Question) -> list[str]:
    problems = []
    rubric = sum(float(points) for points in _RUBRIC.findall(question.text))
    if "Rubric" not in question.text or rubric != question.points:
        problems.append(
            f"{question.name} must have a Rubric whose lines `- 1 point: ...` add up to "
            f"{question.points:g}, not {rubric:g}."
        )
    if not question.solution.strip():
        problems.append(f"{question.name} must have a model answer as its solution.")
    return problems


def check_tests(lab: Lab) -> list[str]:
    """Every test file loads and says what the source says, and points add up."""
    problems = []
    for question in lab.source.questions:
        if question.manual:
            continue
        problems.extend(_check_test_file(question, lab.tests.get(question.name, "")))
        kinds = {case.hidden for case in question.cases}
        if kinds != {True, False}:
            problems.append(f"{question.name} must have public and hidden tests.")
        mutants = sum(mutant.question == question.name for mutant in lab.source.mutants)
        if mutants < MUTANTS_A_QUESTION:
            problems.append(f"{question.name} has {mutants} mutants, fewer than 3.")
    return problems


def _check_test_file(question: Question, text: str) -> list[str]:
    try:
        cases = ExceptionTestFile.from_string(text, path=question.name).test_cases
    except Exception as error:
        return [f"The test file of {question.name} does not load: {error}."]
    found = [
        (case.points, case.hidden, case.success_message, case.failure_message) for case in cases
    ]
    stated = [
        (case.points, case.hidden, case.success_message, case.failure_message)
        for case in question.cases
    ]
    if found != stated:
        return [f"The test file of {question.name} does not say what the source says."]
    total = sum(case.points for case in cases)
    if total != question.points:
        return [f"The tests of {question.name} add up to {total:g}, not {question.points:g}."]
    return []


def check_leaks(lab: Lab) -> list[str]:
    """Nothing that only a teacher may see stands in a published notebook."""
    problems = []
    hidden = [
        re.search(r"def (\w+)", case.code)[1]
        for question in lab.source.questions
        for case in question.cases
        if case.hidden
    ]
    for kind, notebook in (("student's", lab.student), ("solved", lab.solved)):
        text = "\n".join(
            [cell.source for cell in notebook.cells] + list(notebook.metadata.otter.tests.values())
        )
        for pattern in _LEAKS:
            if found := pattern.search(text):
                problems.append(f"The {kind} notebook of {lab.name} contains {found[0]!r}.")
        for name in hidden:
            if re.search(rf"\b{name}\b", text):
                problems.append(f"The {kind} notebook of {lab.name} names the hidden {name}.")
    return problems


def check_solution(lab: Lab, outcome: Outcome) -> list[str]:
    """The solution gets every point of every question, and no cell of it fails."""
    if not outcome.finished or outcome.tampered:
        return [f"The solution of {lab.name} did not run to its end. {outcome.tampered}"]
    problems = [
        f"The solution fails {name}: {case.property}. {case.said}"
        for name, cases in outcome.results.items()
        for case in cases
        if not case.passed
    ]
    problems += [
        f"Code cell {index + 1} of the solution of {lab.name} fails. {words}"
        for index, words in outcome.cell_errors
    ]
    return problems


def check_mutants(lab: Lab, outcome: Outcome) -> list[str]:
    """Every wrong solution loses points, and for being wrong, not for being broken."""
    problems = []
    tried = {(mutant["question"], mutant["name"]): mutant for mutant in outcome.mutants}
    for mutant in lab.source.mutants:
        result = tried.get((mutant.question, mutant.name))
        if result is None:
            problems.append(f"The mutant {mutant.question} {mutant.name} was not tried.")
        elif all(case["passed"] for case in result["results"]):
            problems.append(f"The mutant {mutant.question} {mutant.name} passes every test.")
        elif broken := {case["error"] for case in result["results"]} & _BROKEN:
            problems.append(
                f"The mutant {mutant.question} {mutant.name} is broken: {broken.pop()}."
            )
    return problems


def check_blank(lab: Lab) -> list[str]:
    """The notebook as handed out gets nothing."""
    blank = Submission("blank", lab.name, tuple(blank_cells(lab)), lab.public_tests)
    grade = grade_submission(blank, lab, seconds=SECONDS)
    problems = []
    if grade.status != GRADED:
        problems.append(f"The blank notebook of {lab.name} is not graded but: {grade.status}.")
    problems += [
        f"The blank notebook gets {grade.points_of(name):g} points for {name}."
        for name in grade.results
        if grade.points_of(name) != 0
    ]
    return problems
