"""A chapter's notebook elsewhere: a first cell that fetches what it needs, buttons that open it.

Colab opens notebooks from GitHub. The workflow that publishes the site keeps the executed ones on
a branch of their own, `BRANCH`. Binder opens the commit that the site was built from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from sphinx.application import Sphinx

from booktools.project import commit, on_github, project, repository

BRANCH = "notebooks"
FOLDER = "annotated-efficient-transformer"
TAG = "install"
# What the book is built with, and what a place that opens notebooks brings itself.
_LEFT_OUT = ("jupyter", "sphinx", "mini-racer", "ipywidgets", "matplotlib")
_INSTALL = """\
# Fetches the book's library and what this notebook needs, where they are not there yet.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("frugal") is None:
    book = os.path.abspath("{folder}")
    needed = {needed}

    def run(*command):
        subprocess.run(command, check=True)

    if not os.path.exists(book):
        run("git", "init", "-q", book)
        run("git", "-C", book, "fetch", "-q", "--depth", "1", "{url}", "{commit}")
        run("git", "-C", book, "checkout", "-q", "FETCH_HEAD")
    run(sys.executable, "-m", "pip", "install", "-q", *needed)
    sys.path[:0] = [os.path.join(book, "lib"), book]
    os.environ["FRUGAL_RESULTS"] = os.path.join(book, "experiments", "results")
"""
_BY_HAND = """\
# This notebook needs the book's library. In the repository: pip install -e '.[book]'
import frugal
"""


def install_cell(root: Path) -> str:
    """What a chapter's notebook runs first."""
    url = repository(root)
    if not url:
        return _BY_HAND.rstrip()
    told = project(root)
    lines = [*told["dependencies"], *told["optional-dependencies"]["book"]]
    needed = ", ".join(f'"{line}"' for line in lines if not line.startswith(_LEFT_OUT))
    return _INSTALL.format(
        folder=FOLDER, url=url, commit=commit(root), needed=f"[{needed}]"
    ).rstrip()


def with_install_cell(notebook: dict[str, Any], source: str) -> dict[str, Any]:
    """The notebook with one cell more, before all others."""
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": TAG,
        "metadata": {"tags": [TAG]},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }
    if (notebook["nbformat"], notebook["nbformat_minor"]) < (4, 5):
        del cell["id"]
    return {**notebook, "cells": [cell, *notebook["cells"]]}


def buttons(root: Path, pagename: str) -> list[dict[str, str]]:
    """The buttons of a page; none unless the repository is on GitHub."""
    place = on_github(root)
    if not place:
        return []
    binder = quote(f"lab/tree/{pagename}.md", safe="")
    colab = f"https://colab.research.google.com/github/{place}/blob/{BRANCH}/{pagename}.ipynb"
    urls = {
        "Colab": colab,
        "Binder": f"https://mybinder.org/v2/gh/{place}/{commit(root)}?urlpath={binder}",
    }
    return [
        {"type": "link", "text": name, "tooltip": f"Run it on {name}", "url": url}
        | {"icon": "fas fa-play"}
        for name, url in urls.items()
    ]


def offer_launch(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Put the buttons at the top of each page with cells."""
    if doctree is None or "ipynb_source" not in context:
        return
    if found := buttons(Path(app.srcdir), pagename):
        context["header_buttons"].append(
            {
                "type": "group",
                "tooltip": "Run this page elsewhere",
                "icon": "fas fa-rocket",
                "buttons": found,
                "label": "launch-buttons",
            }
        )
