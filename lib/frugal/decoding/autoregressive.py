"""Write one token at a time: greedily or by sampling, with a cache of keys and values.

Without a cache, step t runs the model on all t tokens and the whole text costs O(t²) attention a
step; with it, a step attends from one query to t keys. Both give the same tokens.
Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frugal.checks import at_least, check_padding
from frugal.embeddings import check_ids
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
    act before the draw, and need one: they are refused at temperature 0. generator: where the
    randomness comes from, on the device of logits.
    """
    if logits.ndim != 2 or not logits.is_floating_point():
        raise ValueError(
            f"logits has shape {tuple(logits.shape)} and dtype {logits.dtype}; it must be "
            "(batch, vocabulary), floating point."
        )
    if not temperature >= 0:
        raise ValueError(f"temperature is {temperature}; it must be 0 (greedy) or more.")
    if top_k is not None:
        at_least(1, top_k=top_k)
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1.")
    if temperature == 0:
        for name, value in (("top_k", top_k), ("top_p", top_p)):
            if value is not None:
                raise ValueError(
                    f"{name} is {value}; it must be None at temperature 0, which takes the best."
                )
        return logits.argmax(-1)
    logits = logits - logits.amax(-1, keepdim=True)  # or a small temperature makes infinity
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
    comparison. Dropout is off while decoding. Raises ValueError for a model that is no decoder, ids
    that are not (batch, length) whole numbers, max_new_tokens < 1, and where `choose` does.
    """
    check_model("decoder", decoder, Decoder, "new_caches")
    check_ids(ids)
    at_least(1, max_new_tokens=max_new_tokens)
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
    model: Decoder,
    prompt: Int[Tensor, "batch length"],
    *,
    max_new_tokens: int,
    padding: Bool[Tensor, "batch length"] | None = None,
    pad: int = 0,
    **options,
) -> Int[Tensor, "batch longer"]:
    """Continue a prompt with a language model; the other options are those of `extend`.

    padding: True = a token of the prompt; shorter prompts stand at the right. Prompts of one length
    are continued together, so that each gets what it would get alone, whatever the positions and
    the attention. Raises ValueError for padding behind a token, and where `extend` does.
    """
    check_model("model", model, Decoder, "new_caches")
    check_ids(prompt, name="prompt")
    if padding is None:
        return extend(model, prompt, max_new_tokens=max_new_tokens, pad=pad, **options)
    check_padding(padding, tuple(prompt.shape))
    padding = padding.expand(prompt.shape)
    if not padding[:, -1].all() or (padding[:, :-1] & ~padding[:, 1:]).any():
        raise ValueError("padding is False behind a token; it must be False in front of them only.")
    lengths, length = padding.sum(1), prompt.shape[1]
    longer = F.pad(prompt, (0, max_new_tokens), value=pad)
    most = 0
    for own in lengths.unique().tolist():
        rows = lengths == own
        text = extend(
            model, prompt[rows, length - own :], max_new_tokens=max_new_tokens, pad=pad, **options
        )
        longer[rows, length - own : length - own + text.shape[1]] = text
        most = max(most, text.shape[1] - own)
    return longer[:, : length + most]


def check_model(name: str, model: Any, kind: type, has: str) -> None:
    """One sentence for a model that does not have what models of this kind have."""
    if not hasattr(model, has):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise ValueError(
            f"{name} is of class {type(model).__name__}; it must be {article} {kind.__name__}."
        )


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
    check_model("model", model, EncoderDecoder, "encoder")
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
