"""A number, a line of words and an address under every figure, so that it can be cited.

The words are the first sentence of what is said to readers who do not see the figure. Figures are
counted through a chapter: the third of chapter 9 is Figure 9.3, at `#figure-9-3`.
"""

from __future__ import annotations

import re
from html import escape, unescape

from docutils import nodes
from sphinx.application import Sphinx

_FIGURE = re.compile(
    r'<div class="frugal-(?:figure|plan|cells)"|<svg [^>]*?class="frugal-(?P<picture>picture)"'
)
_LABEL = re.compile(r'aria-label="([^"]*)"')
_TITLE = re.compile(r'<p class="frugal-(?:plan|cells)-title">(.*?)</p>', re.DOTALL)
_AXES = re.compile(r"<small>(.*?) ↓ (.*?) →</small>")
_SENTENCE = re.compile(r".*?[.?!](?=\s+\S|$)", re.DOTALL)
_LONG = 200  # characters; what stands behind a colon then is left to the figure


def add_captions(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put a caption behind every figure of a numbered chapter."""
    number = app.env.toc_secnumbers.get(docname, {}).get("")
    if not number:
        return
    chapter, count = ".".join(map(str, number)), 0
    for output in list(doctree.findall(nodes.raw)):
        found = _FIGURE.search(output.rawsource or output.astext())
        if not found or "html" not in output.get("format", ""):
            continue
        count += 1
        words = caption_of(output.astext()[found.start() :])
        whole = "frugal-figure" in found[0]  # paper has all its words: see the style sheet
        caption = _caption(chapter, count, words, whole=whole)
        output.parent.insert(output.parent.index(output) + 1, caption)


def caption_of(html: str) -> str:
    """The line of words for a figure's HTML: what it says of itself, up to its first full stop."""
    titles = _TITLE.findall(html)
    if titles and html.startswith('<div class="frugal-plan"'):
        return f"{_listed([_plain(title) for title in titles])}, step by step."
    if titles:
        rows, columns = _AXES.findall(titles[0])[0]
        axes = f"{_plain(rows)} down, {_plain(columns)} across; a dark square is 1."
        named = [_plain(name) for title in titles for name in re.findall(r"<b>(.*?)</b>", title)]
        return f"{_listed(named)}: {axes}" if named else axes[0].upper() + axes[1:]
    label = _LABEL.search(html)
    words = " ".join(unescape(label[1]).split()) if label else ""
    sentence = _SENTENCE.match(words)
    told = sentence[0] if sentence else words
    return told.partition(": ")[0] + "." if len(told) > _LONG and ": " in told else told


def _plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _caption(chapter: str, count: int, words: str, *, whole: bool) -> nodes.raw:
    name = f"figure-{chapter.replace('.', '-')}-{count}"
    text = (
        f'<p class="frugal-caption" id="{name}"><a href="#{name}" tabindex="-1">'
        f"Figure {chapter}.{count}</a> "
        f"<span{' data-whole' if whole else ''}>{escape(words)}</span></p>"
    )
    return nodes.raw("", text, format="html")
