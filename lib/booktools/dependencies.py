"""What a chapter's outputs depend on besides its own cells: files of the library and results.

A notebook cache looks at the text of the cells alone, so an edit in `lib/` would leave old outputs
on the page. `fingerprint` names the state of everything else that a chapter imports or reads.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from booktools.imports import ROOTS, home_of, imported
from frugal.show.modules import embedded

_CODE_CELL = re.compile(r"^(`{3,}|:{3,})\{code-cell\}[^\n]*\n(.*?)^\1", re.MULTILINE | re.DOTALL)
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)
_OPTION = re.compile(r"\A(?:---\n.*?^---\n|(?::[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"[\w./-]+\.(?!py\b)\w+")


def fingerprint(chapter: Path, root: Path) -> str:
    """A name for the state of the files that the chapter's outputs depend on.

    Arguments:
        chapter: a MyST notebook.
        root: the repository, which holds `lib/frugal`, `experiments` and `constraints.txt`.
    """
    digest = hashlib.sha256()
    for path in sorted(dependencies(chapter, root)):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def dependencies(chapter: Path, root: Path) -> set[Path]:
    """The files that `fingerprint` reads.

    Imports are followed from module to module. A package that is imported by its own name counts
    with all its modules. With a module count the files beside it whose names it says (a figure's
    script and style, data), and what a script imports. A recorded result counts when the chapter
    says its name.
    """
    text = chapter.read_text(encoding="utf-8")
    code = "\n".join(
        _MAGIC.sub("", _OPTION.sub("", match[2])) for match in _CODE_CELL.finditer(text)
    )
    found = {root / "constraints.txt"} if (root / "constraints.txt").is_file() else set()
    try:
        waiting = list(imported(code, root, package=None))
    except SyntaxError:  # a cell that Python alone cannot read: depend on everything
        waiting = [path for name in ROOTS for path in home_of(root, name).rglob("*.py")]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        code = path.read_text(encoding="utf-8")
        found.update(_loaded(code, path.parent))
        waiting += imported(code, root, package=path.parent)
    words = set(re.findall(r"[\w-]+", text))
    results = (root / "experiments" / "results").glob("*.json")
    return found | {path for path in results if path.stem in words}


def _loaded(code: str, folder: Path) -> Iterator[Path]:
    """The files in `folder` that a module there names in a string: `module = "lever.js"`."""
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if not _FILE_NAME.fullmatch(node.value) or not (folder / node.value).is_file():
            continue
        path = (folder / node.value).resolve()
        yield from embedded(path) if path.suffix == ".js" else [path]
