"""The published curves of "Lost in the Middle": accuracy for each place of the answer.

2,655 questions of NaturalQuestions-Open, each with one document that holds the answer among others
that do not, and a synthetic key-value task (liu2024lost). Every row keeps the table or figure it
was read from; values from figures were read off the vector drawing and are exact to 0.1 points
where a table could be compared.
Chapter: lost-in-the-middle.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from frugal.data.source import MissingSource, Source

SOURCE = Source(
    name="lost in the middle, as published",
    loader="frugal.data.lost_in_the_middle.curves",
    content="accuracy of language models by the place of the answer in their context",
    licence="numbers, as facts from a paper under CC BY 4.0 (liu2024lost)",
    origin="tables and figures of arXiv 2307.03172v3 and the authors' released results",
    split="none: published results",
    if_missing="reinstall frugal, whose package data hold it",
)

_FILE = Path(__file__).with_name("lost_in_the_middle.json")

QUESTIONS = "multi-doc QA"
PAIRS = "key-value retrieval"
RETRIEVER = "retriever-reader"


@cache
def records() -> tuple[dict[str, Any], ...]:
    """One dict a curve: task, setting, model, documents, positions, accuracy (percent), source.

    Closed-book rows have 0 documents and no positions; oracle rows have 1 of each. Rows of the
    retriever-reader task have a list of numbers of documents and no positions.

    Raises MissingSource: the file is not where the package keeps it.
    """
    try:
        return tuple(json.loads(_FILE.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise MissingSource(
            f"the data set '{SOURCE.name}' needs {_FILE.name}, "
            f"which is not installed here: {SOURCE.if_missing}"
        ) from None


def curves(
    *,
    task: str | None = None,
    setting: str | None = None,
    model: str | None = None,
    documents: int | None = None,
) -> pd.DataFrame:
    """One row a point: task, setting, model, documents, position (from 1), accuracy, source.

    position is missing where there is none (closed book, retriever-reader). accuracy is in
    percent, as printed. The arguments keep only what is equal to them.

    Raises ValueError: nothing is left.
    """
    rows = []
    for record in records():
        for index, accuracy in enumerate(record["accuracy"]):
            counts = record["documents"]
            places = record.get("positions")
            rows.append(
                {
                    "task": record["task"],
                    "setting": record["setting"],
                    "model": record["model"],
                    "documents": counts[index] if isinstance(counts, list) else counts,
                    "position": places[index] if places else pd.NA,
                    "accuracy": accuracy,
                    "source": record["source"],
                }
            )
    frame = pd.DataFrame(rows).astype({"position": "Int64"})
    asked = {"task": task, "setting": setting, "model": model, "documents": documents}
    for name, value in asked.items():
        if value is None:
            continue
        kept = frame[frame[name] == value]
        if kept.empty:
            known = ", ".join(map(str, frame[name].unique()))
            raise ValueError(f"{name} is {value!r}; with the other choices there is: {known}.")
        frame = kept
    return frame.reset_index(drop=True)


def limits(model: str) -> dict[str, float]:
    """`closed_book` and `oracle` accuracy of a model in percent: no document, only the right one.

    Table 1 of the paper where it has the model, else the authors' released run; empty when neither
    does.
    """
    found: dict[str, float] = {}
    for record in records():
        for name in ("closed-book", "oracle"):
            if record["model"] == model and record["setting"].startswith(name):
                found.setdefault(name.replace("-", "_"), record["accuracy"][0])
    return found
