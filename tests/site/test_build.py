"""What a build executes, and that it fails in words when something is wrong: on a tiny book."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """\
---
file_format: mystnb
kernelspec:
  display_name: Python 3
  name: python3
---
# {title}

Prose.
"""
REPOSITORY = Path(__file__).parents[2]


class Book:
    """A book of a few chapters in a folder of its own."""

    def __init__(self, folder: Path, chapters: dict[str, list[str]]) -> None:
        self.folder = folder
        (folder / "_config.yml").write_text((REPOSITORY / "_config.yml").read_text())
        (folder / "references.bib").write_text("")
        favicon = folder / "lib/booktools/static/favicon.svg"
        favicon.parent.mkdir(parents=True)
        favicon.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
        (folder / "lib/frugal").mkdir()
        (folder / "lib/frugal/cost.py").write_text("")
        (folder / "index.md").write_text("# Book\n\nWords.\n")
        entries = "".join(f"  - file: {name}\n" for name in chapters)
        (folder / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{entries}")
        for name, cells in chapters.items():
            self.write(name, cells)

    def write(self, name: str, cells: list[str]) -> None:
        code = "".join(f"\n```{{code-cell}}\n{cell}\n```\n" for cell in cells)
        (self.folder / f"{name}.md").write_text(HEAD.format(title=name) + code)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text or not old
        path.write_text(text.replace(old, new) if old else new)

    def build(self) -> tuple[int, str, set[str]]:
        """Exit status, everything said, and the chapters that were executed."""
        command = [sys.executable, "-m", "booktools", "--root", str(self.folder), "build"]
        environment = {**os.environ, "NO_COLOR": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
        executed = set(re.findall(r"(\w+)\.md: Executing notebook", said))
        return done.returncode, said, executed


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """A book that has been built."""
    chapters = {
        "one": ["import os", "print(os.environ['FRUGAL_SITE'], os.environ['OMP_NUM_THREADS'])"],
        "two": ["from frugal.cost import flops", "print(flops.__name__)"],
    }
    book = Book(tmp_path_factory.mktemp("book"), chapters)
    status, said, executed = book.build()
    assert status == 0, said
    assert executed == {"one", "two"}
    return book


def test_kernels_know_that_the_site_is_built(book) -> None:
    assert "1 1\n" in (book.folder / "_build/html/one.html").read_text()


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_nothing_changed_executes_nothing_and_is_quick(book) -> None:
    started = processor_seconds()
    status, said, executed = book.build()
    assert status == 0, said
    assert not executed
    assert processor_seconds() - started < 20, "however busy the machine is"


def test_the_notebook_that_a_page_offers_has_what_its_cells_gave(book) -> None:
    """Also when the page came from the cache."""
    offered = json.loads((book.folder / "_build/html/_sources/one.ipynb").read_text())
    texts = [o["text"] for cell in offered["cells"] for o in cell.get("outputs", [])]
    assert "".join(texts[0]) == "1 1\n"


def test_prose_executes_nothing_and_the_library_only_what_imports_it(book) -> None:
    book.edit("one.md", "Prose.", "Other prose.")
    book.edit("lib/frugal/cost.py", "", "changed = True\n")
    status, said, executed = book.build()
    assert status == 0, said
    assert executed == {"two"}
    assert "Other prose." in (book.folder / "_build/html/one.html").read_text()


def test_every_page_is_read_again_when_the_references_are_numbered_anew(book) -> None:
    """Its links lead to numbers in the list; a page that stayed as it was would lead astray."""
    pages = [book.folder / f"_build/html/{name}.html" for name in ("one", "two")]
    before = [page.stat().st_mtime_ns for page in pages]
    book.edit("references.bib", "", "@misc{a1, title = {A}, author = {A}, year = {2020}}\n")
    status, said, executed = book.build()
    assert (status, executed) == (0, set()), said
    assert all(page.stat().st_mtime_ns > old for page, old in zip(pages, before, strict=True))


def test_a_changed_cell_executes_its_chapter_and_a_failure_is_named(book) -> None:
    book.edit("one.md", "import os", "import os\n1 / 0")
    for _ in range(2):  # the second build may not be silent about it
        status, said, executed = book.build()
        assert status == 1
        assert executed == {"one"}
        assert re.search(
            r"one\.md: WARNING: code cell 1, which starts with 'import os', failed with "
            r"ZeroDivisionError: division by zero",
            said,
        ), said
        assert "The book was not built" in said
    book.edit("one.md", "\n1 / 0", "")
    assert book.build()[0] == 0


def test_chapters_with_changed_cells_run_at_the_same_time(book) -> None:
    """Not one after the other, when Sphinx reads their pages."""
    for name in ("one.md", "two.md"):
        book.edit(name, "import", "import  ")
    status, said, _ = book.build()
    assert status == 0
    assert sorted(re.findall(r"(\w+)\.md: Executing notebook ahead", said)) == ["one", "two"]
    assert "Executing notebook using" not in said
    for name in ("one.md", "two.md"):
        book.edit(name, "import  ", "import")
    status, _, executed = book.build()  # the cells of before are in the caches still
    assert (status, executed) == (0, set())


def test_outputs_that_no_reader_could_use_fail_the_build(tmp_path) -> None:
    book = Book(
        tmp_path,
        {
            "bare": ["import ipywidgets", "ipywidgets.IntSlider()"],
            "wordless": [
                "import altair, frugal.show.charts",
                "altair.Chart({'values': [{'x': 1}]}).mark_point().encode(x='x:Q')",
            ],
            "lost": ["print('the target of a link is checked elsewhere')"],
        },
    )
    book.edit("lost.md", "Prose.", "A [link](nowhere.md) and {cite}`nobody1900`.")
    status, said, _ = book.build()
    assert status == 1
    assert "bare.md: WARNING: an output is a bare widget" in said
    assert re.search(r"wordless\.md: WARNING: code cell 2, .*ValueError: alt is ''", said), said
    assert "nowhere.md" in said
    assert "nobody1900" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build"], "has no _config.yml; run this where the book is"),
        (["serve"], "holds no built site; run `make book` first."),
    ],
)
def test_commands_in_the_wrong_place_say_so(tmp_path, arguments, message) -> None:
    command = [sys.executable, "-m", "booktools", "--root", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("booktools: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
