"""A card for each chapter on the first page: a small picture, a line, a number, and how long it is.

`index.md` says what stands on them, as YAML in a directive::

    ```{chapter-cards}
    chapters/2-interactions/hashing:
      says: Tokens meet in the bucket that a hash of their content puts them in.
      scene: hashing
      number: "**{large:.2f}** of the time of all pairs at 4,096 tokens"
      claim: rounds, hashing takes
    ```

`scene` is a picture of `frugal.figures.first_page.scenes`. The number is one of the chapter's own:
`claim` is some words of a claim that the chapter makes, and `number` is filled in from the values
of that claim in the chapter as it was executed. A chapter that claims nothing yet shows none.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any, get_args

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from booktools.card_pictures import picture, shared
from booktools.collected import claims_of
from frugal.claims.sentences import EXPONENT, as_words
from frugal.figures.first_page.scenes import Scene

logger = logging.getLogger(__name__)

_KEYS = {"says", "scene", "number", "claim"}
_WORDS_A_MINUTE = 200
_FENCED = re.compile(r"(?ms)^(?P<fence>`{3,}|:{3,}).*?^(?P=fence)[ \t]*$")


# The cards are the contents: on a wide screen the first page needs no second list at its side, and
# its figure gets the room. A search button stands where the list's own was.
_WITHOUT_SIDEBAR = """<style>
body .bd-main .bd-content { justify-content: center; }
body .bd-main .bd-content .bd-article-container { max-width: 70rem; }
@media (min-width: 992px) {
  body .bd-sidebar-primary, body .primary-toggle { display: none !important; }
  body .search-button { display: flex !important; }
}
@media (max-width: 40rem) {
  body .bd-article h1 { margin-top: 0; font-size: 1.75rem; }
}
</style>
"""


class ChapterCards(nodes.General, nodes.Element):
    """Where the cards will stand; what they say is known when all chapters have run."""


class ChapterCardsDirective(SphinxDirective):
    """The `chapter-cards` directive."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Note the cards for later."""
        node = ChapterCards()
        node["cards"] = read_cards("\n".join(self.content))
        pages = self.env.__dict__.setdefault("frugal_card_pages", set())
        pages.add(self.env.docname)
        return [node]


def read_cards(text: str) -> dict[str, dict[str, str]]:
    """chapter -> what its card says. Raises ValueError for anything else than such a list."""
    cards = yaml.safe_load(text) or {}
    for name, card in cards.items():
        if not isinstance(card, dict) or set(card) != _KEYS:
            raise ValueError(f"card of {name} is {card!r}; it must have {sorted(_KEYS)}.")
        if card["scene"] not in get_args(Scene):
            raise ValueError(f"scene of {name} is {card['scene']!r}; it must be one of the map's.")
    return cards


def minutes(text: str) -> int:
    """How long the text of a chapter takes to read, to five minutes; exercises come on top."""
    body = re.sub(r"(?s)\A---\n.*?\n---\n", "", text).partition("\n## Exercises")[0]
    words = len(_FENCED.sub("", body).split())
    return max(5, 5 * round(words / _WORDS_A_MINUTE / 5))


def told(card: dict[str, str], claims: list[dict[str, Any]]) -> tuple[str, str] | None:
    """The number of a card, filled in, and the sentence it is from; None where nothing matches."""
    for claim in claims:
        if card["claim"] in claim["sentence"]:
            return card["number"].format(**claim["values"]), claim["sentence"]
    return None


def rewrite(app: Sphinx, env: Any) -> list[str]:
    """The pages with cards are written each time: the numbers are those of other pages."""
    return sorted(getattr(env, "frugal_card_pages", set()) & set(env.found_docs))


def place_cards(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the cards where `ChapterCards` stands."""
    for node in list(doctree.findall(ChapterCards)):
        node.replace_self(nodes.raw("", _cards(app, docname, node["cards"]), format="html"))


def _cards(app: Sphinx, docname: str, cards: dict[str, dict[str, str]]) -> str:
    toc = yaml.safe_load((Path(app.srcdir) / "_toc.yml").read_text(encoding="utf-8"))
    parts, shown = [], set()
    for part in toc["parts"]:
        names = [one["file"] for one in part["chapters"] if one["file"] in cards]
        shown.update(names)
        items = "\n".join(_card(app, docname, name, cards[name]) for name in names)
        if names:
            parts.append(f"<h3>{escape(part['caption'])}</h3>\n<ul>\n{items}\n</ul>")
    for name in cards.keys() - shown:
        logger.warning("there is a card of %s, which is no chapter", name, location=docname)
    return f'<div class="frugal-cards">{shared()}\n' + "\n".join(parts) + "\n</div>"


def _card(app: Sphinx, docname: str, name: str, card: dict[str, str]) -> str:
    title = escape(app.env.titles[name].astext())
    link = app.builder.get_relative_uri(docname, name)
    source = Path(app.env.doc2path(name)).read_text(encoding="utf-8")
    return (
        f'<li class="frugal-card">{picture(card["scene"])}'
        f'<a href="{link}">{title}</a><p>{escape(card["says"])}</p>'
        f"{_number(app, docname, name, card)}"
        f'<p class="frugal-card-minutes">{minutes(source)} min</p></li>'
    )


def _number(app: Sphinx, docname: str, name: str, card: dict[str, str]) -> str:
    executed = Path(app.outdir).parent / "jupyter_execute" / f"{name}.ipynb"
    claims = claims_of(executed) if executed.is_file() else []
    if not claims:
        return ""
    found = told(card, claims)
    if found is None:
        logger.warning("%s claims nothing with %r", name, card["claim"], location=docname)
        return ""
    number, sentence = found
    words = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(number))
    return f'<p class="frugal-card-number" title="✓ {escape(spoken(sentence))}">{words}</p>'


def spoken(sentence: str) -> str:
    """The sentence of a claim as a title can say it: no markup, a power in words."""
    return as_words(EXPONENT.sub(r" to the power of \1", sentence))


def widen(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take the list at the side off a page with cards."""
    if pagename in getattr(app.env, "frugal_card_pages", set()):
        context["metatags"] = context.get("metatags", "") + _WITHOUT_SIDEBAR


def setup_cards(app: Sphinx) -> None:
    """Add the directive and what fills it in."""
    app.add_node(ChapterCards)
    app.add_directive("chapter-cards", ChapterCardsDirective)
    app.connect("env-updated", rewrite)
    app.connect("doctree-resolved", place_cards)
    app.connect("html-page-context", widen, priority=930)
