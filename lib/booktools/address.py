"""A chapter's address: where its method, figure, experiment, bench, tests and lab live.

The chapter's front matter says it, `lives: {library: ..., figure: ..., ...}`. Here it becomes a
card below the title, and every file that a card names becomes a page of the site, so that a reader
gets from the equation to the code, and from there to its test, without leaving it.
"""

from __future__ import annotations

import html
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx

KINDS = {
    "library": "Library",
    "figure": "Figure",
    "experiment": "Experiment",
    "bench": "Benchmark",
    "tests": "Tests",
    "lab": "Lab",
}
_LANGUAGES = {".py": "python", ".js": "javascript", ".css": "css"}


def address(chapter: Path) -> dict[str, list[str]]:
    """What the front matter says under `lives`, each kind as a list; {} where it says nothing.

    Raises ValueError for a kind that is none of `KINDS`.
    """
    text = chapter.read_text(encoding="utf-8")
    if not text.startswith("---\n"):
        return {}
    said = (yaml.safe_load(text.split("\n---\n", 1)[0]) or {}).get("lives", {})
    for kind in said:
        if kind not in KINDS:
            raise ValueError(f"lives has {kind!r}; it must be one of {', '.join(KINDS)}.")
    return {kind: [said[kind]] if isinstance(said[kind], str) else said[kind] for kind in said}


def files_of(kind: str, entry: str, root: Path) -> list[PurePosixPath]:
    """The files behind an entry of a card, relative to `root`; none when nothing lives there."""
    if kind in ("library", "figure"):
        home = root / "lib" / Path(*entry.split("."))
        found = [home.with_suffix(".py")]
        if home.is_dir():
            found = [path for path in sorted(home.iterdir()) if path.suffix in _LANGUAGES]
    elif kind == "experiment":
        found = [path for path in (root / "experiments").rglob(f"{entry}.py") if _is_run(path)]
    elif kind == "bench":
        found = [root / "experiments" / "bench" / f"{entry}.py"]
    elif kind == "lab":
        found = [root / "labs" / f"{entry}.ipynb"]
    else:
        found = [root / entry]
    kept = [path for path in found if path.is_file() and path.stat().st_size]
    return [PurePosixPath(path.relative_to(root)) for path in kept]


def _is_run(path: Path) -> bool:
    """A module of `experiments` that records something, not a bench of the same name."""
    return path.parent.name != "bench"


def add_card(app: Sphinx, doctree: nodes.document) -> None:
    """Put the card of a chapter below its title."""
    chapter = Path(app.env.doc2path(app.env.docname))
    said = address(chapter) if chapter.suffix == ".md" else {}
    title = next(iter(doctree.findall(nodes.title)), None)
    if not said or title is None:
        return
    up = "../" * app.env.docname.count("/")
    card = _card(said, Path(app.srcdir), up)
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", card, format="html"))


def _card(said: dict[str, list[str]], root: Path, up: str) -> str:
    rows = []
    for kind, entries in said.items():
        cells = "<br>".join(
            _cell(kind, entry, files_of(kind, entry, root), up) for entry in entries
        )
        rows.append(f"<dt>{KINDS[kind]}</dt><dd>{cells}</dd>")
    return (
        '<details class="frugal-address"><summary>Where it lives</summary>'
        f"<dl>{''.join(rows)}</dl></details>"
    )


def _cell(kind: str, entry: str, files: list[PurePosixPath], up: str) -> str:
    """An entry as a link to its file; a folder as its name and a link to each file."""
    name = f"<code>{html.escape(entry)}</code>"
    if len(files) == 1:
        return _link(files[0], up, name) + _command(kind, entry)
    return " · ".join([name, *(_link(path, up, path.name) for path in files)])


def _command(kind: str, entry: str) -> str:
    command = {"experiment": "experiments run", "bench": "experiments.bench"}.get(kind)
    return f" <code>python -m {command} {html.escape(entry)}</code>" if command else ""


def _link(path: PurePosixPath, up: str, name: str) -> str:
    if path.suffix == ".ipynb":
        return f'<a href="{up}_sources/{path}" download>{name}</a>'
    return f'<a href="{up}{page_of(path)}.html">{name}</a>'


def page_of(path: PurePosixPath) -> str:
    """The page that shows a file."""
    return f"code/{path}"


def show_files(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for each file that a card names; labs are copied to be downloaded."""
    root = Path(app.srcdir)
    for path, chapters in sorted(shown_files(app, root).items()):
        source = root / path
        if path.suffix == ".ipynb":
            target = Path(app.outdir) / "_sources" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            continue
        up = "../" * page_of(path).count("/")
        back = ", ".join(
            f'<a href="{up}{name}.html">{app.env.titles[name].astext()}</a>' for name in chapters
        )
        code = app.builder.highlighter.highlight_block(
            source.read_text(encoding="utf-8"), _LANGUAGES[path.suffix], linenos="inline"
        )
        body = f"<h1>{path.name}</h1><p><code>{path}</code>, part of {back}.</p>{code}"
        yield page_of(path), {"title": str(path), "body": body, "parents": []}, "page.html"


def shown_files(app: Sphinx, root: Path) -> dict[PurePosixPath, list[str]]:
    """Every file of every card, and the chapters whose cards name it."""
    shown: dict[PurePosixPath, list[str]] = {}
    for name in sorted(app.env.found_docs):
        chapter = Path(app.env.doc2path(name))
        for kind, entries in (address(chapter) if chapter.suffix == ".md" else {}).items():
            for path in (path for entry in entries for path in files_of(kind, entry, root)):
                if name not in shown.setdefault(path, []):
                    shown[path].append(name)
    return shown
