"""The reference: a page for each module of the library, and one that opens them.

The pages are made from docstrings when the book is built; nothing is imported and nothing is run.
The opening page, `chapters/appendix/reference`, has two directives. `variants` is the table of what
each attention, mixer and stack takes, from `variants.json` beside it, which
`python -m tests.variants` writes. `library-modules` lists the modules with their names.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from booktools.address import page_of, shown_files
from booktools.docstrings import Member, Module, modules
from booktools.sources import label

OPENING = "chapters/appendix/reference"
_KEY = re.compile(r"\b[a-z]+(?:19|20)\d\d[a-z]+\b")
_CODE = re.compile(r"``(.+?)``|`([^`]+)`")
_CHAPTERS = re.compile(r"(?<=Chapter: )[\w-]+|(?<=Chapters: )[\w-]+(?:, [\w-]+)*")
_KINDS = {"attention": "Attentions", "mixer": "Mixers", "stack": "Stacks"}

Link = Callable[[str], str]
"""From a page of the site, such as `reference/frugal.model.html#Decoder`, to its address."""


def page_of_module(name: str) -> str:
    """The page of a module."""
    return f"reference/{name}"


def pages(root: Path) -> list[str]:
    """The pages of all modules of the library below `root`."""
    return [page_of_module(name) for name in library(root)]


@cache
def library(root: Path) -> dict[str, Module]:
    """`modules`, read once a build."""
    return modules(root)


@cache
def places(root: Path) -> dict[str, str]:
    """Where each module, and each public name that only one module has, is told of."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for module in library(root).values():
        page = f"{page_of_module(module.name)}.html"
        found[module.name] = page
        for one in module.members:
            twice |= {one.name} & found.keys()
            found[one.name] = f"{page}#{one.name}"
    return {name: place for name, place in found.items() if name not in twice}


class Marked:
    """Docstrings as HTML: paragraphs, code, links to names, chapters and sources."""

    def __init__(self, app: Sphinx, link: Link) -> None:
        self.link, self.root = link, Path(app.srcdir)
        self.places = places(self.root)
        self.chapters = {
            name.rpartition("/")[2]: (name, title.astext())
            for name, title in app.env.titles.items()
        }
        domain = app.env.get_domain("cite")
        self.entries = domain.bibdata.data.entries
        self.listed = {citation.key: citation for citation in domain.citations}

    def text(self, doc: str) -> str:
        """A whole docstring."""
        return "\n".join(map(self._block, re.split(r"\n\s*\n", doc.strip()))) if doc else ""

    def line(self, text: str) -> str:
        """Words with their code and links."""
        parts, end = [], 0
        for match in _CODE.finditer(text):
            parts.append(self._words(text[end : match.start()]))
            parts.append(self._code(match[1] or match[2]))
            end = match.end()
        return "".join([*parts, self._words(text[end:])])

    def _block(self, block: str) -> str:
        lines = block.split("\n")
        if all(line.startswith("    ") for line in lines):
            return f"<pre>{html.escape(block)}</pre>"
        if all(line.startswith(("- ", "  ")) for line in lines):
            items = re.split(r"(?:^|\n)- ", block)[1:]
            return f"<ul>{''.join(f'<li>{self.line(one)}</li>' for one in items)}</ul>"
        return f"<p>{self.line(block)}</p>"

    def _code(self, code: str) -> str:
        place = self.places.get(code) or self.places.get(code.rpartition(".")[2])
        said = f"<code>{html.escape(code)}</code>"
        return f'<a href="{self.link(place)}">{said}</a>' if place else said

    def _words(self, text: str) -> str:
        return _CHAPTERS.sub(self._chapter, _KEY.sub(self._source, html.escape(text, quote=False)))

    def _chapter(self, match: re.Match[str]) -> str:
        return ", ".join(self.chapter(slug) for slug in match[0].split(", "))

    def chapter(self, slug: str) -> str:
        """A link to the chapter with this file name; the name alone where there is none yet."""
        if slug not in self.chapters:
            return html.escape(slug)
        page, title = self.chapters[slug]
        return f'<a href="{self.link(f"{page}.html")}">{html.escape(title)}</a>'

    def _source(self, match: re.Match[str]) -> str:
        key = match[0]
        if key not in self.entries:
            return key
        name = html.escape(label(self.entries[key]))
        if (citation := self.listed.get(key)) is None:
            return name
        place = f"{citation.bibliography_key.docname}.html#{citation.citation_id}"
        return f'<a href="{self.link(place)}">{name}</a>'


def show_reference(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page of each module."""
    root = Path(app.srcdir)
    marked = Marked(app, lambda place: f"../{place}")
    shown = {path.as_posix() for path in shown_files(app, root)}
    for name, module in library(root).items():
        parts = [
            f"<h1>{html.escape(name).replace('.', '.<wbr>')}</h1>",
            f"<p>{_said_where(module, shown)}</p>",
            marked.text(module.doc),
            _contents(module, marked),
            *(_member(app, one, marked) for one in module.members),
        ]
        body = f'<div class="frugal-reference">{"".join(parts)}</div>'
        context = {"title": name, "body": body, "parents": []}
        yield page_of_module(name), context, "page.html"


def _said_where(module: Module, shown: set[str]) -> str:
    """What leads back, and to the source where the site shows it."""
    back = f'<a href="../{OPENING}.html">Reference</a>'
    code = f"<code>{html.escape(module.path)}</code>"
    if module.path in shown:
        code = f'<a href="../{page_of(Path(module.path))}.html">{code}</a>'
    return f"{back} · {code}"


def _contents(module: Module, marked: Marked) -> str:
    """What the module offers, in short; of a package also the names that its parts have."""
    here = {one.name: f"#{one.name}" for one in module.members}
    known = library_names(marked.root)
    faces = {
        name: marked.link(known[home, name])
        for name, home in module.faces.items()
        if (home, name) in known
    }
    entries = {**faces, **here}
    if len(entries) < 2:
        return ""
    items = "".join(
        f'<li><a href="{place}"><code>{html.escape(name)}</code></a></li>'
        for name, place in entries.items()
    )
    return f'<ul class="frugal-names">{items}</ul>'


@cache
def library_names(root: Path) -> dict[tuple[str, str], str]:
    """(module or package, name) -> where the name is told of, through the faces of packages."""
    found = {
        (module.name, one.name): f"{page_of_module(module.name)}.html#{one.name}"
        for module in library(root).values()
        for one in module.members
    }
    for _ in range(3):  # a face may take from a face
        for module in library(root).values():
            for name, home in module.faces.items():
                if (home, name) in found:
                    found.setdefault((module.name, name), found[(home, name)])
    return found


def _member(app: Sphinx, one: Member, marked: Marked, above: str = "") -> str:
    place = f"{above}{one.name}"
    level = "h3" if above else "h2"
    name = "called as" if one.name in ("forward", "__call__") else one.name
    words = one.kind if not above else one.kind.partition(",")[0]
    kind = f' <small class="frugal-kind">{html.escape(words)}</small>'
    drawn = app.builder.highlighter.highlight_block(one.signature, "python")
    inner = "".join(_member(app, part, marked, f"{place}.") for part in one.members)
    return (
        f'<section id="{place}"><{level}><code>{html.escape(name)}</code>{kind}'
        f'<a class="headerlink" href="#{place}" title="Link to this">#</a></{level}>'
        f"{drawn}{marked.text(one.doc)}{inner}</section>"
    )


class Variants(nodes.General, nodes.Element):
    """Where the table will stand; its links are known when all pages are."""


class LibraryModules(nodes.General, nodes.Element):
    """Where the list of modules will stand."""


class VariantsDirective(SphinxDirective):
    """The `variants` directive."""

    def run(self) -> list[nodes.Node]:
        """Note the table for later."""
        return [_noted(self, Variants())]


class LibraryModulesDirective(SphinxDirective):
    """The `library-modules` directive."""

    def run(self) -> list[nodes.Node]:
        """Note the list for later; its names are there for the search, too."""
        return [_noted(self, LibraryModules())]


def _noted(directive: SphinxDirective, node: nodes.Element) -> nodes.Element:
    pages = directive.env.__dict__.setdefault("frugal_reference_pages", set())
    pages.add(directive.env.docname)
    return node


def rewrite(app: Sphinx, env: Any) -> list[str]:
    """The opening page is written each time: it tells of files that are no pages."""
    return sorted(getattr(env, "frugal_reference_pages", set()) & set(env.found_docs))


def place_reference(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the table and the list where their directives stand."""
    up = "../" * docname.count("/")
    for node in list(doctree.findall(lambda n: isinstance(n, Variants | LibraryModules))):
        marked = Marked(app, lambda place: f"{up}{place}")
        record = Path(app.env.doc2path(docname)).with_name("variants.json")
        made = table(record, marked) if isinstance(node, Variants) else module_list(marked)
        node.replace_self(nodes.raw("", made, format="html"))


def module_list(marked: Marked) -> str:
    """Every module with its first sentence and its public names, by room."""
    whole = library(marked.root)["frugal"]
    parts, room = [f"<ul>{_listed(whole, marked)}</ul>"], ""
    for name, module in library(marked.root).items():
        above = name.split(".")[1] if "." in name else ""
        if above != room:
            parts += ["</ul></details>"] * bool(room)
            said = library(marked.root)[f"frugal.{above}"].doc.partition("\n")[0]
            parts.append(
                f"<details><summary><code>frugal.{above}</code> {marked.line(said)}</summary><ul>"
            )
            room = above
        if name != "frugal":
            parts.append(_listed(module, marked))
    return f'<div class="frugal-modules">{"".join(parts)}</ul></details></div>'


def _listed(module: Module, marked: Marked) -> str:
    place = f"{page_of_module(module.name)}.html"
    names = ", ".join(
        f'<a href="{marked.link(f"{place}#{one.name}")}">{html.escape(one.name)}</a>'
        for one in module.members
    )
    said = f'<a href="{marked.link(place)}"><code>{html.escape(module.name)}</code></a>'
    return f"<li>{said}{': ' if names else ''}{names}</li>"


def table(record: Path, marked: Marked) -> str:
    """The table of variants from what `tests.variants` has written."""
    written = json.loads(record.read_text(encoding="utf-8"))
    columns = written["columns"]
    head = "".join(
        f'<th scope="col" title="{html.escape(says)}">{html.escape(name)}</th>'
        for name, says in columns.items()
    )
    rows = []
    for kind, title in _KINDS.items():
        rows.append(
            f'<tr class="frugal-kind-row"><th scope="rowgroup" colspan="{len(columns) + 1}">'
            f"{title}</th></tr>"
        )
        rows += [_row(row, columns, marked) for row in written["variants"] if row["kind"] == kind]
    return (
        '<div class="frugal-variants" role="region" tabindex="0" aria-label="Variants"><table>'
        f'<thead><tr><th scope="col">variant</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(row: dict[str, Any], columns: dict[str, str], marked: Marked) -> str:
    name, home = html.escape(row["name"]), row["import"]
    place = marked.places.get(home.rpartition(".")[2])
    module, _, last = html.escape(home).rpartition(".")
    link = f"<span>{module.replace('.', '.<wbr>')}.<wbr></span>{last}"
    if place:
        link = f'<a href="{marked.link(place)}">{link}</a>'
    cells = "".join(f"<td>{_cell(row.get(column), column, marked)}</td>" for column in columns)
    return f'<tr><th scope="row">{name}<br><small><code>{link}</code></small></th>{cells}</tr>'


def _cell(value: Any, column: str, marked: Marked) -> str:
    """Yes and no as signs that are read aloud as words; what is refused says why when touched."""
    if value is True or value is False:
        word = "yes" if value else "no"
        sign = "✓" if value else "–"
        return f'<span class="frugal-{word}" role="img" aria-label="{word}">{sign}</span>'
    if value is None:
        return '<span role="img" aria-label="does not apply"> </span>'
    if column == "chapter":
        return marked.chapter(str(value))
    said = f"{value:,}" if isinstance(value, int) else html.escape(str(value))
    return re.sub(r"\^([\d.]+)", r"<sup>\1</sup>", said)


def setup_reference(app: Sphinx) -> None:
    """Add the directives and what fills them in, and the pages of modules."""
    app.add_node(Variants)
    app.add_node(LibraryModules)
    app.add_directive("variants", VariantsDirective)
    app.add_directive("library-modules", LibraryModulesDirective)
    app.connect("env-updated", rewrite)
    app.connect("doctree-resolved", place_reference)
    app.connect("html-collect-pages", show_reference)
