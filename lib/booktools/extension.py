"""The book's Sphinx extension; `_config.yml` names it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from booktools.address import add_card, show_files
from booktools.assets import add_static_files, share
from booktools.captions import add_captions
from booktools.cards import setup_cards
from booktools.copying import keep_imports, offer_copying
from booktools.downloads import offer_notebook
from booktools.execution import (
    changed_chapters,
    choose_cache,
    keep_outputs,
    prepare_kernels,
    report_failures,
)
from booktools.folding import put_code_last
from booktools.formulas import setup_formulas
from booktools.launching import offer_launch
from booktools.previews import show_previews
from booktools.progress import offer_progress
from booktools.reference import setup_reference
from booktools.search import write_sentences
from booktools.sharing import describe, write_answers
from booktools.solutions import leave_out, leave_out_of_sources, with_solutions
from booktools.sources import name_sources
from booktools.stylesheet import leave_sheets, use_templates, write_sheet
from booktools.tables import set_tables
from booktools.terms import setup_terms
from frugal.show.site import figure_style


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the parts of the extension to the events of a build."""
    # Pages are written again when this extension or what it puts on them has changed.
    app.add_config_value("booktools_state", _state(), "html")
    app.add_config_value("booktools_solutions", with_solutions(), "env")
    setup_formulas(app)
    setup_cards(app)
    setup_reference(app)
    setup_terms(app)
    app.connect("config-inited", prepare_kernels)
    app.connect("config-inited", use_templates)
    app.connect("config-inited", add_static_files)
    app.connect("env-get-outdated", changed_chapters)
    app.connect("source-read", choose_cache)
    app.connect("source-read", leave_out)
    app.connect("doctree-read", keep_outputs)
    app.connect("doctree-read", report_failures)
    app.connect("doctree-read", add_card)
    app.connect("doctree-read", set_tables)
    app.connect("doctree-resolved", name_sources)
    app.connect("doctree-resolved", add_captions)
    app.connect("doctree-resolved", keep_imports)
    app.connect("doctree-resolved", put_code_last)
    app.connect("html-collect-pages", show_files)
    app.connect("html-page-context", offer_notebook, priority=400)
    app.connect("html-page-context", offer_launch, priority=510)
    app.connect("html-page-context", share, priority=900)
    app.connect("html-page-context", offer_copying, priority=903)
    app.connect("html-page-context", offer_progress, priority=905)
    app.connect("html-page-context", show_previews, priority=910)
    app.connect("html-page-context", write_sentences, priority=915)
    app.connect("html-page-context", describe, priority=920)
    app.connect("html-page-context", leave_sheets, priority=950)
    app.connect("build-finished", write_sheet, priority=900)  # the theme writes one more before
    app.connect("build-finished", write_answers)
    app.connect("build-finished", leave_out_of_sources)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}


def _state() -> str:
    digest = hashlib.sha256(figure_style().encode())
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in {".py", ".css", ".js", ".svg", ".html"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
