"""Sinkhorn attention against a public one and against attention to all pairs.

Blocks of 64, 8 iterations; every case computes outputs and gradients. sinkhorn-transformer is
optional: pip install --no-deps sinkhorn-transformer==0.11.4 and what it imports.
"""

from __future__ import annotations

import sys
from functools import partial

import torch
import torch.nn.functional as F

from experiments.bench import Case
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.measure import forward_backward

HEADS, HEAD_DIM, BLOCK_SIZE, ITERATIONS = 4, 64, 64, 8


def cases(smoke: bool) -> list[Case]:
    """Both ways, causal and SortCut at each length."""
    found = []
    for length in (256,) if smoke else (512, 1024, 2048, 4096, 8192):
        q, k, v = (torch.randn(1, HEADS, length, HEAD_DIM, requires_grad=True) for _ in range(3))
        blocks = length // BLOCK_SIZE
        sizes = {"block_size": BLOCK_SIZE, "max_blocks": blocks, "n_iterations": ITERATIONS}
        ours = SinkhornAttention(HEADS, HEAD_DIM, **sizes)
        cut = SinkhornAttention(HEADS, HEAD_DIM, **sizes, sort_cut=2)
        attends = {
            "all pairs": F.scaled_dot_product_attention,
            "sorted": ours,
            "SortCut of 2": cut,
            "all pairs, causal": partial(F.scaled_dot_product_attention, is_causal=True),
            "sorted, causal": partial(ours, causal=True),
        }
        theirs = _peer(length)
        if theirs is not None:
            attends["sinkhorn-transformer"] = theirs
        for name, attend in attends.items():
            base = "all pairs, causal" if "causal" in name else "all pairs"
            against = None if name == base else f"{length} {base}"
            run = partial(forward_backward(attend), q, k, v)
            found.append(Case(f"{length} {name}", run, against))
    return found


def _peer(length: int) -> torch.nn.Module | None:
    """Its attention with a sorting network like ours; None when it is missing."""
    try:
        from sinkhorn_transformer.sinkhorn_transformer import SinkhornAttention as Theirs
    except ImportError as error:
        print(f"sinkhorn-transformer is left out: {error}.", file=sys.stderr)
        return None
    return Theirs(
        BLOCK_SIZE,
        HEADS * HEAD_DIM,
        HEAD_DIM,
        HEADS,
        length,
        non_permutative=False,
        sinkhorn_iter=ITERATIONS,
        use_simple_sort_net=True,
    )
