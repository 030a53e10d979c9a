"""Write one token at a time: greedily or by sampling, with a cache of keys and values.

Without a cache, step t runs the model on all t tokens and the whole text costs O(t²) attention a
step; with it, a step attends from one query to t keys. Both give the same tokens.
Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frugal.model import Decoder, EncoderDecoder
from frugal.modes import in_evaluation


def choose(
    logits: Float[Tensor, "batch vocabulary"],
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """The next token of each row: the best one at temperature 0, else one drawn.

    top_k keeps the k best tokens, top_p the smallest set whose probability reaches top_p; both
    act before the draw. generator: where the randomness comes from, on the device of logits.
    """
    if temperature < 0:
        raise ValueError(f"temperature is {temperature}; it must be 0 (greedy) or more.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}; at least one token must be kept.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1.")
    if temperature == 0:
        return logits.argmax(-1)
    best, token = (logits / temperature).sort(-1, descending=True)
    if top_k is not None:
        best[:, top_k:] = -torch.inf
    if top_p is not None:
        weight = best.softmax(-1)
        best = best.masked_fill(weight.cumsum(-1) - weight >= top_p, -torch.inf)
    drawn = torch.multinomial(best.softmax(-1), 1, generator=generator)  # (batch, 1)
    return token.gather(-1, drawn).squeeze(-1)


def extend(
    decoder: Decoder,
    ids: Int[Tensor, "batch length"],
    memory: Float[Tensor, "batch source d_model"] | None = None,
    *,
    memory_padding: Bool[Tensor, "batch source"] | None = None,
    max_new_tokens: int,
    eos: int | None = None,
    pad: int = 0,
    cache: bool = True,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "batch longer"]:
    """`ids` and up to `max_new_tokens` tokens more; a row that has written `eos` gets `pad`.

    Stops early when every row has ended. cache=False recomputes all positions at each step, for
    comparison. Dropout is off while decoding. Raises ValueError for max_new_tokens < 1.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens is {max_new_tokens}; it must be at least 1.")
    capacity = ids.shape[1] + max_new_tokens
    caches = None
    if cache:
        caches = decoder.new_caches(capacity, None if memory is None else memory.shape[1])
    ended = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
    decoder = in_evaluation(decoder)
    with torch.no_grad():
        new = ids
        for _ in range(max_new_tokens):
            logits = decoder(
                new if cache else ids, memory, memory_padding=memory_padding, caches=caches
            )
            token = choose(
                logits[:, -1],
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                generator=generator,
            )
            new = token.masked_fill(ended, pad)[:, None]
            ids = torch.cat([ids, new], dim=1)
            if eos is not None:
                ended = ended | (token == eos)
                if ended.all():
                    break
    return ids


def generate(
    model: Decoder, prompt: Int[Tensor, "batch length"], *, max_new_tokens: int, **options
) -> Int[Tensor, "batch longer"]:
    """Continue a prompt with a language model; the options are those of `extend`."""
    return extend(model, prompt, max_new_tokens=max_new_tokens, **options)


def translate(
    model: EncoderDecoder,
    source: Int[Tensor, "batch source"],
    *,
    source_padding: Bool[Tensor, "batch source"] | None = None,
    bos: int,
    eos: int,
    max_new_tokens: int,
    **options,
) -> Int[Tensor, "batch target"]:
    """Write a target for each source, beginning with `bos`; the options are those of `extend`."""
    with torch.no_grad():
        memory = in_evaluation(model.encoder)(source, source_padding)
    start = torch.full((source.shape[0], 1), bos, dtype=source.dtype, device=source.device)
    return extend(
        model.decoder,
        start,
        memory,
        memory_padding=source_padding,
        max_new_tokens=max_new_tokens,
        eos=eos,
        **options,
    )
