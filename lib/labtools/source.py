"""Read a lab's one source: `solutions/src/labNN.md`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import jupytext
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_raw_cell
from otter.assign.blocks import (
    BlockType,
    extract_all_fenced_otter_cells,
    get_cell_config,
    is_block_boundary_cell,
)
from otter.assign.utils import is_ignore_cell

_MUTANT = re.compile(r"#\s*MUTANT\s+(\S+)\s+(\S+)\s*$")
_TEST_CONFIG = re.compile(r'""" # BEGIN TEST CONFIG\n(.*?)\n""" # END TEST CONFIG\n', re.DOTALL)


class Part(StrEnum):
    """Where in the source a cell stands."""

    PROSE = "prose"  # outside of every question
    QUESTION = "question"  # what a question says and shows
    SOLUTION = "solution"
    TEST = "test"
    MUTANT = "mutant"


@dataclass(frozen=True)
class SourceCell:
    """A cell of the source and the place it holds."""

    part: Part
    question: str  # empty in prose
    cell: NotebookNode


@dataclass(frozen=True)
class Case:
    """A test case as the source states it."""

    points: float
    hidden: bool
    success_message: str
    failure_message: str
    code: str


@dataclass(frozen=True)
class Mutant:
    """A wrong solution of a question. Its tests must refuse it."""

    question: str
    name: str
    code: str


@dataclass(frozen=True)
class Question:
    """A question as the source states it. A `manual` one has no tests: a person grades it."""

    name: str
    points: float
    text: str
    solution: str
    cases: tuple[Case, ...]
    manual: bool = False


@dataclass(frozen=True)
class LabSource:
    """One lab, read but not yet built."""

    name: str
    notebook: NotebookNode
    cells: tuple[SourceCell, ...]
    questions: tuple[Question, ...]
    mutants: tuple[Mutant, ...]


def find_sources(folder: Path) -> list[Path]:
    """The sources of all labs in `folder`, in order."""
    return sorted(folder.glob("lab[0-9][0-9].md"))


def read_source(path: Path) -> LabSource:
    """Read the source of a lab.

    Raises ValueError if a mutant, a question or a test case is not stated as it should be.
    """
    try:
        return _read(path)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _read(path: Path) -> LabSource:
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md")
    if "kernelspec" not in notebook.metadata:
        raise ValueError("the front matter names no kernel; it must have `jupyter: kernelspec:`.")
    configs: dict[str, dict[str, Any]] = {}
    cells = tuple(_walk(notebook.cells, configs))
    return LabSource(
        name=path.stem,
        notebook=notebook,
        cells=cells,
        questions=tuple(_question(config, cells) for config in configs.values()),
        mutants=tuple(_mutant(cell) for cell in cells if cell.part is Part.MUTANT),
    )


def _walk(cells: list[NotebookNode], configs: dict[str, dict[str, Any]]) -> Iterator[SourceCell]:
    """Give every cell its place. Fills `configs` with what each question's first fence says."""
    question, block = "", None
    for cell in extract_all_fenced_otter_cells(cells):
        if is_ignore_cell(cell):
            yield SourceCell(Part.MUTANT, question, cell)
            continue
        begun = next((kind for kind in BlockType if is_block_boundary_cell(cell, kind)), None)
        ended = next(
            (kind for kind in BlockType if is_block_boundary_cell(cell, kind, end=True)), None
        )
        if begun is BlockType.QUESTION:
            config = get_cell_config(cell)
            question = config["name"]
            configs[question] = config
        elif ended is BlockType.QUESTION:
            question = ""
        elif begun or ended:
            block = begun
        elif block is BlockType.SOLUTION:
            yield SourceCell(Part.SOLUTION, question, cell)
        elif block is BlockType.TESTS:
            yield SourceCell(Part.TEST, question, cell)
        else:
            yield SourceCell(Part.QUESTION if question else Part.PROSE, question, cell)


def _question(config: dict[str, Any], cells: tuple[SourceCell, ...]) -> Question:
    name, manual = config["name"], bool(config.get("manual", False))

    def joined(part: Part, kind: str) -> str:
        return "\n\n".join(
            place.cell.source
            for place in cells
            if place.question == name and place.part is part and place.cell.cell_type == kind
        )

    return Question(
        name=name,
        points=config["points"],
        text=joined(Part.QUESTION, "markdown"),
        solution=joined(Part.SOLUTION, "markdown" if manual else "code"),
        cases=tuple(
            parse_case(place)
            for place in cells
            if place.question == name and place.part is Part.TEST
        ),
        manual=manual,
    )


def parse_case(place: SourceCell) -> Case:
    """The points, messages and code of a test cell.

    Raises ValueError if the cell lacks its test config, points or a message, or if a message holds
    a character that would break the test file (otter writes it between plain quotes and reports
    success).
    """
    match = _TEST_CONFIG.match(place.cell.source)
    if match is None:
        raise ValueError(
            f"a test cell of {place.question} begins with {place.cell.source.splitlines()[0]!r}; "
            "it must begin with a TEST CONFIG."
        )
    try:
        config = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        raise ValueError(
            f"the TEST CONFIG of a test of {place.question} is {match[1]!r}; it must be YAML "
            "(quote a message that contains a colon)."
        ) from error
    for key in ("points", "success_message", "failure_message"):
        if key not in config:
            raise ValueError(f"{key} of a test of {place.question} is missing; it must be stated.")
    for key in ("success_message", "failure_message"):
        if set(config[key]) & set('"\\\n'):
            raise ValueError(
                f"{key} of a test of {place.question} is {config[key]!r}; it must not contain "
                '", \\ or a line break.'
            )
    return Case(
        points=config["points"],
        hidden=bool(config.get("hidden", False)),
        success_message=config["success_message"],
        failure_message=config["failure_message"],
        code=place.cell.source[match.end() :],
    )


def _mutant(place: SourceCell) -> Mutant:
    lines = place.cell.source.splitlines()
    match = _MUTANT.match(lines[1]) if len(lines) > 1 else None
    if match is None:
        raise ValueError(
            f"the second line of an IGNORE cell is {lines[1:2]}; it must be "
            "`# MUTANT question name`."
        )
    return Mutant(question=match[1], name=match[2], code="\n".join(lines[2:]))


def config_cell(config: dict[str, object]) -> NotebookNode:
    """The raw cell in which otter looks for an assignment's settings."""
    return new_raw_cell("# ASSIGNMENT CONFIG\n" + yaml.safe_dump(config))
