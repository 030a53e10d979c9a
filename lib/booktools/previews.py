"""Cards of terms and citations: what a word means, what a paper is, without leaving the page.

A page carries a card for each term and each paper that it names, in a `template`, and each link to
one names its card. `static/preview.js` shows them; without it the links lead to the glossary and to
the list of references, as links do.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from booktools.terms import MARK, Term, glossary

_LINK = re.compile(
    r'<a (?P<before>[^>]*?)href="(?P<page>[^"#]*(?:references|glossary)\.html)#(?P<id>[\w-]+)"'
    r"(?P<after>[^>]*)>"
)
_TITLE = re.compile(r' ?title="[^"]*"')
MOST_AUTHORS = 6


def show_previews(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the cards that a page needs, and the script that shows them where there are any."""
    body = context.get("body")
    if not isinstance(body, str) or doctree is None:
        return
    papers = _papers(app)
    terms = {term.id: term for term in glossary(Path(app.srcdir)).values()}
    cards: dict[str, str] = {}

    def linked(match: re.Match[str]) -> str:
        name, place = match["id"], f"{match['page']}#{match['id']}"
        if name in papers:
            cards[name] = paper(papers[name], place)
        elif name in terms and MARK in match["before"] + match["after"]:
            term = terms[name]
            uri = app.builder.get_relative_uri(pagename, term.built)
            chapter = app.env.titles[term.built].astext()
            cards[name] = explained(term, place, chapter, "" if uri.startswith("#") else uri)
        else:
            return match[0]
        rest = _TITLE.sub("", f"{match['before']}{match['after']}").strip()
        return f'<a {rest} href="{place}" data-preview="{name}">'

    body = _LINK.sub(linked, body)
    if cards:
        stored = "\n".join(
            f'<template data-preview="{name}">{card}</template>' for name, card in cards.items()
        )
        context["body"] = f"{body}\n{stored}\n"
        app.add_js_file("preview.js", loading_method="defer")


def _papers(app: Sphinx) -> dict[str, Any]:
    """The anchor of each listed reference -> its entry."""
    domain = app.env.get_domain("cite")
    entries = domain.bibdata.data.entries
    return {one.citation_id: entries[one.key] for one in domain.citations if one.key in entries}


def paper(entry: Any, place: str) -> str:
    """Authors, year, title and address of an entry of pybtex, and where it is listed."""
    people = [" ".join(map(str, _names(person))) for person in entry.persons["author"]]
    if len(people) > MOST_AUTHORS:
        others = len(people) - MOST_AUTHORS + 1
        people = [*people[: MOST_AUTHORS - 1], f"{others} others"]
    who = " and ".join([", ".join(people[:-1]), people[-1]] if people[1:] else people)
    title, url = _plain(entry.fields["title"]), _address(entry)
    seen = re.sub(r"^https?://(www\.)?", "", url)
    link = f'<a href="{escape(url)}">{escape(seen)}</a>' if url else ""
    return (
        f'<p class="frugal-preview-title">{escape(title)}</p>'
        f"<p>{escape(_plain(who))}, {escape(entry.fields['year'])}</p>"
        f'<p class="frugal-preview-links">{link}<a href="{place}">In the list of references</a></p>'
    )


def explained(term: Term, place: str, chapter: str, uri: str) -> str:
    """A term's sentence, and the chapter that builds it; uri: "" where that is this page."""
    built = f'Built in <a href="{uri}">{escape(chapter)}</a>' if uri else "Built in this chapter"
    return (
        f'<p class="frugal-preview-title">{escape(term.name)}</p>'
        f"<p>{escape(term.says)}</p>"
        f'<p class="frugal-preview-links"><span>{built}</span>'
        f'<a href="{place}">All terms</a></p>'
    )


def _names(person: Any) -> list[str]:
    return [
        *person.first_names,
        *person.middle_names,
        *person.prelast_names,
        *person.last_names,
        *person.lineage_names,
    ]


def _plain(latex: str) -> str:
    """What BibTeX writes with braces and accents, as plain text."""
    from pybtex.richtext import Text

    return Text.from_latex(latex).render_as("text").replace("\N{NO-BREAK SPACE}", " ")


def _address(entry: Any) -> str:
    fields = entry.fields
    if "url" in fields:
        return fields["url"]
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    archived = re.search(r"arXiv:(\S+)", fields.get("note", ""))
    number = fields.get("eprint", archived[1] if archived else "")
    return f"https://arxiv.org/abs/{number}" if number else ""
