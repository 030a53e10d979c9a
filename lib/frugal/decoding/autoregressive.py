"""Write one token at a time: greedily or by sampling, with a cache of keys and values.

Without a cache, step t runs the model on all t tokens and the whole text costs O(t²) attention a
step; with it, a step attends from one query to t keys, or to those of a window, or to a state of
constant size. All give the same tokens. Chapters: the-vanilla-transformer, kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from frugal.checks import at_least, check_generator, check_padding, whole
from frugal.embeddings import check_ids
from frugal.model import Decoder, EncoderDecoder, LayerCache
from frugal.modes import in_evaluation
from frugal.positions import LearnedPositions, check_fits, skipped_in_front

OnToken = Callable[[Tensor], object]
"""Called at every step with the new tokens, (batch,); a row that has ended gets `pad`."""


def check_choice(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """One sentence for numbers that `choose` cannot choose by."""
    for name, value in (("temperature", temperature), ("top_p", 1 if top_p is None else top_p)):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError(f"{name} is {value!r}; it must be a number.")
    if not 0 <= temperature < math.inf:
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
    check_choice(temperature, top_k, top_p)
    check_generator(generator)
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits - logits.amax(-1, keepdim=True)  # or a small temperature makes infinity
    best, token = (logits / temperature).sort(-1, descending=True)
    if top_k is not None:
        best[:, top_k:] = -torch.inf
    if top_p is not None:
        weight = best.softmax(-1)
        best = best.masked_fill(weight.cumsum(-1) - weight >= top_p, -torch.inf)
    try:
        drawn = torch.multinomial(best.softmax(-1), 1, generator=generator)  # (batch, 1)
    except RuntimeError as error:
        if not best.softmax(-1).isnan().any():
            raise
        raise ValueError(
            "logits has NaN or infinity, or a row of -inf alone; each row must have a best token."
        ) from error
    return token.gather(-1, drawn).squeeze(-1)


def extend(
    decoder: Decoder,
    ids: Int[Tensor, "batch length"],
    memory: Float[Tensor, "batch source d_model"] | None = None,
    *,
    max_new_tokens: int,
    padding: Bool[Tensor, "batch length"] | None = None,
    memory_padding: Bool[Tensor, "batch source"] | None = None,
    eos: int | Collection[int] | None = None,
    pad: int = 0,
    cache: bool = True,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    on_token: OnToken | None = None,
) -> Int[Tensor, "batch longer"]:
    """`ids` and up to `max_new_tokens` tokens more; a row that has written `eos` gets `pad`.

    padding: True = a token; rows that are shorter stand at the right, and get what they would get
    alone. eos: the token, or several, after which a row ends; the text stops when every row has.
    on_token: see `OnToken`. cache=False recomputes all positions at each step, for comparison.
    temperature, top_k, top_p, generator: see `choose`. Dropout is off while decoding.

    Rows of several lengths are one batch where only distances between places count, else a batch
    for each length. Raises ValueError for a model that is no decoder, ids that are not (batch,
    length) whole numbers, padding behind a token, max_new_tokens < 1, learned positions that end
    before the text does, and where `choose` does.
    """
    check_model("decoder", decoder, Decoder, "new_caches")
    check_ids(ids)
    at_least(1, max_new_tokens=max_new_tokens)
    check_choice(temperature, top_k, top_p)
    check_generator(generator)
    ends = _ends(eos)
    whole(pad=pad)
    if on_token is not None and not callable(on_token):
        raise ValueError(f"on_token is {on_token!r}; it must be called with the new tokens.")
    batch, length = ids.shape
    skipped = _skipped(padding, ids)
    if isinstance(decoder.positions, LearnedPositions) and not ends:
        shortest = 0 if skipped is None or not batch else int(skipped.min())
        check_fits(length - shortest + max_new_tokens - 1, 0, len(decoder.positions.table))
    if not batch:
        return ids
    decoder = in_evaluation(decoder)
    text = torch.cat([ids, ids.new_zeros(batch, max_new_tokens)], dim=1)
    readers = _readers(decoder, text, skipped, memory, memory_padding, cache)
    ended = torch.zeros(batch, dtype=torch.bool, device=ids.device)
    new: list[Tensor] = []
    with torch.no_grad():
        for end in range(length, length + max_new_tokens):
            logits = _together(readers, text, end, ended if ends else None)
            token = choose(
                logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
            )
            text[:, end] = token  # for the model to read; `pad` need not be a token of it
            token = token.to(ids.dtype).masked_fill(ended, pad)
            new.append(token)
            if on_token is not None:
                on_token(token.clone())
            for one in ends:
                ended = ended | (text[:, end] == one)
            if ends and ended.all():
                break
    return torch.cat([ids, torch.stack(new, dim=1)], dim=1)


@dataclass
class _Reader:
    """Some rows of a text, which the decoder reads from column `start` on.

    rows: None for all. real: True = a token, up to the longest text; None where all are.
    """

    decoder: Decoder
    rows: Tensor | None
    start: int
    real: Tensor | None
    memory: Tensor | None
    memory_padding: Tensor | None
    caches: list[LayerCache] | None
    read: int = 0

    def next(self, text: Tensor, end: int) -> Float[Tensor, "rows vocabulary"]:
        """The scores of the token at column `end`, once all before it are read."""
        rows = slice(None) if self.rows is None else self.rows
        new = text[rows, self.start + self.read : end]
        given = {} if self.real is None else {"padding": self.real[:, : end - self.start]}
        logits = self.decoder(
            new, self.memory, memory_padding=self.memory_padding, caches=self.caches, **given
        )
        if self.caches is not None:
            self.read = end - self.start
        return logits[:, -1]


def _readers(
    decoder: Decoder,
    text: Tensor,
    skipped: Tensor | None,
    memory: Tensor | None,
    memory_padding: Tensor | None,
    cache: bool,
) -> list[_Reader]:
    """One for all rows, or one for each length where rows of several lengths cannot be together."""
    groups: list[tuple[Tensor | None, int]] = [(None, 0)]
    if skipped is not None:
        groups = [(None, int(skipped.min()))]
        if not getattr(decoder.stack, "shifts", False):
            groups = [((skipped == own).nonzero()[:, 0], own) for own in skipped.unique().tolist()]
    found = []
    for rows, start in groups:
        real, seen, seen_padding = None, memory, memory_padding
        if skipped is not None and rows is None:
            places = torch.arange(start, text.shape[1], device=text.device)
            real = places >= skipped[:, None]  # (batch, longest)
            real = None if real.all() else real
        if rows is not None and len(groups) > 1:
            seen = None if memory is None else memory[rows]
            if memory_padding is not None:
                seen_padding = memory_padding.expand(len(text), -1)[rows]
        caches = None
        if cache:
            capacity = text.shape[1] - start
            caches = decoder.new_caches(capacity, None if memory is None else memory.shape[1])
        found.append(_Reader(decoder, rows, start, real, seen, seen_padding, caches))
    return found


def _together(
    readers: Sequence[_Reader], text: Tensor, end: int, ended: Tensor | None
) -> Float[Tensor, "batch vocabulary"]:
    """The scores of the next token of every row; those that have ended may be left out."""
    if len(readers) == 1:
        return readers[0].next(text, end)
    logits = None
    for reader in readers:
        if ended is not None and ended[reader.rows].all():
            continue
        found = reader.next(text, end)
        if logits is None:
            logits = found.new_zeros(len(text), found.shape[-1])
        logits[reader.rows] = found
    return logits


def _skipped(padding: Tensor | None, ids: Tensor) -> Int[Tensor, " batch"] | None:
    """How many columns stand in front of each row's first token; None where none does."""
    if padding is None:
        return None
    check_padding(padding, tuple(ids.shape))
    padding = padding.expand(ids.shape)
    if not padding.any(1).all():
        raise ValueError("padding has a row of False alone; each row must have a token.")
    if not padding[:, -1].all() or (padding[:, :-1] & ~padding[:, 1:]).any():
        raise ValueError("padding is False behind a token; it must be False in front of them only.")
    skipped = skipped_in_front(padding)
    return skipped if skipped.any() else None


def _ends(eos: int | Collection[int] | None) -> tuple[int, ...]:
    """The tokens that end a row."""
    if isinstance(eos, Tensor):  # the items of a tensor are tensors
        eos = eos.tolist()
    ends = () if eos is None else (eos,) if isinstance(eos, Integral) else eos
    if isinstance(ends, str) or not isinstance(ends, Collection):
        raise ValueError(f"eos is {eos!r}; it must be a token id, or several.")
    for one in ends:
        if isinstance(one, bool) or not isinstance(one, Integral):
            raise ValueError(f"eos has {one!r}; it must be a token id, or several.")
    return tuple(int(one) for one in ends)


def generate(
    model: Decoder,
    prompt: Int[Tensor, "batch length"],
    *,
    max_new_tokens: int,
    padding: Bool[Tensor, "batch length"] | None = None,
    eos: int | Collection[int] | None = None,
    pad: int = 0,
    cache: bool = True,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    on_token: OnToken | None = None,
) -> Int[Tensor, "batch longer"]:
    """Continue a prompt with a language model; the options are those of `extend`.

    padding: True = a token of the prompt; shorter prompts stand at the right, and each gets what it
    would get alone, whatever the positions and the attention. Raises ValueError where `extend`
    does.
    """
    check_model("model", model, Decoder, "new_caches")
    check_ids(prompt, name="prompt")
    return extend(
        model,
        prompt,
        max_new_tokens=max_new_tokens,
        padding=padding,
        eos=eos,
        pad=pad,
        cache=cache,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        on_token=on_token,
    )


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
    bos: int,
    eos: int | Collection[int],
    max_new_tokens: int,
    padding: Bool[Tensor, "batch source"] | None = None,
    source_padding: Bool[Tensor, "batch source"] | None = None,
    pad: int = 0,
    cache: bool = True,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    on_token: OnToken | None = None,
) -> Int[Tensor, "batch target"]:
    """Write a target for each source, beginning with `bos`; the options are those of `extend`.

    padding: True = a token of the source, at whichever side the others stand; positions count from
    a row's first token. source_padding: the same, by the name that the model gives it.
    """
    check_model("model", model, EncoderDecoder, "encoder")
    check_ids(source, name="source")
    at_least(0, bos=bos)
    if padding is not None and source_padding is not None:
        raise ValueError("padding and source_padding are both given; they are one thing.")
    padding = source_padding if padding is None else padding
    with torch.no_grad():
        memory = in_evaluation(model.encoder)(source, padding)
    start = torch.full((source.shape[0], 1), bos, dtype=source.dtype, device=source.device)
    return extend(
        model.decoder,
        start,
        memory,
        max_new_tokens=max_new_tokens,
        memory_padding=padding,
        eos=eos,
        pad=pad,
        cache=cache,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        generator=generator,
        on_token=on_token,
    )
