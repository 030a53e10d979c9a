"""One voice: an error is a sentence, a docstring is prose with single backticks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for name in ("lib", "experiments") for path in (ROOT / name).rglob("*.py"))
FOR_PROGRAMS = {"lib/labtools/process.py", "experiments/gpu/callables.py"}
"""Their errors are caught, and no reader sees the words."""
ANOTHER_KIND = re.compile(
    r"^\s*(Args|Arguments|Parameters|Returns|Yields|Raises|Attributes):\s*$|(?<!`)``[^`\n]+``(?!`)",
    re.MULTILINE,
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def said(node: ast.expr) -> str:
    """The words of a string, with {} for what is filled in; "" for what is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(said(part) or "{}" for part in node.values)
    return ""


def errors(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            called = node.exc.func
            if isinstance(called, ast.Name) and called.id == "ValueError":
                yield from filter(None, map(said, node.exc.args[:1]))


def faults(code: str) -> list[str]:
    """Errors that do not end as a sentence does, or that speak in another voice."""
    bad = re.compile(r"[^.}]$|\bneeds? to\b|; it needs\b|, (got|found none) ")
    return [words for words in errors(code) if bad.search(words)]


def test_errors_speak_alike() -> None:
    read = {name_of(path): path.read_text(encoding="utf-8") for path in MODULES}
    found = {name: faults(code) for name, code in read.items()}
    told = {name: words for name, words in found.items() if words}
    assert {name: told[name] for name in told.keys() - FOR_PROGRAMS} == {}


def test_docstrings_are_prose() -> None:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found = []
    for path in MODULES:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        documented = (node for node in nodes if isinstance(node, kinds))
        found += [
            f"{name_of(path)}: {getattr(node, 'name', 'the module')}"
            for node in documented
            if ANOTHER_KIND.search(ast.get_docstring(node) or "")
        ]
    assert found == []


def test_another_voice_is_heard() -> None:
    assert ANOTHER_KIND.search("A sum.\n\nArgs:\n    x: a number.")
    assert ANOTHER_KIND.search("The ``length`` of x.")
    lines = ("n is 0; it needs to be 1.", "n must be 1, got 0.", "n is 0; it must be 1")
    assert faults("\n".join(f"raise ValueError({line!r})" for line in lines)) == list(lines)
    assert faults('raise ValueError(f"n is {n}; it must be 1 or more.")') == []
