"""Every task as text to text: one vocabulary with sentinels, batches, training, scores.

A model reads a source and writes a target, as in raffel2020t5; here it is an encoder-decoder whose
`loss(source, target, labels, source_padding, target_padding)` says what it trains with.
Chapter: the-modification-zoo.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from frugal.checks import at_least
from frugal.data.corruption import corrupt
from frugal.data.translation import TranslationPair
from frugal.modes import in_evaluation
from frugal.penalty import penalty
from frugal.tokens.byte_pairs import SPECIAL, BytePairTokenizer
from frugal.tokens.bytes import pad_rows

PAD, EOS = 0, 1
"""A decoder begins with the id of padding."""


class Vocabulary:
    """Byte pairs, the most frequent token first, and sentinels as the last ids.

    Ids: 0 pads and begins, 1 ends, then come all tokens by their number in the texts that they were
    learned from, then the sentinels. Tables that treat rare tokens otherwise rely on that order.
    """

    def __init__(self, texts: Sequence[str], *, size: int, n_sentinels: int) -> None:
        at_least(1, n_sentinels=n_sentinels)
        # the three special ids of the tokenizer become two
        learned = size - n_sentinels + len(SPECIAL) - 2
        self.tokenizer = BytePairTokenizer.train("\n".join(texts), vocab_size=learned)
        counts = Counter(i for text in texts for i in self.tokenizer.encode(text, eos=False))
        order = sorted(range(len(SPECIAL), learned), key=lambda i: (-counts[i], i))
        self._own = {old: new for new, old in enumerate(order, start=2)}
        self._old = {new: old for old, new in self._own.items()}
        self.size = size
        self.sentinels = list(range(size - n_sentinels, size))

    def encode(self, text: str) -> list[int]:
        """Ids without an end."""
        return [self._own[i] for i in self.tokenizer.encode(text, eos=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text up to the first end; sentinels are left out."""
        kept = []
        for i in ids:
            if i == EOS:
                break
            if i in self._old:
                kept.append(self._old[i])
        return self.tokenizer.decode(kept)


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a model reads, what it has written before each place, and what comes there. A mask is
    True at real tokens, or None where all are."""

    source: Int64[Tensor, "batch source"]
    target: Int64[Tensor, "batch target"]
    labels: Int64[Tensor, "batch target"]
    source_padding: Bool[Tensor, "batch source"] | None = None
    target_padding: Bool[Tensor, "batch target"] | None = None

    def loss(self, model: nn.Module) -> Tensor:
        """Nats per token, as the model trains."""
        return model.loss(
            self.source, self.target, self.labels, self.source_padding, self.target_padding
        )

    def rows(self, chosen: Tensor | slice) -> Batch:
        """Some of the examples, cut to the longest of them where there are masks."""
        if self.source_padding is None or self.target_padding is None:
            own = (self.source, self.target, self.labels, self.source_padding, self.target_padding)
            return Batch(*(None if one is None else one[chosen] for one in own))
        masks = self.source_padding[chosen], self.target_padding[chosen]
        n_source, n_target = (int(mask.sum(1).max()) for mask in masks)
        return Batch(
            self.source[chosen, :n_source],
            self.target[chosen, :n_target],
            self.labels[chosen, :n_target],
            masks[0][:, :n_source],
            masks[1][:, :n_target],
        )

    def __len__(self) -> int:
        return len(self.source)


def encoded(
    pairs: Sequence[TranslationPair], vocabulary: Vocabulary, *, n_source: int, n_target: int
) -> Batch:
    """Pairs as one padded batch; sources and targets are cut to these lengths, the end included."""
    sources = [vocabulary.encode(pair.source)[:n_source] for pair in pairs]
    answers = [[*vocabulary.encode(pair.target)[: n_target - 1], EOS] for pair in pairs]
    source, source_padding = pad_rows(sources, pad=PAD)
    labels, target_padding = pad_rows(answers, pad=PAD)
    return Batch(source, begun(labels), labels, source_padding, target_padding)


def begun(labels: Int64[Tensor, "batch length"]) -> Int64[Tensor, "batch length"]:
    """What a decoder reads: the labels one place later, after the id that begins."""
    return torch.cat([torch.full_like(labels[:, :1], PAD), labels[:, :-1]], dim=1)


def windows(
    texts: Sequence[str], vocabulary: Vocabulary, *, length: int
) -> Int64[Tensor, "windows length"]:
    """All texts, an end behind each, one after the other and cut into pieces of `length`."""
    ids = [i for text in texts for i in (*vocabulary.encode(text), EOS)]
    if len(ids) < length:
        raise ValueError(f"texts has {len(ids)} tokens; one window needs {length}.")
    return torch.tensor(ids[: len(ids) // length * length]).view(-1, length)


def corrupted(
    rows: Int64[Tensor, "batch length"], vocabulary: Vocabulary, generator: torch.Generator
) -> Batch:
    """Windows with 15 % of their tokens in spans of 3 taken out; all come to the same lengths."""
    pairs = [corrupt(row, vocabulary.sentinels, generator) for row in rows.tolist()]
    source = torch.tensor([pair.source for pair in pairs])
    labels = torch.tensor([[*pair.target, EOS] for pair in pairs])
    return Batch(source, begun(labels), labels)


def updates(
    model: nn.Module,
    batches: Callable[[], Batch],
    rate: Callable[[int], float],
    *,
    balance: float = 0.01,
    clip: float = 1.0,
) -> Iterator[float]:
    """Make an update with Adam whenever asked, and give its loss; ends where one is not finite.

    rate: the learning rate of update 0, 1, ... balance: λ of what the model's own parts ask to be
    added (`frugal.penalty`), where they do. clip: the largest norm of a gradient.
    """
    weights = list(model.parameters())
    priced = any(callable(getattr(type(part), "penalty", None)) for part in model.modules())
    optimizer = torch.optim.Adam(weights, betas=(0.9, 0.98), fused=True)
    step = 0
    while True:
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad(set_to_none=True)
        loss = batches().loss(model)
        (loss + balance * penalty(model) if priced else loss).backward()
        norm = nn.utils.clip_grad_norm_(weights, clip)
        value = loss.item()
        if not math.isfinite(value) or not math.isfinite(norm.item()):
            return
        optimizer.step()
        step += 1
        yield value


def inverse_square_root(peak: float, warmup: int) -> Callable[[int], float]:
    """A rate that rises over `warmup` updates and falls as 1 / √update: it knows no end."""
    return lambda step: peak * min((step + 1) / warmup, math.sqrt(warmup / (step + 1)))


class Read(NamedTuple):
    """loss: nats per label. right: the share of labels that have the highest score."""

    loss: float
    right: float


@torch.no_grad()
def read(model: nn.Module, batch: Batch, *, batch_size: int = 64) -> Read:
    """How well a model knows the labels of a whole batch, in parts and without dropout.

    By the scores, and not by the loss that a model trains with, which may leave labels out.
    """
    if not len(batch):
        raise ValueError("batch has no examples; it must have one or more.")
    lost, right, count, model = 0.0, 0, 0, in_evaluation(model)
    for at in range(0, len(batch), batch_size):
        part = batch.rows(slice(at, at + batch_size))
        scores = model(part.source, part.target, part.source_padding, part.target_padding)
        scores, labels = scores.flatten(0, 1).float(), part.labels.flatten()
        if part.target_padding is not None:
            real = part.target_padding.flatten()
            scores, labels = scores[real], labels[real]
        lost += float(nn.functional.cross_entropy(scores, labels, reduction="sum"))
        right += int((scores.argmax(-1) == labels).sum())
        count += len(labels)
    return Read(lost / count, right / count)


@torch.no_grad()
def written(
    model: nn.Module, batch: Batch, vocabulary: Vocabulary, *, batch_size: int = 128
) -> list[str]:
    """What a model writes for each source, greedily, up to the length of the longest answer.

    Without a cache, which half of the rows of `frugal.transfer` have not.
    """
    found, model = [], in_evaluation(model)
    for at in range(0, len(batch), batch_size):
        part = batch.rows(slice(at, at + batch_size))
        memory = model.encoder(part.source, part.source_padding)
        ids = torch.full_like(part.source[:, :1], PAD)
        ended = torch.zeros_like(ids[:, 0], dtype=torch.bool)
        while not ended.all() and ids.shape[1] <= batch.labels.shape[1]:
            scores = model.decoder(ids, memory, memory_padding=part.source_padding)
            ids = torch.cat([ids, scores[:, -1:].argmax(-1)], dim=1)
            ended |= ids[:, -1] == EOS
        found += [vocabulary.decode(row[1:]) for row in ids.tolist()]
    return found
