"""What is copied with a cell: its code, and the imports that earlier cells made for it."""

from __future__ import annotations

import ast
import json

import pytest
from playwright.sync_api import Browser

from booktools.copying import imports_needed
from tests.browsing import visiting
from tests.site.conftest import ROOT

PAGE = "chapters/2-interactions/hashing"


@pytest.mark.parametrize(
    ("cells", "needed"),
    [
        (["import torch", "torch.ones(2)"], [[], ["import torch"]]),
        (["import torch.nn.functional as F", "F.relu"], [[], ["import torch.nn.functional as F"]]),
        (
            ["from a import b, c as d\nimport e.f", "d(b)\ne.f.g()"],
            [[], ["import e.f", "from a import b, c as d"]],
        ),
        (["from a import b", "from a import b\nb()"], [[], []]),
        (["from a import b", "b = 1", "b"], [[], [], []]),
        (["from a import b", "def f():\n    return b()", "f()"], [[], ["from a import b"], []]),
        (["import a", "%timeit a.b()", "a"], [[], [], ["import a"]]),
        (["import a", "this is no Python", "a"], [[], [], ["import a"]]),
    ],
)
def test_a_cell_gets_the_imports_that_it_lacks(cells, needed) -> None:
    assert imports_needed(cells) == needed


def test_no_cell_of_the_book_is_given_what_is_no_python() -> None:
    for path in (ROOT / "_build" / "jupyter_execute").rglob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        for lines in imports_needed(sources):
            ast.parse("\n".join(lines))


def test_the_button_copies_the_cell_with_its_imports(browser: Browser, address: str) -> None:
    with visiting(browser) as visit:
        visit.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
        page = visit.page
        page.goto(f"{address}/{PAGE}.html")
        cell = page.locator(".cell:has(template[data-imports]) .cell_input").first
        code = cell.locator("pre").text_content()
        needed = cell.evaluate(
            "(it) => it.querySelector('template[data-imports]').content.textContent"
        )
        button = cell.get_by_role("button", name="Copy with its imports", include_hidden=True)
        button.focus()
        assert button.evaluate("(it) => getComputedStyle(it).opacity") in ("0", "1")
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.title === 'Copied'")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == f"{needed}\n\n{code.rstrip(chr(10))}"
        ast.parse(copied)
        assert needed.startswith(("import ", "from "))
        assert visit.errors == []
