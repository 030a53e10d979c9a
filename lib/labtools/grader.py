"""What a student's notebook calls: `grader.check("q1")` and `labtools.score(grader)`."""

import inspect
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otter import Notebook
from otter.execute import Checker
from otter.test_files import TestFile
from otter.test_files.abstract_test import TestCaseResult
from otter.test_files.exception_test import ExceptionTestFile

from labtools.report import Report, points_in_words
from labtools.running import CALL_SECONDS, CaseResult, run_cases
from labtools.shown import Shown, show

#: Set while a batch is graded: the batch runs its own tests, so a check has nothing to do.
BATCH_VARIABLE = "LABTOOLS_BATCH"


class Grader:
    """Checks answers with the public tests that travel in the notebook's own metadata.

    Args:
        lab: the lab's name, as `lab01`.
        seconds: the time that one call of a student's function may take.

    The notebook may be renamed, copied elsewhere, or opened without the repository around it: the
    tests are found in the file that is open.
    """

    def __init__(self, lab: str, *, seconds: float = CALL_SECONDS) -> None:
        self.lab = lab
        self.seconds = seconds

    def check(self, question: str, environment: dict[str, Any] | None = None) -> Report | None:
        """Run the tests of `question` on the calling notebook's variables and say what came of it.

        Raises:
            ValueError: if there is no such question, or no notebook with tests can be found.
        """
        if environment is None:
            environment = inspect.currentframe().f_back.f_globals
        if os.environ.get(BATCH_VARIABLE):
            return None
        file = self._test_file(question, environment)
        results = run_cases(file.test_cases, environment, seconds=self.seconds)
        if Notebook._grading_mode:
            _track(file, results)
        return Report(question, tuple(results))

    def show(self, question: str, environment: dict[str, Any] | None = None) -> Shown | None:
        """The public tests of `question`, and the inputs with which they call your functions.

        What it returns prints the tests; its `calls` hold the inputs, to try again with.
        """
        if environment is None:
            environment = inspect.currentframe().f_back.f_globals
        if os.environ.get(BATCH_VARIABLE) or Notebook._grading_mode:
            return None
        file = self._test_file(question, environment)
        source = self._public_tests(environment)[question]
        return show(question, source, file.test_cases, environment, seconds=self.seconds)

    def questions(self, environment: dict[str, Any]) -> list[str]:
        """The names of the lab's questions, in order."""
        return list(self._public_tests(environment))

    def open_questions(self, environment: dict[str, Any]) -> dict[str, float]:
        """The points of the questions that no test can answer, by name."""
        return self._metadata(environment).get("labtools", {}).get("open", {})

    def _test_file(self, question: str, environment: dict[str, Any]) -> TestFile:
        if Notebook._grading_mode:  # otter grades this notebook with the full tests
            return ExceptionTestFile.from_file(f"{Notebook._tests_dir_override}/{question}.py")
        tests = self._public_tests(environment)
        if question not in tests:
            raise ValueError(
                f"question must be one of {', '.join(tests)} for {self.lab}, got {question!r}."
            )
        return ExceptionTestFile.from_string(tests[question], path=question)

    def _public_tests(self, environment: dict[str, Any]) -> dict[str, str]:
        tests = self._metadata(environment)["otter"]["tests"]
        return dict(sorted(tests.items(), key=lambda item: _natural(item[0])))

    def _metadata(self, environment: dict[str, Any]) -> dict[str, Any]:
        """The metadata of the notebook that is open, where the tests travel."""
        for path in _candidates(self.lab, environment):
            if metadata := _metadata_of(path, self.lab):
                return metadata
        raise ValueError(
            f"no notebook with the tests of {self.lab} was found in {Path.cwd()}: keep the "
            f"notebook in the folder you opened it from, or name it {self.lab}.ipynb."
        )


def score(grader: Grader, environment: dict[str, Any] | None = None) -> None:
    """Check every question and print a line for each, then the sum of the public points."""
    if environment is None:
        environment = inspect.currentframe().f_back.f_globals
    if os.environ.get(BATCH_VARIABLE) or Notebook._grading_mode:
        return
    reports = [grader.check(name, environment) for name in grader.questions(environment)]
    for report in reports:
        print(f"{report.mark} {report.heading}")
    for name, points in grader.open_questions(environment).items():
        print(f"○ {name}: a person reads it, {points_in_words(points)}")
    earned = sum(report.earned for report in reports)
    possible = sum(report.possible for report in reports)
    print(f"\n{earned:g} of {possible:g} public points")
    if earned == possible:
        print("Public tests passed. Hidden tests, with other sizes and seeds, decide the rest.")


@contextmanager
def look(question: str) -> Iterator[None]:
    """A cell that draws what `question` computes: says so, and no more, while it is unwritten.

    The rest of the notebook runs on, so that "Run All Cells" is of use in a half-done lab.
    """
    try:
        yield
    except NotImplementedError:
        print(f"Nothing to see yet: {question} is not written.")


def _natural(name: str) -> tuple[str, int]:
    """Sorts q2 before q10."""
    digits = "".join(filter(str.isdigit, name))
    return name.rstrip("0123456789"), int(digits or 0)


def _candidates(lab: str, environment: dict[str, Any]) -> Iterator[Path]:
    """Where the open notebook may be, the surest first."""
    opened = (
        os.environ.get("JPY_SESSION_NAME"),  # JupyterLab and Jupyter Server
        environment.get("__vsc_ipynb_file__"),  # Visual Studio Code
    )
    yield from (Path(name) for name in opened if name and Path(name).is_file())
    if (named := Path(f"{lab}.ipynb")).is_file():
        yield named
    yield from sorted(Path.cwd().glob("*.ipynb"))


def _metadata_of(path: Path, lab: str) -> dict[str, Any]:
    """The metadata of a notebook file with the tests of `lab`; none if it is another file."""
    try:
        metadata = json.loads(path.read_text(encoding="utf-8-sig"))["metadata"]
        is_the_lab = metadata["otter"]["assignment_name"] == lab and metadata["otter"]["tests"]
        return metadata if is_the_lab else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _track(file: TestFile, results: list[CaseResult]) -> None:
    """Hand the results to otter, in its own classes: another process will unpickle them."""
    file.test_case_results = [
        TestCaseResult(
            test_case=case,
            passed=result.passed,
            message=result.property if result.passed else result.words,
        )
        for case, result in zip(file.test_cases, results, strict=True)
    ]
    Checker.get_results().append(file)
