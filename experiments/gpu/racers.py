"""Who is timed on heads of one size: torch's fused kernel, the library, and public kernels.

Layers and whole models, which are timed too, are in `models` and `readers`.

A racer's FLOPs are those of the definition, forward: products of queries with the keys that they
see, and as many with values. What a kernel computes beyond that, or skips, is not in the number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from experiments.gpu.models import encoders, layers, writers
from experiments.gpu.racer import HEAD_DIM, HEADS, LAYER, WIDTH, Racer
from experiments.gpu.readers import readers
from frugal.attention.entmax import EntmaxAttention
from frugal.attention.kernels import FavorFeatures, KernelAttention, elu_features
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.attention.linformer import LinformerAttention
from frugal.attention.lsh import LshAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.span import AdaptiveSpan

WINDOW, STRIDE, SUMMARY, BUCKET, ROUNDS, RANK, FEATURES, CUT = 128, 128, 8, 64, 4, 256, 64, 2
CAUSAL, BOTH = "SDPA, causal", "SDPA, both ways"
AGAIN = "SDPA, causal, again"
"""The same as `CAUSAL`: how far the clock differs from itself."""


def racers() -> dict[str, Racer]:
    """On heads, by name, the most telling first."""
    causal = (("causal", True),)

    def pattern(name: str, **options: Any) -> Callable[[int], Callable[..., Any]]:
        return lambda n: PatternAttention(name, **options)

    def sorts(n: int) -> nn.Module:
        return SinkhornAttention(HEADS, HEAD_DIM, block_size=BUCKET, max_blocks=-(-n // BUCKET))

    def seen(n: int) -> int:  # keys of a query in the middle of a causal window
        return min(n, WINDOW + 1)

    strided = 4 * STRIDE
    linear = 4 * HEAD_DIM
    found = {
        CAUSAL: Racer(_flash(True), None, lambda n: 2 * n * n),
        BOTH: Racer(_flash(False), None, lambda n: 4 * n * n),
        "window, causal": Racer(
            pattern("window", window=WINDOW), CAUSAL, lambda n: 4 * n * seen(n), causal
        ),
        "linear (elu), causal": Racer(lambda n: KernelAttention(), CAUSAL, _each(linear), causal),
        "LSH, causal": Racer(
            lambda n: LshAttention(BUCKET, ROUNDS, seed=0),
            CAUSAL,
            _each(8 * BUCKET * ROUNDS),
            causal,
        ),
        "strided": Racer(
            pattern("strided", stride=STRIDE), CAUSAL, lambda n: n * (strided + 2 * n / STRIDE)
        ),
        "window": Racer(
            pattern("window", window=WINDOW), BOTH, lambda n: 4 * n * min(n, 2 * WINDOW + 1)
        ),
        "linear (elu)": Racer(lambda n: KernelAttention(), BOTH, _each(linear)),
        "Performer, causal": Racer(
            lambda n: KernelAttention(FavorFeatures(HEAD_DIM, FEATURES)),
            CAUSAL,
            _each(4 * FEATURES + 4 * FEATURES),
            causal,
        ),
        "RFA, causal": Racer(
            lambda n: RandomFeatureAttention(HEADS, HEAD_DIM, FEATURES // 2),
            CAUSAL,
            _each(4 * FEATURES + 2 * FEATURES),
            causal,
        ),
        "LSH": Racer(
            lambda n: LshAttention(BUCKET, ROUNDS, seed=0), BOTH, _each(8 * BUCKET * ROUNDS)
        ),
        "Sinkhorn, causal": Racer(
            sorts, CAUSAL, lambda n: 8 * n * BUCKET + 4 * n * n / BUCKET, causal
        ),
        "Sinkhorn": Racer(sorts, BOTH, lambda n: 8 * n * BUCKET + 4 * n * n / BUCKET),
        "Linformer": Racer(lambda n: LinformerAttention(HEADS, n, RANK), BOTH, _each(8 * RANK)),
        "SortCut": Racer(
            lambda n: SinkhornAttention(
                HEADS, HEAD_DIM, block_size=BUCKET, max_blocks=-(-n // BUCKET), sort_cut=CUT
            ),
            BOTH,
            lambda n: 4 * n * CUT * BUCKET + 4 * n * n / BUCKET,
        ),
        "entmax, causal": Racer(
            lambda n: EntmaxAttention(HEADS), CAUSAL, lambda n: 2 * n * n, causal, longest=2048
        ),
        "adaptive span, causal": Racer(
            lambda n: AdaptiveSpan(HEADS, 512, 32, start=96),
            CAUSAL,
            lambda n: 4 * n * min(n, WINDOW),
            causal,
        ),
        "fixed": Racer(
            pattern("fixed", stride=STRIDE, summary=SUMMARY),
            CAUSAL,
            lambda n: n * (2 * STRIDE + 2 * SUMMARY * n / STRIDE),
        ),
        "window+global, causal": Racer(
            pattern("window+global", window=WINDOW, global_tokens=tuple(range(16))),
            CAUSAL,
            lambda n: 4 * n * (seen(n) + 16),
            causal,
        ),
    }
    again = {AGAIN: Racer(_flash(True), CAUSAL, lambda n: 2 * n * n)}
    return found | layers() | encoders() | writers() | again | readers()


def _each(per_token: float) -> Callable[[int], float]:
    return lambda n: per_token * n


def _flash(causal: bool) -> Callable[[int], Callable[..., Tensor]]:
    return lambda n: partial(F.scaled_dot_product_attention, is_causal=causal)


def public() -> tuple[dict[str, Racer], dict[str, str]]:
    """Installed public kernels, and of the others why they are not there."""
    found: dict[str, Racer] = {}
    missing: dict[str, str] = {}
    for name, make in {
        "fla linear, causal": _fla,
        "adasplash, causal": _adasplash,
        "Hugging Face Longformer layer": _longformer,
        "Hugging Face Reformer layer": _reformer,
        "Hugging Face FNet layer": _fnet,
    }.items():
        try:
            found[name] = make()
        except Exception as error:  # an import may fail in any way
            missing[name] = f"{type(error).__name__}: {error}"
    return found, missing


def _fla() -> Racer:
    """`chunk_linear_attn` on (batch, length, heads, head_dim), with the same features."""
    kernel = import_module("fla.ops.linear_attn").chunk_linear_attn

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in (elu_features(q), elu_features(k), v))
        return kernel(q, k, v, normalize=True)[0].transpose(1, 2)

    return Racer(lambda n: attend, CAUSAL, _each(4 * HEAD_DIM))


def _adasplash() -> Racer:
    """The sparse kernel for α = 1.5, which may skip blocks without weight."""
    kernel = import_module("adasplash").adasplash
    return Racer(
        lambda n: lambda q, k, v: kernel(q, k, v, alpha=1.5, is_causal=True),
        CAUSAL,
        lambda n: 2 * n * n,
        longest=16384,
    )


def _longformer() -> Racer:
    module = import_module("transformers.models.longformer.modeling_longformer")
    config = import_module("transformers").LongformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        attention_window=[2 * WINDOW],
        attention_probs_dropout_prob=0.0,
    )

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = module.LongformerSelfAttention(config, layer_id=0)

        def forward(self, x: Tensor) -> Tensor:
            codes = x.new_zeros(x.shape[:2])
            return self.attention(
                x,
                attention_mask=codes,
                is_index_masked=codes < 0,
                is_index_global_attn=codes > 0,
                is_global_attn=False,
            )[0]

    def make(n: int) -> nn.Module:
        if n < 2 * WINDOW:
            raise ValueError(f"n is {n}; its window needs {2 * WINDOW}.")
        return Layer()

    return Racer(make, LAYER, lambda n: 6 * WIDTH**2 + 4 * 257 * WIDTH, given="vectors")


def _reformer() -> Racer:
    module = import_module("transformers.models.reformer.modeling_reformer")
    configuration = import_module("transformers").ReformerConfig

    class Layer(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            config = configuration(
                hidden_size=WIDTH,
                num_attention_heads=HEADS,
                attention_head_size=HEAD_DIM,
                lsh_attn_chunk_length=BUCKET,
                num_hashes=ROUNDS,
                num_buckets=_buckets(n // BUCKET),
                is_decoder=True,
                lsh_attention_probs_dropout_prob=0.0,
                hash_seed=None,
            )
            self.attention = module.LSHSelfAttention(config, layer_idx=0)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x).hidden_states

    flops = 4 * WIDTH**2 + 8 * BUCKET * ROUNDS * WIDTH
    return Racer(Layer, LAYER, lambda n: flops, given="vectors")


def _buckets(number: int) -> int | list[int]:
    """As its configuration wants them: one number, or two where there are many."""
    if number <= 128:
        return max(2, number)
    root = 2 ** ((number.bit_length() - 1) // 2)
    return [root, number // root]


def _fnet() -> Racer:
    module = import_module("transformers.models.fnet.modeling_fnet")
    config = import_module("transformers").FNetConfig(hidden_size=WIDTH)

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = module.FNetBasicFourierTransform(config)

        def forward(self, x: Tensor) -> Tensor:
            return self.mix(x.float())[0].to(x.dtype)

    return Racer(lambda n: Layer(), LAYER, lambda n: 0, given="vectors")
