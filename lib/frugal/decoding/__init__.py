"""Write a target token by token, through fewer layers, from drafts, or all at once.

Sources: gu2018nat, ghazvininejad2019mask, kasai2021deep, schuster2022calm, elhoushi2024layerskip.
Chapters: decoding-in-parallel, writing-with-fewer-layers.

The names below are imported on first use, so a page stands on the files alone that it uses.
"""

from __future__ import annotations

from frugal.lazily import on_first_use

_HOME = {
    "MaskedTranslator": "parallel",
    "choose": "autoregressive",
    "distill": "distillation",
    "exit_logits": "by_layer",
    "exit_loss": "by_layer",
    "extend": "autoregressive",
    "generate": "autoregressive",
    "generate_early": "early",
    "hide": "parallel",
    "mask_predict": "parallel",
    "mask_predict_passes": "parallel",
    "masked_loss": "parallel",
    "speculate": "speculation",
    "target_lengths": "parallel",
    "translate": "autoregressive",
}
"""Where each name lives. `__init__.pyi` says the same to type checkers."""

__all__ = sorted(_HOME)

__getattr__, __dir__ = on_first_use(__name__, _HOME)
