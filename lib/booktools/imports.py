"""Which files of the repository a piece of Python imports or names, by reading it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOTS = ("frugal", "experiments")
"""The packages whose modules count; all others are pinned."""
_FILE_NAME = re.compile(r"[\w./-]+\.(?!py\b)\w+")


@dataclass(frozen=True)
class Said:
    """What a piece of Python says, as far as it matters here.

    imports: module, names and dots of each, in order; no names where `import` stands alone. loaded:
    the strings that may be what it loads: those that stand in calls of something named `load`, or
    all of them where one of these calls is given what only running it can tell.
    """

    strings: frozenset[str]
    imports: tuple[tuple[str, tuple[str, ...], int], ...]
    loaded: frozenset[str]


@cache
def said(code: str) -> Said:
    """Read code once: most modules are reached from many places. Raises SyntaxError."""
    strings, imports, given = set(), [], []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        elif isinstance(node, ast.Import):
            imports += [(alias.name, (), 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            imports.append((node.module or "", names, node.level))
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", ""), getattr(node.func, "id", "")
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            given += arguments[:1] if "load" in called else []
    names = {getattr(argument, "value", None) for argument in given}
    spelt = all(isinstance(name, str) for name in names)
    return Said(frozenset(strings), tuple(imports), frozenset(names if spelt else strings))


def says_something(module: Path) -> bool:
    """Whether there is more in it than a docstring."""
    body = ast.parse(module.read_text(encoding="utf-8")).body
    words = [isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in body]
    return not all(words)


def reached(module: Path, root: Path) -> set[Path]:
    """The file of a module and those of all that it imports, and they import, and so on.

    Data that one of them names count; scripts and styles do not, which change no number.
    """
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            code = path.read_text(encoding="utf-8")
            data = named(code, path.parent)
            found.update(file for file in data if file.suffix not in (".js", ".css"))
            waiting += imported(code, root, package=path.parent)
    return found


def named(code: str, folder: Path) -> Iterator[Path]:
    """The files in `folder` that a module there names in a string: `module = "lever.js"`."""
    for text in said(code).strings:
        if _FILE_NAME.fullmatch(text) and (folder / text).is_file():
            yield (folder / text).resolve()


def home_of(root: Path, name: str) -> Path:
    """The folder of one of the `ROOTS`."""
    return root / "lib" / name if name == "frugal" else root / name


def imported(code: str, root: Path, package: Path | None) -> Iterator[Path]:
    """The files of the repository that `code` imports. package: the folder it stands in.

    A package counts with its `__init__` alone, which is read in its turn; and with all its modules
    when it is imported by its own name, or for a name that only running it can tell.
    """
    for module, names, dots in said(code).imports:
        parts = module.split(".") if module else []
        if dots and package is not None:
            base = package
            for _ in range(dots - 1):
                base = base.parent
            home = root / "lib" if base.is_relative_to(root / "lib") else root
            parts = [*base.relative_to(home).parts, *parts]
        yield from _files(parts, names, root)


def _files(parts: list[str], names: Sequence[str], root: Path) -> Iterator[Path]:
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
    init = place / "__init__.py"
    bound, table = _names_of(init.read_text(encoding="utf-8")) if init.is_file() else (set(), {})
    for name in names:
        module = place.joinpath(*table.get(name, name).split("."))
        if module.with_suffix(".py").is_file():
            yield module.with_suffix(".py")
        elif (module / "__init__.py").is_file():
            yield module / "__init__.py"
        elif name not in bound:
            yield from place.rglob("*.py")
    if not names:
        yield from place.rglob("*.py")


@cache
def _names_of(init: str) -> tuple[set[str], dict[str, str]]:
    """What the `__init__` of a package binds, and where it finds names that are asked for later.

    The second is a dictionary from names to modules that stands in it: `{"chart": "charts"}`,
    `{"Decoder": "model", "LshAttention": "attention.lsh"}`.
    """
    bound: set[str] = set()
    table: dict[str, str] = {}
    for node in ast.parse(init).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Assign):
            bound |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            if isinstance(node.value, ast.Dict):
                pairs = zip(node.value.keys, node.value.values, strict=True)
                texts = [[getattr(one, "value", None) for one in pair] for pair in pairs]
                table |= {k: v for k, v in texts if isinstance(k, str) and isinstance(v, str)}
    return bound, table
