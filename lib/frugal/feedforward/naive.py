"""The definition of a layer of experts, token by token: what the fast form has to agree with.

Chapter: experts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from frugal.feedforward.experts import SwitchFeedForward


def switch(layer: SwitchFeedForward, x: Tensor) -> Tensor:
    """What `layer`, in evaluation mode, makes of x (batch, length, d_model): one token at a time,
    in order, each to its expert if that has room left."""
    experts = layer.experts
    out = torch.zeros_like(x)
    batch, length, _ = x.shape
    group = batch * length if layer.per == "batch" else length
    capacity = layer.capacity(group)
    left = [capacity] * layer.n_experts
    for b in range(batch):
        if layer.per == "sequence":
            left = [capacity] * layer.n_experts
        for t in range(length):
            token = x[b, t]
            probabilities = (layer.router.weight @ token).softmax(0)
            e = int(probabilities.argmax())
            if left[e] == 0:
                continue
            left[e] -= 1
            hidden = experts.inner[e] @ token
            if experts.inner_bias is not None:
                hidden = hidden + experts.inner_bias[e]
            y = experts.outer[e] @ experts.activation(hidden)
            if experts.outer_bias is not None:
                y = y + experts.outer_bias[e]
            out[b, t] = probabilities[e] * y
    return out
