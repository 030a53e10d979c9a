"""What a student's notebook calls: `grader.check("q1")` and `labtools.score(grader)`."""

import inspect
import os
from typing import Any

from otter import Notebook
from otter.execute import Checker
from otter.test_files import TestFile
from otter.test_files.abstract_test import TestCaseResult
from otter.test_files.exception_test import ExceptionTestFile

from labtools.canary import canaries_are_caught
from labtools.opened import Opened, find_opened
from labtools.progress import Progress, Reached
from labtools.report import Report, points_in_words
from labtools.running import CALL_SECONDS, CaseResult, run_cases
from labtools.shown import Shown, show
from labtools.tools import own_tools, remember_tools, untraced
from labtools.where import in_batch, is_graded, under_otter

#: What tests rely on, as it was when a notebook imported this.
_TOOLS = remember_tools()


class Grader:
    """Checks answers with the public tests that travel in the notebook's own metadata.

    One call of a student's function may compute for `seconds`. The notebook may be renamed, copied
    elsewhere, or opened without the repository around it: the tests are found in the file that is
    open. What was reached is kept beside it.
    """

    def __init__(self, lab: str, *, seconds: float = CALL_SECONDS) -> None:
        self.lab = lab
        self.seconds = seconds
        if under_otter():
            os._exit = _stay  # or one line of a notebook loses everything that was graded before
        if not is_graded() and (line := self._progress_line(inspect.currentframe().f_back)):
            print(line)

    def check(self, question: str, environment: dict[str, Any] | None = None) -> Report | None:
        """Run the tests of `question` on the calling notebook's variables and say what came of it.

        Raises ValueError if there is no such question, or no notebook with tests can be found.
        """
        if environment is None:
            environment = inspect.currentframe().f_back.f_globals
        if in_batch():  # which runs its own tests
            return None
        if under_otter():
            return self._check_for_otter(question, environment)
        opened = find_opened(self.lab, environment)
        file = self._public_file(question, opened)
        with own_tools(_TOOLS):
            results = run_cases(
                file.test_cases, environment, seconds=self.seconds, may_interrupt=True
            )
        report = Report(question, tuple(results))
        Progress(opened.folder, self.lab).note(report)
        return report

    def show(self, question: str, environment: dict[str, Any] | None = None) -> Shown | None:
        """The public tests of `question`, and the inputs with which they call your functions.

        What it returns prints the tests; its `calls` hold the inputs, to try again with.
        """
        if environment is None:
            environment = inspect.currentframe().f_back.f_globals
        if in_batch() or under_otter():
            return None
        opened = find_opened(self.lab, environment)
        file = self._public_file(question, opened)
        source = opened.tests[question]
        return show(question, source, file.test_cases, environment, seconds=self.seconds)

    def _public_file(self, question: str, opened: Opened) -> TestFile:
        if question not in opened.tests:
            raise ValueError(
                f"question is {question!r}; for {self.lab} it must be one of "
                f"{', '.join(opened.tests)}."
            )
        return ExceptionTestFile.from_string(opened.tests[question], path=question)

    def _check_for_otter(self, question: str, environment: dict[str, Any]) -> Report:
        """Run the full tests and hand the results to otter, as on Gradescope."""
        path = f"{Notebook._tests_dir_override}/{question}.py"
        with untraced(), own_tools(_TOOLS) as replaced:
            file = ExceptionTestFile.from_file(path)
            results = run_cases(file.test_cases, environment, seconds=self.seconds)
        with untraced(), open(path, encoding="utf-8") as text:
            caught = canaries_are_caught(run_cases, file.test_cases, text.read())
        flags = [f"the notebook replaced {name}" for name in replaced.grader[:1]]
        flags += [] if caught else ["a test that must fail was reported as passed"]
        _track(file, results, flags)
        return Report(question, tuple(results))

    def _progress_line(self, frame: Any) -> str:
        try:
            opened = find_opened(self.lab, frame.f_globals)
        except ValueError:
            return ""
        return str(Progress(opened.folder, self.lab))


def score(grader: Grader, environment: dict[str, Any] | None = None) -> None:
    """Check every question and print a line for each, then the sum of the public points.

    A question whose cells have not run since the kernel started shows what it had reached before.
    """
    if environment is None:
        environment = inspect.currentframe().f_back.f_globals
    if in_batch() or under_otter():
        return
    opened = find_opened(grader.lab, environment)
    before = Progress(opened.folder, grader.lab).reached()
    reports = [grader.check(name, environment) for name in opened.tests]
    earlier = [before[one.question] for one in reports if one.undefined and one.question in before]
    for report in reports:
        print(_score_line(report, before.get(report.question)))
    for name, points in opened.open_points.items():
        print(f"○ {name}: a person reads it, {points_in_words(points)}")
    earned = sum(report.earned for report in reports)
    possible = sum(report.possible for report in reports)
    print(f"\n{earned:g} of {possible:g} public points")
    if reached := sum(one.earned for one in earlier):
        print(f"{reached:g} more were reached before; run those cells again and they count.")
    if earned == possible:
        print("Public tests passed. Hidden tests, with other sizes and seeds, decide the rest.")


def _score_line(report: Report, before: Reached | None) -> str:
    if report.undefined and before is not None:
        return f"… {before}, not run since"
    return f"{report.mark} {report.heading}"


def _stay(status: int = 0) -> None:
    raise SystemExit(status)


def _track(file: TestFile, results: list[CaseResult], flags: list[str]) -> None:
    """Hand the results to otter, in its own classes: another process will unpickle them.

    What was seen of a notebook that changed its grader stands with the first case, for whoever
    reads the results; it takes no point away.
    """
    notes = [f"For the teacher, to look at: {flag}." for flag in flags]
    file.test_case_results = [
        TestCaseResult(
            test_case=case,
            passed=result.passed,
            message="\n".join(filter(None, (_message(result), *(notes if not i else [])))),
        )
        for i, (case, result) in enumerate(zip(file.test_cases, results, strict=True))
    ]
    Checker.get_results().append(file)


def _message(result: CaseResult) -> str:
    """otter prints the property of a passed case, and the advice, by itself."""
    return f"passed. {result.told}".strip() if result.passed else result.words
