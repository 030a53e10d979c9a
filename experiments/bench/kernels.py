"""Linear attention against full attention, idiap's C++ kernel and performer-pytorch.

Batch 1, 4 heads of 64, 64 features, causal unless said, float32. The peers get the same features:
`causal_dot_product` of pytorch-fast-transformers 0.4.0 with the normaliser that its own causal
attention computes, and `causal_linear_attention_noncuda`, the path of performer-pytorch 1.1.4 for
processors. Both are optional; a peer that is not installed is left out, which is said.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.bench import Case, call
from frugal.attention.kernels import FavorFeatures, KernelAttention, linear_attention
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.measure import peak_bytes

HEADS, HEAD_DIM, FEATURES = 4, 64, 64


def cases(smoke: bool) -> list[Case]:
    """Full attention at several lengths, growth, whole attentions of the library, both peers."""
    length = 512 if smoke else 4096
    full = partial(F.scaled_dot_product_attention, is_causal=True)
    causal = partial(linear_attention, causal=True)
    found = []
    for n in (length // 32, length // 16, length // 8, length // 4, length):
        found.append(Case(f"forward {n} full", call(full, *heads(n))))
        last = n == length
        outputs = HEADS * n * HEAD_DIM * 4
        most = int(1.5 * peak_bytes(call(full, *heads(n)))) + outputs
        found.append(
            Case(
                f"forward {n} linear",
                call(causal, *heads(n)),
                f"forward {n} full",
                0.15 if last else None,
                most if last else None,
            )
        )
    found += [
        Case(
            f"forward {length} full, both directions",
            call(F.scaled_dot_product_attention, *heads(length)),
        ),
        Case(
            f"forward {length} linear, both directions",
            call(linear_attention, *heads(length)),
            f"forward {length} full, both directions",
        ),
        # Eight times the length: an exponent of 1.1 is 8 ** 1.1 = 9.85 times the time.
        Case(
            f"forward {4 * length} linear",
            call(causal, *heads(4 * length)),
            f"forward {length // 2} linear",
            8**1.1,
        ),
        Case(f"forward {length // 2} linear", call(causal, *heads(length // 2))),
        Case(f"training {length} full", call(full, *heads(length), training=True)),
        Case(
            f"training {length} linear",
            call(causal, *heads(length), training=True),
            f"training {length} full",
        ),
    ]
    wholes = {
        "elu": KernelAttention(),
        "Performer": KernelAttention(FavorFeatures(HEAD_DIM, FEATURES)),
        "Performer, 256 features": KernelAttention(FavorFeatures(HEAD_DIM, 256)),
        "RFA": RandomFeatureAttention(HEADS, HEAD_DIM, FEATURES // 2),
    }
    for name, attend in wholes.items():
        case = call(partial(attend, causal=True), *heads(length), training=True)
        found.append(Case(f"training {length} {name}", case, f"training {length} full"))
    return found + idiap(2 * length) + lucidrains(length // 2)


def heads(length: int) -> list[Tensor]:
    """Random positive queries, keys and values."""
    return [torch.rand(1, HEADS, length, HEAD_DIM) for _ in range(3)]


def peer(package: str, module: str) -> ModuleType | None:
    """A module of an optional package, or None after one sentence."""
    try:
        return import_module(module)
    except ImportError:
        print(f"{package} is not installed; its cases are left out.", file=sys.stderr)
        return None


def idiap(length: int) -> list[Case]:
    """The C++ kernel, which takes the sums token by token."""
    module = peer("pytorch-fast-transformers", "fast_transformers.causal_product")
    if module is None:
        return []

    def theirs(phi_q: Tensor, phi_k: Tensor, v: Tensor) -> Tensor:
        total = (phi_q * phi_k.cumsum(2)).sum(-1, keepdim=True)
        return module.causal_dot_product(phi_q, phi_k, v) / (total + 1e-6)

    name = f"training {length} fast-transformers"
    ours = call(partial(linear_attention, causal=True), *heads(length), training=True)
    return [
        Case(name, call(theirs, *heads(length), training=True)),
        Case(f"training {length} linear", ours, name, 0.75),
    ]


def lucidrains(length: int) -> list[Case]:
    """The public Performer's path for processors."""
    module = peer("performer-pytorch", "performer_pytorch.performer_pytorch")
    if module is None:
        return []
    name = f"training {length} performer-pytorch"
    theirs = call(module.causal_linear_attention_noncuda, *heads(length), training=True)
    ours = call(partial(linear_attention, causal=True), *heads(length), training=True)
    return [Case(name, theirs), Case(f"training {length} linear", ours, name, 1 / 12)]
