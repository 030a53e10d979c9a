"""Typing errors: letters swapped, dropped, doubled or mistaken, at a chosen rate.

Chapter: bytes.
"""

from __future__ import annotations

import torch

from frugal.data.seeds import Seed, generator_of

KINDS = ("swap", "drop", "double", "mistake")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def add_typos(text: str, rate: float | int, *, seed: Seed = 0) -> str:
    """`text` with a typing error at about `rate` of its letters, each kind as often as the others.

    swap: the letter and the next one, if that is a letter too. drop: it is left out. double: it
    is typed twice. mistake: another letter of a to z stands in its place, in the same case. Letters
    are those of `str.isalpha`; spaces, digits and punctuation stay, and so does the number of
    words, except that a word of one letter can vanish.

    The same text, rate and seed give the same errors. Raises ValueError for a rate outside 0 ... 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate}; it must be a share, 0 ... 1.")
    generator = generator_of(seed)
    hit = (torch.rand(len(text), generator=generator) < rate).tolist()
    kinds = torch.randint(len(KINDS), (len(text),), generator=generator).tolist()
    others = torch.randint(len(LETTERS) - 1, (len(text),), generator=generator).tolist()
    typed, place = [], 0
    while place < len(text):
        letter = text[place]
        kind = KINDS[kinds[place]] if hit[place] and letter.isalpha() else ""
        following = text[place + 1 : place + 2]
        if kind == "swap" and following.isalpha():
            typed.append(following + letter)
            place += 2  # the swapped partner gets no error of its own
            continue
        if kind == "double":
            typed.append(letter * 2)
        elif kind == "mistake":
            typed.append(_another(letter, others[place]))
        elif kind != "drop":
            typed.append(letter)
        place += 1
    return "".join(typed)


def _another(letter: str, choice: int) -> str:
    """A letter of a to z that is not `letter`, in the same case."""
    left = LETTERS.replace(letter.lower(), "")
    other = left[choice % len(left)]
    return other.upper() if letter.isupper() else other
