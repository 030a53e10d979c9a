"""Plans of architectures: what a layer does step by step, beside what another does.

    plan({"Vanilla": ["scores | N × N", "softmax"], "Low rank": ["* scores | N × k", "softmax"]})

draws two columns of steps that are read from the top. A plan is text in boxes: it follows the page
between light and dark, fits a phone, and a screen reader reads it as lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from frugal.show.site import figure_style, shared_style

Step = str | tuple[str, ...]
NEW = "* "


def _split(part: str) -> tuple[bool, str, str]:
    """Whether a part is new, what it does, and the shape or cost that comes out."""
    new = part.startswith(NEW)
    name, _, shape = part.removeprefix(NEW).partition(" | ")
    return new, name.strip(), shape.strip()


def _text(words: str) -> str:
    """As HTML; `d_k` with its letter below the line."""
    return re.sub(r"_(\w)", r"<sub>\1</sub>", escape(words))


def _box(part: str) -> str:
    new, name, shape = _split(part)
    word = "<b>new</b> " if new else ""
    small = f"<small>{_text(shape)}</small>" if shape else ""
    kind = "frugal-plan-step frugal-plan-new" if new else "frugal-plan-step"
    return f'<div class="{kind}">{word}{_text(name)}{small}</div>'


def _words(part: str) -> str:
    new, name, shape = _split(part)
    return f"{'new: ' if new else ''}{name}{f' ({shape})' if shape else ''}"


class Plan:
    """Columns of steps; `plan` makes one."""

    def __init__(self, columns: Mapping[str, Sequence[Step]]) -> None:
        if not columns or not all(columns.values()):
            raise ValueError("a plan needs at least one column, and a step in each.")
        self.columns = {
            title: [(step,) if isinstance(step, str) else tuple(step) for step in steps]
            for title, steps in columns.items()
        }
        parts = [part for steps in self.columns.values() for step in steps for part in step]
        if empty := [part for part in parts if not _split(part)[1]]:
            raise ValueError(f"a step says nothing: {empty[0]!r}.")

    def __repr__(self) -> str:
        return "\n".join(
            f"{title}: " + " → ".join(" beside ".join(map(_words, step)) for step in steps)
            for title, steps in self.columns.items()
        )

    def to_html(self) -> str:
        """The columns with the style sheet that their look comes from."""
        columns = "".join(
            f'<div><p class="frugal-plan-title">{escape(title)}</p><ol>'
            + "".join(
                f'<li><div class="frugal-plan-row">{"".join(map(_box, step))}</div></li>'
                for step in steps
            )
            + "</ol></div>"
            for title, steps in self.columns.items()
        )
        style = shared_style("figure", figure_style())
        return f'{style}\n<div class="frugal-plan">{columns}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": self.to_html(), "text/plain": repr(self)}


def plan(columns: Mapping[str, Sequence[Step]]) -> Plan:
    """Show architectures side by side, each a column of steps read from the top.

    columns: title -> steps. A step is "what it does", or "what it does | shape that comes out"; a
    leading "* " marks what the method changes; a tuple stands for parts side by side. Raises
    ValueError for no columns, an empty column and a step without words.
    """
    return Plan(columns)
