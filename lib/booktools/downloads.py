"""The executed notebook behind each chapter, with a cell that installs what it needs, for the
theme's download button."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from booktools.assets import write_changed
from booktools.launching import install_cell, with_install_cell


def offer_notebook(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put the executed notebook beside the page's source and tell the theme about it."""
    if doctree is None or "kernelspec" not in app.env.metadata.get(pagename, {}):
        return
    executed = Path(app.outdir).parent / "jupyter_execute" / f"{pagename}.ipynb"
    if not executed.is_file():
        return
    offered = Path(app.outdir) / "_sources" / f"{pagename}.ipynb"
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    whole = with_install_cell(notebook, install_cell(Path(app.srcdir)))
    write_changed(offered, f"{json.dumps(whole, indent=1, ensure_ascii=False)}\n".encode())
    context["ipynb_source"] = f"{pagename}.ipynb"
