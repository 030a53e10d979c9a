"""Every chapter about an attention shows its pattern on the running example."""

import ast

import jupytext
import pytest

from tests.book.pages import LISTED, ROOT, source

TWO_DIMENSIONS = "chapters/2-interactions/windows-in-two-dimensions"
"""It reads pictures; the running example is a sentence."""
ATTENTIONS = [
    *(file for file in LISTED if "/2-interactions/" in file and file != TWO_DIMENSIONS),
    "chapters/4-layers-and-parameters/adaptive-sparsity",
]


@pytest.mark.parametrize("file", ATTENTIONS)
def test_a_chapter_about_an_attention_shows_the_running_example(file):
    calls = [
        call
        for cell in jupytext.read(ROOT / f"{file}.md").cells
        if cell.cell_type == "code" and "running_example(" in cell.source
        for call in ast.walk(ast.parse(cell.source))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "running_example"
    ]
    assert calls


def test_the_comparison_leads_to_every_chapter_that_shows_it():
    page = source("chapters/2-interactions/side-by-side")
    for file in ATTENTIONS:
        name = file.rpartition("/")[2]
        assert name == "side-by-side" or f'{name}"' in page, name
