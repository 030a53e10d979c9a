"""A site without the solutions of its exercises: none is left, and nothing else is gone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from booktools.build import build_site
from booktools.solutions import VARIABLE, with_solutions, without_solutions
from tests.site.test_build import HEAD, Book

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").rglob("*.md"))
CELL = re.compile(r"^```\{code-cell\}.*?^```$", re.MULTILINE | re.DOTALL)

PAGE = (
    HEAD.format(title="Exercises")
    + """
1. A question for everybody?

```{dropdown} Solution
A secret of ours.
```

2. Another question?

````{dropdown} Solution
Fenced with four:

```python
secret = 2
```
````

- A question in a list?

  ```{dropdown} Solution
  An indented secret.
  ```

```{dropdown} A hint
No secret at all.
```

```{code-cell}
print("answer", 6 * 7)
```
"""
)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_no_chapter_keeps_a_solution_and_none_loses_more(chapter: Path) -> None:
    text = chapter.read_text(encoding="utf-8")
    rest = without_solutions(text)
    assert "{dropdown} Solution" not in rest
    assert CELL.findall(rest) == CELL.findall(text)
    assert re.findall(r"^#+ .*$", rest, re.MULTILINE) == re.findall(r"^#+ .*$", text, re.MULTILINE)
    lost = text.count("\n") - rest.count("\n")
    assert lost <= 25 * text.count("{dropdown} Solution")


def test_words_about_solutions_and_other_drop_downs_stay() -> None:
    rest = without_solutions(PAGE)
    assert "secret of ours" not in rest
    assert "secret = 2" not in rest
    assert "indented" not in rest
    for kept in ("everybody?", "Another question?", "in a list?", "No secret at all", "6 * 7"):
        assert kept in rest
    prose = "A solution is hidden in ```{dropdown} Solution``` blocks.\n"
    assert without_solutions(prose) == prose


def test_the_variable_says_yes_or_no(monkeypatch: pytest.MonkeyPatch) -> None:
    for said, expected in (("", True), ("yes", True), ("no", False)):
        monkeypatch.setenv(VARIABLE, said)
        assert with_solutions() is expected
    monkeypatch.setenv(VARIABLE, "maybe")
    with pytest.raises(ValueError, match=f"{VARIABLE} is maybe; it must be yes or no"):
        build_site(ROOT)


def places(html: Path) -> dict[str, str]:
    """What a reader can open: the page, its source, its notebook and the search."""
    files = ("one.html", "_sources/one.md", "_sources/one.ipynb", "searchindex.js")
    return {name: (html / name).read_text(encoding="utf-8") for name in files}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    book = Book(tmp_path_factory.mktemp("book"), {"one": []})
    (book.folder / "one.md").write_text(PAGE, encoding="utf-8")
    return book


def test_the_site_of_a_class_has_no_solution_anywhere(book: Book, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "no")
    status, said, executed = book.build()
    assert status == 0, said
    assert executed == {"one"}
    assert "without the solutions of its exercises" in said
    for name, text in places(book.folder / "_build/html-without-solutions").items():
        assert "secret of ours" not in text, name
        assert "secret = 2" not in text, name
        assert "indent" not in text, name  # as the search writes it
        assert "everybod" in text, name
    assert not (book.folder / "_build/complete").exists(), "the book itself is not built"

    monkeypatch.setenv(VARIABLE, "yes")
    status, said, executed = book.build()
    assert status == 0, said
    assert not executed, "no cell runs again for it"
    for name, text in places(book.folder / "_build/html").items():
        assert "indent" in text, name
    assert (book.folder / "_build/complete").exists()
    class_page = places(book.folder / "_build/html-without-solutions")["one.html"]
    assert "secret" not in class_page.replace("No secret at all", "")


def test_jupyter_book_itself_heeds_the_variable(book: Book, tmp_path: Path) -> None:
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(book.folder), "--path-output"]
    command += [str(tmp_path), "--quiet"]
    environment = {**os.environ, VARIABLE: "no"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for name, text in places(tmp_path / "_build/html").items():
        assert "secret of ours" not in text, name
        assert "everybod" in text, name
