"""The copy task: read symbols, then say them again.

Chapters: fixed-patterns, hashing.
"""

from __future__ import annotations

import torch

from frugal.checks import at_least
from frugal.data.seeds import Seed, generator_of
from frugal.data.sequences import IGNORE, SequenceBatch
from frugal.data.source import GENERATED, Source

SOURCE = Source(
    name="copying",
    loader="frugal.data.copying.draw",
    content="random symbols, a mark, the same symbols again",
    split="none: every draw is new; evaluate with another seed",
    **GENERATED,
)

MARK = 0
"""The id that says: now repeat. Symbols are 1..n_symbols."""


def draw(
    batch_size: int,
    *,
    n: int,
    n_symbols: int = 16,
    seed: Seed = 0,
    device: torch.device | str | None = None,
) -> SequenceBatch:
    """`n` random symbols, a mark, and the symbols again, for a causal model.

    Position n holds the mark and asks for the first symbol; position n + t holds symbol t and
    asks for the next. The answer is always n positions back.

    Gives inputs and targets of length 2 n; ids lie in 0..n_symbols.
    """
    at_least(1, batch_size=batch_size, n=n, n_symbols=n_symbols)
    generator = generator_of(seed)
    symbols = torch.randint(
        1, n_symbols + 1, (batch_size, n), generator=generator, device=generator.device
    )
    mark = torch.full_like(symbols[:, :1], MARK)
    nothing = torch.full_like(symbols, IGNORE)
    inputs = torch.cat([symbols, mark, symbols[:, :-1]], dim=1)
    return SequenceBatch(inputs.to(device), torch.cat([nothing, symbols], dim=1).to(device))
