"""Code that is folded away stands behind what it drew, in the page as on the screen.

A style that sets it there would move it: the code is read before its output has arrived, and shows
above the place of the output until then.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def put_code_last(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Move the folded input of each cell with an output to the end of the cell."""
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") != "cell_code" or len(cell.children) < 2:
            continue
        first, last = cell.children[0], cell.children[-1]
        folded = "above-input" in first.get("classes", [])
        if folded and last.get("nb_element") == "cell_code_output":
            cell.remove(first)
            cell.append(first)
