"""Tables of results: a cell of many words gets a class, so that it is no tower of single words."""

from __future__ import annotations

import re
from html import unescape

from docutils import nodes
from sphinx.application import Sphinx

_CELL = re.compile(r"<td\b([^>]*)>([^<]*)</td>")
_CLASS = re.compile(r'class="')
_MANY = 20  # characters


def give_words_room(app: Sphinx, doctree: nodes.document) -> None:
    """Mark them in every table that a cell has put out."""
    for output in doctree.findall(nodes.raw):
        text = output.astext()
        if "html" in output.get("format", "") and "<td" in text:
            output.children = []
            output += nodes.Text(marked(text))


def marked(html: str) -> str:
    """The HTML with the class `frugal-words` on its long cells of plain words."""

    def mark(cell: re.Match[str]) -> str:
        attributes, words = cell.groups()
        if len(unescape(words).strip()) < _MANY or " " not in words.strip():
            return cell[0]
        if _CLASS.search(attributes):
            attributes = _CLASS.sub('class="frugal-words ', attributes, count=1)
        else:
            attributes += ' class="frugal-words"'
        return f"<td{attributes}>{words}</td>"

    return _CELL.sub(mark, html)
