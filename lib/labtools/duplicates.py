"""Answers with the same code: what a teacher may want to see side by side."""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

#: Short answers are alike because there is one way to write them.
LONG = 40  # nodes of the syntax tree
AT_LEAST = 3  # long answers that two notebooks share


def normalised(source: str) -> str:
    """A hash of what code does, whatever its layout, comments, docstrings and annotations, and
    whatever the names that it gives.

    Empty for code that is short, no Python, or nested too deep.
    """
    try:
        tree = ast.parse(source)
        if sum(1 for _ in ast.walk(tree)) < LONG:
            return ""
        tree = _Renamed(_bound(tree)).visit(_without_docstrings(tree))
        return hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def same_code(
    answers: Mapping[str, Mapping[str, str]], handed_out: Sequence[str] = ()
) -> list[tuple[str, str, list[str]]]:
    """Pairs of notebooks that share long answers, and the questions, the most alike first.

    `answers` holds the code of each question by notebook; what was handed out counts as nobody's.
    """
    ours = {normalised(source) for source in handed_out}
    by_code: dict[tuple[str, str], list[str]] = defaultdict(list)
    for notebook, questions in answers.items():
        for question, source in questions.items():
            code = normalised(source)
            if code and code not in ours:
                by_code[question, code].append(notebook)
    shared: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (question, _), notebooks in by_code.items():
        for pair in combinations(sorted(notebooks), 2):
            shared[pair].append(question)
    pairs = [(one, other, found) for (one, other), found in shared.items()]
    return sorted(
        (pair for pair in pairs if len(pair[2]) >= AT_LEAST), key=lambda pair: -len(pair[2])
    )


def answers_by_question(
    cells: Sequence[str], questions: Sequence[str], handed_out: Collection[str] = ()
) -> dict[str, str]:
    """The code of each question: the cells after the last check and before its own.

    Cells that are as they were `handed_out` are left out, the stubs and those that draw.
    """
    answers, waiting = {}, []
    for source in cells:
        checked = [name for name in questions if f'.check("{name}")' in source.replace("'", '"')]
        if checked:
            answers[checked[-1]] = "\n".join(waiting)
            waiting = []
        elif source not in handed_out:
            waiting.append(source)
    return answers


def _bound(tree: ast.Module) -> set[str]:
    """The names that the code itself gives: `sum` and `max` are none of them."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


class _Renamed(ast.NodeTransformer):
    """Names that the code gives, by the order in which they appear."""

    def __init__(self, bound: set[str]) -> None:
        self._new: dict[str, str] = {}
        self._bound = bound

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name):
            node.id = self._named(node.id)
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = self._named(node.arg), None
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            node.name = self._named(node.name)
        return self.generic_visit(node)

    def _named(self, name: str) -> str:
        return self._new.setdefault(name, f"v{len(self._new)}") if name in self._bound else name


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef | ast.Module):
            body = node.body
            is_text = (
                body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            )
            node.body = body[1:] if is_text else body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.returns = None
    return tree
