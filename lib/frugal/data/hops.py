"""Hops: letters stand in a ring, an arrow tells of each who comes next; who comes after that?

`c>f a>c f>b b>a` says that f comes after c, b after f, a after b and c after a. Asked of each
letter are all that come one, two, three ... steps later. The arrows come in any order, so a step is
to find the one arrow that begins where another ends, and what is many steps away takes several
layers: where m steps are known of every letter, a layer can make it 2m. In the manner of the k-hop
task of sanford2024parallel.
Chapter: dropping-layers.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.sequences import distinct
from frugal.data.source import GENERATED, Source

SOURCE = Source(
    name="hops",
    loader="frugal.data.hops.draw",
    content="a ring of letters as arrows in any order; who comes 1, 2, 3 ... steps after each",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)

N_LETTERS = 10
N_HOPS = 6


class HopsBatch(NamedTuple):
    """Arrows as ids, source · letters + target, and for the source of each arrow the letters that
    come after it: targets[..., 0] is where the arrow itself points."""

    tokens: Int64[Tensor, "batch letters"]
    targets: Int64[Tensor, "batch letters hops"]


def draw(
    n: int,
    *,
    n_letters: int = N_LETTERS,
    n_hops: int = N_HOPS,
    seed: Seed = 0,
    device: torch.device | str | None = None,
) -> HopsBatch:
    """`n` rings, each of all the letters, with their arrows in random order.

    Nobody is met twice on the way: n_hops is below n_letters. The ids are 0 to n_letters² - 1.

    Raises ValueError: an argument is out of range.
    """
    at_least(1, n=n, n_hops=n_hops)
    at_least(2, n_letters=n_letters)
    if n_letters > len(ascii_lowercase) or n_hops >= n_letters:
        raise ValueError(
            f"n_letters is {n_letters} and n_hops {n_hops}; there are {len(ascii_lowercase)} "
            "letters, and hops must be fewer than letters."
        )
    generator = generator_of(seed)
    ring = distinct(n_letters, n, n_letters, generator)  # in the order of the ring
    after = torch.empty_like(ring).scatter_(1, ring, ring.roll(-1, dims=1))  # by letter
    sources = distinct(n_letters, n, n_letters, generator)
    reached = [after.gather(1, sources)]
    while len(reached) < n_hops:
        reached.append(after.gather(1, reached[-1]))
    tokens = sources * n_letters + reached[0]
    return HopsBatch(tokens.to(device), torch.stack(reached, -1).to(device))


def text_of(tokens: Int64[Tensor, " letters"], *, n_letters: int = N_LETTERS) -> str:
    """The arrows of one example in words, as in `c>f a>c f>b b>a`."""
    pairs = (divmod(token, n_letters) for token in tokens.tolist())
    return " ".join(f"{ascii_lowercase[one]}>{ascii_lowercase[other]}" for one, other in pairs)
