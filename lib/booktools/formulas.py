"""Formulas are drawn when the book is built: a page carries their HTML and no script for them.

KaTeX runs inside Python (`mini-racer`, which holds V8). A formula that KaTeX cannot read is a
warning, and so the build fails; it also gives MathML, which screen readers read.
"""

from __future__ import annotations

import atexit
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

_SCRIPT = Path(__file__).with_name("static") / "katex" / "katex.min.js"


def setup_formulas(app: Sphinx) -> None:
    """Make KaTeX the renderer that `html_math_renderer: katex` names."""
    app.add_html_math_renderer("katex", (_inline, None), (_display, None))


def html_of(tex: str, *, display: bool) -> str:
    """The HTML of a formula. Raises ValueError with KaTeX's own words when it is not one."""
    from py_mini_racer import JSEvalException

    options = {"displayMode": display, "throwOnError": True, "strict": "error"}
    try:
        return _engine().call("katex.renderToString", tex, options)
    except JSEvalException as error:
        said = next((line for line in str(error).splitlines() if "KaTeX" in line), str(error))
        raise ValueError(said.partition("KaTeX parse error: ")[2] or said) from None


@cache
def _engine() -> Any:
    from py_mini_racer import MiniRacer

    engine = MiniRacer()
    atexit.register(engine.close)  # its threads would keep the process from ending
    engine.eval(_SCRIPT.read_text(encoding="utf-8") + ";0")
    return engine


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    attributes = {"CLASS": "math notranslate nohighlight"}
    self.body.append(self.starttag(node, "span", "", **attributes))
    self.body.append(_drawn(node, node.astext(), display=False) + "</span>")
    raise nodes.SkipNode


def _display(self: HTML5Translator, node: nodes.math_block) -> None:
    attributes = {"CLASS": "math notranslate nohighlight"}
    self.body.append(self.starttag(node, "div", **attributes))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(_drawn(node, _aligned(node), display=True) + "</div>\n")
    raise nodes.SkipNode


def _aligned(node: nodes.math_block) -> str:
    """Lines set below each other at their &, as in LaTeX; paragraphs likewise."""
    if node["nowrap"]:
        return node.astext()
    parts = [part for part in node.astext().split("\n\n") if part.strip()]
    split = [rf"\begin{{split}}{part}\end{{split}}" if r"\\" in part else part for part in parts]
    if len(split) == 1:
        return split[0]
    return r"\begin{aligned}" + r"\\".join(f"&{part}" for part in split) + r"\end{aligned}"


def _drawn(node: nodes.Element, tex: str, *, display: bool) -> str:
    try:
        return html_of(tex, display=display)
    except ValueError as error:
        logger.warning("the formula %s is not one: %s", tex, error, location=node)
        return f"<code>{escape(tex)}</code>"
