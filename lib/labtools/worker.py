"""Grade one notebook: run as `python -m labtools.worker FD`, a process of its own.

The job comes as JSON on standard input. What was found goes as lines of JSON to the file
descriptor FD, each as soon as it is known, so that a notebook that ends the process or the time
keeps the points it had. Each line carries a signature; the key came with the job.
"""

import ast
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from otter.test_files import TestCase
from otter.test_files.exception_test import ExceptionTestFile
from traitlets.config import Config

from labtools.running import run_cases
from labtools.signature import sign
from labtools.tampering import canary_is_caught, replaced, snapshot
from labtools.time_limit import TimeLimit, time_limit
from labtools.words import explain


class Shell(InteractiveShell):
    """IPython without a terminal: `exit()` in a notebook ends nothing."""

    def ask_exit(self) -> None:
        """Asked for by `exit` and `quit`."""


def main(descriptor: int) -> None:
    """Read the job, run the notebook's cells, grade its questions."""
    job = json.loads(sys.stdin.read())
    sys.stdin = open(os.devnull)  # noqa: SIM115 - input() in a notebook finds nothing to read
    with os.fdopen(descriptor, "w", encoding="utf-8") as results:

        def report(kind: str, **content: Any) -> None:
            line = json.dumps({"kind": kind, **content})
            results.write(json.dumps({"line": line, "signature": sign(line, job["key"])}) + "\n")
            results.flush()

        report("ready")
        _grade(job, report)
        report("done")
    os._exit(0)  # threads that the notebook left behind must not keep the process


def _grade(job: dict[str, Any], report: Any) -> None:
    tests = {
        name: ExceptionTestFile.from_string(source, path=name).test_cases
        for name, source in job["tests"].items()
    }
    shell = _new_shell()
    environment = shell.user_ns
    shell.run_cell("import torch", silent=True)
    before = snapshot()

    def grade(question: str) -> None:
        results = run_cases(tests[question], environment, seconds=job["call_seconds"])
        changed = replaced(before)
        tampered = f"the notebook replaced {changed[0]}" if changed else ""
        if not tampered and not canary_is_caught(run_cases):
            tampered = "a test that must fail was reported as passed"
        report(
            "question",
            name=question,
            results=[asdict(result) for result in results],
            tampered=tampered,
        )

    graded = set()
    cell_seconds = job["cell_seconds"]
    for index, source in enumerate(job["cells"]):
        error = _run(shell, source, cell_seconds)
        if isinstance(error, TimeLimit):  # what does not end will not end elsewhere either
            cell_seconds = job["cell_seconds"] / 4
        if error is not None:
            report("cell", index=index, words=explain(error, environment))
        for question in _checked_in(shell.transform_cell(source)):
            if question in tests:
                grade(question)
                graded.add(question)
    for question in tests:
        if question not in graded:
            grade(question)
    for mutant in job["mutants"]:
        report("mutant", **_try_mutant(mutant, tests, environment, job["call_seconds"]))


def _new_shell() -> Shell:
    config = Config()
    config.HistoryManager.enabled = False
    shell = Shell.instance(config=config, colors="nocolor")
    shell.user_ns["__name__"] = "__main__"
    return shell


def _run(shell: Shell, source: str, seconds: float) -> BaseException | None:
    """Run a cell as Jupyter would. An exception ends the cell, not the notebook."""
    try:
        with time_limit(seconds):
            outcome = shell.run_cell(source, store_history=False)
    except TimeLimit as error:  # struck between two statements of IPython itself
        return error
    return outcome.error_before_exec or outcome.error_in_exec


def _checked_in(source: str) -> list[str]:
    """The questions that a cell checks: `grader.check("q1")`, whatever the grader's name."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
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


def _try_mutant(
    mutant: dict[str, str],
    tests: dict[str, list[TestCase]],
    environment: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """Put a wrong solution in place of the right one and see which tests of its question fail."""
    mutated = dict(environment)
    exec(compile(mutant["code"], f"<mutant {mutant['name']}>", "exec"), mutated)
    results = run_cases(tests[mutant["question"]], mutated, seconds=seconds)
    return {
        "question": mutant["question"],
        "name": mutant["name"],
        "results": [asdict(result) for result in results],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
