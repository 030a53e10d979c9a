"""A call for every public callable of `frugal.attention`; `tests.devices` says how."""

import torch
from torch import Tensor

from frugal.attention import (
    alibi,
    cache,
    contract,
    dynamic_span,
    entmax,
    groups,
    kernels,
    linformer,
    lsh,
    patterns,
    pieces,
    recording,
    relative,
    sinkhorn,
    softmax,
    span,
    swin,
)
from frugal.attention import heads as attention_heads
from frugal.attention import kept as attention_kept
from frugal.attention.kernels import features as kernel_features
from frugal.attention.kernels import gate as kernel_gate
from frugal.attention.kernels import naive as kernel_naive
from frugal.attention.kernels import redrawing as kernel_redrawing
from frugal.attention.kernels import scan as kernel_scan
from frugal.attention.kernels import state as kernel_state
from frugal.attention.lsh import hash as lsh_hash
from frugal.attention.lsh import naive as lsh_naive
from frugal.attention.lsh import rounds as lsh_rounds
from frugal.attention.patterns import blocks as block_sparse
from frugal.attention.patterns import global_tokens
from frugal.attention.patterns import masks as pattern_masks
from frugal.attention.patterns import naive as patterns_naive
from frugal.attention.patterns import rectangles as pattern_pieces
from frugal.attention.sinkhorn import balance as sinkhorn_balance
from frugal.attention.sinkhorn import naive as sinkhorn_naive
from tests.devices import Place, built, heads, ids, picture, real, rows


def with_cache() -> Tensor:
    kept = cache.KeyValueCache(6)
    kept.append(heads(), heads())
    return kept.append(heads()[:, :, :1], heads()[:, :, :1])[0]


def rolling() -> Tensor:
    kept = cache.OwnCache(6).made_for(built(span.AdaptiveSpan, 2, 2), whole=False)
    kept.append(heads(), heads())
    return kept.append(heads()[:, :, :1], heads()[:, :, :1])[0]


def from_a_state() -> Tensor:
    attend = built(kernels.KernelAttention, built(kernels.FavorFeatures, 4, 8)).eval()
    state = attend.new_cache(9)
    attend.step(heads(), heads(), heads(), state, padding=real())
    return attend.step(*(heads()[:, :, :1] for _ in range(3)), state)


def recorded() -> Tensor:
    attention = built(softmax.MultiHeadAttention, 8, 2)
    with recording.recording(attention) as recorder:
        attention(rows())
    return recorder.weights[""]


def pruned() -> Tensor:
    attention = built(softmax.MultiHeadAttention, 8, 2, built(entmax.EntmaxAttention, 2))
    attention_heads.prune_heads(attention, [1])
    return attention(rows())


def masked() -> Tensor:
    attention = built(softmax.MultiHeadAttention, 8, 2)
    with attention_heads.masked_heads(attention, {"": [1]}):
        return attention(rows())


def shared() -> Tensor:
    """One head of keys, which the heads of `heads` share."""
    return heads()[:, :1]


CASES = {
    groups.attend_grouped: lambda: groups.attend_grouped(
        patterns.PatternAttention("strided", stride=2), heads(), shared(), shared(), {}
    ),
    groups.in_turns: lambda: groups.in_turns(lambda q, _: q, heads(), 3),
    groups.repeated: lambda: groups.repeated(shared(), 3),
    groups.fold_groups: lambda: groups.fold_groups(heads(), 1),
    groups.unfold_groups: lambda: groups.unfold_groups(groups.fold_groups(heads(), 1), 3),
    softmax.products: lambda: softmax.products(heads(), shared()),
    softmax.softmax_attention: lambda: softmax.softmax_attention(
        heads(), heads(), heads(), padding=real(), causal=True
    ),
    softmax.attention_weights: lambda: softmax.attention_weights(heads(), heads(), causal=True),
    softmax.causal_mask: lambda: softmax.causal_mask(3, 5, device=heads().device),
    softmax.visible: lambda: softmax.visible(heads(), heads(), padding=real(), causal=True),
    softmax.MultiHeadAttention: lambda: built(softmax.MultiHeadAttention, 8, 2, n_kv_heads=1)(
        rows(), padding=real()
    ),
    contract.rescaled: lambda: contract.rescaled(heads(), 0.5),
    cache.KeyValueCache: with_cache,
    cache.OwnCache: rolling,
    kernel_state.KernelState: from_a_state,
    recording.recording: recorded,
    patterns.sliding_window_attention: lambda: patterns.sliding_window_attention(
        heads(), heads(), heads(), window=1, global_tokens=real(), padding=real()
    ),
    patterns.strided_attention: lambda: patterns.strided_attention(
        heads(), heads(), heads(), stride=2, padding=real()
    ),
    patterns.fixed_attention: lambda: patterns.fixed_attention(
        heads(), heads(), heads(), stride=2, summary=1, padding=real()
    ),
    patterns.PatternAttention: lambda: patterns.PatternAttention(
        "window+dilated+global+random", window=1, dilation=2, global_tokens=(0,), n_random=2
    )(heads(), heads(), heads(), padding=real()),
    pattern_masks.pattern_mask: lambda: pattern_masks.pattern_mask(
        "fixed", 5, stride=2, summary=1, device=rows().device
    ),
    pattern_masks.receptive_field: lambda: pattern_masks.receptive_field(
        pattern_masks.pattern_mask("window", 5, window=1, device=rows().device), 2
    ),
    block_sparse.block_sparse_attention: lambda: block_sparse.block_sparse_attention(
        heads(), heads(), heads(), pattern_masks.window_rule(window=1), padding=real()
    ),
    block_sparse.block_mask: lambda: (
        block_sparse.block_mask(lambda b, h, i, j: i >= j, 1, 200, 200, rows().device).kv_num_blocks
    ),
    entmax.entmax: lambda: entmax.entmax(heads().repeat(1, 1, 1, 20), 1.5),
    entmax.EntmaxAttention: lambda: built(entmax.EntmaxAttention, 3, learned=True)(
        heads(), heads(), heads(), padding=real(), causal=True
    ),
    attention_heads.prune_heads: pruned,
    attention_heads.masked_heads: masked,
    span.check_distances: lambda: span.check_distances(3, heads(), heads(), True) or heads(),
    span.offsets: lambda: span.offsets(heads(), heads()),
    span.log_mask: lambda: span.log_mask(
        heads().sigmoid() @ heads().sigmoid().mT, span.offsets(heads(), heads()), 3, True
    )[0],
    span.joined: lambda: span.joined(heads(), heads() > 0, None, real(), heads())["bias"],
    dynamic_span.DynamicSpan: lambda: built(dynamic_span.DynamicSpan, 3, 4, 8, 2, start=3)(
        heads(), heads(), heads(), padding=real(), causal=True
    ),
    span.AdaptiveSpan: lambda: built(span.AdaptiveSpan, 3, 4, 1, start=0)(
        *(heads().repeat(1, 1, 20, 1) for _ in "qkv"), padding=real().repeat(1, 20), causal=True
    ),
    relative.RelativeAttention: lambda: built(relative.RelativeAttention, 3, 12, first_apart=True)(
        heads()[:, :, :3],
        heads(),
        heads(),
        query_places=torch.arange(3, device=Place.device) * 2,
        padding=real(),
    ),
    kernels.linear_attention: lambda: kernels.linear_attention(
        heads().exp(), heads().exp(), heads(), causal=True, padding=real()
    ),
    kernels.kernel_weights: lambda: kernels.kernel_weights(
        heads().exp(), heads().exp(), causal=True, log_decay=-heads()[..., 0].exp()
    ),
    kernels.KernelAttention: lambda: built(
        kernels.KernelAttention, built(kernels.FavorFeatures, 4, 6)
    )(heads(), heads(), heads(), padding=real(), causal=True),
    kernel_features.elu_features: lambda: kernel_features.elu_features(heads()),
    kernel_features.gaussian_projection: lambda: kernel_features.gaussian_projection(
        6, 4, device=heads().device
    ),
    kernel_features.positive_features: lambda: kernel_features.positive_features(
        heads(), heads()[0, 0]
    ),
    kernel_features.trigonometric_features: lambda: kernel_features.trigonometric_features(
        heads(), heads()[0, 0]
    ),
    kernel_features.FavorFeatures: lambda: built(kernel_features.FavorFeatures, 4, 6)(heads()),
    kernel_features.RandomFourierFeatures: lambda: built(
        kernels.KernelAttention, built(kernel_features.RandomFourierFeatures, 4, 6)
    )(heads(), heads(), heads(), padding=real()),
    kernel_gate.RandomFeatureAttention: lambda: built(kernel_gate.RandomFeatureAttention, 3, 4, 6)(
        heads(), heads(), heads(), padding=real(), causal=True
    ),
    kernel_gate.GatedFeatures: lambda: built(kernel_gate.GatedFeatures, 3, 4, 6)(heads()),
    kernel_naive.linear_attention: lambda: kernel_naive.linear_attention(
        heads().exp(), heads().exp(), heads(), causal=True, padding=real()
    ),
    kernel_scan.CausalScan: lambda: kernel_scan.CausalScan.apply(
        heads().exp(), heads().exp(), heads(), -heads()[..., 0].exp(), None
    ),
    linformer.LinformerAttention: lambda: built(linformer.LinformerAttention, 3, 6, 2)(
        heads(), heads(), heads(), padding=real()
    ),
    linformer.LinformerSelfAttention: lambda: built(linformer.LinformerSelfAttention, 8, 2, 6, 2)(
        rows(), padding=real()
    ),
    swin.ShiftedWindowAttention: lambda: built(swin.ShiftedWindowAttention, 8, 2, 4, 2)(picture()),
    swin.shifted_window_mask: lambda: swin.shifted_window_mask(
        5, 6, window=4, shift=(2, 2), device=picture().device
    ),
    swin.relative_index: lambda: swin.relative_index(4, device=picture().device),
    swin.split_windows: lambda: swin.split_windows(picture()[:, :4], 2),
    swin.join_windows: lambda: swin.join_windows(swin.split_windows(picture(), 1), 1, 5, 6),
    swin.PatchMerging: lambda: built(swin.PatchMerging, 8)(picture()),
    swin.SwinBlock: lambda: built(swin.SwinBlock, 8, 2, 4, 2)(picture()),
    swin.SwinEncoder: lambda: built(swin.SwinEncoder, 8, 2, 4, depths=(2, 1))(picture()),
    lsh_hash.random_rotations: lambda: lsh_hash.random_rotations(
        (2, 4), n_hashes=2, n_heads=3, head_dim=4, device=rows().device
    )[1],
    lsh_hash.hash_buckets: lambda: lsh_hash.hash_buckets(
        heads(),
        lsh_hash.random_rotations(6, n_hashes=2, n_heads=3, head_dim=4, device=rows().device),
    ),
    lsh_rounds.layout_of: lambda: (
        lsh_rounds.layout_of(ids()[:, None].repeat(1, 2, 2), chunk=2, causal=True).order
    ),
    lsh_rounds.attend_in_rounds: lambda: lsh_rounds.attend_in_rounds(
        *(rows(4).flatten(0, 1) for _ in "qkv"),
        lsh_rounds.layout_of(ids()[:, None].repeat(1, 2, 1), chunk=5, causal=False),
        scale=1.0,
    ),
    lsh.lsh_attention: lambda: lsh.lsh_attention(
        heads(), heads(), bucket_size=2, n_hashes=2, causal=True, padding=real()
    ),
    lsh.lsh_visible: lambda: lsh.lsh_visible(
        heads(), bucket_size=2, n_hashes=2, causal=True, padding=real()
    ),
    lsh.LshAttention: lambda: lsh.LshAttention(2, 2, seed=1)(heads(), heads(), heads()),
    sinkhorn_balance.sinkhorn: lambda: sinkhorn_balance.sinkhorn(
        rows(5), mask=real()[:, None] & real()[:, :, None]
    ),
    sinkhorn_balance.causal_sinkhorn: lambda: sinkhorn_balance.causal_sinkhorn(
        heads()[..., :4, :4], transposed=True
    ),
    sinkhorn_balance.gumbel_noise: lambda: sinkhorn_balance.gumbel_noise(rows()),
    sinkhorn.BlockScores: lambda: built(sinkhorn.BlockScores, 3, 4, 6)(heads()),
    sinkhorn.fetch: lambda: sinkhorn.fetch(
        heads()[..., :4, :],
        picture()[:, None, :4, :2].repeat(1, 3, 1, 1, 1),
        real()[:, :4, None].repeat(1, 1, 2),
    )[0],
    sinkhorn.SinkhornAttention: lambda: built(
        sinkhorn.SinkhornAttention, 3, 4, block_size=2, max_blocks=3
    )(heads(), heads(), heads(), causal=True, padding=real()),
    alibi.alibi_slopes: lambda: alibi.alibi_slopes(4, device=rows().device),
    alibi.alibi_bias: lambda: alibi.alibi_bias(4, 2, 5, device=rows().device),
    alibi.AlibiAttention: lambda: built(alibi.AlibiAttention, 3)(
        heads(), heads(), heads(), causal=True
    ),
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    attention_kept.kept,  # what it keeps is made by others
    # The rules, which pattern_mask calls, and the form of the patterns for CPU tensors only.
    *pattern_masks.RULES.values(),
    pattern_masks.pattern_rule,
    pattern_masks.random_seed,
    pattern_masks.window_from_sliding_window,
    pattern_masks.did_you_mean,
    pattern_masks.refuse,
    pattern_masks.at_least,
    global_tokens.attend_with_global_tokens,
    global_tokens.attend_with_constant_tokens,
    block_sparse.in_pieces,
    block_sparse.Named,
    block_sparse.named,
    pattern_pieces.cut_into,
    pattern_pieces.band_and_some_pieces,
    pattern_pieces.band_pieces,
    pattern_pieces.strided_pieces,
    pattern_pieces.fixed_pieces,
    lsh_hash.bucket_factors,
    lsh_hash.default_buckets,
    lsh_rounds.Layout,
    pieces.Piece,
    pieces.Cut,
    pieces.hidden,
    pieces.hide_keys,
    pieces.attend_by_heads,
    pieces.attend_in_pieces,
    # The definitions, for tests.
    lsh_naive.lsh_attention,
    lsh_naive.shown_keys,
    patterns_naive.masked_attention,
    patterns_naive.window_sees,
    patterns_naive.strided_sees,
    patterns_naive.fixed_sees,
    sinkhorn_naive.sinkhorn_attention,
    sinkhorn_naive.mixture,
    # The parts of the causal scan, and records and checks of linear attention and Linformer.
    kernel_features.Prepared,
    kernel_features.Prepares,
    kernel_features.RandomVectors,
    kernel_redrawing.Redrawn,
    kernel_features.waves,
    kernel_features.angles,
    kernel_features.check_floor,
    kernel_scan.Piece,
    kernel_scan.pieces_of,
    kernel_scan.scan,
    kernel_features.Continues,
    cache.State,
    cache.check_room,
    softmax.shifts,
    kernel_scan.sum_dtype,
    kernel_scan.with_ones,
    kernel_scan.normaliser,
    kernel_scan.bounded,
    linformer.hidden,
    # They read gradients and numbers, which pretended tensors have none of: `test_heads` has a GPU.
    attention_heads.head_importance,
    attention_heads.layers_of,
    attention_heads.least_important,
    attention_heads.prune_by_importance,
    groups.grouped,
    groups.groups_of,
    groups.are_grouped,
    softmax.kv_heads,
    contract.Attention,
    contract.check_attend,
    recording.Recorder,
    recording.Recorded,
    pieces.as_bias,
    pieces.autocast_dtype,
    pieces.fused,
    pieces.fused_backward,
    pieces.one_dtype,
    swin.check_picture,
}
