"""Patches of pictures and voxels, frames of sound: against torch and Hugging Face, and back."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.arithmetic import token_counts as counts
from frugal.tokens import frames, patches


@settings(deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99)
)
def test_picture_patches_are_torchs_and_come_back(patch, rows, columns, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    size = (rows * patch, columns * patch)
    images = torch.randn(2, channels, *size, generator=generator)
    tokens = patches.image_patches(images, patch=patch)
    unfolded = torch.nn.functional.unfold(images, patch, stride=patch).mT
    assert tokens.equal(unfolded)
    assert tokens.shape[1] == counts.picture_tokens(*size, patch=patch)
    assert patches.images_from_patches(tokens, patch=patch, size=size).equal(images)


@settings(deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)
)
def test_voxel_patches_hold_their_own_cube_and_come_back(patch, high, deep, wide, channels):
    size = (high * patch, deep * patch, wide * patch)
    voxels = torch.arange(2 * channels * math.prod(size)).view(2, channels, *size)
    tokens = patches.voxel_patches(voxels, patch=patch)
    assert tokens.shape == (2, high * deep * wide, channels * patch**3)
    index = 0
    for i in range(high):
        for j in range(deep):
            for k in range(wide):
                cube = voxels[
                    :,
                    :,
                    i * patch : (i + 1) * patch,
                    j * patch : (j + 1) * patch,
                    k * patch : (k + 1) * patch,
                ]
                assert tokens[:, index].equal(cube.flatten(1))
                index += 1
    assert patches.voxels_from_patches(tokens, patch=patch, size=size).equal(voxels)


def test_a_cube_of_voxels_has_as_many_tokens_as_counted():
    voxels = torch.zeros(1, 1, 6, 6, 6)
    assert patches.voxel_patches(voxels, patch=2).shape[1] == counts.voxel_tokens(6, patch=2) == 27


def test_a_linear_map_of_patches_is_vits_embedding(generator):
    """Equal weights: Hugging Face's ViT embeds by a convolution of kernel and stride p."""
    from transformers import ViTConfig
    from transformers.models.vit.modeling_vit import ViTPatchEmbeddings

    config = ViTConfig(image_size=12, patch_size=4, num_channels=3, hidden_size=10)
    theirs = ViTPatchEmbeddings(config)
    ours = torch.nn.Linear(3 * 4 * 4, 10)
    with torch.no_grad():
        ours.weight.copy_(theirs.projection.weight.flatten(1))
        ours.bias.copy_(theirs.projection.bias)
        images = torch.randn(2, 3, 12, 12, generator=generator)
        error = (ours(patches.image_patches(images, patch=4)) - theirs(images)).abs().max()
    assert error < 1e-5


@settings(deadline=None)
@given(st.integers(400, 40_000))
def test_as_many_frames_as_huberts_convolutions_give(samples):
    from transformers import HubertConfig
    from transformers.models.hubert.modeling_hubert import HubertPreTrainedModel

    class Counter:
        config = HubertConfig()

    theirs = HubertPreTrainedModel._get_feat_extract_output_lengths(Counter(), samples)
    assert counts.sound_frames(samples, **frames.HUBERT) == int(theirs)


@settings(deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 12), st.integers(0, 40), st.integers(1, 2), st.integers(0, 9)
)
def test_frames_lie_where_they_should_and_come_back(window, hop, more, batch, seed):
    samples = window + more
    sound = torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))
    pieces = frames.waveform_frames(sound, window=window, hop=hop)
    assert pieces.shape[1] == counts.sound_frames(samples, window=window, hop=hop)
    for index in range(pieces.shape[1]):
        assert pieces[:, index].equal(sound[:, index * hop : index * hop + window])
    if hop <= window:
        again = frames.waveform_from_frames(pieces, hop=hop)
        assert again.shape[1] == (pieces.shape[1] - 1) * hop + window
        torch.testing.assert_close(again, sound[:, : again.shape[1]], atol=1e-6, rtol=1e-6)


def test_overlapping_frames_that_disagree_are_averaged():
    pieces = torch.tensor([[[1.0, 1.0], [3.0, 3.0]]])
    assert frames.waveform_from_frames(pieces, hop=1).tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize(("window", "hop"), [(400, 320), (16, 4), (9, 4), (64, 64)])
def test_the_spectrogram_is_torchs(window, hop, generator):
    sound = torch.randn(2, 1500, generator=generator, dtype=torch.float64)
    ours = frames.spectrogram(sound, window=window, hop=hop)
    hann = torch.hann_window(window, dtype=torch.float64)
    options = {"hop_length": hop, "window": hann, "center": False, "return_complex": True}
    theirs = torch.stft(sound, window, **options).mT
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("window", "hop"), [(400, 320), (16, 4), (9, 4), (10, 9)])
def test_a_spectrogram_comes_back_as_sound(window, hop, generator):
    sound = torch.randn(2, 1500, generator=generator, dtype=torch.float64)
    spectrum = frames.spectrogram(sound, window=window, hop=hop)
    again = frames.waveform_from_spectrogram(spectrum, window=window, hop=hop)
    kept = sound[:, : again.shape[1]].clone()
    kept[:, 0] = 0  # the Hann window is 0 there
    torch.testing.assert_close(again, kept, atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("window", "n_mels", "sample_rate"), [(400, 40, 16_000), (512, 64, 8000), (256, 20, 22_050)]
)
def test_mel_filters_are_hugging_faces(window, n_mels, sample_rate):
    from transformers.audio_utils import mel_filter_bank

    ours = frames.mel_filters(
        window=window, n_mels=n_mels, sample_rate=sample_rate, dtype=torch.float64
    )
    theirs = mel_filter_bank(window // 2 + 1, n_mels, 0.0, sample_rate / 2, sample_rate)
    torch.testing.assert_close(ours, torch.tensor(theirs), atol=1e-9, rtol=0)
    assert (ours.sum(0) > 0).all()


@settings(deadline=None)
@given(st.integers(4, 600), st.integers(1, 80), st.integers(1000, 48_000))
def test_a_band_holds_a_frequency_or_is_refused(window, n_mels, sample_rate):
    try:
        filters = frames.mel_filters(window=window, n_mels=n_mels, sample_rate=sample_rate)
    except ValueError as error:
        assert "lowest band would hold none" in str(error)  # noqa: PT017
    else:
        assert (filters.sum(0) > 0).all()


def test_log_mel_finds_a_tone_and_hears_silence():
    time = torch.arange(4000) / 16_000
    sounds = torch.stack([torch.sin(2 * math.pi * 1000 * time), torch.zeros(4000)])
    energies = frames.log_mel(sounds, window=400, hop=160, n_mels=40, sample_rate=16_000)
    assert energies.shape == (2, counts.sound_frames(4000, window=400, hop=160), 40)
    filters = frames.mel_filters(window=400, n_mels=40, sample_rate=16_000)
    assert (energies[0].argmax(-1) == filters[25].argmax()).all()  # 25 · 16,000 / 400 = 1,000 Hz
    assert energies[1].allclose(torch.tensor(math.log(frames.FLOOR)))


def test_noise_is_as_loud_in_any_window(generator):
    """White noise of variance 1 has energy 1 at every frequency, whatever the window."""
    noise = torch.randn(1, 160_000, generator=generator)
    for window in (200, 800):
        energies = frames.log_mel(
            noise, window=window, hop=window, n_mels=4, sample_rate=16_000
        ).exp()
        widths = frames.mel_filters(window=window, n_mels=4, sample_rate=16_000).sum(0)
        assert (energies.mean((0, 1)) / widths).tolist() == pytest.approx([1.0] * 4, abs=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_transformed_in_float32(generator, dtype):
    sound = torch.randn(2, 800, generator=generator).to(dtype)
    options = {"window": 64, "hop": 32, "n_mels": 8, "sample_rate": 16_000}
    energies = frames.log_mel(sound, **options)
    assert energies.dtype == dtype
    torch.testing.assert_close(energies, frames.log_mel(sound.float(), **options).to(dtype))


def test_no_sound_has_frames_of_the_right_shape():
    nothing = torch.zeros(0, 800, requires_grad=True)
    spectrum = frames.spectrogram(nothing, window=64, hop=32)
    assert spectrum.shape == (0, 24, 33)
    assert frames.waveform_from_spectrogram(spectrum, window=64, hop=32).shape == (0, 800)
    energies = frames.log_mel(nothing, window=64, hop=32, n_mels=8, sample_rate=16_000)
    assert energies.shape == (0, 24, 8)
    energies.sum().backward()


VOXELS, IMAGES, SOUND = torch.zeros(1, 2, 4, 4, 6), torch.zeros(1, 2, 4, 6), torch.zeros(1, 50)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: patches.image_patches(IMAGES, patch=4), "images is 4 x 6; .* patch=4"),
        (lambda: patches.image_patches(IMAGES, patch=0), "patch is 0"),
        (lambda: patches.image_patches(IMAGES[0], patch=2), r"images has shape \(2, 4, 6\)"),
        (lambda: patches.image_patches(IMAGES[:, :, :0], patch=2), "images is 0 x 6"),
        (lambda: patches.voxel_patches(VOXELS, patch=4), "voxels is 4 x 4 x 6; .* patch=4"),
        (lambda: patches.voxel_patches(IMAGES, patch=2), "voxels has shape"),
        (
            lambda: patches.images_from_patches(torch.zeros(1, 5, 8), patch=2, size=(4, 6)),
            r"tokens has shape \(1, 5, 8\); .* \(batch, 6, a multiple of 4\)",
        ),
        (
            lambda: patches.images_from_patches(torch.zeros(1, 6, 7), patch=2, size=(4, 6)),
            "a multiple of 4",
        ),
        (
            lambda: patches.voxels_from_patches(torch.zeros(1, 6, 8), patch=2, size=(4, 4, 5)),
            "size is 4 x 4 x 5",
        ),
        (lambda: frames.waveform_frames(SOUND, window=8, hop=0), "hop is 0; it must be a whole"),
        (lambda: frames.waveform_frames(SOUND, window=0, hop=1), "window is 0; it must be a whole"),
        (lambda: frames.waveform_frames(SOUND, window=51, hop=1), r"waveform has shape \(1, 50\)"),
        (
            lambda: frames.log_mel(
                SOUND.to(torch.int16), window=16, hop=8, n_mels=4, sample_rate=16_000
            ),
            r"waveform has dtype torch\.int16",
        ),
        (
            lambda: frames.waveform_from_frames(torch.zeros(1, 3, 4, dtype=torch.int16), hop=2),
            r"frames has dtype torch\.int16",
        ),
        (lambda: frames.waveform_from_frames(torch.zeros(1, 3, 4), hop=5), "hop is 5"),
        (lambda: frames.waveform_from_frames(torch.zeros(1, 0, 4), hop=2), "frames has shape"),
        (
            lambda: frames.waveform_from_spectrogram(
                torch.zeros(1, 3, 4, dtype=torch.complex64), window=8, hop=4
            ),
            "spectrum has shape",
        ),
        (
            lambda: frames.waveform_from_spectrogram(
                torch.zeros(1, 3, 5, dtype=torch.complex64), window=8, hop=8
            ),
            "hop is 8",
        ),
        (lambda: frames.mel_filters(window=400, n_mels=0, sample_rate=8000), "n_mels is 0"),
        (lambda: frames.mel_filters(window=64, n_mels=40, sample_rate=16_000), "n_mels is 40"),
        (lambda: counts.picture_tokens(30, 32, patch=4), "height is 30"),
        (lambda: counts.picture_tokens(32, 0, patch=4), "width is 0"),
        (lambda: counts.voxel_tokens(9, patch=2), "side is 9"),
        (lambda: counts.voxel_tokens(9, patch=0), "patch is 0"),
        (lambda: counts.sound_frames(-1, window=4, hop=2), "samples is -1"),
        (lambda: counts.sound_frames(9, window=4, hop=0), "hop 0"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_sound_shorter_than_a_window_has_no_frames():
    assert counts.sound_frames(399, window=400, hop=320) == 0
    assert counts.sound_frames(400, window=400, hop=320) == 1
