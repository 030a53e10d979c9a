"""Words of the field: a glossary, and each word marked where a chapter says it first.

`chapters/appendix/glossary.md` says what they mean, as YAML in a directive::

    ```{terms}
    head:
      says: One of several attentions that work side by side in a layer.
      also: [heads]
      unless: [head of a list]
      built: chapters/1-foundations/the-vanilla-transformer
    ```

`also` has other forms of the word, `unless` has words in which it means something else, `built` is
the chapter that builds it. `mark: false` leaves a word that has a second, common meaning unmarked.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PAGE = "chapters/appendix/glossary"
MARK = "frugal-term"
_KEYS = {"says", "also", "unless", "built", "mark"}
_FENCE = re.compile(r"(?ms)^```\{terms\}\n(?P<terms>.*?)^```$")
# What is no running text: a term in a heading, in code or in a link stays as it is.
_APART = (
    nodes.title,
    nodes.literal,
    nodes.literal_block,
    nodes.reference,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.table,
    nodes.caption,
)


@dataclass(frozen=True)
class Term:
    """A word: what it means in one sentence, the chapter that builds it, and its other forms."""

    name: str
    says: str
    built: str
    also: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    mark: bool = True

    @property
    def id(self) -> str:
        """The anchor of its entry."""
        return "term-" + re.sub(r"\W+", "-", self.name.lower())


def read_terms(text: str) -> dict[str, Term]:
    """name -> its entry. Raises ValueError for anything else than such a list."""
    terms = {}
    for name, said in (yaml.safe_load(text) or {}).items():
        if not isinstance(said, dict) or not {"says", "built"} <= set(said) <= _KEYS:
            raise ValueError(f"term {name} is {said!r}; it must have says and built.")
        lists = {kind: tuple(said.get(kind, ())) for kind in ("also", "unless")}
        terms[name] = Term(name, said["says"], said["built"], mark=said.get("mark", True), **lists)
    forms = [form.lower() for term in terms.values() for form in (term.name, *term.also)]
    if twice := {form for form in forms if forms.count(form) > 1}:
        raise ValueError(f"terms has {sorted(twice)} twice; each form must be of one term.")
    return terms


def glossary(root: Path) -> dict[str, Term]:
    """The terms of the book in `root`; {} where it has no glossary."""
    path = root / f"{PAGE}.md"
    return _read(path.read_text(encoding="utf-8")) if path.is_file() else {}


@cache
def _read(page: str) -> dict[str, Term]:
    found = _FENCE.search(page)
    return read_terms(found["terms"]) if found else {}


def state(root: Path) -> str:
    """Pages are written again when a term has changed."""
    path = root / f"{PAGE}.md"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


class TermsDirective(SphinxDirective):
    """The glossary itself, by alphabet."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """A definition list, each entry with the chapter that builds the term."""
        terms = read_terms("\n".join(self.content))
        items = nodes.definition_list(classes=["frugal-glossary"])
        for name in sorted(terms, key=str.lower):
            items += self._entry(terms[name])
        return [items]

    def _entry(self, term: Term) -> nodes.definition_list_item:
        says = nodes.paragraph("", f"{term.says} ")
        link, problems = self.parse_inline(f"{{doc}}`/{term.built}`")
        says += [*link, *problems]
        return nodes.definition_list_item(
            "",
            nodes.term("", term.name, ids=[term.id]),
            nodes.definition("", says),
        )


def finder(terms: dict[str, Term]) -> re.Pattern[str]:
    """What finds every form of every marked term, and the words in which it means another thing."""
    forms = {form for t in terms.values() if t.mark for form in (t.name, *t.also, *t.unless)}
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    words = "|".join(re.sub(r"(?:\\ )", r"\\s+", re.escape(form)) for form in longest_first)
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)


def by_form(terms: dict[str, Term]) -> dict[str, Term | None]:
    """Each form in small letters -> its term; None for words that mean another thing."""
    known: dict[str, Term | None] = {}
    for term in terms.values():
        known |= {form.lower(): term for form in (term.name, *term.also)}
    for term in terms.values():
        known |= {form.lower(): None for form in term.unless}
    return known


def mark_terms(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Make the first use of each term on a chapter's page a link to its entry."""
    terms = glossary(Path(app.srcdir))
    if not terms or not docname.startswith("chapters/") or "/appendix/" in docname:
        return
    words, known, seen = finder(terms), by_form(terms), set()
    place = app.builder.get_relative_uri(docname, PAGE)
    for text in list(doctree.findall(nodes.Text)):
        if _in_words(text):
            parts = _marked(text, words, known, seen, place)
            if len(parts) > 1:
                text.parent.replace(text, parts)


def _in_words(text: nodes.Text) -> bool:
    """Whether a piece of text stands in a paragraph's own words."""
    node, paragraph = text.parent, False
    while node is not None:
        if isinstance(node, _APART):
            return False
        paragraph = paragraph or isinstance(node, nodes.paragraph)
        node = node.parent
    return paragraph


def _marked(
    text: nodes.Text,
    words: re.Pattern[str],
    known: dict[str, Term | None],
    seen: set[str],
    place: str,
) -> list[nodes.Node]:
    told = str(text)
    parts: list[nodes.Node] = []
    done = 0
    for found in words.finditer(told):
        term = known[" ".join(found.group().lower().split())]
        if term is None or term.name in seen:
            continue
        seen.add(term.name)
        link = nodes.reference("", found.group(), internal=True, classes=[MARK])
        link["refuri"] = f"{place}#{term.id}"
        parts += [nodes.Text(told[done : found.start()]), link]
        done = found.end()
    return [*parts, nodes.Text(told[done:])]


def setup_terms(app: Sphinx) -> None:
    """Add the directive and what marks the words."""
    app.add_config_value("booktools_terms", state(Path(app.srcdir)), "html")
    app.add_directive("terms", TermsDirective)
    app.connect("doctree-resolved", mark_terms)
