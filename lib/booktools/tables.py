"""Tables of results: what stands together, and which columns are of words.

A number and its spread ("0.98 ± 0.01") stay on one line. Columns of many words get a class, so that
none is a tower of single words.
"""

from __future__ import annotations

import re
from html import unescape

from docutils import nodes
from sphinx.application import Sphinx

_TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(t[hd])\b([^>]*)>(.*?)</\1>", re.DOTALL)
_MANY = 18  # letters
# Not in a script: what a chart draws does not wrap.
_SPREAD = re.compile(r"(?s)<script\b.*?</script>|(?<=[\d%]) ± (?=\d)")


def set_tables(app: Sphinx, doctree: nodes.document) -> None:
    """Set every table and every sentence that a cell has put out."""
    for output in doctree.findall(nodes.raw):
        text = output.astext()
        if "html" in output.get("format", ""):
            output.children = []
            output += nodes.Text(marked(unbroken(text)))


def unbroken(html: str) -> str:
    """The HTML with no-break spaces between a number and its spread: "0.98 ± 0.01"."""
    return _SPREAD.sub(lambda found: "\xa0±\xa0" if found[0] == " ± " else found[0], html)


def marked(html: str) -> str:
    """The HTML with the class `frugal-words` on the cells of columns of many words."""
    return _TABLE.sub(_marked_table, html)


def _marked_table(table: re.Match[str]) -> str:
    html = table[0]
    if re.search(r"(?:col|row)span=|frugal-verdicts", html):
        return html
    rows = [_CELL.findall(row) for row in _ROW.findall(html)]
    wordy = {
        place
        for row in rows
        for place, (kind, _, content) in enumerate(row)
        if place and kind == "td" and _letters(content) >= _MANY
    }

    def mark_row(row: re.Match[str]) -> str:
        places = iter(range(len(row[0])))

        def mark(cell: re.Match[str]) -> str:
            kind, attributes, content = cell.groups()
            if next(places) not in wordy:
                return cell[0]
            if 'class="' in attributes:
                attributes = attributes.replace('class="', 'class="frugal-words ', 1)
            else:
                attributes += ' class="frugal-words"'
            return f"<{kind}{attributes}>{content}</{kind}>"

        return _CELL.sub(mark, row[0])

    return _ROW.sub(mark_row, html) if wordy else html


def _letters(content: str) -> int:
    return sum(map(str.isalpha, unescape(re.sub(r"<[^>]*>", "", content))))
