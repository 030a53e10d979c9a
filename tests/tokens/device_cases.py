"""A call for every public callable of `frugal.tokens`; `tests.devices` says how."""

import dataclasses

from torch import nn

from frugal import model
from frugal.attention import softmax
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
from tests.devices import CONFIG, Place, built, cube, heads, ids, picture, real, rows, sound

DROPPING = elimination.WordVectorElimination


def eliminating() -> nn.Module:
    stack = built(model.Encoder, dataclasses.replace(CONFIG, make_stack=DROPPING)).stack
    stack.keep = (3, 2)
    return stack


CASES = {
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
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    # Whole numbers and shares, not tensors.
    elimination.Elimination,
    pooling.check_blocks,
    elimination_schedules.geometric_schedule,
    elimination_schedules.retention_schedule,
    elimination_schedules.schedule_for_accuracy,
    # Characters, no tensors.
    byte_pairs.visible_bytes,
    # A parameter's first values; every case with latents makes one.
    latents.new_latents,
}
