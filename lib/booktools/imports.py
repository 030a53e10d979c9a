"""Which files of the repository a piece of Python imports, by reading it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOTS = ("frugal", "experiments")
"""The packages whose modules count; all others are pinned."""


def reached(module: Path, root: Path) -> set[Path]:
    """The file of a module and those of all that it imports, and they import, and so on."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported(path.read_text(encoding="utf-8"), root, package=path.parent)
    return found


def home_of(root: Path, name: str) -> Path:
    """The folder of one of the `ROOTS`."""
    return root / "lib" / name if name == "frugal" else root / name


def imported(code: str, root: Path, package: Path | None) -> Iterator[Path]:
    """The files of the repository that `code` imports. package: the folder it stands in."""
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
    if not parts or parts[0] not in ROOTS:
        return
    place = home_of(root, parts[0])
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
