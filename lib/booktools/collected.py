"""What the executed chapters claim and judge, collected: every claim, every verdict of the book."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frugal.claims.sentences import MIME as CLAIM
from frugal.claims.verdicts import MIME as VERDICTS


def collect(root: Path) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """chapter -> {"claims": [...], "verdicts": [...]}, from the notebooks of the last build.

    Raises ValueError when nothing has been built in `root`.
    """
    executed = root / "_build" / "jupyter_execute"
    pages = sorted(executed.rglob("*.ipynb"))
    if not pages:
        raise ValueError(f"{executed} holds no executed chapter; run make book first.")
    found = {}
    for page in pages:
        name = page.relative_to(executed).with_suffix("").as_posix()
        bundles = list(_bundles(page))
        found[name] = {
            "claims": [bundle[CLAIM] for bundle in bundles if CLAIM in bundle],
            "verdicts": [row for bundle in bundles for row in bundle.get(VERDICTS, [])],
        }
    return found


def claims_of(page: Path) -> list[dict[str, Any]]:
    """The claims of one executed chapter: sentence, values, and what breaks each."""
    return [bundle[CLAIM] for bundle in _bundles(page) if CLAIM in bundle]


def _bundles(page: Path) -> Iterator[dict[str, Any]]:
    for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            yield output.get("data", {})


def _can_fail(claim: dict[str, Any]) -> bool:
    """Whether each told number, and there is one, breaks the claim when it is pushed."""
    return bool(claim["broken_by"]) and all(claim["broken_by"].values())


def report(root: Path) -> tuple[str, bool]:
    """A line for each chapter and one for the book; and whether every claim can fail.

    The pushes are those of `frugal.claims.pushing`, tried when each claim was made.
    """
    lines, all_claims, all_breakable = [], 0, 0
    for name, made in collect(root).items():
        claims, verdicts = made["claims"], made["verdicts"]
        breakable = sum(map(_can_fail, claims))
        all_claims, all_breakable = all_claims + len(claims), all_breakable + breakable
        words = [row["verdict"] for row in verdicts]
        told = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        lines.append(f"{name}: {breakable} of {len(claims)} claims can fail; verdicts: {told or 0}")
    share = all_breakable / all_claims if all_claims else 0.0
    lines.append(f"the book: {all_breakable} of {all_claims} claims can fail ({share:.0%})")
    return "\n".join(lines), all_claims > 0 and share == 1.0
