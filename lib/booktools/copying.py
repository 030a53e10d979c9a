"""What is copied with a cell: the imports that it needs and that earlier cells made.

They stand in a `template` beside the cell's code; `static/copy.js` puts them before it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_UNTOLD = '<summary aria-label="Toggle hidden content">'
_MAGIC = re.compile(r"(?m)^\s*[%!].*$")


def imports_needed(cells: Iterable[str]) -> list[list[str]]:
    """For each cell, the lines that import what it uses and what cells before it imported.

    A name that a cell binds anew is that cell's from then on. A cell that is no Python needs and
    gives nothing.
    """
    known: dict[str, tuple[str, str, str]] = {}
    needed = []
    for source in cells:
        tree = _parsed(source)
        own = {name for node in tree.body for name in _bound(node)}
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        needed.append(_lines([told for name, told in known.items() if name in used - own]))
        for node in tree.body:
            for name in _bound(node):
                known.pop(name, None)
        known |= {name: told for node in tree.body for name, told in _imported(node)}
    return needed


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(_MAGIC.sub("", source))
    except SyntaxError:
        return ast.Module([], [])


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a cell binds, also by importing them."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
        return
    yield from (name for name, _ in _imported(node))
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


def _imported(node: ast.stmt) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """name -> (module it comes from, what it is called there, what it is called here)."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            yield name, ("", alias.name, alias.asname or "")
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            yield alias.asname or alias.name, (node.module, alias.name, alias.asname or "")


def _lines(told: list[tuple[str, str, str]]) -> list[str]:
    """Whole modules first, then a line for each module that names come from."""
    lines: list[str] = []
    names: dict[str, list[str]] = {}
    for module, name, here in told:
        words = f"{name} as {here}" if here else name
        if module:
            names.setdefault(module, []).append(words)
        else:
            lines.append(f"import {words}")
    return [*lines, *(f"from {home} import {', '.join(some)}" for home, some in names.items())]


def keep_imports(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put its imports beside the code of each cell that needs some."""
    page = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
    if app.builder.format != "html" or not page.is_file():
        return
    sources = _sources(json.loads(page.read_text(encoding="utf-8")))
    waiting = iter(zip(sources, imports_needed(sources), strict=True))
    for block in list(doctree.findall(_is_input)):
        code = block.astext().strip()
        needed = next((lines for source, lines in waiting if source.strip() == code), [])
        if needed:
            told = f"<template data-imports>{escape(chr(10).join(needed))}</template>"
            block.parent.insert(0, nodes.raw("", told, format="html"))


def _is_input(node: nodes.Node) -> bool:
    parent = node.parent
    return isinstance(node, nodes.literal_block) and "cell_input" in parent.get("classes", [])


def _sources(notebook: dict[str, Any]) -> list[str]:
    return ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]


def offer_copying(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the script to pages with code; folded code is called what it is, and not "content"."""
    body = context.get("body")
    if isinstance(body, str) and '<div class="highlight' in body:
        context["body"] = body.replace(_UNTOLD, "<summary>")
        app.add_js_file("copy.js", loading_method="defer")
