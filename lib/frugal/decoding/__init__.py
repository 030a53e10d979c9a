"""Write a target token by token, through fewer layers, from drafts, or all at once.

Sources: gu2018nat, ghazvininejad2019mask, kasai2021deep, schuster2022calm, elhoushi2024layerskip.
Chapters: decoding-in-parallel, writing-with-fewer-layers.
"""

from frugal.decoding.autoregressive import choose, extend, generate, translate
from frugal.decoding.by_layer import exit_logits, exit_loss
from frugal.decoding.distillation import distill
from frugal.decoding.early import generate_early
from frugal.decoding.parallel import (
    MaskedTranslator,
    hide,
    mask_predict,
    mask_predict_passes,
    masked_loss,
    target_lengths,
)
from frugal.decoding.speculation import speculate

__all__ = [
    "MaskedTranslator",
    "choose",
    "distill",
    "exit_logits",
    "exit_loss",
    "extend",
    "generate",
    "generate_early",
    "hide",
    "mask_predict",
    "mask_predict_passes",
    "masked_loss",
    "speculate",
    "target_lengths",
    "translate",
]
