"""One lab source becomes a student's notebook, a solved notebook and the tests."""

import ast
import copy
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from otter.assign import main as otter_assign

from labtools.colab import colab_lines, colab_link
from labtools.files import write_whole
from labtools.source import LabSource, config_cell, read_source

PROMPT = re.compile(
    r'^[ \t]*""" # BEGIN PROMPT\n.*?^[ \t]*""" # END PROMPT\n?', re.DOTALL | re.MULTILINE
)
_MARKER_LINE = re.compile(r"^[ \t]*# (?:BEGIN|END) SOLUTION(?: NO PROMPT)?\n?", re.MULTILINE)
_EXPORT_LINE = re.compile(r"<!-- (?:BEGIN|END) QUESTION -->\n*")
_OTTERS_PROMPT = "_Type your answer here, replacing this text._"
OPEN_PROMPT = "*Write your answer here, in place of this line.*"
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Lab:
    """A built lab."""

    source: LabSource
    student: NotebookNode
    solved: NotebookNode
    tests: dict[str, str]  # question -> test file with the hidden tests
    public_tests: dict[str, str]  # question -> test file without them

    @property
    def name(self) -> str:
        return self.source.name


def build_lab(path: Path) -> Lab:
    """Build the lab whose source is `path`. Nothing is written beside it.

    Raises ValueError if the source states something wrong.
    """
    source = read_source(path)
    with tempfile.TemporaryDirectory(prefix="labtools-") as folder:
        master = Path(folder) / "master" / f"{source.name}.ipynb"
        master.parent.mkdir()
        nbformat.write(_master(source, [*path.resolve().parents][:3][-1]), master)
        result = Path(folder) / "result"
        otter_assign(str(master), str(result), no_pdfs=True, no_run_tests=True)
        student = nbformat.read(result / "student" / master.name, nbformat.NO_CONVERT)
        solved = nbformat.read(result / "autograder" / master.name, nbformat.NO_CONVERT)
    names = [question.name for question in source.questions if not question.manual]
    tests = {name: solved.metadata.otter.tests[name] for name in names}
    public_tests = {name: student.metadata.otter.tests[name] for name in names}
    metadata = {
        "kernelspec": _KERNEL,
        "language_info": {"name": "python"},
        "otter": student.metadata.otter,
    }
    if manual := {
        question.name: question.points for question in source.questions if question.manual
    }:
        metadata["labtools"] = {"open": manual}
    return Lab(
        source=source,
        student=_finished(student, source, metadata),
        solved=_finished(_without_markers(solved), source, metadata),
        tests=tests,
        public_tests=public_tests,
    )


def imported_modules(lab: Lab) -> set[str]:
    """What a lab's cells and tests import, to be imported once for a whole class."""
    cells = [cell.source for cell in lab.solved.cells if cell.cell_type == "code"]
    found = set()
    for source in (*cells, *lab.tests.values()):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return found


def notebook_text(notebook: NotebookNode) -> str:
    """The bytes of a notebook file: sorted keys, no outputs, always the same."""
    return nbformat.writes(notebook) + "\n"


def write_lab(lab: Lab, root: Path) -> list[Path]:
    """Write the student's and the solved notebook of `lab` below the repository's `root`."""
    written = []
    for folder, notebook in (("labs", lab.student), ("solutions", lab.solved)):
        path = root / folder / f"{lab.name}.ipynb"
        write_whole(path, notebook_text(notebook))
        written.append(path)
    return written


def _master(source: LabSource, root: Path) -> NotebookNode:
    """The source with the cells that every lab has, in the form otter reads."""
    colab = colab_lines(root)
    notebook = copy.deepcopy(source.notebook)
    notebook.metadata = {"kernelspec": _KERNEL}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    config = {
        "name": source.name,
        "init_cell": False,
        "export_cell": False,
        "generate": False,
        "tests": {"ok_format": False},
    }
    start = new_code_cell(f'{colab}import labtools\n\ngrader = labtools.Grader("{source.name}")')
    title, *rest = notebook.cells
    if link := colab_link(root, source.name):
        title.source += f"\n\n{link}"
    notebook.cells = [config_cell(config), title, start, *rest, *_last_cells()]
    return notebook


def _last_cells() -> list[NotebookNode]:
    text = (
        "## Hand in\n\n"
        "The cell below checks every question once more and adds up the public points. "
        "Hidden tests, with other sizes and other seeds, decide the rest, so code that computes "
        "the answer passes them and code that contains it does not.\n\n"
        "Choose *Run → Run All Cells* once, **save**, and hand in this `.ipynb` file."
    )
    return [new_markdown_cell(text), new_code_cell("labtools.score(grader)")]


def _without_markers(notebook: NotebookNode) -> NotebookNode:
    """The notebook as a solved one reads: the solution alone, without otter's markers."""
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if cell.source != _OTTERS_PROMPT]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = _MARKER_LINE.sub("", PROMPT.sub("", cell.source)).rstrip()
    return notebook


def _finished(
    notebook: NotebookNode, source: LabSource, metadata: dict[str, object]
) -> NotebookNode:
    """The notebook with fixed ids and metadata, so that two builds give the same bytes.

    The cell of an answer in code has the tag `answer`, that of an open question `open` and the
    question's name: by these a batch finds what a person has to read.
    """
    notebook = copy.deepcopy(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(metadata)
    manual = iter([question.name for question in source.questions if question.manual])
    name = ""  # of the open question whose answer this is
    for index, cell in enumerate(notebook.cells):
        cell.id = f"{source.name}-{index:03d}"
        tags = []
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            tags = ["answer"] if _is_answer(cell) else []
        name = (name or next(manual)) if tags == [] and _is_answer(cell) else ""
        tags = ["open", name] if name else tags
        cell.source = _EXPORT_LINE.sub("", cell.source).replace(_OTTERS_PROMPT, OPEN_PROMPT)
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    nbformat.validate(notebook)
    return notebook


def _is_answer(cell: NotebookNode) -> bool:
    return bool(
        {"otter_answer_cell", "otter_assign_solution_cell"} & set(cell.metadata.get("tags", []))
    )
