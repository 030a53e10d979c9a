"""Plans of architectures: what a layer does step by step, beside what another does.

    plan({"Vanilla": ["scores | N × N", "softmax"], "Low rank": ["* scores | N × k", "softmax"]})

draws two columns of steps that are read from the top. A part names the section that builds it, and
on a page of the book it leads there: `"softmax @ Compare, weigh, add up"`. A plan is text in boxes:
it follows the page between light and dark, fits a phone, and a screen reader reads it as lists.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias

from frugal.show.site import building_site, figure_style, shared_style

Step: TypeAlias = "str | tuple[str, ...] | Mapping[str, Sequence[Step]]"
NEW, WAY_PAST = "* ", "+"
PAGES = {"vanilla": "../1-foundations/the-vanilla-transformer"}
"""Short names of pages that many plans lead to."""
HINT = "An underlined part leads to the section that builds it."


def anchor(heading: str) -> str:
    """The address of a section on its page, as Docutils makes it from the heading.

    An apostrophe is a curly one there, and leaves no trace.
    """
    straight = heading.lower().replace("'", "")
    plain = unicodedata.normalize("NFKD", straight).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", " ".join(plain.split())).strip("-").lstrip("0123456789-")


@dataclass(frozen=True)
class Part:
    """One box: what it does, what comes out, and the page and section that build it."""

    words: str
    shape: str = ""
    new: bool = False
    page: str = ""
    section: str = ""

    @classmethod
    def read(cls, part: str) -> Part:
        """From "* what it does | shape @ page#section"; all but the words may be left out."""
        said, _, place = part.removeprefix(NEW).partition(" @ ")
        words, _, shape = said.partition(" | ")
        page, _, section = (word.strip() for word in place.rpartition("#"))
        if not words.strip():
            raise ValueError(f"a step is {part!r}; it must say something.")
        new = part.startswith(NEW)
        return cls(words.strip(), shape.strip(), new, PAGES.get(page, page), section)

    @property
    def address(self) -> str:
        """Where the link leads, from the page that shows the plan; "" without a section."""
        page = f"{self.page}.html" if self.page else ""
        return f"{page}#{anchor(self.section)}" if self.section else ""

    def __str__(self) -> str:
        return (
            f"{'new: ' if self.new else ''}{self.words}{f' ({self.shape})' if self.shape else ''}"
        )

    def to_html(self, kind: str = "frugal-plan-step") -> str:
        """A box; on a page of the book, one that leads to its section."""
        word = "<b>new</b> " if self.new else ""
        small = f"<small>{_text(self.shape)}</small>" if self.shape else ""
        inner = f"{word}<span>{_text(self.words)}</span>{small}"
        kind += " frugal-plan-new" if self.new else ""
        if not (self.address and building_site()):
            return f'<div class="{kind}">{inner}</div>'
        title = f"Go to the section: {self.section}"
        return (
            f'<a class="{kind}" href="{escape(self.address)}" title="{escape(title)}">{inner}</a>'
        )


@dataclass(frozen=True)
class Frame:
    """Steps that belong together: repeated, or with a way past them."""

    label: Part | None
    steps: tuple[Row | Frame, ...]

    def __str__(self) -> str:
        inner = " → ".join(map(str, self.steps))
        return f"[{inner}], added to what came in" if not self.label else f"{self.label}: [{inner}]"

    def to_html(self) -> str:
        """A frame with its label, or a line that leads past the steps to a plus."""
        if self.label is None:
            plus = '<span class="frugal-plan-plus" title="added to what came in">+</span>'
            return f'<div class="frugal-plan-past">{_list(self.steps)}{plus}</div>'
        label = self.label.to_html("frugal-plan-label")
        return f'<div class="frugal-plan-frame">{label}{_list(self.steps)}</div>'


@dataclass(frozen=True)
class Row:
    """Parts side by side."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return " beside ".join(map(str, self.parts))

    def to_html(self) -> str:
        """Boxes in one row."""
        return (
            f'<div class="frugal-plan-row">{"".join(part.to_html() for part in self.parts)}</div>'
        )


def _text(words: str) -> str:
    """As HTML; `d_k` with its letter below the line."""
    return re.sub(r"_(\w)", r"<sub>\1</sub>", escape(words))


def _list(steps: Sequence[Row | Frame]) -> str:
    return f"<ol>{''.join(f'<li>{step.to_html()}</li>' for step in steps)}</ol>"


def _read(steps: Sequence[Step]) -> Iterator[Row | Frame]:
    for step in steps:
        if isinstance(step, Mapping):
            for label, inner in step.items():
                if not inner:
                    raise ValueError(f"the frame {label!r} is empty; it must have steps.")
                yield Frame(None if label == WAY_PAST else Part.read(label), tuple(_read(inner)))
        else:
            yield Row(tuple(map(Part.read, (step,) if isinstance(step, str) else step)))


def _parts(steps: Sequence[Row | Frame]) -> Iterator[Part]:
    for step in steps:
        if isinstance(step, Row):
            yield from step.parts
        else:
            yield from (() if step.label is None else (step.label,))
            yield from _parts(step.steps)


class Plan:
    """Columns of steps; `plan` makes one."""

    def __init__(self, columns: Mapping[str, Sequence[Step]]) -> None:
        if not columns or not all(columns.values()):
            raise ValueError("columns is empty, or one of them; each must have a step or more.")
        self.columns = {title: tuple(_read(steps)) for title, steps in columns.items()}

    def parts(self) -> list[Part]:
        """Every part of every column, frames included, in reading order."""
        return [part for steps in self.columns.values() for part in _parts(steps)]

    def __repr__(self) -> str:
        return "\n".join(
            f"{title}: {' → '.join(map(str, steps))}" for title, steps in self.columns.items()
        )

    def to_html(self) -> str:
        """The columns with the style sheet that their look comes from."""
        columns = "".join(
            f'<div><p class="frugal-plan-title">{escape(title)}</p>{_list(steps)}</div>'
            for title, steps in self.columns.items()
        )
        leads = building_site() and any(part.address for part in self.parts())
        hint = f'<p class="frugal-plan-hint">{HINT}</p>' if leads else ""
        style = shared_style("figure", figure_style())
        words = escape(f"Architecture: {', beside: '.join(self.columns)}")
        return (
            f'{style}\n<div class="frugal-plan" role="group" aria-label="{words}">'
            f'<div class="frugal-plan-columns">{columns}</div>{hint}</div>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": self.to_html(), "text/plain": repr(self)}


def plan(columns: Mapping[str, Sequence[Step]]) -> Plan:
    """Show architectures side by side, each a column of steps read from the top.

    columns: title -> steps. A step is "what it does", or "what it does | shape that comes out"; a
    leading "* " marks what the method changes; a tuple stands for parts side by side; a mapping
    {"L times": steps} draws a frame around steps, and {"+": steps} a way past them. A trailing
    " @ #Heading" or " @ ../folder/page#Heading" names the section that builds the part; "vanilla"
    stands for the page of the vanilla Transformer. In the book the part leads there, by mouse or
    keyboard. Raises ValueError for no columns, an empty column and a step without words.
    """
    return Plan(columns)
