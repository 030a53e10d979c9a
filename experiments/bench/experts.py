"""A layer of experts against a dense layer of equal FLOPs per token, and Hugging Face's Switch.

Width 512, hidden 2,048, 8 experts of which each token visits one, forward and backward.
"""

from __future__ import annotations

import torch
from torch import nn

from experiments.bench import Case, call
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.experts import MixtureOfExperts, SwitchFeedForward

WIDTH, HIDDEN, EXPERTS, LENGTH = 512, 2048, 8, 128
BARS = {2048: 1.15, 8192: 1.05}


def cases(smoke: bool) -> list[Case]:
    """Tokens in sequences of 128; a mixture of 2 of 8 has experts of half the width."""
    width, hidden = (16, 32) if smoke else (WIDTH, HIDDEN)
    layers = {
        "dense": DenseFeedForward(width, hidden),
        "switch": SwitchFeedForward(width, hidden, EXPERTS, per="sequence"),
        "2 of 8": MixtureOfExperts(width, hidden // 2, EXPERTS, 2, n_shared=0),
        "Hugging Face's Switch": _peer(width, hidden),
    }
    found = []
    for tokens in (256,) if smoke else (2048, 8192):
        x = torch.randn(tokens // LENGTH, LENGTH, width)
        for name, layer in layers.items():
            against = None if name == "dense" else f"{tokens} dense"
            bar = BARS.get(tokens) if name == "switch" else None
            found.append(Case(f"{tokens} {name}", call(layer, x, training=True), against, bar))
    return found


def _peer(width: int, hidden: int) -> nn.Module:
    """Its layer of experts, with room as ours."""
    from transformers import SwitchTransformersConfig
    from transformers.models.switch_transformers import modeling_switch_transformers as theirs

    config = SwitchTransformersConfig(
        d_model=width,
        d_ff=hidden,
        num_experts=EXPERTS,
        expert_capacity=int(LENGTH / EXPERTS * 1.25),
        router_jitter_noise=0.0,
        dropout_rate=0.0,
        dense_act_fn="relu",
    )
    return theirs.SwitchTransformersSparseMLP(config)
