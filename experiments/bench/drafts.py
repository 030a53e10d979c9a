"""Drafts of the lower layers and tokens that leave early, against writing with all layers.

Twelve layers of width 512 continue one prompt of 16 tokens by 40. The upper layers add nothing to
the state, so that the lowest three name the token that all would: every draft holds, and what a
round of drafts costs is seen. Tokens leave behind a layer that is fixed, and the question whether
they are sure is asked and paid for. The bars are on what a quarter and a half of the layers save.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from experiments.bench import Case
from frugal.decoding import generate, generate_early, speculate
from frugal.model import Decoder, TransformerConfig

WIDTH, HEADS, LAYERS, VOCABULARY = 512, 8, 12, 64
PROMPT, NEW, DRAFTED = 16, 40, 4  # 8 rounds that give 5 tokens each
LOWEST = 3
BARS = {"drafts of 3, all hold": 0.60, "early, behind 6": 0.75}


def model(n_layers: int, width: int) -> Decoder:
    """A decoder whose layers above the lowest three leave the state as it is."""
    torch.manual_seed(0)
    config = TransformerConfig(
        VOCABULARY, d_model=width, n_heads=HEADS, n_layers=n_layers, positions="rope"
    )
    decoder = Decoder(config).eval()
    with torch.no_grad():
        for layer in decoder.stack.layers[LOWEST:]:
            for last in (layer.mix.sublayer.to_out, layer.feed_forward.sublayer.outer):
                last.weight.zero_()
                last.bias.zero_()
    return decoder


def ways(smoke: bool) -> dict[str, partial[Tensor]]:
    """What writes: full model, drafts of three depths, exits behind a fixed layer, half a model."""
    width, new = (16, 10) if smoke else (WIDTH, NEW)
    full, half = model(LAYERS, width), model(LAYERS // 2, width)
    prompt = torch.randint(VOCABULARY, (1, PROMPT))
    draft = partial(speculate, full, prompt, n_drafted=DRAFTED, max_new_tokens=new)
    early = partial(generate_early, full, prompt, max_new_tokens=new)
    return {
        "all layers": partial(generate, full, prompt, max_new_tokens=new),
        "drafts of 3, all hold": partial(draft, draft_layers=3),
        "drafts of 6, all hold": partial(draft, draft_layers=6),
        "drafts of 9, all hold": partial(draft, draft_layers=9),
        "early, behind 3": partial(early, threshold=0, first=3),
        "early, behind 6": partial(early, threshold=0, first=6),
        "asked, never early": partial(early, threshold=1),
        "six layers": partial(generate, half, prompt, max_new_tokens=new),
    }


def cases(smoke: bool) -> list[Case]:
    """The bars are on drafts of a quarter of the layers, and on leaving behind half of them."""
    return [
        Case(name, run, None if name == "all layers" else "all layers", BARS.get(name))
        for name, run in ways(smoke).items()
    ]
