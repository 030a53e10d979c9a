"""What a table of times on a GPU says, in words that are made from its numbers.

Chapter: run-it-yourself, and the section Speed of every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pandas as pd

from frugal.results import Result

NO_TIME = "no time left"
TIE = 0.05
"""Two times that differ by no more than this share count as alike."""


def kind(against: str, *, whole: bool = False) -> str:
    """What a baseline is called, alone or in a sentence."""
    if not against.startswith("SDPA"):
        return f"a {against}" if whole else against
    return "SDPA of the same direction" if whole else "SDPA"


def verdict(frame: pd.DataFrame, what: str) -> str:
    """Who was faster than its baseline, and at which lengths; empty where none has a number."""
    measured = frame.dropna(subset=["ratio"])
    courses: dict[str, dict[str, list[str]]] = {}
    for name, rows in measured.groupby("name", sort=False):
        beside = kind(rows["against"].iloc[0], whole=True)
        courses.setdefault(beside, {}).setdefault(_course(rows), []).append(str(name))
    sentences = []
    for beside, alike in courses.items():
        sentences.append(f"{what.capitalize()}, beside {beside}:")
        for course, names in alike.items():
            sentences.append(f"{course.capitalize()}: {', '.join(map(quoted, names))}.")
    return " ".join(sentences)


def columns(frame: pd.DataFrame, flops: float, moved: float) -> str:
    """What the lines of the table have in common, and its last two columns mean."""
    tokens = (frame["batch"] * frame["length"]).dropna().unique()
    every = f"Every line has {tokens[0]:,.0f} tokens in all. " if len(tokens) == 1 else ""
    return (
        f"{every}The last two columns: the FLOPs of the definition, and the bytes of inputs and "
        f"output, per second, forward, beside the card's {flops / 1e12:,.0f} TFLOP/s in a large "
        f"matrix product and {moved / 1e12:.1f} TB/s in a large copy."
    )


def code(result: Result) -> str:
    """Which state of the code a file is of."""
    commits = listed(sorted({run["commit"] for run in result.runs}))
    return (
        f"These are numbers of the library at commit {commits}; what has changed in it since is "
        "not in them."
    )


def left_out(frame: pd.DataFrame) -> str:
    """Which racers have no number at which lengths, and why; empty where all have one."""
    missing = frame[frame["seconds"].isna()]
    late = missing[missing["note"].str.endswith(NO_TIME)]
    lengths, some = [], []
    for length, rows in late.groupby("length"):
        if len(rows) == (frame["length"] == length).sum():
            lengths.append(f"{length:,}")
        else:
            some += [f"{quoted(name)} at {length:,}" for name in rows["name"]]
    said = [*([f"{listed(lengths)} tokens"] if lengths else []), *some]
    sentences = [f"Not reached in the time given: {'; '.join(said)}."] if said else []
    for row in missing.drop(late.index).itertuples():
        name, why = quoted(row[frame.columns.get_loc("name") + 1]), first_line(row.note)
        sentences.append(f"{name} at {row.length:,} tokens: {why}")
    return " ".join(sentences)


def _course(rows: pd.DataFrame) -> str:
    """Such as "slower at 4,096 tokens and faster at 65,536"."""
    by_length = sorted(zip(rows["length"], rows["ratio"], strict=True))
    parts = []
    for word, run in groupby(by_length, key=lambda one: _word(one[1])):
        lengths = [f"{length:,}" for length, _ in run]
        where = " and ".join(lengths) if len(lengths) < 3 else f"{lengths[0]} to {lengths[-1]}"
        parts.append(f"{word} at {where}" + " tokens" * (not parts))
    return listed(parts)


def _word(ratio: float) -> str:
    if abs(ratio - 1) <= TIE:
        return "as fast, within 5 %,"
    return "faster" if ratio < 1 else "slower"


def quoted(name: str) -> str:
    """A racer's name in a sentence: it may hold a comma."""
    return f"“{name}”"


def first_line(error: str) -> str:
    line = (error.splitlines() or ["no reason was given"])[0].rstrip(".:")
    return (line if len(line) <= 120 else f"{line[:119]}…") + "."


def listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
