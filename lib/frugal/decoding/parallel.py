"""Write all tokens of a target at once, then mask the doubtful ones and write those again.

An autoregressive decoder needs one step a token. Here the length is predicted first; then every
position starts as a mask and is filled in parallel, once (gu2018nat) or in T passes
(ghazvininejad2019mask). The price is that positions filled in one pass do not know of each other.
Chapter: decoding-in-parallel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Integral
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal.checks import (
    at_least,
    check_mask,
    check_padding,
    check_tensor,
    hide_padding,
    instance_of,
    whole,
)
from frugal.decoding.autoregressive import check_model
from frugal.model import Decoder, Encoder, TransformerConfig
from frugal.modes import in_evaluation


class MaskedTranslator(nn.Module):
    """An encoder, a decoder that sees in both directions, and a guess of the target's length.

    config: as for `EncoderDecoder`. mask: the id that stands for "not written yet"; it must be in
    the target vocabulary and never in a target. max_target_length: the longest target there is.

    forward(source, target, source_padding=None, target_padding=None): ids (batch, length) each ->
    scores (batch, target length, vocabulary) for the token *at* each position, minus infinity for
    the mask. The lengths are predicted from the mean of the encoder's output, where the paper
    gives its encoder one more token. Source: ghazvininejad2019mask, sections 2 and 3.
    """

    def __init__(self, config: TransformerConfig, *, mask: int, max_target_length: int) -> None:
        super().__init__()
        instance_of(TransformerConfig, config=config)
        at_least(0, mask=mask)
        vocab_size = config.target_vocab_size or config.vocab_size
        if mask >= vocab_size:
            raise ValueError(f"mask is {mask}; the target vocabulary has 0 to {vocab_size - 1}.")
        at_least(1, max_target_length=max_target_length)
        if config.positions == "learned" and max_target_length > config.max_length:
            raise ValueError(
                f"max_target_length is {max_target_length}; "
                f"learned positions reach max_length={config.max_length}."
            )
        self.config, self.mask = config, mask
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, cross=True)
        self.to_length = nn.Linear(config.d_model, max_target_length)

    @property
    def max_target_length(self) -> int:
        return self.to_length.out_features

    def fill(
        self,
        target: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source d_model"],
        *,
        target_padding: Bool[Tensor, "batch target"] | None = None,
        memory_padding: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch target vocabulary"]:
        """Scores for the token at each position, seeing all that is not masked."""
        scores = self.decoder(
            target, memory, padding=target_padding, memory_padding=memory_padding, causal=False
        )
        never = torch.arange(scores.shape[-1], device=scores.device) == self.mask
        return scores.masked_fill(never, -torch.inf)

    def length_scores(
        self,
        memory: Float[Tensor, "batch source d_model"],
        padding: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch max_target_length"]:
        """A score for each target length; column i stands for length i + 1."""
        if padding is None:
            return self.to_length(memory.mean(1))
        count = padding.sum(1, keepdim=True).clamp(min=1)  # whole: half precision ends at 256
        return self.to_length(hide_padding(memory, padding).sum(1) / count)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
        source_padding: Bool[Tensor, "batch source"] | None = None,
        target_padding: Bool[Tensor, "batch target"] | None = None,
    ) -> Float[Tensor, "batch target vocabulary"]:
        memory = self.encoder(source, source_padding)
        return self.fill(
            target, memory, target_padding=target_padding, memory_padding=source_padding
        )


def hide(
    padding: Bool[Tensor, "batch target"], *, generator: torch.Generator | None = None
) -> Bool[Tensor, "batch target"]:
    """Which tokens of each target to mask in training: 1 to all, every number equally often.

    padding: True = real token; every row needs one. generator: on the device of `padding`.
    """
    lengths = target_lengths(padding)
    chance = {"device": padding.device, "generator": generator}
    count = (torch.rand(len(lengths), **chance) * lengths).long() + 1  # 1 … length
    order = torch.rand(padding.shape, **chance).masked_fill(~padding, torch.inf)
    return order.argsort(-1).argsort(-1) < count[:, None]  # the places of the smallest draws


def target_lengths(padding: Bool[Tensor, "batch target"]) -> Int[Tensor, " batch"]:
    """Real tokens in each row; ValueError where there are none, since no length stands for that."""
    check_padding(padding, tuple(padding.shape))
    lengths = padding.sum(-1)
    if (lengths < 1).any():
        raise ValueError("padding has a target of length 0; every target needs at least one token.")
    return lengths


def masked_loss(
    model: MaskedTranslator,
    source: Int[Tensor, "batch source"],
    target: Int[Tensor, "batch target"],
    hidden: Bool[Tensor, "batch target"],
    *,
    source_padding: Bool[Tensor, "batch source"],
    target_padding: Bool[Tensor, "batch target"],
) -> Float[Tensor, ""]:
    """Cross-entropy of the hidden tokens plus that of the length, both in nats.

    target: the whole targets, without begin or end. hidden: what the decoder does not see, from
    `hide`; `target_padding` itself hides everything, which trains a model for one pass alone.
    """
    lengths = target_lengths(target_padding)
    if target.shape[1] > model.max_target_length:
        raise ValueError(
            f"target has {target.shape[1]} positions; "
            f"max_target_length={model.max_target_length} is the most this model can write."
        )
    check_mask("hidden", hidden, tuple(target.shape))
    if len(target) and (~hidden).all():
        raise ValueError("hidden is False everywhere; one token or more must be hidden.")
    memory = model.encoder(source, source_padding)
    scores = model.fill(
        target.masked_fill(hidden, model.mask),
        memory,
        target_padding=target_padding,
        memory_padding=source_padding,
    )
    asked = target.masked_fill(~hidden, -100)  # cross_entropy skips -100
    of_tokens = F.cross_entropy(scores.flatten(0, 1), asked.flatten())
    return of_tokens + F.cross_entropy(model.length_scores(memory, source_padding), lengths - 1)


class Pass(NamedTuple):
    """One parallel step: what was masked before it, and the text after it.

    log_prob: of each token at the pass that wrote it; tokens that were kept keep theirs.
    """

    hidden: Bool[Tensor, "batch target"]
    ids: Int[Tensor, "batch target"]
    log_prob: Float[Tensor, "batch target"]


def mask_predict_passes(
    model: MaskedTranslator,
    memory: Float[Tensor, "batch source d_model"],
    padding: Bool[Tensor, "batch target"],
    *,
    iterations: int,
    memory_padding: Bool[Tensor, "batch source"] | None = None,
) -> Iterator[Pass]:
    """The T passes of Mask-Predict over targets of known length, one at a time.

    Pass t = 0 writes everything. Before pass t the ⌊n·(T - t)/T⌋ least probable of a row's n
    tokens, at least one, are masked again; the others keep their probabilities from the pass that
    wrote them. padding: True = a position to write. Cost: T decoder passes over all positions.
    Source: ghazvininejad2019mask, section 3.1.
    """
    at_least(1, iterations=iterations)
    lengths = target_lengths(padding)
    hidden = padding
    ids = torch.full(padding.shape, model.mask, device=padding.device)
    exact = torch.promote_types(memory.dtype, torch.float32)  # for the order of the doubtful
    log_prob = torch.zeros(padding.shape, device=memory.device, dtype=exact)
    for t in range(iterations):
        if t:
            # in whole numbers: 1 - t/T is not exact, and ⌊n·(1 - t/T)⌋ can fall one short
            count = (lengths * (iterations - t) // iterations).clamp(min=1)
            doubtful_first = log_prob.masked_fill(~padding, torch.inf).argsort(dim=-1, stable=True)
            rank = doubtful_first.argsort(-1)
            hidden = padding & (rank < count[:, None])
        scores = model.fill(
            ids.masked_fill(hidden, model.mask),
            memory,
            target_padding=padding,
            memory_padding=memory_padding,
        )
        best, token = scores.log_softmax(-1, dtype=exact).max(-1)
        ids = torch.where(hidden, token, ids)
        log_prob = torch.where(hidden, best, log_prob)
        yield Pass(hidden, ids, log_prob)


@dataclass(frozen=True)
class Written:
    """What was written for each source.

    ids: (batch, longest), `pad` after the end. padding: True = written. log_prob: of each token.
    """

    ids: Int[Tensor, "batch target"]
    padding: Bool[Tensor, "batch target"]
    log_prob: Float[Tensor, "batch target"]

    @property
    def mean_log_prob(self) -> Float[Tensor, " batch"]:
        """The score by which candidates of different length are compared."""
        return self.log_prob.sum(-1) / self.padding.sum(-1)


def mask_predict(
    model: MaskedTranslator,
    source: Int[Tensor, "batch source"],
    *,
    iterations: int,
    source_padding: Bool[Tensor, "batch source"] | None = None,
    n_lengths: int = 1,
    lengths: Int[Tensor, " batch"] | None = None,
    pad: int = 0,
) -> Written:
    """Write a target for each source in `iterations` parallel passes; 1 is one-shot decoding.

    n_lengths: write for that many of the most likely lengths side by side, and keep the text with
    the highest mean log-probability. lengths: the target lengths, where they are known. Dropout is
    off while decoding. Raises ValueError for iterations < 1, a length below 1 or above
    max_target_length, and n_lengths outside 1 … max_target_length.
    """
    check_model("model", model, MaskedTranslator, "length_scores")
    at_least(1, iterations=iterations)
    whole(pad=pad)
    longest = model.max_target_length
    counts = isinstance(n_lengths, Integral) and not isinstance(n_lengths, bool)
    if not counts or not 1 <= n_lengths <= longest:
        raise ValueError(f"n_lengths is {n_lengths!r}; it must be 1 to {longest}.")
    if lengths is not None:
        check_tensor(lengths=lengths)
    if lengths is not None and lengths.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"lengths has dtype {lengths.dtype}; it must hold whole numbers.")
    if lengths is not None and lengths.shape != source.shape[:1]:
        raise ValueError(f"lengths has shape {tuple(lengths.shape)}; it must be ({len(source)},).")
    if lengths is not None and ((lengths < 1) | (lengths > longest)).any():
        raise ValueError(
            f"lengths run from {lengths.min()} to {lengths.max()}; they must be 1 to {longest}."
        )
    model = in_evaluation(model)
    with torch.no_grad():
        memory = model.encoder(source, source_padding)
        if lengths is None:
            scores = model.length_scores(memory, source_padding)
            candidates = scores.topk(n_lengths).indices + 1  # (batch, n_lengths)
        else:
            candidates = lengths[:, None]
        return _best_of(model, memory, candidates, iterations, source_padding, pad)


def _best_of(
    model: MaskedTranslator,
    memory: Tensor,
    candidates: Int[Tensor, "batch candidates"],
    iterations: int,
    memory_padding: Tensor | None,
    pad: int,
) -> Written:
    """Write every candidate length in one batch; keep the best of each row."""
    batch, count = candidates.shape
    longest = int(candidates.max()) if candidates.numel() else 1
    place = torch.arange(longest, device=memory.device)
    padding = place < candidates.flatten()[:, None]  # (batch · candidates, longest)
    if memory_padding is not None:
        memory_padding = memory_padding.expand(memory.shape[:2])
        memory_padding = memory_padding.repeat_interleave(count, 0)
    passes = mask_predict_passes(
        model,
        memory.repeat_interleave(count, 0),
        padding,
        iterations=iterations,
        memory_padding=memory_padding,
    )
    *_, last = passes
    ids, log_prob = last.ids.masked_fill(~padding, pad), last.log_prob
    written = Written(ids, padding, log_prob)
    if count == 1:
        return written
    best = written.mean_log_prob.view(batch, count).argmax(-1)
    row = torch.arange(batch, device=best.device) * count + best
    return replace(written, ids=ids[row], padding=padding[row], log_prob=log_prob[row])
