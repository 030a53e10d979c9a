"""Sources of verdicts by the names that readers know.

A table of verdicts names its sources by key, `vaswani2017attention, Table 2`, because a notebook
has no list of references. On the site the key becomes "Vaswani et al., 2017", as in the text, and a
link to the entry.
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

TABLE = "frugal-verdicts"
SOURCE = re.compile(r"(<small>)(\w+)")


def name_sources(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give the sources of a page's verdicts their names and links."""
    if app.builder.format != "html":
        return
    domain = app.env.get_domain("cite")
    entries = domain.bibdata.data.entries
    listed = {citation.key: citation for citation in domain.citations}

    def named(match: re.Match[str]) -> str:
        small, key = match.groups()
        if key not in entries:
            return match.group()
        name = html.escape(label(entries[key]))
        if (citation := listed.get(key)) is None:
            return small + name
        page = app.builder.get_relative_uri(docname, citation.bibliography_key.docname)
        return f'{small}<a href="{page}#{citation.citation_id}">{name}</a>'

    for raw in list(doctree.findall(nodes.raw)):
        text = raw.astext()
        if TABLE in text:
            raw.replace_self(nodes.raw("", SOURCE.sub(named, text), format=raw["format"]))


def label(entry: Any) -> str:
    """Authors and year of an entry of pybtex: "Shazeer, 2019", "Press and Wolf, 2017"."""
    names = [
        " ".join(map(str, person.rich_prelast_names + person.rich_last_names))
        for person in entry.persons["author"]
    ]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{who}, {entry.fields['year']}"
