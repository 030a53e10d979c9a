"""What a chapter's outputs depend on besides its own cells: files of the library and results.

A notebook cache looks at the text of the cells alone, so an edit in `lib/` would leave old outputs
on the page. `fingerprint` names the state of everything else that a chapter imports or reads.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from booktools.imports import ROOTS, home_of, imported, named, said, says_something
from frugal.show.modules import embedded

_CODE_CELL = re.compile(r"^(`{3,}|:{3,})\{code-cell\}[^\n]*\n(.*?)^\1", re.MULTILINE | re.DOTALL)
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)
_OPTION = re.compile(r"\A(?:---\n.*?^---\n|(?::[^\n]*\n)+)", re.MULTILINE | re.DOTALL)


def fingerprint(chapter: Path, root: Path) -> str:
    """A name for the state of the files that the chapter's outputs depend on.

    chapter: a MyST notebook. root: the repository, which holds `lib/frugal`, `experiments` and
    `constraints.txt`.
    """
    digest = hashlib.sha256()
    for path in sorted(dependencies(chapter, root)):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(hashlib.sha256(_contents(path)).digest())
    return digest.hexdigest()[:16]


def _contents(path: Path) -> bytes:
    """What a page may show of a file: all but the note that a recorded result was checked."""
    contents = path.read_bytes()
    if path.suffix != ".json" or path.parent.name != "results":
        return contents
    kept = json.loads(contents)
    kept.pop("checked", None)
    return json.dumps(kept, sort_keys=True).encode()


def dependencies(chapter: Path, root: Path) -> set[Path]:
    """The files that `fingerprint` reads.

    Imports are followed from module to module. With a module count the files beside it whose names
    it says (a figure's script and style, data), and what a script imports. A recorded result counts
    when its name is given to `load`, or may be. A package that has a docstring alone gives nothing.
    """
    text = chapter.read_text(encoding="utf-8")
    code = "\n".join(
        _MAGIC.sub("", _OPTION.sub("", match[2])) for match in _CODE_CELL.finditer(text)
    )
    found = {root / "constraints.txt"} if (root / "constraints.txt").is_file() else set()
    results = {path.stem: path for path in (root / "experiments" / "results").glob("*.json")}
    try:
        waiting = list(imported(code, root, package=None))
    except SyntaxError:  # a cell that Python alone cannot read: depend on everything
        waiting = [path for name in ROOTS for path in home_of(root, name).rglob("*.py")]
        code = ""
        found.update(results.values())
    found.update(_recorded(code, results))
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        code = path.read_text(encoding="utf-8")
        found.update(_loaded(code, path.parent), _recorded(code, results))
        waiting += imported(code, root, package=path.parent)
    return {path for path in found if path.name != "__init__.py" or says_something(path)}


def _loaded(code: str, folder: Path) -> Iterator[Path]:
    """The files in `folder` that a module there names, with what a script imports."""
    for path in named(code, folder):
        yield from embedded(path) if path.suffix == ".js" else [path]


def _recorded(code: str, results: dict[str, Path]) -> Iterator[Path]:
    """The results that code may load: `results.load("copying")`."""
    yield from (results[name] for name in results.keys() & said(code).loaded)
