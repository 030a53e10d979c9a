"""What the static site shares: is it being built, and pieces that a page needs only once."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

SITE_VARIABLE = "FRUGAL_SITE"


def building_site() -> bool:
    """Whether the static site is being built: `booktools` sets a variable that kernels inherit."""
    return os.environ.get(SITE_VARIABLE, "") not in ("", "0")


def figure_style() -> str:
    """The style sheet of everything that `frugal.show` puts on a page."""
    return Path(__file__).with_name("figure.css").read_text(encoding="utf-8")


def digest(text: str) -> str:
    """A short name for a text: equal texts, equal names."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def shared_script(name: str, source: str) -> str:
    """A script that every output carries and a page keeps once.

    An output has to work alone (a notebook opened elsewhere), so each one carries its scripts; the
    site's Sphinx extension moves equal ones to one file that the page loads once.
    """
    closing_safe = source.replace("</script", r"<\/script")
    return (
        f'<script data-frugal-shared="{name}-{digest(source)}">\n{closing_safe.strip()}\n</script>'
    )


def shared_style(name: str, source: str) -> str:
    """A style sheet that every output carries and a page keeps once."""
    return f'<style data-frugal-shared="{name}-{digest(source)}">\n{source.strip()}\n</style>'


def embedded_json(value: Any) -> str:
    """JSON that cannot end the `<script>` element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c")
