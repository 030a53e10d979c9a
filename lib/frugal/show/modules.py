"""One ES module and what it imports, as one JavaScript expression.

A figure's module is a plain ES module that an editor and Node understand. It has to travel inside
a notebook or a page, where a relative import has nothing to resolve against, so the files it
imports are put in its place: every module becomes a function that is called once and gives its
exports.

Understood, each statement starting its line:

    import { a, b as c } from "./other.js";    … from "../../show/controls.js";
    export function …    export async function …    export class …    export const …
    export { a, b };
    export default …
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(
    r"""^import\s*\{(?P<names>[^}]*)\}\s*from\s*(?P<quote>["'])(?P<path>\.{1,2}/[^"']+)(?P=quote)\s*;?""",
    re.MULTILINE,
)
_DECLARATION = re.compile(
    r"^export\s+(?P<declaration>(?:async\s+)?function\s*\*?\s*|class\s+|const\s+|let\s+)(?P<name>[\w$]+)",
    re.MULTILINE,
)
_LIST = re.compile(r"^export\s*\{(?P<names>[^}]*)\}\s*;?", re.MULTILINE)
_DEFAULT = re.compile(r"^export\s+default\s+", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def bundle(path: Path) -> str:
    """The module at `path` as an expression whose value is an object of its exports.

    A module that several others import is in it once. Raises ValueError when a file is missing,
    when modules import each other in a circle, and for a form of import or export that is not in
    the list above.
    """
    functions: dict[Path, str] = {}  # in the order in which they have to be called
    name = _add(path.resolve(), (), functions)
    body = "\n".join(functions.values())
    return f'(() => {{\n"use strict";\n{body}\nreturn {name};\n}})()'


def embedded(path: Path) -> set[Path]:
    """The files that `bundle` reads: the module at `path`, and what it imports, near and far."""
    found: set[Path] = set()
    waiting = [path.resolve()]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            imports = _IMPORT.finditer(module.read_text(encoding="utf-8"))
            waiting += [(module.parent / match["path"]).resolve() for match in imports]
    return found


def _add(path: Path, importers: tuple[Path, ...], functions: dict[Path, str]) -> str:
    """Put a module into `functions`, after what it imports; the name of its exports there."""
    if path in functions:
        return f"module{list(functions).index(path)}"
    if not path.is_file():
        raise ValueError(f"module is {path}, which is not a file; it needs an ES module's path.")
    if path in importers:
        raise ValueError(f"{path.name} imports itself by way of {importers[-1].name}.")
    exports: list[str] = []

    def imported(match: re.Match[str]) -> str:
        names = re.sub(r"\s+as\s+", ": ", " ".join(match["names"].split()))
        other = (path.parent / match["path"]).resolve()
        return f"const {{ {names} }} = {_add(other, (*importers, path), functions)};"

    def declared(match: re.Match[str]) -> str:
        exports.append(match["name"])
        return match["declaration"] + match["name"]

    def listed(match: re.Match[str]) -> str:
        for item in filter(None, (part.strip() for part in match["names"].split(","))):
            local, _, public = item.partition(" as ")
            exports.append(f"{public.strip()}: {local.strip()}" if public else local.strip())
        return ""

    source = path.read_text(encoding="utf-8")
    source = _DECLARATION.sub(declared, source)
    source = _LIST.sub(listed, source)
    if _DEFAULT.search(source):
        exports.append("default: default_")
        source = _DEFAULT.sub("const default_ = ", source, count=1)
    remaining = _LEFT_OVER.search(_IMPORT.sub("", source))
    if remaining:
        raise ValueError(
            f"{path.name} says {remaining.group(0)!r}, a form of import or export that "
            "frugal.show.modules does not embed; its docstring lists those it does."
        )
    source = _IMPORT.sub(imported, source)
    name = f"module{len(functions)}"
    body = f"{source.strip()}\nreturn {{ {', '.join(exports)} }};"
    functions[path] = f"const {name} = (() => {{\n{body}\n}})();"
    return name
