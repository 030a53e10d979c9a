"""The pages of the book as `_toc.yml` lists them, and the parts of one."""

import re
from pathlib import Path

import jupytext
import yaml

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
LISTED = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
INTERLUDES = {"chapters/2-interactions/side-by-side"}
"""Pages that compare chapters, and take no method through the beats."""
CHAPTERS = [
    file for file in LISTED if not file.startswith("chapters/appendix/") and file not in INTERLUDES
]


def source(file: str) -> str:
    return (ROOT / f"{file}.md").read_text()


def prose(file: str) -> str:
    """What the page says in words: no code, no output, no front matter, no formulas set apart."""
    cells = jupytext.read(ROOT / f"{file}.md").cells
    words = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"(?ms)^\$\$.*?^\$\$|^```\{math\}.*?^```", "", words)


def section(file: str, heading: str) -> str:
    """What stands under a heading, or after bold words that open a paragraph; "" without it.

    A bold opening holds until the next bold opening or heading, a heading until its next equal.
    """
    text = prose(file)
    if found := re.search(rf"(?m)^(#+) {heading}\b.*$", text):
        level = len(found[1])
        return re.split(rf"(?m)^#{{1,{level}}} ", text[found.end() :])[0]
    if found := re.search(rf"(?m)^\*\*{heading}\.?\*\*", text):
        return re.split(r"(?m)^\*\*|^#+ ", text[found.end() :])[0]
    return ""
