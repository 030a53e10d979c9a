"""Rules of a lab that can be checked without running it."""

import re

from otter.test_files.exception_test import ExceptionTestFile

from labtools.build import Lab
from labtools.source import Question

HINTS = 3
MUTANTS_A_QUESTION = 3
MUTANTS_ON_AVERAGE = 4
#: A line of a solution that a hint repeats gives it away, unless there is one way to write it.
GIVES_AWAY = 30  # characters

_HEADER = re.compile(r"^([●○]{3}) · \d+ minutes · (\d+(?:\.\d+)?) points?$", re.MULTILINE)
_RUBRIC = re.compile(r"^- (\d+(?:\.\d+)?) points?: ", re.MULTILINE)
_HINT = re.compile(r"<details>.*?</details>", re.DOTALL)
_LEAKS = (
    re.compile(r"BEGIN (?:SOLUTION|PROMPT|TESTS?|QUESTION)\b|END (?:SOLUTION|PROMPT|TESTS?)\b"),
    re.compile(r"#\s*SOLUTION\b"),
    re.compile(r"\bMUTANT\b"),
    re.compile(r"#\s*IGNORE\b"),
    re.compile(r"hidden=True"),
)


def check_text(lab: Lab) -> list[str]:
    """Each question says what it is worth, has three hints, an expectation, a stub to fill in.

    The last hint leaves the answer to be written. An open question has a rubric that adds up and a
    model answer in place of expectation and stub. A hard question is worth as much as an easy one.
    """
    problems = []
    for question in lab.source.questions:
        header = _HEADER.search(question.text)
        if header is None:
            problems.append(f"{question.name} has no line like `●●○ · 10 minutes · 3 points`.")
        elif float(header[2]) != question.points:
            problems.append(
                f"{question.name} says {header[2]} points and is worth {question.points:g}."
            )
        problems.extend(_check_hints(question))
        problems.extend(_check_open(question) if question.manual else _check_stub(question))
    return [*problems, *_check_order(lab)]


def _check_hints(question: Question) -> list[str]:
    hints = _HINT.findall(question.text)
    if len(hints) != HINTS:
        return [f"{question.name} must have three hints that fold out."]
    code = re.sub(r"\s", "", hints[-1])
    for line in question.solution.splitlines():
        bare = re.sub(r"\s", "", line.partition("  #")[0])
        is_signature = bare.startswith(("def", "class", "#", '"""', "raise", "from", "import"))
        if len(bare) >= GIVES_AWAY and not is_signature and bare in code:
            return [f"The last hint of {question.name} is the answer: `{line.strip()}`."]
    return []


def _check_order(lab: Lab) -> list[str]:
    """Every question with all dots is worth at least as much as every one with a single dot."""
    headers = [(one, _HEADER.search(one.text)) for one in lab.source.questions if not one.manual]
    dots = [(one, header[1].count("●")) for one, header in headers if header]
    easy = [one for one, number in dots if number == 1]
    return [
        f"{hard.name} is ●●● and worth {hard.points:g}; {one.name} is ●○○ and worth {one.points:g}."
        for hard, number in dots
        if number == 3
        for one in easy
        if one.points > hard.points
    ]


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
    tested = [one.name for one in lab.source.questions if not one.manual]
    if tested and (average := len(lab.source.mutants) / len(tested)) < MUTANTS_ON_AVERAGE:
        problems.append(f"A question has {average:.1f} mutants on average, fewer than 4.")
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
