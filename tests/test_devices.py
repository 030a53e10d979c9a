"""Everything public runs on CUDA tensors and under bfloat16 autocast, shown without a GPU.

FakeTensorMode carries shapes, dtypes and devices but no numbers, and a CPU tensor mixed into a
CUDA computation raises there as it would on a GPU. `CASES` names a call for every public callable
of the modules below; a test fails when a new one has none.
"""

import dataclasses
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from frugal import checks, decoding, embeddings, model, norms, positions
from frugal.arithmetic import fewer_tokens
from frugal.arithmetic import token_counts as counts
from frugal.attention import (
    alibi,
    cache,
    contract,
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
from frugal.attention.kernels import features as kernel_features
from frugal.attention.kernels import gate as kernel_gate
from frugal.attention.kernels import naive as kernel_naive
from frugal.attention.kernels import redrawing as kernel_redrawing
from frugal.attention.kernels import scan as kernel_scan
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
from frugal.data.cabinets import CabinetBatch
from frugal.data.retrieval import RetrievalBatch
from frugal.decoding import distillation
from frugal.decoding import parallel as nonautoregressive
from frugal.depth import replay, reversible
from frugal.feedforward import dense
from frugal.mixing import convolution, fourier, mixer, synthesizer
from frugal.tasks import drawer, retriever
from frugal.tokens import (
    byte_pairs,
    byteformer,
    elimination,
    elimination_schedules,
    frames,
    latents,
    patches,
    pooling,
)
from frugal.tokens import bytes as byte_ids

FOLDERS = ("attention", "mixing", "tokens", "depth", "feedforward", "decoding", "tasks")
FILES = (
    "norms",
    "positions",
    "embeddings",
    "model",
    "checks",
)

CONFIG = model.TransformerConfig(vocab_size=11, d_model=8, n_heads=2, n_layers=2)
DROPPING = elimination.WordVectorElimination


class Place:
    """Where the tensors and modules of a case are made; never the default device, which would
    hide a tensor that the library itself makes in the wrong place."""

    device = "cpu"


@contextmanager
def on(device: str) -> Iterator[None]:
    Place.device = device
    try:
        yield
    finally:
        Place.device = "cpu"


class WithoutDriver(TorchFunctionMode):
    """Let a torch without CUDA trace the methods whose C++ asks for a CUDA driver.

    Indexing, `~` and copies do. They run on tensors of the meta device, which have shapes and no
    numbers either, after a check that all the tensors were in one place.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if function is Tensor.__bool__:
            return False  # "has every row ended?": a tensor without numbers cannot know
        if function is Tensor.__int__:
            return 1  # "how many keys are in reach?", "how long is the longest?"
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            if "not linked with support for cuda" not in str(error):
                raise
        fakes = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, FakeTensor)]
        if len({fake.device for fake in fakes if fake.ndim}) > 1:
            raise RuntimeError("found at least two devices")
        twins, mode = {}, fakes[0].fake_mode

        def to_meta(leaf: Any) -> Any:
            if isinstance(leaf, FakeTensor):
                shape = leaf.shape, leaf.stride()
                twin = torch.empty_strided(*shape, dtype=leaf.dtype, device="meta")
                return twins.setdefault(id(leaf), twin)
            return leaf

        def from_meta(leaf: Any) -> Any:
            for fake in fakes:  # an operation in place gives back what it was given
                if twins[id(fake)] is leaf:
                    return fake
            return FakeTensor(mode, leaf, fakes[0].device) if isinstance(leaf, Tensor) else leaf

        with _disable_current_modes():
            out = function(*tree_map(to_meta, args), **tree_map(to_meta, kwargs))
            return tree_map(from_meta, out)


def built(module: Callable[..., nn.Module], *args: Any, **options: Any) -> nn.Module:
    with torch.device(Place.device):
        return module(*args, **options)


def heads() -> Tensor:
    return torch.randn(2, 3, 5, 4, device=Place.device)


def rows(width: int = 8) -> Tensor:
    return torch.randn(2, 5, width, device=Place.device)


def ids() -> Tensor:
    return torch.ones(2, 5, dtype=torch.int64, device=Place.device)


def real() -> Tensor:
    return torch.ones(2, 5, dtype=torch.bool, device=Place.device)


def asked() -> RetrievalBatch:
    return RetrievalBatch(ids(), ids(), ids()[:, :2])


def masked_translator() -> nn.Module:
    return built(nonautoregressive.MaskedTranslator, CONFIG, mask=3, max_target_length=6)


def last_pass() -> Tensor:
    passes = nonautoregressive.mask_predict_passes(
        masked_translator(), rows(), real(), iterations=2
    )
    *_, last = passes
    return last.log_prob


def with_cache() -> Tensor:
    kept = cache.KeyValueCache(6)
    kept.append(heads(), heads())
    return kept.append(heads()[:, :, :1], heads()[:, :, :1])[0]


def eliminating() -> nn.Module:
    stack = built(model.Encoder, dataclasses.replace(CONFIG, make_stack=DROPPING)).stack
    stack.keep = (3, 2)
    return stack


def picture() -> Tensor:
    return torch.randn(2, 5, 6, 8, device=Place.device)


def sound() -> Tensor:
    return torch.randn(2, 64, device=Place.device)


def cube() -> Tensor:
    return torch.randn(2, 4, 4, 4, 4, device=Place.device)


def actor() -> nn.Module:
    return built(drawer.VoxelActor, side=4, patch=2, d_model=8, n_latents=3, n_heads=2)


def recorded() -> Tensor:
    attention = built(softmax.MultiHeadAttention, 8, 2)
    with recording.recording(attention) as recorder:
        attention(rows())
    return recorder.weights[""]


CASES: dict[Callable, Callable[[], Tensor]] = {
    softmax.softmax_attention: lambda: softmax.softmax_attention(
        heads(), heads(), heads(), padding=real(), causal=True
    ),
    softmax.attention_weights: lambda: softmax.attention_weights(heads(), heads(), causal=True),
    softmax.causal_mask: lambda: softmax.causal_mask(3, 5, device=heads().device),
    softmax.visible: lambda: softmax.visible(heads(), heads(), padding=real(), causal=True),
    softmax.MultiHeadAttention: lambda: built(softmax.MultiHeadAttention, 8, 2)(
        rows(), padding=real()
    ),
    cache.KeyValueCache: with_cache,
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
    fourier.fourier_mix: lambda: fourier.fourier_mix(rows()),
    fourier.FourierMixing: lambda: built(fourier.FourierMixing)(rows(), padding=real()),
    convolution.lightweight_conv: lambda: convolution.lightweight_conv(
        rows(), heads()[0, :, :, 0].softmax(-1)[:2]
    ),
    convolution.dynamic_conv: lambda: convolution.dynamic_conv(
        rows(), rows()[:, :, :6].unflatten(2, (2, 3)), causal=True
    ),
    convolution.LightweightConv: lambda: built(convolution.LightweightConv, 8, 2, 3, causal=True)(
        rows(), padding=real()
    ),
    convolution.DynamicConv: lambda: built(convolution.DynamicConv, 8, 2, 3, causal=False)(
        rows(), padding=real()
    ),
    synthesizer.Synthesizer: lambda: built(
        synthesizer.Synthesizer, 8, 2, 6, kind="factorized", plus=True, alpha=True, causal=True
    )(rows(), padding=real()),
    elimination.significance: lambda: elimination.significance(
        softmax.attention_weights(heads(), heads()), real()
    ),
    elimination.ranked: lambda: elimination.ranked(rows()[:, :, 0], real())[
        :, 1:
    ],  # the first is infinite
    elimination.kept_positions: lambda: elimination.kept_positions(rows()[:, :, 0], 3, real()),
    elimination.SoftRetention: lambda: built(elimination.SoftRetention, 2, 6)(
        rows()[:, :, 0], layer=1
    ),
    elimination.WordVectorElimination: lambda: eliminating()(rows(), padding=real()),
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
    reversible.ReversibleStack: lambda: reversible.ReversibleStack(
        [built(model.TransformerLayer, CONFIG, 0)]
    )(rows(), padding=real()),
    dense.DenseFeedForward: lambda: built(dense.DenseFeedForward, 8, 16)(rows()),
    byte_ids.ByteTokenizer: lambda: byte_ids.ByteTokenizer().batch(["a", "ñ"], device=Place.device)[
        0
    ],
    byte_ids.pad_rows: lambda: byte_ids.pad_rows([b"a", b"bc"], pad=256, device=Place.device)[0],
    byte_pairs.BytePairTokenizer: lambda: byte_pairs.BytePairTokenizer.train(
        "a text", vocab_size=259
    ).batch(["a", "ñ"], device=Place.device)[0],
    byteformer.StridedEmbedding: lambda: built(byteformer.StridedEmbedding, 8, kernel_size=4)(
        ids(), real()
    )[0],
    byteformer.PairMerging: lambda: built(byteformer.PairMerging, 8)(rows(), real())[0],
    byteformer.ByteFormer: lambda: built(byteformer.ByteFormer, 3, d_model=8, n_heads=2, window=1)(
        ids(), real()
    ),
    latents.CrossAttention: lambda: built(latents.CrossAttention, 8, 6, 4, 2)(rows(), rows(6)),
    latents.LatentLayer: lambda: built(latents.LatentLayer, 8, 2, d_context=6)(
        rows(), rows(6), padding=real()
    ),
    latents.PerceiverIO: lambda: built(latents.PerceiverIO, 8, 4, 3, d_query=6, n_heads=2)(
        rows(), rows(6)[:1], real()
    ),
    latents.LatentStack: lambda: built(
        latents.LatentStack,
        [built(model.TransformerLayer, CONFIG, 0)],
        d_model=8,
        n_heads=2,
        n_latents=3,
    )(rows(), padding=real()),
    pooling.pool: lambda: pooling.pool(rows(), real(), keep_first=True),
    pooling.pool_padding: lambda: pooling.pool_padding(real()),
    pooling.upsample: lambda: pooling.upsample(rows(), 9, factor=2, keep_first=True),
    pooling.FunnelStack: lambda: built(
        pooling.FunnelStack,
        [built(model.TransformerLayer, CONFIG, index) for index in range(3)],
        blocks=(1, 1),
    )(rows(), padding=real()),
    pooling.FunnelEncoder: lambda: built(
        pooling.FunnelEncoder, CONFIG, blocks=(1, 1), keep_first=True, relative=True
    )(ids(), real()),
    norms.norm: lambda: built(norms.norm, "rms", 8)(rows()),
    positions.sinusoidal_positions: lambda: positions.sinusoidal_positions(
        5, 8, device=rows().device
    ),
    positions.SinusoidalPositions: lambda: built(positions.SinusoidalPositions)(rows()),
    positions.LearnedPositions: lambda: built(positions.LearnedPositions, 9, 8)(rows(), 3),
    positions.NoPositions: lambda: built(positions.NoPositions)(rows()),
    positions.RotaryPositions: lambda: built(positions.RotaryPositions, 4)(heads(), 3),
    alibi.alibi_slopes: lambda: alibi.alibi_slopes(4, device=rows().device),
    alibi.alibi_bias: lambda: alibi.alibi_bias(4, 2, 5, device=rows().device),
    alibi.AlibiAttention: lambda: built(alibi.AlibiAttention, 3)(
        heads(), heads(), heads(), causal=True
    ),
    embeddings.TokenEmbedding: lambda: built(embeddings.TokenEmbedding, 11, 8)(ids()),
    model.Residual: lambda: built(model.Residual, CONFIG, built(nn.Linear, 8, 8))(rows()),
    model.MixerResidual: lambda: built(model.MixerResidual, CONFIG, built(nn.Linear, 8, 8))(
        rows(), padding=real()
    ),
    model.TransformerLayer: lambda: built(model.TransformerLayer, CONFIG, 0, cross=True)(
        rows(), rows()
    ),
    model.Stack: lambda: model.Stack([built(model.TransformerLayer, CONFIG, 0)])(rows()),
    model.Encoder: lambda: built(model.Encoder, CONFIG)(ids(), real()),
    model.Decoder: lambda: built(model.Decoder, CONFIG)(ids(), padding=real()),
    model.EncoderDecoder: lambda: built(model.EncoderDecoder, CONFIG)(ids(), ids(), real(), real()),
    decoding.choose: lambda: decoding.choose(rows(11)[:, 0], temperature=1.0, top_k=3, top_p=0.9),
    decoding.extend: lambda: decoding.extend(built(model.Decoder, CONFIG), ids(), max_new_tokens=3),
    decoding.generate: lambda: decoding.generate(
        built(model.Decoder, CONFIG), ids(), max_new_tokens=3, temperature=1.0
    ),
    decoding.translate: lambda: decoding.translate(
        built(model.EncoderDecoder, CONFIG),
        ids(),
        source_padding=real(),
        bos=1,
        eos=2,
        max_new_tokens=3,
    ),
    nonautoregressive.MaskedTranslator: lambda: masked_translator()(ids(), ids(), real(), real())[
        ..., 4:
    ],  # the mask's own score is minus infinity
    nonautoregressive.hide: lambda: nonautoregressive.hide(real()),
    nonautoregressive.target_lengths: lambda: nonautoregressive.target_lengths(real()),
    nonautoregressive.masked_loss: lambda: nonautoregressive.masked_loss(
        masked_translator(),
        ids(),
        ids(),
        nonautoregressive.hide(real()),
        source_padding=real(),
        target_padding=real(),
    ),
    nonautoregressive.mask_predict_passes: last_pass,
    nonautoregressive.mask_predict: lambda: (
        nonautoregressive.mask_predict(masked_translator(), ids(), iterations=2, n_lengths=2).ids
    ),
    distillation.distill: lambda: distillation.distill(
        built(model.EncoderDecoder, CONFIG), ids(), bos=1, eos=2, max_new_tokens=3
    ),
    retriever.PreviousTokenEmbedding: lambda: built(retriever.PreviousTokenEmbedding, 11, 8)(ids()),
    retriever.Retriever: lambda: built(retriever.Retriever, "encoder-decoder", CONFIG)(asked()),
    retriever.retrieval_loss: lambda: retriever.retrieval_loss(
        built(retriever.Retriever, "decoder", CONFIG), asked()
    ),
    retriever.dip: lambda: retriever.dip(rows()),
    patches.image_patches: lambda: patches.image_patches(picture(), patch=2),
    patches.images_from_patches: lambda: patches.images_from_patches(
        rows(8)[:, :4], patch=2, size=(4, 4)
    ),
    patches.voxel_patches: lambda: patches.voxel_patches(cube(), patch=2),
    patches.voxels_from_patches: lambda: patches.voxels_from_patches(
        rows(8)[:, :4], patch=2, size=(2, 4, 4)
    ),
    frames.waveform_frames: lambda: frames.waveform_frames(sound(), window=8, hop=4),
    frames.waveform_from_frames: lambda: frames.waveform_from_frames(rows(), hop=4),
    frames.spectrogram: lambda: frames.spectrogram(sound(), window=8, hop=4),
    frames.waveform_from_spectrogram: lambda: frames.waveform_from_spectrogram(
        frames.spectrogram(sound(), window=8, hop=4), window=8, hop=4
    ),
    frames.log_mel: lambda: frames.log_mel(sound(), window=16, hop=8, n_mels=4, sample_rate=16_000),
    frames.mel_filters: lambda: frames.mel_filters(
        window=16, n_mels=4, sample_rate=16_000, device=sound().device
    ),
    drawer.VoxelActor: lambda: actor()(cube(), ids()),
    drawer.latent_gaze: lambda: drawer.latent_gaze(actor(), cube(), ids()).patches,
    drawer.drawer_loss: lambda: drawer.drawer_loss(
        actor(), CabinetBatch(cube(), ids(), ids()[:, 0], ids()[:, :3, None].expand(-1, -1, 3))
    ),
}

# Checks and records: they make no tensors, or every case above goes through them.
NO_CASE = {
    # Whole numbers and shares, not tensors.
    elimination.Elimination,
    fewer_tokens.check_schedule,
    fewer_tokens.elimination_flops,
    elimination_schedules.geometric_schedule,
    elimination_schedules.retention_schedule,
    elimination_schedules.schedule_for_accuracy,
    counts.picture_tokens,
    counts.voxel_tokens,
    counts.sound_frames,
    drawer.drawer_score,
    drawer.DrawerScore,
    drawer.LatentGaze,
    retriever.accuracy_by_position,  # counts in whole numbers on the CPU
    # The rules, which pattern_mask calls, and the form of the patterns for CPU tensors only.
    *pattern_masks.RULES.values(),
    pattern_masks.pattern_rule,
    pattern_masks.at_least,
    global_tokens.attend_with_global_tokens,
    pattern_pieces.band_pieces,
    pattern_pieces.strided_pieces,
    pattern_pieces.fixed_pieces,
    lsh_hash.bucket_factors,
    lsh_hash.default_buckets,
    lsh_rounds.Layout,
    pieces.Piece,
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
    # Characters, no tensors.
    byte_pairs.visible_bytes,
    # A parameter's first values; every case with latents makes one.
    latents.new_latents,
    # Arithmetic on sizes.
    fewer_tokens.pooled_length,
    fewer_tokens.layer_flops,
    fewer_tokens.FunnelLayerCost,
    fewer_tokens.funnel_flops,
    fewer_tokens.PerceiverCost,
    fewer_tokens.perceiver_flops,
    # How a reversible stack comes by what it did not keep.
    replay.Turn,
    replay.Replay,
    replay.Surroundings,
    # What a mixer states of itself.
    mixer.Mixer,
    mixer.check_mixer,
    # The parts of the causal scan, and records and checks of linear attention and Linformer.
    kernel_features.Prepared,
    kernel_features.Prepares,
    kernel_features.RandomVectors,
    kernel_redrawing.Redrawn,
    kernel_redrawing.in_backward_pass,
    kernel_features.waves,
    kernel_features.angles,
    kernel_features.check_floor,
    kernel_scan.Piece,
    kernel_scan.pieces_of,
    kernel_scan.sum_dtype,
    kernel_scan.with_ones,
    kernel_scan.normaliser,
    kernel_scan.bounded,
    linformer.hidden,
    checks.check_heads,
    checks.check_head_shapes,
    checks.check_dtypes,
    checks.check_bias,
    checks.check_called,
    checks.check_options,
    checks.options_of,
    checks.takes_only,
    checks.name_of,
    contract.Attention,
    contract.check_attend,
    checks.check_mask,
    checks.check_padding,
    checks.check_input,
    checks.check_divides,
    checks.hide_padding,
    recording.Recorder,
    recording.Recorded,
    checks.at_least,
    checks.within,
    checks.one_of,
    checks.refuse,
    pieces.as_bias,
    pieces.autocast_dtype,
    pieces.fused,
    pieces.fused_backward,
    pieces.one_dtype,
    swin.check_picture,
    model.TransformerConfig,
    embeddings.check_ids,
    decoding.autoregressive.check_model,
    model.LayerCache,
    positions.check_fits,
    nonautoregressive.Pass,
    nonautoregressive.Written,
}


def public() -> set[object]:
    """Every function and class that the modules of the library define under a public name."""
    names = [f"frugal.{name}" for name in FILES]
    for folder in FOLDERS:
        package = import_module(f"frugal.{folder}")
        inside = pkgutil.walk_packages(package.__path__, f"frugal.{folder}.")
        names += [info.name for info in inside]
    found = set()
    for name in names:
        for attribute, value in vars(import_module(name)).items():
            made_here = getattr(value, "__module__", None) == name
            if made_here and not attribute.startswith("_") and callable(value):
                found.add(value)
    return found


def test_every_public_callable_has_a_case():
    missing = public() - set(CASES) - NO_CASE
    assert not missing, f"no case for {sorted(map(str, missing))}"


@pytest.mark.parametrize("subject", CASES, ids=lambda subject: subject.__qualname__)
def test_runs_on_cuda_tensors(subject):
    with on("cuda:0"), FakeTensorMode(), WithoutDriver(), torch.no_grad():
        assert CASES[subject]().device == torch.device("cuda:0")


def test_a_tensor_in_the_wrong_place_is_caught():
    caught = pytest.raises(RuntimeError, match="found at least two devices")
    with on("cuda:0"), FakeTensorMode(), WithoutDriver(), torch.no_grad(), caught:
        rows() + torch.zeros(8)


@pytest.mark.parametrize("subject", CASES, ids=lambda subject: subject.__qualname__)
def test_runs_under_bfloat16_autocast(subject):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = CASES[subject]()
    assert out.isfinite().all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("subject", CASES, ids=lambda subject: subject.__qualname__)
def test_runs_on_a_real_gpu(subject):
    with on("cuda:0"):
        out = CASES[subject]()
    assert out.device == torch.device("cuda:0")
    assert out.isfinite().all()
