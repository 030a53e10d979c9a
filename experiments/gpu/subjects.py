"""What is measured: every attention, every mixer, and the models made of them.

A subject is made anew by its name, in whichever process, from a seed; so a job is a name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frugal.attention.alibi import AlibiAttention
from frugal.attention.dynamic_span import DynamicSpan
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.kernels import FavorFeatures, KernelAttention
from frugal.attention.kernels.features import RandomFourierFeatures
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.attention.linformer import LinformerAttention, LinformerSelfAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.relative import RelativeAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from frugal.attention.span import AdaptiveSpan
from frugal.attention.swin import ShiftedWindowAttention
from frugal.mixing.convolution import DynamicConv, LightweightConv
from frugal.mixing.fourier import FourierMixing
from frugal.mixing.synthesizer import Synthesizer

HEADS, HEAD_DIM = 4, 64
WIDTH = HEADS * HEAD_DIM


@dataclass(frozen=True)
class Subject:
    """A call to make on two devices.

    make: the module or function. draw: from a generator, its arguments, numbers as float64.
    options: keyword arguments, tensors among them. half: whether bfloat16 makes the same choices
    as float64 (what sorts or selects by rounded numbers does not). compiles: whether the kernel is
    made at run time, which takes seconds.
    """

    make: Callable[[], Callable[..., Any]]
    draw: Callable[[torch.Generator], tuple[Tensor, ...]]
    options: dict[str, Any] = field(default_factory=dict)
    half: bool = True
    compiles: bool = False


def heads(
    generator: torch.Generator, *, length: int, queries: int | None = None, dim: int = HEAD_DIM
) -> tuple[Tensor, ...]:
    """q, k and v of two sequences."""
    sizes = (length if queries is None else queries, length, length)
    draw = partial(torch.randn, generator=generator, dtype=torch.float64)
    return tuple(draw(2, HEADS, size, dim) for size in sizes)


def rows(generator: torch.Generator, *, length: int, width: int = WIDTH) -> tuple[Tensor, ...]:
    """Vectors of two sequences."""
    return (torch.randn(2, length, width, generator=generator, dtype=torch.float64),)


def picture(generator: torch.Generator, *, side: int) -> tuple[Tensor, ...]:
    return (torch.randn(2, side, side + 2, WIDTH, generator=generator, dtype=torch.float64),)


def ragged(length: int, *, left: bool = False) -> Tensor:
    """Padding in which one sequence has five eighths of its tokens, at one end."""
    real = torch.ones(2, length, dtype=torch.bool)
    real[0, : 3 * length // 8] = False
    return real if left else real.flip(1)


def nobody(length: int) -> Tensor:
    """Padding in which one sequence has no token at all, so its queries see nothing."""
    real = ragged(length)
    real[1] = False
    return real


def attentions(length: int) -> dict[str, tuple[Callable[[], Callable[..., Any]], set[str]]]:
    """By name, what makes an attention callable and which of its options apply.

    "causal", "both" (attends both ways), "padding", "mask", "bias", "cache" (fewer queries than
    keys), "hashed" (bfloat16 sorts differently), "compiled" (a kernel made at run time).
    """
    whole = {"both", "causal", "padding", "cache"}
    pattern = {"compiled", "padding", "cache"}
    blocks = -(-length // 32)
    window_global = {"window": 20, "global_tokens": (0, 7)}
    bird = {"window": 9, "global_tokens": (0,), "n_random": 3}
    return {
        "softmax": (lambda: softmax_attention, whole | {"mask", "bias"}),
        "alibi": (lambda: AlibiAttention(HEADS), whole),
        "relative": (lambda: _scattered(RelativeAttention(HEADS, WIDTH)), {"both", "padding"}),
        "entmax": (lambda: EntmaxAttention(HEADS, learned=True), whole | {"mask", "bias"}),
        "sparsemax": (lambda: EntmaxAttention(HEADS, alpha=2.0), {"both", "padding"}),
        "span of each query": (
            lambda: _scattered(DynamicSpan(HEADS, HEAD_DIM, 60, 8, start=20)),
            {"both", "causal", "padding"},
        ),
        "elu": (lambda: KernelAttention(), whole),
        "performer": (lambda: KernelAttention(FavorFeatures(HEAD_DIM, 48)), whole),
        "fourier features": (
            lambda: KernelAttention(RandomFourierFeatures(HEAD_DIM, 48)),
            {"both", "padding"},
        ),
        "rfa": (lambda: RandomFeatureAttention(HEADS, HEAD_DIM, 32), whole),
        "linformer": (lambda: LinformerAttention(HEADS, length, 32), {"both", "padding"}),
        "span": (
            lambda: _scattered(AdaptiveSpan(HEADS, 60, 8, start=20)),
            whole | {"mask", "bias"},
        ),
        "lsh": (lambda: LshAttention(16, 2, seed=3), {"both", "causal", "padding", "hashed"}),
        "lsh, one bucket": (lambda: LshAttention(length, 1, seed=3), {"both", "causal", "padding"}),
        "sinkhorn": (
            lambda: SinkhornAttention(HEADS, HEAD_DIM, block_size=32, max_blocks=blocks),
            {"both", "causal", "padding"},
        ),
        "sortcut": (
            lambda: SinkhornAttention(
                HEADS, HEAD_DIM, block_size=32, max_blocks=blocks, sort_cut=2
            ),
            {"both", "padding"},
        ),
        "window": (lambda: PatternAttention("window", window=20), pattern | {"both", "causal"}),
        "strided": (lambda: PatternAttention("strided", stride=17), pattern | {"causal"}),
        "fixed": (lambda: PatternAttention("fixed", stride=17, summary=3), pattern | {"causal"}),
        "window+global": (
            lambda: PatternAttention("window+global", **window_global),
            pattern | {"both", "causal"},
        ),
        "window+global+random": (
            lambda: PatternAttention("window+global+random", **bird),
            {"compiled", "both", "padding"},
        ),
    }


def _scattered(module: nn.Module) -> nn.Module:
    """A module whose parameters have left their first values, zeros among them."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for one in module.parameters():
            one.add_(0.1 * torch.rand(one.shape, generator=generator))
    return module


def of_attentions(length: int) -> dict[str, Subject]:
    """Every attention in every way that it can be called."""
    found = {}
    mask = torch.rand(HEADS, length, length, generator=torch.Generator().manual_seed(4)) > 0.4
    mask[1, 5] = False  # a query that sees nothing
    bias = torch.randn(HEADS, length, length, generator=torch.Generator().manual_seed(5))
    for name, (make, ways) in attentions(length).items():
        square = partial(heads, length=length)
        plain = Subject(make, square, half="hashed" not in ways, compiles="compiled" in ways)
        calls: dict[str, dict[str, Any]] = {}
        if "both" in ways:
            calls["both ways"] = {}
            calls["padding, both ways"] = {"padding": ragged(length)}
        if "causal" in ways:
            calls["causal"] = {"causal": True}
            calls["padding on the left, causal"] = {
                "causal": True,
                "padding": ragged(length, left=True),
            }
        calls["nothing to see"] = {"padding": nobody(length), "causal": "both" not in ways}
        if "mask" in ways:
            calls["mask"] = {"mask": mask}
        if "bias" in ways:
            calls["bias, causal"] = {"bias": bias, "causal": True}
        for call, options in calls.items():
            found[f"{name}: {call}"] = replace(plain, options=options)
        if "cache" in ways:
            few = partial(heads, length=length, queries=5)
            cached = {"causal": True}
            found[f"{name}: five queries"] = replace(plain, draw=few, options=cached)
    few = partial(heads, length=length, dim=24)
    for name in ("softmax", "window"):
        narrow = found[f"{name}: causal"]
        found[f"{name}: causal, head_dim 24"] = replace(narrow, draw=few)
    return found


def mixers(length: int) -> dict[str, Callable[[], nn.Module]]:
    """By name, what makes a module (batch, length, width) -> the same."""
    conv = {"causal": True}
    return {
        "multi-head softmax": lambda: MultiHeadAttention(WIDTH, HEADS),
        "linformer layer": lambda: LinformerSelfAttention(WIDTH, HEADS, length, 32),
        "fourier": FourierMixing,
        "lightweight conv": lambda: LightweightConv(WIDTH, HEADS, 7, **conv),
        "lightweight conv, both ways": lambda: LightweightConv(WIDTH, HEADS, 7, causal=False),
        "dynamic conv": lambda: DynamicConv(WIDTH, HEADS, 7, **conv),
        "synthesizer, dense": lambda: Synthesizer(WIDTH, HEADS, length, kind="dense", causal=True),
        "synthesizer, random": lambda: Synthesizer(WIDTH, HEADS, length, kind="random"),
        "synthesizer, factorized plus": lambda: Synthesizer(
            WIDTH, HEADS, length, kind="factorized", plus=True, alpha=True
        ),
    }


def of_mixers(length: int) -> dict[str, Subject]:
    """Every mixer, with and without padding, and windows in two dimensions."""
    found = {}
    draw = partial(rows, length=length)
    for name, make in mixers(length).items():
        found[name] = Subject(make, draw)
        found[f"{name}: padding"] = Subject(make, draw, {"padding": ragged(length)})
    shifted = partial(ShiftedWindowAttention, WIDTH, HEADS, 4, 2)
    found["shifted windows"] = Subject(shifted, partial(picture, side=11))
    return found
