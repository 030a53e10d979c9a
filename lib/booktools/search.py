"""What the search shows of a page: sentences that have the words, without code and markup.

Each page's sentences, and the section that each stands in, are written to a small script of their
own; the search page loads those of the pages that it found, which also works from disk.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from booktools.assets import write_changed

FOLDER = "_static/frugal/sentences"
_END = re.compile(r"([.!?…][\"'”’)]*)\s+(?=[\"'“‘(]*[A-Z0-9])")
_WHOLE = re.compile(r"(?:\S+\s+){3}.*[.!?…:][\"'”’)]*$")
_CITATION = re.compile(r"\s*\[[^\[\]]*\d{4}[a-z]?\]")
_SHORT = re.compile(r"(?:\b(?:al|e\.g|i\.e|vs|cf|Eq|Fig|No)|\b[A-Z])\.$")
_APART = (nodes.literal_block, nodes.math_block, nodes.table, nodes.raw, addnodes.toctree)


def sentences_of(doctree: nodes.document) -> list[tuple[str, str]]:
    """(anchor of the section, sentence) for what a page says in words, in its order."""
    found = []
    for paragraph in doctree.findall(nodes.paragraph):
        if _stands_apart(paragraph):
            continue
        section = _section_of(paragraph)
        text = _CITATION.sub("", _words(paragraph))
        found += [(section, one) for one in split(text) if _WHOLE.search(one)]
    return found


def split(text: str) -> list[str]:
    """The sentences of a paragraph; "et al." and initials end none."""
    sentences: list[str] = []
    open_ = False
    for part in _END.sub(r"\1\n", " ".join(text.split())).split("\n"):
        if open_:
            sentences[-1] += f" {part}"
        elif part:
            sentences.append(part)
        open_ = bool(_SHORT.search(part))
    return sentences


def _words(node: nodes.Node) -> str:
    """The text with each formula as it is written, without what TeX needs for it."""
    if isinstance(node, nodes.math):
        return plain_formula(node.astext())
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, _APART):
        return " "
    return "".join(_words(child) for child in node.children)


def plain_formula(tex: str) -> str:
    r"""A short formula in letters: `\alpha_{ij}` becomes "α_ij", `\mathrm{softmax}` "softmax"."""
    text = re.sub(r"\\(?:mathrm|text|mathbf|mathcal|mathbb|operatorname|textstyle)\b\s*", "", tex)
    text = re.sub(r"\\([a-zA-Z]+)", lambda found: _NAMED.get(found[1], found[1]), text)
    return re.sub(r"\\.|[{}$]", "", text)


_NAMED = {
    "cdot": "·",
    "times": "×",
    "le": "≤",
    "leq": "≤",
    "ge": "≥",
    "geq": "≥",
    "to": "→",
    "infty": "∞",
    "sum": "Σ",
    "top": "ᵀ",
    "ldots": "…",
    "dots": "…",
    "approx": "≈",
    "in": "∈",
    "ell": "ℓ",
    "sqrt": "√",
    "left": "",
    "right": "",
    "big": "",
    "Big": "",
    "quad": " ",
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "xi": "ξ",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "phi": "φ",
    "chi": "χ",
    "omega": "ω",
    "Delta": "Δ",
    "Pi": "Π",
    "Phi": "Φ",
}


def _stands_apart(node: nodes.Node) -> bool:
    while node is not None:
        if isinstance(node, _APART) or "cell_output" in node.get("classes", []):
            return True
        node = node.parent
    return False


def _section_of(node: nodes.Node) -> str:
    while node is not None and not isinstance(node, nodes.section):
        node = node.parent
    top = node is None or isinstance(node.parent, nodes.document)
    return "" if top else node["ids"][0]


def write_sentences(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Write the sentences of a page, and add what reads them to the search page."""
    if pagename == "search":
        app.add_js_file("search.js")
    elif doctree is not None:
        told = json.dumps(sentences_of(doctree), ensure_ascii=False, separators=(",", ":"))
        script = f"frugalSentences({json.dumps(pagename)},{told});\n"
        write_changed(Path(app.outdir) / FOLDER / f"{pagename}.js", script.encode())
