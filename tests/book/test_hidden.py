"""In *Learn* the code that a reader sees is more than the code that is folded away.

What makes a claim or a verdict is apart: it is read as a sentence, so it counts on neither side.
"""

import ast

import jupytext
import pytest

from tests.book.pages import CHAPTERS, ROOT

TOLD = {"claim", "counted", "verdict", "untested", "verdicts"}
FOLDED = {"hide-input", "remove-input"}


def lines_of_code(code: str) -> int:
    """How many lines there are, without empty ones and those of claims and verdicts."""
    told = {
        line
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TOLD
        for line in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(code.splitlines(), start=1)
    return sum(1 for number, line in lines if line.strip() and number not in told)


def folded_and_shown(page: str, beat: str = "Learn") -> tuple[int, int]:
    """The lines of code in the cells of one beat: folded away, and shown."""
    folded, shown, inside = 0, 0, False
    for cell in jupytext.reads(page, fmt="md:myst").cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("## "):
                    inside = line.removeprefix("## ").partition(":")[0] == beat
        elif inside and cell.cell_type == "code":
            lines = lines_of_code(cell.source)
            if FOLDED & set(cell.metadata.get("tags", [])):
                folded += lines
            else:
                shown += lines
    return folded, shown


@pytest.mark.parametrize("file", CHAPTERS)
def test_learn_shows_more_code_than_it_folds_away(file):
    folded, shown = folded_and_shown((ROOT / f"{file}.md").read_text())
    assert folded <= shown, f"{folded} lines are folded away, {shown} are shown"


PAGE = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

## Speed: before

```{code-cell} ipython3
far = 0
```

## Learn: a page

```{code-cell} ipython3
a = 1

b = 2
```

```{code-cell} ipython3
:tags: [hide-input]
c = 3
claim(
    "{c} is 3.",
    lambda c: c == 3,
    c=c,
)
```

```{code-cell} ipython3
:tags: [remove-input]
c
```

## Exercises

```{code-cell} ipython3
far = 1
```
"""


def test_lines_are_counted_where_they_should_be():
    assert folded_and_shown(PAGE) == (2, 2)
    assert folded_and_shown(PAGE, beat="Speed") == (0, 1)
