"""LSH attention against two public Reformers and against attention to all pairs.

Heads of the same size, 4 rounds, chunks of 64; every case computes outputs and gradients. The layer
of Hugging Face has projections, so ours gets the same ones there. reformer-pytorch is optional:
pip install --no-deps reformer-pytorch==1.4.4 and what it imports.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.bench import Case
from frugal.attention.lsh import lsh_attention
from frugal.attention.lsh.hash import hash_buckets
from frugal.attention.lsh.rounds import attend_in_rounds, layout_of
from frugal.measure import forward_backward

HEADS, HEAD_DIM, BUCKET_SIZE, N_HASHES = 4, 64, 64, 4
FASTER = 1 / 1.5
"""The largest share of a public implementation's time."""


def cases(smoke: bool) -> list[Case]:
    """Against both peers at 4,096 and 8,192 tokens; against all pairs from 512 on."""
    peers = (256,) if smoke else (4096, 8192)
    crossing = (256,) if smoke else (512, 1024, 2048, 4096, 8192)
    found = []
    for causal in (False, True):
        kind = "causal" if causal else "both ways"
        for length in crossing:
            qk, v = (torch.randn(1, HEADS, length, HEAD_DIM, requires_grad=True) for _ in range(2))
            full = forward_backward(
                lambda q, x, c=causal: F.scaled_dot_product_attention(q, q, x, is_causal=c)
            )
            ours = forward_backward(
                partial(lsh_attention, bucket_size=BUCKET_SIZE, n_hashes=N_HASHES, causal=causal)
            )
            all_pairs = f"{kind} {length} all pairs"
            found.append(Case(all_pairs, partial(full, qk, v)))
            found.append(Case(f"{kind} {length} hashed", partial(ours, qk, v), all_pairs))
            if length not in peers:
                continue
            theirs = reformer_pytorch(causal)
            if theirs is not None:
                name = f"{kind} {length} reformer-pytorch"
                found.append(Case(name, partial(forward_backward(theirs), qk, v)))
                mine = f"{kind} {length} hashed, beside reformer-pytorch"
                found.append(Case(mine, partial(ours, qk, v), name, FASTER))
            found += layers(length, kind, causal)
    return found


def reformer_pytorch(causal: bool) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Its attention, after a check that it gives the same as ours; None when it is missing."""
    try:
        from reformer_pytorch.reformer_pytorch import LSHAttention
    except ImportError as error:
        print(f"reformer-pytorch is left out: {error}.", file=sys.stderr)
        return None
    options = {"bucket_size": BUCKET_SIZE, "n_hashes": N_HASHES, "causal": causal}
    agree(LSHAttention(**options, allow_duplicate_attention=False), causal)
    theirs = LSHAttention(**options)  # as it comes: a pair may count several times
    return lambda qk, v: theirs(qk.flatten(0, 1), v.flatten(0, 1))[0]


def agree(theirs: torch.nn.Module, causal: bool) -> None:
    """Raise ValueError where theirs and ours differ with the same directions.

    Left out are tokens that are in a first chunk: there, they look back at the last chunk of the
    round before. A causal token with no other to see has a score of -5e4 there, where float32 is
    exact to 0.004, and its weights are no more exact than that.
    """
    length, n_buckets = 8 * BUCKET_SIZE, 8
    qk, v = torch.randn(2, HEADS, length, HEAD_DIM)
    torch.manual_seed(0)
    out = theirs(qk, v)[0]
    torch.manual_seed(0)
    drawn = torch.randn(1, HEAD_DIM, N_HASHES, n_buckets // 2).permute(2, 0, 1, 3)
    buckets = hash_buckets(qk[None], [drawn.expand(-1, HEADS, -1, -1)])
    layout = layout_of(buckets.flatten(0, 1), chunk=BUCKET_SIZE, causal=causal)
    rows = (x.flatten(0, 1) for x in (qk, F.normalize(qk, dim=-1), v))
    ours = attend_in_rounds(*rows, layout, scale=HEAD_DIM**-0.5).view_as(v)
    order = buckets[0].argsort(dim=-1, stable=True)[..., :BUCKET_SIZE].flatten(1)
    first = torch.zeros(HEADS, length, dtype=torch.bool).scatter_(1, order, True)
    error = (out - ours)[~first].abs().max().item()
    if not error < (0.02 if causal else 1e-5):
        raise ValueError(f"ours and reformer-pytorch's differ by {error}; they must agree.")


def layers(length: int, kind: str, causal: bool) -> list[Case]:
    """Projections and attention with equal weights, Hugging Face's and ours."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    from transformers import ReformerConfig
    from transformers.models.reformer.modeling_reformer import LSHSelfAttention

    config = ReformerConfig(
        hidden_size=HEADS * HEAD_DIM,
        num_attention_heads=HEADS,
        attention_head_size=HEAD_DIM,
        lsh_attn_chunk_length=BUCKET_SIZE,
        num_hashes=N_HASHES,
        num_buckets=length // BUCKET_SIZE,
        is_decoder=causal,
        lsh_attention_probs_dropout_prob=0.0,
        hash_seed=None,
    )
    theirs = LSHSelfAttention(config, layer_idx=0)
    x = torch.randn(1, length, HEADS * HEAD_DIM, requires_grad=True)
    options = {"bucket_size": BUCKET_SIZE, "n_hashes": N_HASHES, "causal": causal}

    def ours(x: Tensor) -> Tensor:
        qk, v = (
            project(x).unflatten(-1, (HEADS, HEAD_DIM)).transpose(1, 2)
            for project in (theirs.query_key, theirs.value)
        )
        return lsh_attention(qk, v, **options).transpose(1, 2).flatten(2)

    def timed(fn: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(fn(x).sum(), (x, *theirs.parameters()))

    name = f"{kind} {length} Hugging Face's layer"
    return [
        Case(name, timed(lambda x: theirs(x).hidden_states)),
        Case(f"{kind} {length} our layer", timed(ours), name, FASTER),
    ]
