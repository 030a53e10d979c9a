"""What a model's own parts ask to be added to its loss.

A part that has a price, such as a span that reaches far or tokens that are kept, says so in a
method `penalty()`, which gives one number with a gradient.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def penalty(model: nn.Module) -> Float[Tensor, ""]:
    """The sum of `penalty()` over the modules in `model` that have one, each in its own unit.

    It is to be scaled by a λ and added to the loss, before or after the forward pass.
    Raises ValueError when no module has one.
    """
    found = [m.penalty() for m in model.modules() if callable(getattr(type(m), "penalty", None))]
    if not found:
        raise ValueError(
            f"model is {type(model).__name__}; it must have a module with a penalty, such as "
            "AdaptiveSpan or SoftRetention."
        )
    return torch.stack(found).sum()
