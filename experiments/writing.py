"""Recorded results as files: whole or not at all, and a list of numbers on one line."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

_NUMBERS = re.compile(r'\[\n\s*([^\[\]{}"]*?)\n\s*\]')


def as_json(result: dict[str, Any]) -> str:
    """The text of a result: indented, but for lists of numbers."""
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def write(path: Path, text: str) -> Path:
    """Put the file in place, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path
