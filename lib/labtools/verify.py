"""What must hold for every lab, checked on the lab itself."""

import ast

from labtools.build import Lab
from labtools.grades import GRADED
from labtools.marking import Desk, grade_submission
from labtools.process import Outcome, Warm, run_notebook
from labtools.rules import check_leaks, check_tests, check_text
from labtools.running import CALL_SECONDS
from labtools.submissions import Submission
from labtools.values import course_salt

SECONDS = 300.0
#: Hidden tests must hold for the values of any course.
SALTS = ("one course", "another course")

#: A mutant that dies of these proves nothing about the tests.
_BROKEN = {"NameError", "SyntaxError", "ImportError", "ModuleNotFoundError"}


def verify_lab(lab: Lab, *, seconds: float = SECONDS, warm: Warm | None = None) -> list[str]:
    """Every way in which `lab` breaks a rule, a sentence each; empty if it keeps them all."""
    outcome = run_solution(lab, seconds=seconds, warm=warm)
    return [
        *check_text(lab),
        *check_tests(lab),
        *check_leaks(lab),
        *check_solution(lab, outcome),
        *check_mutants(lab, outcome),
        *check_nothing(outcome),
        *check_blank(lab, warm=warm),
    ]


def run_solution(lab: Lab, *, seconds: float = SECONDS, warm: Warm | None = None) -> Outcome:
    """Run the solution, its tests for several courses, its mutants, and answers that do nothing.

    Cells that draw come last, as they do where a batch leaves them out: no test needs them.
    """
    cells = [cell.source for cell in lab.solved.cells if cell.cell_type == "code"]
    drawing = [source for source in cells if source.startswith("with labtools.look(")]
    return run_notebook(
        [*(source for source in cells if source not in drawing), *drawing],
        lab.tests,
        seconds=seconds,
        call_seconds=CALL_SECONDS,
        mutants=lab.source.mutants,
        functions=answered_names(lab),
        salt=course_salt(),
        salts=SALTS,
        warm=warm,
    )


def answered_names(lab: Lab) -> dict[str, list[str]]:
    """The names that a solution defines and its tests use, by question."""
    names = {}
    for question in lab.source.questions:
        if not question.manual:
            names[question.name] = [
                node.name
                for node in ast.parse(question.solution).body
                if isinstance(node, ast.FunctionDef | ast.ClassDef)
            ]
    return names


def check_solution(lab: Lab, outcome: Outcome) -> list[str]:
    """The solution gets every point of every question, and no cell of it fails."""
    if not outcome.finished or outcome.tampered:
        seen = " ".join([*outcome.tampered, outcome.crash])
        return [f"The solution of {lab.name} did not run to its end. {seen}"]
    problems = [
        f"The solution fails {name}: {case.property}. {case.said}"
        for name, cases in outcome.results.items()
        for case in cases
        if not case.passed
    ]
    problems += [
        f"The solution fails {name}: {case.property}. {case.said}"
        for name, cases in outcome.salted.items()
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


def check_nothing(outcome: Outcome) -> list[str]:
    """An answer that does nothing earns nothing, in any question."""
    return [
        f"In {question} a function that returns {name} gets {case.points:g} for: {case.property}."
        for question, name, cases in outcome.nothing
        for case in cases
        if case.passed
    ]


def check_blank(lab: Lab, *, warm: Warm | None = None) -> list[str]:
    """The notebook as handed out gets nothing."""
    cells = tuple(cell.source for cell in lab.student.cells if cell.cell_type == "code")
    blank = Submission("blank", lab.name, cells, lab.public_tests)
    grade = grade_submission(blank, lab, Desk(seconds=SECONDS), warm=warm)
    problems = []
    if grade.status != GRADED:
        problems.append(f"The blank notebook of {lab.name} is not graded but: {grade.status}.")
    problems += [
        f"The blank notebook gets {grade.points_of(name):g} points for {name}."
        for name in grade.results
        if grade.points_of(name) != 0
    ]
    return problems
