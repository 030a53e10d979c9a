"""How the build runs chapters: in which environment, from which cache, and what a failure says."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from myst_nb.core.read import create_nb_reader
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

from booktools.ahead import execute_ahead
from booktools.dependencies import fingerprint
from frugal.show.site import SITE_VARIABLE

logger = logging.getLogger(__name__)

_KEPT_STATES = 3
_ENVIRONMENT = {
    SITE_VARIABLE: "1",  # figures show themselves as static HTML
    "TQDM_DISABLE": "1",  # a progress bar is of no use on a page; see _KERNEL_CONFIG
    "OMP_NUM_THREADS": "1",  # on a busy small machine more threads make tiny operations slower
    "PYTHONHASHSEED": "0",
    "TORCH_CPP_LOG_LEVEL": "ERROR",  # torch's profiler warns of tensors that it has not seen made
}

# The book's own profile: what the reader starts IPython with stays out of the book, and a kernel
# does not warn about connections that never leave this machine. In a notebook tqdm draws a widget
# and passes over TQDM_DISABLE, so it is told here as well.
_KERNEL_CONFIG = """\
c = get_config()  # noqa: F821
c.IPKernelApp.log_level = 40
c.IPKernelApp.exec_lines = [
    "import functools as _f, tqdm.notebook as _t",
    "_t.tqdm.__init__ = _f.partialmethod(_t.tqdm.__init__, disable=True)",
    "del _f, _t",
]
"""


def prepare_kernels(app: Sphinx, config: Config) -> None:
    """Set the variables that kernels inherit."""
    profile = Path(app.outdir).parent / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(_KERNEL_CONFIG, encoding="utf-8")
    os.environ.update(_ENVIRONMENT, IPYTHONDIR=str(profile.parent))


def changed_chapters(app: Sphinx, env: Any, added: set, changed: set, _: set) -> list[str]:
    """Documents to read again because something that they depend on has changed.

    Of these and of those that Sphinx reads anyway, what is not in the cache is executed first.
    """
    before = getattr(env, "frugal_fingerprints", {})
    env.frugal_fingerprints = {
        name: fingerprint(Path(env.doc2path(name)), Path(app.srcdir))
        for name in env.found_docs
        if env.doc2path(name).endswith(".md")
    }
    now = env.frugal_fingerprints
    listed = getattr(env, "frugal_references", None)
    env.frugal_references = _references(Path(app.srcdir), [env.doc2path(name) for name in now])
    renumbered = listed not in (None, env.frugal_references)
    moved = [n for n in now if n in before and (renumbered or now[n] != before[n])]
    chapters = [
        (env.doc2path(name), str(_cache_of(app, name)))
        for name in sorted({*added, *changed, *moved} & set(now))
        if not _is_kept(env.doc2path(name), _cache_of(app, name), env)
    ]
    execute_ahead(chapters, env.myst_config, env.mystnb_config)
    return moved


def _references(root: Path, pages: list[str]) -> str:
    """What decides the numbers in the list of references, to which every citation leads."""
    cited = re.findall(
        r"\{cite:\w+\}`([^`]+)`", "".join(Path(page).read_text(encoding="utf-8") for page in pages)
    )
    keys = {key.strip() for group in cited for key in group.split(",")}
    return (root / "references.bib").read_text(encoding="utf-8") + " ".join(sorted(keys))


def choose_cache(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the document a cache of its own for the present state of what it depends on."""
    if docname not in app.env.frugal_fingerprints:
        return
    path = _cache_of(app, docname)
    app.env.mystnb_config = app.env.mystnb_config.copy(execution_cache_path=str(path))
    if path.is_dir():
        os.utime(path)
    if path.parent.is_dir():
        others = [other for other in path.parent.iterdir() if other != path]
        for old in sorted(others, key=lambda other: other.stat().st_mtime)[: 1 - _KEPT_STATES]:
            shutil.rmtree(old)


def _is_kept(path: str, cache: Path, env: Any) -> bool:
    """Whether nothing is to be executed: the cache holds these cells, or there are none.

    What a chapter depends on names its cache; its own cells are compared here.
    """
    text = Path(path).read_text(encoding="utf-8")
    reader = create_nb_reader(path, env.myst_config, env.mystnb_config, text)
    cells = [] if reader is None else [_source(cell) for cell in _code_cells(reader.read(text))]
    kept = (
        json.loads(it.read_text(encoding="utf-8")) for it in cache.glob("executed/*/base.ipynb")
    )
    return not cells or any([_source(cell) for cell in _code_cells(it)] == cells for it in kept)


def _cache_of(app: Sphinx, docname: str) -> Path:
    home = Path(app.outdir).parent / ".jupyter_cache" / docname.replace("/", "__")
    return home / app.env.frugal_fingerprints[docname]


def keep_outputs(app: Sphinx, doctree: Any) -> None:
    """Put what the cells gave into the notebook that the page offers.

    What comes from the cache reaches the page, but not the file that is written beside it.
    """
    docname = app.env.docname
    path = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
    if docname not in app.env.frugal_fingerprints or not path.is_file():
        return
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = _code_cells(notebook)
    for kept in _cache_of(app, docname).glob("executed/*/base.ipynb"):
        ran = _code_cells(json.loads(kept.read_text(encoding="utf-8")))
        if [_source(cell) for cell in ran] == [_source(cell) for cell in cells]:
            for cell, done in zip(cells, ran, strict=True):
                cell |= {name: done[name] for name in ("outputs", "execution_count")}
            text = json.dumps(notebook, indent=1, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def report_failures(app: Sphinx, doctree: Any) -> None:
    """Say which cell failed. A figure that fails to draw itself counts: its cell does not stop."""
    docname = app.env.docname
    path = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
    if docname not in app.env.frugal_fingerprints or not path.is_file():
        return
    code = _code_cells(json.loads(path.read_text(encoding="utf-8")))
    for number, cell in enumerate(code, start=1):
        if "raises-exception" in cell["metadata"].get("tags", []):
            continue
        first = "".join(cell["source"]).strip().partition("\n")[0]
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                problem = f"{output['ename']}: {output['evalue']}"
                logger.warning(
                    "code cell %d, which starts with %r, failed with %s",
                    *(number, first, problem),
                    location=docname,
                )
