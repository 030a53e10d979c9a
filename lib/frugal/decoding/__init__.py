"""Write a target token by token, or all at once.

Sources: gu2018nat, ghazvininejad2019mask, kasai2021deep. Chapter: decoding-in-parallel.
"""

from frugal.decoding.autoregressive import choose, extend, generate, translate
from frugal.decoding.distillation import distill
from frugal.decoding.parallel import (
    MaskedTranslator,
    hide,
    mask_predict,
    mask_predict_passes,
    masked_loss,
    target_lengths,
)

__all__ = [
    "MaskedTranslator",
    "choose",
    "distill",
    "extend",
    "generate",
    "hide",
    "mask_predict",
    "mask_predict_passes",
    "masked_loss",
    "target_lengths",
    "translate",
]
