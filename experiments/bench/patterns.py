"""Attention in fixed patterns against full attention and Hugging Face's Longformer.

What is causal races causal full attention, what looks both ways full attention both ways. Batch 1,
4 heads of 64, window 128, float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.bench import Case, call
from frugal.attention.patterns import fixed_attention, sliding_window_attention, strided_attention

HEADS, HEAD_DIM, WINDOW = 4, 64, 128
CAUSAL = ("window, causal", "strided", "fixed")


def cases(smoke: bool) -> list[Case]:
    """Forward and training at 4,096 tokens, forward at other lengths, and a layer with weights."""
    short, long = (256, 512) if smoke else (4096, 8192)
    window = partial(sliding_window_attention, window=32 if smoke else WINDOW)
    globals_ = torch.zeros(1, short, dtype=torch.bool)
    globals_[:, :16] = True
    padding = torch.ones(1, short, dtype=torch.bool)
    padding[:, -short // 8 :] = False
    attends: dict[str, Callable[..., Tensor]] = {
        "full": F.scaled_dot_product_attention,
        "full, causal": partial(F.scaled_dot_product_attention, is_causal=True),
        "window": window,
        "window, causal": partial(window, causal=True),
        "window, padding": partial(window, padding=padding),
        "window, 16 global": partial(window, global_tokens=globals_),
        "strided": partial(strided_attention, stride=64),
        "fixed": partial(fixed_attention, stride=64, summary=8),
    }
    found = []
    for direction, bar in (("forward", 0.18), ("training", 0.20)):
        for name, attend in attends.items():
            case = f"{direction} {short} {name}"
            plain = name == "window"
            rival = "full, causal" if name in CAUSAL else "full"
            found.append(
                Case(
                    case,
                    call(attend, *heads(short), training=direction == "training"),
                    against=None if name.startswith("full") else f"{direction} {short} {rival}",
                    bar=bar if plain else None,
                    memory_bar=30_000_000 if plain and direction == "forward" else None,
                )
            )
    found += [
        Case(f"forward {long} full", call(attends["full"], *heads(long))),
        Case(f"forward {long} window", call(window, *heads(long)), f"forward {long} full", 0.10),
        Case(f"forward {short // 2} window", call(window, *heads(short // 2))),
        # Eight times the length: an exponent of 1.15 is 8 ** 1.15 = 10.93 times the time.
        Case(
            f"forward {4 * short} window",
            call(window, *heads(4 * short)),
            against=f"forward {short // 2} window",
            bar=8**1.15,
        ),
    ]
    return found + layers(short, 32 if smoke else WINDOW, padding, globals_)


def heads(length: int) -> list[Tensor]:
    """Random queries, keys and values."""
    return [torch.randn(1, HEADS, length, HEAD_DIM) for _ in range(3)]


def layers(length: int, window: int, padding: Tensor, globals_: Tensor) -> list[Case]:
    """Projections and attention with equal weights, theirs and ours."""
    from transformers import LongformerConfig
    from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

    width = HEADS * HEAD_DIM
    config = LongformerConfig(
        hidden_size=width,
        num_attention_heads=HEADS,
        attention_window=[2 * window],
        attention_probs_dropout_prob=0.0,
    )
    theirs = LongformerSelfAttention(config, layer_id=0)
    for name in ("query", "key", "value"):
        getattr(theirs, f"{name}_global").load_state_dict(getattr(theirs, name).state_dict())
    x = torch.randn(1, length, width)

    def longformer(x: Tensor, codes: Tensor) -> Tensor:
        flags = codes > 0
        some = bool(flags.any())
        options = {"is_index_masked": codes < 0, "is_index_global_attn": flags}
        return theirs(x, attention_mask=codes, is_global_attn=some, **options)[0]

    def ours(x: Tensor, padding: Tensor | None, global_tokens: Tensor | None) -> Tensor:
        q, k, v = (
            getattr(theirs, name)(x).unflatten(-1, (HEADS, HEAD_DIM)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        options = {"padding": padding, "global_tokens": global_tokens}
        out = sliding_window_attention(q, k, v, window=window, **options)
        return out.transpose(1, 2).flatten(2)

    def timed(fn: Callable[..., Tensor], *given: Tensor | None, training: bool) -> Callable:
        parameters = [
            one for part in (theirs.query, theirs.key, theirs.value) for one in part.parameters()
        ]

        def run() -> None:
            if not training:
                with torch.no_grad():
                    fn(x, *given)
                return
            torch.autograd.grad(fn(x, *given).sum(), parameters)

        return run

    none = torch.zeros(1, length)
    full_codes = none.masked_fill(~padding, -10000.0).masked_fill(globals_, 10000.0)
    found = []
    for direction in ("forward", "training"):
        for what, codes, pad, flags in (
            ("", none, None, None),
            (", padding and 16 global", full_codes, padding, globals_),
        ):
            training = direction == "training"
            peer = f"{direction} {length} Longformer layer{what}"
            found.append(Case(peer, timed(longformer, codes, training=training)))
            mine = timed(ours, pad, flags, training=training)
            found.append(Case(f"{direction} {length} our layer{what}", mine, peer, 0.5))
    return found
