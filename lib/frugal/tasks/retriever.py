"""A small model that looks keys up in its context, and how well it does at each place.

What "lost in the middle" (liu2024lost) measures on large models, on one that trains in seconds:
:class:`Retriever` answers the questions of :mod:`frugal.data.retrieval`,
:func:`accuracy_by_position` asks for every place in turn, :func:`dip` is the depth of the U, and
:func:`at_mean` takes curves of readers that know equally much.
Chapter: lost-in-the-middle.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from frugal.checks import one_of
from frugal.data import retrieval
from frugal.data.retrieval import RetrievalBatch
from frugal.data.seeds import Seed, generator_of
from frugal.embeddings import TokenEmbedding
from frugal.model import Encoder, EncoderDecoder, TransformerConfig
from frugal.modes import in_evaluation

Architecture = Literal["decoder", "bidirectional", "encoder-decoder"]
"""One causal stack, one stack that sees both ways, or a stack that reads and one that answers."""


class PreviousTokenEmbedding(TokenEmbedding):
    """A token's vector plus a learned map of the vector of the token before it.

    A value then carries its own key, and a query can find the value in one step of attention; a
    Transformer learns the same in its first layer, which takes it much longer. Needs the whole
    sequence: with a cache of earlier tokens the token before the first new one is not known.
    Shapes: ids (batch, length); out (batch, length, d_model).
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__(vocab_size, d_model)
        self.before = nn.Linear(d_model, d_model, bias=False)

    def forward(self, ids: Int64[Tensor, "batch length"]) -> Float[Tensor, "batch length d_model"]:
        vectors = super().forward(ids)
        return vectors + F.pad(self.before(vectors[:, :-1]), (0, 0, 1, 0))


class Retriever(nn.Module):
    """Read pairs and keys, give scores over the vocabulary at each asked key.

    architecture: see `Architecture`; the layers are `config.n_layers`, for an encoder-decoder
    `config.n_layers` that read and `config.n_decoder_layers` that answer. The answering half of an
    encoder-decoder sees the questions and, by cross-attention, everything before them.

    forward(batch) with a `RetrievalBatch` of b sequences and n questions -> (b, n, vocabulary).
    """

    def __init__(self, architecture: Architecture, config: TransformerConfig) -> None:
        super().__init__()
        one_of(get_args(Architecture), architecture=architecture)
        self.architecture = architecture
        if architecture == "encoder-decoder":
            self.model: nn.Module = EncoderDecoder(config)
            reader = self.model.encoder
        else:
            reader = self.model = Encoder(config)  # and causal, where it is a decoder
        reader.embedding = PreviousTokenEmbedding(config.vocab_size, config.d_model)

    def forward(self, batch: RetrievalBatch) -> Float[Tensor, "batch queries vocabulary"]:
        inputs, n_queries = batch.inputs, batch.positions.shape[1]
        if self.architecture == "encoder-decoder":
            context, questions = inputs.tensor_split([inputs.shape[1] - n_queries - 1], dim=1)
            return self.model(context, questions)[:, -n_queries:]
        x = self.model(inputs, causal=self.architecture == "decoder")  # (batch, length, d_model)
        return self.model.embedding.logits(x[:, -n_queries:])


def retrieval_loss(model: nn.Module, batch: RetrievalBatch) -> Tensor:
    """Mean cross-entropy of the asked values, as `frugal.training.train` takes it."""
    scores = model(batch)
    return F.cross_entropy(scores.flatten(0, 1), batch.targets[:, -scores.shape[1] :].flatten())


@torch.no_grad()
def accuracy_by_position(
    model: nn.Module,
    *,
    n_pairs: int,
    n_queries: int = 1,
    examples: int = 100,
    query_first: bool = False,
    n_keys: int = 128,
    n_values: int = 128,
    seed: Seed = 0,
) -> Float64[Tensor, " pairs"]:
    """The share of right answers for each place of the gold pair, first pair first.

    model: a `Retriever`, or any module called the same way.

    Every place is asked for `examples` times, each time in another context. With several questions
    a context, a random order of all places is dealt out, so that each context asks for different
    ones; n_queries must divide n_pairs.
    """
    if n_queries < 1 or n_pairs % n_queries:
        raise ValueError(f"n_queries is {n_queries}; it must be at least 1 and divide {n_pairs=}.")
    if examples < 1:
        raise ValueError(f"examples is {examples}; each place is asked for at least once.")
    device = next(model.parameters()).device
    generator = generator_of(seed)
    orders = torch.rand(examples, n_pairs, generator=generator).argsort(dim=1)
    right = torch.zeros(n_pairs, dtype=torch.float64)
    model = in_evaluation(model)
    for positions in orders.view(-1, n_queries).split(256):
        batch = retrieval.draw(
            len(positions),
            n_pairs=n_pairs,
            n_queries=n_queries,
            positions=positions,
            n_keys=n_keys,
            n_values=n_values,
            query_first=query_first,
            seed=generator,
            device=device,
        )
        hit = model(batch).argmax(-1) == batch.targets[:, -n_queries:]
        right.index_add_(0, positions.flatten(), hit.cpu().double().flatten())
    return right / examples


class Parts(NamedTuple):
    """Mean accuracy of the first fifth of the places, the middle third and the last fifth."""

    first: Tensor
    middle: Tensor
    last: Tensor


def parts(accuracy: Float[Tensor, "*batch places"]) -> Parts:
    """The three numbers that tell a U from a lean; places are along the last axis, at least 5."""
    n = accuracy.shape[-1]
    if n < 5:
        raise ValueError(f"accuracy has {n} places; first, middle and last need at least 5.")
    fifth, third = round(n / 5), round(n / 3)
    start = (n - third) // 2
    slices = accuracy[..., :fifth], accuracy[..., start : start + third], accuracy[..., n - fifth :]
    return Parts(*(places.mean(-1) for places in slices))


def dip(accuracy: Float[Tensor, "*batch places"]) -> Float[Tensor, "*batch"]:
    """How deep the U is: mean of the first and last fifth, minus mean of the middle third.

    0 where every place is as good; at most 1. Places are along the last axis, at least 5.
    """
    first, middle, last = parts(accuracy)
    return (first + last) / 2 - middle


def at_mean(
    runs: Float[Tensor, "seeds moments places"], level: float = 0.5
) -> Float[Tensor, "reached places"]:
    """For each seed its curve when the mean over all places first reaches `level`.

    Between the two moments around it the curve is interpolated. Seeds that never reach it are left
    out, so that readers can be compared when they know equally much.
    """
    reached = []
    for moments in runs:
        above = (moments.mean(-1) >= level).nonzero()
        if not len(above):
            continue
        after = int(above[0])
        before = max(after - 1, 0)
        mean = moments.mean(-1)
        part = (level - mean[before]) / (mean[after] - mean[before]) if after else 0.0
        reached.append(moments[before] + part * (moments[after] - moments[before]))
    return torch.stack(reached) if reached else runs.new_zeros(0, runs.shape[-1])
