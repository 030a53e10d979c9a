"""Which files a chapter's outputs depend on."""

from __future__ import annotations

from pathlib import Path

import pytest

from booktools.dependencies import dependencies, fingerprint

FILES = {
    "constraints.txt": "torch==1\n",
    "experiments/__init__.py": "",
    "experiments/results/copying.json": "{}",
    "experiments/results/dates.json": "{}",
    "lib/frugal/__init__.py": "",
    "lib/frugal/norms.py": "import torch\n",
    "lib/frugal/model.py": "from .norms import Norm\nfrom frugal.attention import softmax\n",
    "lib/frugal/attention/__init__.py": "",
    "lib/frugal/attention/softmax.py": "",
    "lib/frugal/attention/lsh.py": "",
    "lib/frugal/show/__init__.py": "",
    "lib/frugal/show/charts.py": "import altair\n",
    "lib/frugal/show/charts.js": "",
}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def found(book: Path, code: str, prose: str = "") -> set[str]:
    chapter = book / "chapter.md"
    chapter.write_text(
        f"# Title\n\n{prose}\n\n```{{code-cell}}\n:tags: [hide-input]\n{code}\n```\n"
    )
    paths = {path.relative_to(book).as_posix() for path in dependencies(chapter, book)}
    return {path.removeprefix("lib/frugal/") for path in paths} - {"constraints.txt", "__init__.py"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import torch", set()),
        ("from frugal.norms import Norm", {"norms.py"}),
        ("import frugal.norms as norms", {"norms.py"}),
        (
            "from frugal.model import Encoder",
            {"model.py", "norms.py", "attention/__init__.py", "attention/softmax.py"},
        ),
        ("from frugal.attention.lsh import x", {"attention/__init__.py", "attention/lsh.py"}),
        ("from frugal.show import chart", {"show/__init__.py", "show/charts.py", "show/charts.js"}),
        ("%matplotlib inline\nfrom frugal.norms import Norm", {"norms.py"}),
        ("if True:\n    from frugal.norms import Norm", {"norms.py"}),
    ],
)
def test_imports_are_followed(book, code, expected) -> None:
    assert found(book, code) == expected


def test_a_recorded_result_counts_when_it_is_named(book) -> None:
    assert found(book, 'results("copying")') == {"experiments/results/copying.json"}
    assert found(book, "x = 1", prose="read `dates` in") == {"experiments/results/dates.json"}


def test_a_cell_that_is_no_python_depends_on_everything(book) -> None:
    everything = {name.removeprefix("lib/frugal/") for name in FILES if name.endswith(".py")}
    assert everything - {"__init__.py"} <= found(book, "this is no Python")


def test_fingerprint_changes_with_what_is_imported_and_with_nothing_else(book) -> None:
    found(book, "from frugal.norms import Norm")
    before = fingerprint(book / "chapter.md", book)
    (book / "lib/frugal/attention/lsh.py").write_text("changed = 1\n")
    assert fingerprint(book / "chapter.md", book) == before
    (book / "lib/frugal/norms.py").write_text("changed = 1\n")
    assert fingerprint(book / "chapter.md", book) != before
