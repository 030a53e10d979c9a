"""The book's Sphinx extension; `_config.yml` names it."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from booktools.assets import add_static_files, share
from booktools.downloads import offer_notebook
from booktools.execution import (
    changed_chapters,
    choose_cache,
    prepare_kernels,
    report_failures,
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the parts of the extension to the events of a build."""
    app.connect("config-inited", prepare_kernels)
    app.connect("config-inited", add_static_files)
    app.connect("env-get-outdated", changed_chapters)
    app.connect("source-read", choose_cache)
    app.connect("doctree-read", report_failures)
    app.connect("html-page-context", offer_notebook, priority=400)
    app.connect("html-page-context", share, priority=900)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}
