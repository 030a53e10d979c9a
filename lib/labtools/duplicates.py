"""Answers with the same code: what a teacher may want to see side by side."""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

#: Short answers are alike because there is one way to write them.
LONG = 40  # nodes of the syntax tree
AT_LEAST = 3  # long answers that two notebooks share


def normalised(source: str) -> str:
    """A hash of what code does: comments, layout, docstrings and the names of variables aside.

    Empty for code that is short or no Python.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    if sum(1 for _ in ast.walk(tree)) < LONG:
        return ""
    tree = _Renamed().visit(_without_docstrings(tree))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


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


def answers_by_question(cells: Sequence[str], questions: Sequence[str]) -> dict[str, str]:
    """The code of each question: the cells after the last check and before its own."""
    answers, waiting = {}, []
    for source in cells:
        checked = [name for name in questions if f'.check("{name}")' in source.replace("'", '"')]
        if not checked:
            waiting.append(source)
            continue
        answers[checked[-1]] = "\n".join(waiting)
        waiting = []
    return answers


class _Renamed(ast.NodeTransformer):
    """Variables and arguments by the order in which they appear."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._new(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg, node.annotation = self._new(node.arg), None
        return node

    def _new(self, name: str) -> str:
        return self._names.setdefault(name, f"v{len(self._names)}")


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
            if isinstance(node, ast.FunctionDef):
                node.returns = None
    return tree
