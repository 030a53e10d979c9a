"""A chapter's small picture for its card: a scene of the first page as a few SVG paths.

What the method leaves is drawn over what the whole model has; the style sheet lets the latter
appear and go again while the reader points at the card.
"""

from __future__ import annotations

from collections.abc import Iterable

from frugal.figures.first_page import scenes
from frugal.figures.first_page.scenes import BYTES, HEADS, HUBS, LAYERS, PARTS, TOKENS, Stack

_WIDTH, _HEIGHT = 172, 88
_WORDS = {"letters": "what␣can", "answers": "????????"}


def _x(place: float) -> float:
    return 8 + 14 * place


def _y(row: float) -> float:
    return 72 - 16 * row


def _hub(hub: int) -> float:
    return _x(2 + 1.5 * hub)


def _line(x0: float, y0: float, x1: float, y1: float) -> str:
    return f"M{x0:g} {y0:g}L{x1:g} {y1:g}"


def _path(kind: str, steps: Iterable[str]) -> str:
    line = "".join(dict.fromkeys(steps))
    return f'<path class="{kind}" d="{line}"/>' if line else ""


def _pairs(stack: Stack, low: float, high: float) -> list[str]:
    """Lines between two rows whose strength is above `low` and at most `high`."""
    found = []
    for index, strength in enumerate(stack.pairs):
        layer, rest = divmod(index, TOKENS * TOKENS)
        query, key = divmod(rest, TOKENS)
        if low < strength <= high:
            start = _x(stack.place[layer * TOKENS + key])
            end = _x(stack.place[(layer + 1) * TOKENS + query])
            found.append(_line(start, _y(layer), end, _y(layer + 1)))
    return found


def _spokes(stack: Stack) -> list[str]:
    found = []
    for index in range(LAYERS * TOKENS * HUBS):
        rest, hub = divmod(index, HUBS)
        layer, token = divmod(rest, TOKENS)
        if stack.gather[index]:
            start = _x(stack.place[layer * TOKENS + token])
            found.append(_line(start, _y(layer), _hub(hub), _y(layer + 0.5)))
        if stack.spread[index]:
            end = _x(stack.place[(layer + 1) * TOKENS + token])
            found.append(_line(_hub(hub), _y(layer + 0.5), end, _y(layer + 1)))
    return found


def _dots(stack: Stack, bucket: int | None, kept: bool) -> list[str]:
    found = []
    for index, strength in enumerate(stack.nodes):
        row, token = divmod(index, TOKENS)
        if bool(strength) is kept and bucket in (None, (stack.groups or [None] * TOKENS)[token]):
            place = stack.place[index] if kept else token
            found.append(f"M{_x(place):g} {_y(row):g}h0")
    return found


def _machinery(stack: Stack, kept: bool) -> list[str]:
    """Heads as round dots and parts of the feed-forward block as bars, in two paths."""
    heads = [
        f"M{124 + 6 * (index % HEADS)} {_y(index // HEADS + 0.5):g}h0"
        for index, strength in enumerate(stack.heads)
        if (strength >= 0.5) is kept
    ]
    parts = [
        f"M{152 + 5 * (index % PARTS)} {_y(index // PARTS + 0.5) - 5:g}v10"
        for index, strength in enumerate(stack.parts)
        if (strength >= 0.5) is kept
    ]
    ghost = "" if kept else " gone"
    return [_path(f"heads{ghost}", heads), _path(f"parts{ghost}", parts)]


def _marks(stack: Stack) -> list[str]:
    places = [(at % 2, at // 2) for at, mark in enumerate(stack.marks) if mark]
    return [
        f"M{(149, 121)[side == 0]} {_y(layer + 0.5) - 7:g}h{(20, 24)[side == 0]}v14"
        f"h-{(20, 24)[side == 0]}z"
        for side, layer in places
    ]


def _below(stack: Stack) -> str:
    """Bytes, or what stands for words where these are not what is read."""
    if any(stack.bytes):
        places = [_x((index + 0.5) / 2 - 0.5) for index in range(BYTES)]
        edges = [
            _line(place, 84, _x(stack.place[index // 2]), _y(0))
            for index, place in enumerate(places)
        ]
        squares = [f"M{place - 2:g} 84h4" for place in places]
        return _path("kept", edges) + _path("bytes", squares)
    for name, words in _WORDS.items():
        if any(getattr(stack, name)):
            xs = " ".join(f"{_x(token):g}" for token in range(TOKENS))
            return f'<text x="{xs}" y="86">{words}</text>'
    return ""


def shared() -> str:
    """What all pictures have in common, once a page: every line of the whole model."""
    lines = "".join(_pairs(Stack(), 0, 1))
    return (
        '<svg class="frugal-card-shared" width="0" height="0" aria-hidden="true"><defs>'
        f'<path id="frugal-card-all" d="{lines}"/></defs></svg>'
    )


def picture(scene: scenes.Scene) -> str:
    """An SVG of a scene, some hundred to some thousand characters; `shared()` has to be there."""
    stack = scenes.stack_of(scene)
    fixed = " fixed" if stack.fixed else ""
    everything = len(_pairs(stack, 0.5, 1)) == LAYERS * TOKENS * TOKENS
    plain = everything and stack.place == Stack().place
    kept = (
        f'<use class="kept{fixed}" href="#frugal-card-all"/>'
        if plain
        else _path(f"kept{fixed}", [*_pairs(stack, 0.5, 1), *_spokes(stack)])
    )
    hubs = [
        f"M{_hub(index % HUBS):g} {_y(index // HUBS + 0.5):g}h0"
        for index, strength in enumerate(stack.hubs)
        if strength
    ]
    buckets = sorted(set(stack.groups)) if stack.groups else [None]
    drawn = [
        '<use class="all" href="#frugal-card-all"/>',
        _path("weak", _pairs(stack, 0, 0.5)),
        kept,
        _path("dots gone", _dots(stack, None, kept=False)),
        *(_path(f"dots bucket-{one or 0}", _dots(stack, one, kept=True)) for one in buckets),
        _path("hubs", hubs),
        *_machinery(stack, kept=False),
        *_machinery(stack, kept=True),
        _path("marks", _marks(stack)),
        _below(stack),
    ]
    return (
        f'<svg class="frugal-card-picture" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f"{''.join(drawn)}</svg>"
    )
