"""Run one notebook and grade its questions, in a process of its own.

What was found goes as lines of JSON to a file descriptor, each as soon as it is known, so that a
notebook that ends the process or the time keeps the points it had.
"""

import ast
import linecache
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from json import dumps, loads
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from otter.test_files import TestCase
from otter.test_files.exception_test import ExceptionTestFile
from traitlets.config import Config

import labtools
from labtools.canary import canaries_are_caught
from labtools.nothing import try_nothing
from labtools.running import CaseResult, run_cases
from labtools.time_limit import TimeLimit, time_limit
from labtools.tools import Tools, own_tools, remember_tools, untraced
from labtools.watch import Watch
from labtools.words import explain_cell

Report = Callable[..., None]

SOLUTIONS = Path(labtools.__file__).resolve().parents[2] / "solutions"


class Shell(InteractiveShell):
    """IPython without a terminal and without a window: `exit()` in a notebook ends nothing."""

    def ask_exit(self) -> None:
        """Asked for by `exit` and `quit`."""

    def enable_gui(self, gui: str | None = None) -> None:
        """Asked for by `%matplotlib`: there is no window to draw in."""


def warm_up() -> None:
    """Run what every notebook runs, so that torch has made its tables before it is copied."""
    canaries_are_caught(run_cases)


def work(job: dict[str, Any], descriptor: int) -> None:
    """Run the notebook's cells and grade its questions; `process.run_notebook` made the job."""
    results = os.fdopen(descriptor, "w", encoding="utf-8")

    def report(kind: str, **content: Any) -> None:
        caller = sys._getframe(1).f_globals
        if caller is not globals():
            content = {"words": "the notebook called the grader's own report"}
            kind = "suspicion"
        results.write(dumps({"kind": kind, **content}) + "\n")
        results.flush()

    tools = remember_tools()
    report("ready")
    _Run(job, report, tools).grade()
    report("done")
    results.close()


class _Run:
    """One notebook in one shell."""

    def __init__(self, job: dict[str, Any], report: Report, tools: Tools) -> None:
        self.job = job
        self.tests: dict[str, str] = job["tests"]
        self.report = report
        self.tools = tools
        self.shell = _new_shell()
        self.environment = self.shell.user_ns
        self.watch = Watch(self.environment, SOLUTIONS, self._suspect)

    def grade(self) -> None:
        """Run every cell; grade a question where the notebook checks it, or at the end."""
        self.shell.run_cell("import torch", silent=True)
        self.watch.start()
        graded = set()
        seconds = self.job["cell_seconds"]
        for index, source in enumerate(self.job["cells"]):
            error = _run(self.shell, source, seconds)
            if isinstance(error, TimeLimit):  # what does not end will not end elsewhere either
                seconds = self.job["cell_seconds"] / 4
            if error is not None and (words := explain_cell(error, self.environment)):
                self.report("cell", index=index, words=words)
            for question in _checked_in(self.shell, source):
                if question in self.tests:
                    self._grade(question)
                    graded.add(question)
        for question in self.tests:
            if question not in graded:
                self._grade(question)
        for salt in self.job["salts"]:
            self._try_salt(salt)
        for mutant in self.job["mutants"]:
            self.report("mutant", **self._try_mutant(mutant))
        for question, functions in self.job["functions"].items():
            for name, results in try_nothing(
                functions,
                lambda env, q=question: self._run_cases(self._cases(q), env),
                self.environment,
            ):
                self.report(
                    "nothing", question=question, name=name, results=list(map(asdict, results))
                )

    def _grade(self, question: str) -> None:
        self.report("begin", name=question)
        with untraced(), own_tools(self.tools) as replaced:
            cases = _cases(question, self.tests[question])  # fresh: no cell could reach them
            codes = [_code_of(case) for case in cases]
            self.watch.testing = True
            results = run_cases(
                cases, self.environment, seconds=self.job["call_seconds"], salt=self.job["salt"]
            )
            self.watch.testing = False
        with untraced(), own_tools(self.tools) as again:
            if [_code_of(case) for case in cases] != codes:
                self._suspect("a test was changed while it ran")
            if not canaries_are_caught(run_cases, cases, self.tests[question]):
                self._suspect("a test that must fail was reported as passed")
            if changed := [*replaced.grader, *again.grader]:
                self._suspect(f"the notebook replaced {changed[0]}, which graded it all the same")
            self.report(
                "question",
                name=question,
                results=[asdict(result) for result in results],
                replaced=replaced.others,
            )

    def _suspect(self, words: str) -> None:
        self.report("suspicion", words=words)

    def _cases(self, question: str) -> list[TestCase]:
        return _cases(question, self.tests[question])

    def _run_cases(
        self, cases: list[TestCase], environment: dict[str, Any], salt: str = ""
    ) -> list[CaseResult]:
        return run_cases(cases, environment, seconds=self.job["call_seconds"], salt=salt)

    def _try_salt(self, salt: str) -> None:
        """Grade what the notebook holds at its end with other hidden values; public ones stay."""
        for question in self.tests:
            hidden = [case for case in self._cases(question) if case.hidden]
            results = self._run_cases(hidden, self.environment, salt)
            self.report(
                "salted", salt=salt, name=question, results=[asdict(result) for result in results]
            )

    def _try_mutant(self, mutant: dict[str, str]) -> dict[str, Any]:
        """Put a wrong solution in place of the right one and run its tests, up to one that fails.

        That one refuses it, for being wrong or for being broken; what later ones say changes
        neither.
        """
        mutated = dict(self.environment)
        name = f"<mutant {mutant['question']} {mutant['name']}>"
        lines = mutant["code"].splitlines(keepends=True)
        linecache.cache[name] = (len(mutant["code"]), None, lines, name)
        exec(compile(mutant["code"], name, "exec"), mutated)
        results: list[CaseResult] = []
        for case in self._cases(mutant["question"]):
            results += self._run_cases([case], mutated, self.job["salt"])
            if not results[-1].passed:
                break
        return {
            "question": mutant["question"],
            "name": mutant["name"],
            "results": [asdict(result) for result in results],
        }


def _cases(question: str, source: str) -> list[TestCase]:
    return ExceptionTestFile.from_string(source, path=question).test_cases


def _code_of(case: TestCase) -> tuple[Any, ...]:
    test = case.body.test_func
    return test, test.__code__, case.points, case.hidden, case.success_message


def _new_shell() -> Shell:
    config = Config()
    config.HistoryManager.enabled = False
    shell = Shell.instance(config=config, colors="nocolor")
    shell.user_ns["__name__"] = "__main__"
    return shell


def _run(shell: Shell, source: str, seconds: float) -> BaseException | None:
    """Run a cell as Jupyter would. An exception ends the cell, not the notebook.

    One may come out of IPython itself: a limit that strikes between two of its statements, or code
    that is nested deeper than it expects.
    """
    try:
        with time_limit(seconds, on_the_clock=seconds):
            outcome = shell.run_cell(source, store_history=False)
    except (Exception, TimeLimit, KeyboardInterrupt) as error:
        return error
    finally:
        _open_streams()
    return outcome.error_before_exec or outcome.error_in_exec


def _open_streams() -> None:
    """What a cell has closed or taken away takes the words of the next one, as in a kernel."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is None or getattr(stream, "closed", False):
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _checked_in(shell: Shell, source: str) -> list[str]:
    """The questions that a cell checks: `grader.check("q1")`, whatever the grader's name.

    None in what Python cannot read: no Python, no text, nested too deep.
    """
    try:
        tree = ast.parse(shell.transform_cell(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "check"
        and len(node.args) >= 1
        and isinstance(node.args[0], ast.Constant)
    ]


def main(path: str, descriptor: int) -> None:
    """Do the job in a file, in a process that was started for it alone."""
    job = loads(Path(path).read_bytes())
    Path(path).unlink()
    sys.path.insert(0, "")
    work(job, descriptor)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
