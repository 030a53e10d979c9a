"""What `make gpu` answered to its four questions, in sentences that are made from its files.

Chapter: run-it-yourself, and the section Speed of every other.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frugal.claims.sentences import as_html
from frugal.measure.gpu import NOT_YET
from frugal.measure.gpu_words import NO_TIME, code, first_line, listed, quoted
from frugal.results import MissingResult, Result, load

ERRORS = {"output": "output", "inputs": "gradients of the inputs", "weights": "of the weights"}
ON_CPU = " on the CPU"


class GpuAnswers:
    """A paragraph for each of the files that are there, shown by a notebook.

    folder: of the results, as for `frugal.results.load`. `answers`: by file, the sentences.
    """

    def __init__(self, *, folder: Path | str | None = None) -> None:
        self.answers: dict[str, list[str]] = {}
        self.results: dict[str, Result] = {}
        for name, answer in ANSWERS.items():
            try:
                self.results[name] = load(name, folder=folder)
            except MissingResult:
                continue
            found = self.results[name]
            self.answers[name] = [*answer(found), *([code(found)] if found.runs else [])]

    def __str__(self) -> str:
        if not self.answers:
            return NOT_YET
        parts = (
            "\n".join([self.results[name].question, *said, self.results[name].provenance])
            for name, said in self.answers.items()
        )
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        if not self.answers:
            return f'<p class="frugal-provenance">{html.escape(NOT_YET)}</p>'
        parts = []
        for name, said in self.answers.items():
            question = as_html(self.results[name].question)
            text = as_html(" ".join(said))
            parts.append(f"<p><strong>{question}</strong> {text}</p>")
            parts.append(self.results[name]._repr_html_())
        return "".join(parts)


def correctness(result: Result) -> list[str]:
    """How many comparisons held, and each that did not, beside the CPU in the same dtype."""
    ended, why = _ended(result)
    held = [run for run in ended if run["values"].get("held")]
    bound = {name: about["bound"] for name, about in result.settings.items()}
    above = [run for run in held if _above(run["values"], bound[run["setting"]])]
    said = [
        f"{len(held)} of {len(ended)} comparisons with the CPU's 64-bit numbers held: outputs and "
        f"gradients err by no more than {_bounds(result)}"
        + (
            f", or, in {len(above)} of them, by at most 1.5 times as much as the CPU does in that "
            "dtype."
            if above
            else "."
        )
    ]
    for run in ended:
        if not run["values"].get("held"):
            parts = _above(run["values"], bound[run["setting"]])
            told = (_error(part, run["values"]) for part in parts)
            said.append(f"Did not hold, {run['setting'].replace(' | ', ', ')}: {'; '.join(told)}.")
    return said + why


def speed(result: Result) -> list[str]:
    """How many were timed; the times stand in the chapters."""
    ended, why = _ended(result)
    timed = [result.settings[run["setting"]] for run in ended if "forward seconds" in run["values"]]
    lengths = sorted({about["length"] for about in timed})
    racers = len({about["racer"] for about in timed})
    return [
        f"{racers} attentions, layers and public kernels were timed, at "
        f"{listed([f'{length:,}' for length in lengths])} tokens. The chapters show the times.",
        *why,
    ]


def compiled(result: Result) -> list[str]:
    """How many gave the same numbers when compiled, in how many graphs."""
    ended, why = _ended(result)
    values = pd.DataFrame([run["values"] for run in ended])
    worst = {
        kind: values.filter(like=kind).max(axis=None) if ended else np.nan
        for kind in ("output", "gradients")
    }
    breaks = [run["setting"] for run in ended if run["values"]["breaks"]]
    said = [
        f"{len(ended)} of {len(result.runs)} calls of attentions and mixers were compiled and "
        f"compared. Compiled and plain outputs differ by {worst['output']:.1e} at most, gradients "
        f"by {worst['gradients']:.1e}."
    ]
    if breaks:
        said.append(f"The graph breaks in {listed(list(map(quoted, breaks)))}.")
    return said + why


def training(result: Result) -> list[str]:
    """How far the curves of the two devices lie apart, beside the seeds."""
    ended, why = _ended(result)
    runs = {
        where: [run["values"] for run in ended if run["setting"] == where]
        for where in ("card", "cpu")
    }
    if not all(runs.values()):
        return why
    curves = {where: np.array([one["loss"] for one in values]) for where, values in runs.items()}
    apart = np.abs(curves["card"].mean(0) - curves["cpu"].mean(0)).max()
    spread = np.ptp(curves["cpu"], axis=0).max()
    took = {where: np.mean([one["training seconds"] for one in runs[where]]) for where in runs}
    return [
        f"With {len(runs['card'])} seeds on each device, the curves of mean loss lie {apart:.4f} "
        f"nats apart at most; on the CPU alone, the seeds' lie up to {spread:.2f} apart. A run "
        f"took {took['card']:.0f} s on the card and {took['cpu']:.0f} s on the CPU: the model is "
        "small.",
        *why,
    ]


def _ended(result: Result) -> tuple[list[dict[str, Any]], list[str]]:
    """The runs with numbers, and a sentence about each kind of the others."""
    failed = [run for run in result.runs if "error" in run]
    late = [run for run in failed if run["error"].endswith(NO_TIME)]
    said = [f"{len(late)} were not reached in the time given."] if late else []
    for run in failed:
        if run not in late:
            error = first_line(run["error"])
            said.append(f"{quoted(run['setting'])} raised an error: {error}")
    return [run for run in result.runs if "error" not in run], said


def _above(values: dict[str, Any], bound: float) -> list[str]:
    """The parts whose error is above the bound or no number."""
    return [
        part
        for part in ERRORS
        if part in values and not (values[part] is not None and values[part] <= bound)
    ]


def _error(part: str, values: dict[str, Any]) -> str:
    """Such as "gradients of the inputs not finite (on the CPU 0.35 %)"."""
    found, cpu = values[part], values.get(part + ON_CPU)
    text = "not finite" if found is None else f"{found:.2%}"
    beside = "" if cpu is None else f" (on the CPU {cpu:.2%})"
    return f"{ERRORS[part]} {text}{beside}"


def _bounds(result: Result) -> str:
    bounds = {about["dtype"]: about["bound"] for about in result.settings.values()}
    return listed([f"{bound:.1%} in {dtype}" for dtype, bound in bounds.items()])


ANSWERS: dict[str, Callable[[Result], list[str]]] = {
    "gpu_correctness": correctness,
    "gpu_speed": speed,
    "gpu_compile": compiled,
    "gpu_training": training,
}
