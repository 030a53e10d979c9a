"""What the library's modules say of themselves, by reading them: nothing is imported.

A signature stands as it was written, so the shapes in it are readable:
`Float[Tensor, 'batch heads length head_dim']`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WIDE = 60
_SPECIAL = ("forward", "__call__")
"""Methods with a name of torch's or Python's that callers use without saying it."""


@dataclass(frozen=True)
class Member:
    """A public class, function, method or value. doc: "" where it says nothing."""

    name: str
    kind: str
    signature: str
    doc: str
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Module:
    """name: with its packages. path: below the root. faces: name -> the module it comes from."""

    name: str
    path: str
    doc: str
    members: tuple[Member, ...]
    faces: dict[str, str]


def modules(root: Path) -> dict[str, Module]:
    """Every public module of the library below the repository's `root`, by name, in order."""
    library = root / "lib" / "frugal"
    found = [read(path, root) for path in library.rglob("*.py") if path.stem != "__main__"]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def read(path: Path, root: Path) -> Module:
    """One module."""
    parts = path.relative_to(root / "lib").with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree) or ""
    below = path.relative_to(root).as_posix()
    return Module(name, below, doc, tuple(_members(tree.body)), _faces(tree, name))


def _members(body: list[ast.stmt], *, of_a_class: bool = False) -> Iterator[Member]:
    for statement, after in zip(body, [*body, None][1:], strict=True):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            if _public(statement.name):
                yield _function(statement, of_a_class=of_a_class)
        elif isinstance(statement, ast.ClassDef):
            if _public(statement.name):
                yield _class(statement)
        elif not of_a_class and (name := _assigned(statement)) and (said := _said_after(after)):
            value = ast.unparse(statement)
            yield Member(name, "value", value if len(value) <= 2 * _WIDE else f"{name} = ...", said)


def _public(name: str) -> bool:
    return not name.startswith("_") or name in _SPECIAL


def _assigned(statement: ast.stmt) -> str:
    """The one public name that is given a value; "" for anything else."""
    target = statement.target if isinstance(statement, ast.AnnAssign) else None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    return target.id if isinstance(target, ast.Name) and _public(target.id) else ""


def _said_after(statement: ast.stmt | None) -> str:
    """The text below an assignment, which tells what it is."""
    value = getattr(statement, "value", None) if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, *, of_a_class: bool) -> Member:
    decorators = {ast.unparse(one) for one in node.decorator_list}
    doc = ast.get_docstring(node) or ""
    if "property" in decorators or "cached_property" in decorators:
        kind, said = "property", node.name
        if node.returns is not None:
            said += f": {ast.unparse(node.returns)}"
        return Member(node.name, kind, said, doc)
    bound = of_a_class and "staticmethod" not in decorators
    kind = "method" if of_a_class else "function"
    return Member(node.name, kind, signature(node.name, node, bound=bound), doc)


def _class(node: ast.ClassDef) -> Member:
    inside = tuple(_members(node.body, of_a_class=True))
    made = next((one for one in node.body if getattr(one, "name", "") == "__init__"), None)
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign)]
    fields = [one for one in fields if "ClassVar" not in ast.unparse(one.annotation)]
    if isinstance(made, ast.FunctionDef):
        said = signature(node.name, made, bound=True)
    elif fields and _has_fields(node):
        said = _laid_out(node.name, [ast.unparse(one) for one in fields], "")
    else:
        said = node.name
    bases = [ast.unparse(base) for base in node.bases]
    kind = f"class, a {', '.join(bases)}" if bases else "class"
    doc = ast.get_docstring(node) or ""
    return Member(node.name, kind, said, doc, tuple(one for one in inside if one.kind != "class"))


def _has_fields(node: ast.ClassDef) -> bool:
    decorators = " ".join(ast.unparse(one) for one in node.decorator_list)
    return "dataclass" in decorators or any(
        ast.unparse(base) in ("NamedTuple", "Protocol", "TypedDict") for base in node.bases
    )


def signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, *, bound: bool) -> str:
    """`name(a: int, *, b: str = 'x') -> int`, a line for each argument where it is long.

    bound: leave out the first argument, which is `self` or the class.
    """
    given = node.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + list(given.defaults)
    parts = [_argument(one, value) for one, value in zip(plain, defaults, strict=True)]
    parts = parts[1:] if bound else parts
    if given.vararg:
        parts.append(f"*{_argument(given.vararg, None)}")
    elif given.kwonlyargs:
        parts.append("*")
    parts += [
        _argument(one, value)
        for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.kwarg:
        parts.append(f"**{_argument(given.kwarg, None)}")
    back = "" if node.returns is None or node.name == "__init__" else ast.unparse(node.returns)
    return _laid_out(name, parts, f" -> {back}" if back else "")


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    said = argument.arg
    if argument.annotation is not None:
        said += f": {ast.unparse(argument.annotation)}"
    if default is None:
        return said
    equals = " = " if argument.annotation is not None else "="
    return f"{said}{equals}{ast.unparse(default)}"


def _laid_out(name: str, parts: list[str], back: str) -> str:
    whole = f"{name}({', '.join(parts)}){back}"
    if len(whole) <= _WIDE or not parts:
        return whole
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){back}"])


def _faces(tree: ast.Module, name: str) -> dict[str, str]:
    """Names that a package takes from its parts and lists in `__all__` or in a table."""
    listed = {
        element.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        if isinstance(node.value, ast.List)
        for element in node.value.elts
        if isinstance(element, ast.Constant)
    }
    found = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if (alias.asname or alias.name) in listed and node.module.startswith("frugal")
    }
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOME":
            table = ast.literal_eval(node.value)
            found |= {one: f"{name}.{home}" for one, home in table.items() if one[0] != "_"}
    return dict(sorted(found.items()))
