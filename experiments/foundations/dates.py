"""What do heads and positions matter to the vanilla Transformer?

One change at a time to the model of chapter 2, after Table 3 of vaswani2017attention: written dates
to ISO dates, exact match on 1,000 dates of unseen days, at three moments of one run. Learned
positions are tried twice: started as loud as sinusoids, and at 0.02 as BERT starts everything,
which here is 35 times quieter than the embeddings they are added to. About a minute a run on one
core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from frugal.data import dates
from frugal.decoding import translate
from frugal.model import EncoderDecoder, TransformerConfig
from frugal.positions import LearnedPositions
from frugal.training import train

MOMENTS = (200, 400, 800)
QUIET = 0.02


def settings() -> dict[str, dict[str, Any]]:
    """By name, what differs from 4 heads, sinusoidal positions and norms first."""
    return {
        "base": {},
        "heads-1": {"n_heads": 1},
        "heads-8": {"n_heads": 8},
        "learned": {"positions": "learned"},
        "learned-quiet": {"positions": "learned", "start": QUIET},
        "rope": {"positions": "rope"},
        "none": {"positions": "none"},
        "post-norm": {"norm_first": False},
    }


def network(setting: dict[str, Any], vocab_size: int) -> EncoderDecoder:
    """The model of a setting; `start` is the spread that learned positions begin with."""
    shape = {"d_model": 64, "n_heads": 4, "n_layers": 2, "max_length": 64} | setting
    start = shape.pop("start", None)
    model = EncoderDecoder(TransformerConfig(vocab_size=vocab_size, **shape))
    if start is not None:
        for module in model.modules():
            if isinstance(module, LearnedPositions):
                nn.init.normal_(module.table, std=start)
    return model


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; at each moment the share of held-out dates written without a wrong character."""
    vocabulary = dates.vocabulary()
    held_out = dates.pairs("test", n=20 if smoke else 1000, seed=1)
    test = dates.encode(held_out, vocabulary)
    torch.manual_seed(seed)
    model = network(setting, len(vocabulary))

    def loss(model: EncoderDecoder, batch: dates.DateBatch) -> torch.Tensor:
        scores = model(batch.source, batch.target_in, batch.source_padding)
        target = batch.target_out.flatten()
        return F.cross_entropy(scores.flatten(0, 1), target, ignore_index=vocabulary.pad)

    moments = (3,) if smoke else MOMENTS
    pairs = dates.pairs("train", n=200 if smoke else None, seed=seed)
    history = train(
        model,
        dates.batches(pairs, vocabulary, batch_size=8 if smoke else 64),
        loss,
        steps=moments[-1],
        lr=5e-3,
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    curve = []
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        written = vocabulary.decode(
            translate(
                model,
                test.source,
                source_padding=test.source_padding,
                bos=vocabulary.bos,
                eos=vocabulary.eos,
                max_new_tokens=11,
            )
        )
        right = [text == pair.target for text, pair in zip(written, held_out, strict=True)]
        curve.append(sum(right) / len(right))
    return {
        "exact": curve[-1],
        "curve": curve,
        "moments": list(moments),
        "dates": len(held_out),
        "loss": sum(history.losses[-20:]) / len(history.losses[-20:]),
    }
