"""Drafts of the lower layers and tokens that leave early, against writing with all layers.

Twelve layers of width 512 continue one prompt of 16 tokens by 40. The upper layers add nothing to
the state, so that the lowest three name the token that all would: every draft holds, and what a
round of drafts costs is seen. Tokens leave behind a layer that is fixed, and the question whether
they are sure is asked and paid for. The bars are on what a quarter and a half of the layers save.
The "small" cases are of the size of the recorded models: `generate`, and a loop that does no more
than a draft does.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from experiments.bench import Case
from frugal.attention.cache import KeyValueCache
from frugal.decoding import generate, generate_early, speculate
from frugal.decoding.by_layer import embed, head, layers_of, run
from frugal.model import Decoder, TransformerConfig

WIDTH, HEADS, LAYERS, VOCABULARY = 512, 8, 12, 64
PROMPT, NEW, DRAFTED = 16, 40, 4  # 8 rounds that give 5 tokens each
LOWEST = 3
SMALL_WIDTH, SMALL_HEADS, SMALL_LAYERS, SMALL_NEW = 64, 4, 6, 48
BARS = {"drafts of 3, all hold": 0.60, "early, behind 6": 0.75}


def model(n_layers: int, width: int, n_heads: int = HEADS) -> Decoder:
    """A decoder whose layers above the lowest three leave the state as it is."""
    torch.manual_seed(0)
    config = TransformerConfig(
        VOCABULARY, d_model=width, n_heads=n_heads, n_layers=n_layers, positions="rope"
    )
    decoder = Decoder(config).eval()
    with torch.no_grad():
        for layer in decoder.stack.layers[LOWEST:]:
            for last in (layer.mix.sublayer.to_out, layer.feed_forward.sublayer.outer):
                last.weight.zero_()
                last.bias.zero_()
    return decoder


def bare(decoder: Decoder, prompt: Tensor, *, max_new_tokens: int) -> Tensor:
    """Greedy decoding in a loop as bare as that of a draft."""
    ids, layers = prompt, layers_of(decoder)
    caches = [KeyValueCache(prompt.shape[1] + max_new_tokens) for _ in layers]
    with torch.no_grad():
        run(layers, embed(decoder, ids[:, :-1]), caches)
        for _ in range(max_new_tokens):
            state = run(layers, embed(decoder, ids[:, -1:], caches[0].length), caches)
            ids = torch.cat([ids, head(decoder, state).argmax(-1)], 1)
    return ids


def ways(smoke: bool) -> dict[str, partial[Tensor]]:
    """What writes: full model, drafts of three depths, exits behind a fixed layer, half a model."""
    width, new = (16, 10) if smoke else (WIDTH, NEW)
    full, half = model(LAYERS, width), model(LAYERS // 2, width)
    small = model(SMALL_LAYERS, SMALL_WIDTH, SMALL_HEADS)
    letters = 6 if smoke else SMALL_NEW
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
        "small: all layers": partial(generate, small, prompt, max_new_tokens=letters),
        "small: bare loop": partial(bare, small, prompt, max_new_tokens=letters),
    }


def cases(smoke: bool) -> list[Case]:
    """The bars are on drafts of a quarter of the layers, and on leaving behind half of them."""
    found, base = [], None
    for name, write in ways(smoke).items():
        if name.endswith("all layers"):
            base = name
        found.append(Case(name, write, None if name == base else base, BARS.get(name)))
    return found
