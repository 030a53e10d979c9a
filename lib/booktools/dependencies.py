"""What a chapter's outputs depend on besides its own cells: files of the library and results.

A notebook cache looks at the text of the cells alone, so an edit in `lib/` would leave old outputs
on the page. `fingerprint` names the state of everything else that a chapter imports or reads.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from frugal.show.modules import embedded

_CODE_CELL = re.compile(r"^(`{3,}|:{3,})\{code-cell\}[^\n]*\n(.*?)^\1", re.MULTILINE | re.DOTALL)
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)
_OPTION = re.compile(r"\A(?:---\n.*?^---\n|(?::[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"[\w./-]+\.(?!py\b)\w+")
_ROOTS = ("frugal", "experiments")


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
        waiting = list(_imported(code, root, package=None))
    except SyntaxError:  # a cell that Python alone cannot read: depend on everything
        waiting = [path for name in _ROOTS for path in _home(root, name).rglob("*.py")]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        code = path.read_text(encoding="utf-8")
        found.update(_loaded(code, path.parent))
        waiting += _imported(code, root, package=path.parent)
    words = set(re.findall(r"[\w-]+", text))
    results = (root / "experiments" / "results").glob("*.json")
    return found | {path for path in results if path.stem in words}


def _home(root: Path, name: str) -> Path:
    return root / "lib" / name if name == "frugal" else root / name


def _loaded(code: str, folder: Path) -> Iterator[Path]:
    """The files in `folder` that a module there names in a string: `module = "lever.js"`."""
    for node in ast.walk(ast.parse(code)):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if not _FILE_NAME.fullmatch(node.value) or not (folder / node.value).is_file():
            continue
        path = (folder / node.value).resolve()
        yield from embedded(path) if path.suffix == ".js" else [path]


def _imported(code: str, root: Path, package: Path | None) -> Iterator[Path]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name.split("."), [], root)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level and package is not None:
                base = package
                for _ in range(node.level - 1):
                    base = base.parent
                home = root / "lib" if base.is_relative_to(root / "lib") else root
                parts = [*base.relative_to(home).parts, *parts]
            yield from _files(parts, [alias.name for alias in node.names], root)


def _files(parts: list[str], names: Iterable[str], root: Path) -> Iterator[Path]:
    """The files behind `from a.b import names` (or `import a.b`, without names)."""
    if not parts or parts[0] not in _ROOTS:
        return
    place = _home(root, parts[0])
    for part in parts[1:]:
        if (place / "__init__.py").is_file():
            yield place / "__init__.py"
        place = place / part
    if place.with_suffix(".py").is_file():
        yield place.with_suffix(".py")
        return
    if not place.is_dir():
        return
    if (place / "__init__.py").is_file():
        yield place / "__init__.py"
    submodules = [place / f"{name}.py" for name in names]
    if submodules and all(path.is_file() for path in submodules):
        yield from submodules
    else:
        yield from place.rglob("*.py")
