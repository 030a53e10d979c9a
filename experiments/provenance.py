"""Where a recorded number comes from: the files that made it, the commit, the processor."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

from booktools.imports import reached


def fingerprint(module: Path, root: Path) -> str:
    """16 digits that change with any file that can change what an experiment gives.

    These are the experiment's module, what it imports from the repository `root` and what that
    imports, and constraints.txt, which pins everything else. Of a Python file the code counts:
    its comments and docstrings, and how its lines break, change no number.
    """
    files = reached(module.resolve(), root.resolve())
    return fingerprint_of_files(
        files | ({root / "constraints.txt"} & set(root.glob("*.txt"))), root
    )


def fingerprint_of_files(files: Iterable[Path], root: Path) -> str:
    """16 digits that change with the code, and with the places below `root`, of the files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.resolve().relative_to(root.resolve()).as_posix()}\n".encode())
        content = code_of(path) if path.suffix == ".py" else path.read_bytes()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def code_of(path: Path) -> bytes:
    """What a Python file says to the interpreter: no comments, no docstrings."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree).encode()


def processor() -> str:
    """The name of the processor, as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit(root: Path) -> str:
    """The commit of the code, with a word on changes since; "unknown" outside a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        found = git("rev-parse", "--short=10", "HEAD")
        code = ("lib/frugal", "experiments", "constraints.txt", ":!experiments/results")
        changed = git("status", "--porcelain", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{found} with changes" if changed else found
