"""Sound as a sequence of frames: the waveform itself, its spectrum, or its log-mel energies.

A frame is `window` samples, one starts every `hop` samples, and none reaches beyond the end:
1 + ⌊(samples - window) / hop⌋ frames. With a window of 400 and a hop of 320 samples that is the
number of frames which HuBERT's stack of strided convolutions makes of a sound at 16 kHz, 50 a
second.

Frames and complex spectra can be turned back into sound; log-mel energies cannot, because they
have forgotten the phase and most of the frequencies.

Source: hsu2021hubert, section III for the rate. Cost: samples·window / hop numbers, and
5·window·log2(window) FLOPs a frame for the spectrum. Chapter: pictures-and-sound.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor

from frugal.checks import at_least, between

HUBERT = {"window": 400, "hop": 320}
"""HuBERT's receptive field and stride, in samples of 16 kHz: 25 and 20 milliseconds."""

FLOOR = 1e-6
"""Added to energies before their logarithm, so that silence is finite: 60 dB below one."""


def waveform_frames(
    waveform: Float[Tensor, "batch samples"], *, window: int, hop: int
) -> Float[Tensor, "batch frames window"]:
    """Pieces of `window` samples, one every `hop`; a view, nothing is copied.

    Samples after the last whole frame are in no frame. Raises ValueError for a window or a hop
    below 1 and for a sound shorter than one window.
    """
    _check_sizes(window, hop)
    if waveform.ndim != 2 or waveform.shape[1] < window:
        raise ValueError(
            f"waveform has shape {tuple(waveform.shape)}; "
            f"it must be (batch, samples) with at least one {window=} of samples."
        )
    return waveform.unfold(1, window, hop)


def waveform_from_frames(
    frames: Float[Tensor, "batch frames window"], *, hop: int
) -> Float[Tensor, "batch samples"]:
    """The inverse of `waveform_frames`: frames are put in their places and averaged where they
    overlap. Gives (frames - 1)·hop + window samples.

    Raises ValueError when hop is larger than the window: between the frames nothing is known.
    """
    _check_joinable(frames, hop)
    ones = torch.ones_like(frames[:1])
    return _overlap_add(frames, hop) / _overlap_add(ones, hop)


def spectrogram(
    waveform: Float[Tensor, "batch samples"], *, window: int, hop: int
) -> Complex[Tensor, "batch frames frequencies"]:
    """Complex spectrum of each frame under a Hann window: (batch, frames, window // 2 + 1).

    Frequency k stands for k·sample_rate / window hertz. Equal to torch.stft without padding. Half
    precision is transformed in float32. Raises ValueError for a sound in whole numbers, and where
    `waveform_frames` does.
    """
    frames = waveform_frames(_sound(waveform), window=window, hop=hop)
    if not len(frames):  # a transform of no numbers is an error in torch
        return frames[..., : window // 2 + 1].to(frames.dtype.to_complex())
    return torch.fft.rfft(frames * _hann(window, frames))


def waveform_from_spectrogram(
    spectrum: Complex[Tensor, "batch frames frequencies"], *, window: int, hop: int
) -> Float[Tensor, "batch samples"]:
    """The inverse of `spectrogram`, where the Hann windows of the frames leave anything to invert.

    Gives (frames - 1)·hop + window samples, exact but for those that every window weighs with
    nothing (the first sample, for one): they are 0. Raises ValueError for a hop of a window or
    more, and for a spectrum of another window.
    """
    _check_sizes(window, hop)
    if not spectrum.is_complex():
        raise ValueError(f"spectrum has dtype {spectrum.dtype}; it must be complex.")
    if spectrum.ndim != 3 or spectrum.shape[2] != window // 2 + 1 or hop >= window:
        raise ValueError(
            f"spectrum has shape {tuple(spectrum.shape)} and hop is {hop}; {window=} needs "
            f"(batch, frames, {window // 2 + 1}) and a hop below it."
        )
    if not len(spectrum):
        return spectrum.real.new_zeros(0, (spectrum.shape[1] - 1) * hop + window)
    frames = torch.fft.irfft(spectrum, n=window)
    hann = _hann(window, frames)
    weights = _overlap_add((hann**2).expand(1, spectrum.shape[1], window), hop)
    # least squares: each frame's samples count by how much of them the window let through
    heard = weights > torch.finfo(weights.dtype).eps
    sound = _overlap_add(frames * hann, hop)
    return torch.where(heard, sound / weights.where(heard, torch.ones_like(weights)), 0.0)


def log_mel(
    waveform: Float[Tensor, "batch samples"],
    *,
    window: int,
    hop: int,
    n_mels: int,
    sample_rate: int,
) -> Float[Tensor, "batch frames n_mels"]:
    """Logarithm of the energy in `n_mels` bands of each frame: (batch, frames, n_mels).

    The bands are `mel_filters`; the energy is |spectrum|² divided by the sum of the squared Hann
    window, so that it does not depend on the window's length for noise. `FLOOR` is added to it.
    Raises ValueError where `spectrogram` and `mel_filters` do.
    """
    spectrum = spectrogram(waveform, window=window, hop=hop)
    power = spectrum.real**2 + spectrum.imag**2
    power = power / _hann(window, power).square().sum()
    filters = mel_filters(
        window=window,
        n_mels=n_mels,
        sample_rate=sample_rate,
        device=power.device,
        dtype=power.dtype,
    )
    return (power @ filters + FLOOR).log().to(waveform.dtype)


def mel_filters(
    *, window: int, n_mels: int, sample_rate: int, device=None, dtype=torch.float32
) -> Float[Tensor, "frequencies n_mels"]:
    """Triangles over frequency, equally wide on the mel scale 2595·log10(1 + f / 700).

    Each rises from the centre of the band before it to 1 at its own centre and falls to the next.
    Raises ValueError for so many bands that the lowest would lie between two frequencies.
    """
    at_least(1, n_mels=n_mels)
    at_least(2, window=window)
    between(0, math.inf, sample_rate=sample_rate)
    top = 2595.0 * math.log10(1 + sample_rate / 2 / 700.0)
    spacing = sample_rate / window  # hertz between frequencies
    if _hertz(2 * top / (n_mels + 1)) <= spacing:
        raise ValueError(
            f"n_mels is {n_mels}; with {window=} frequencies are {spacing:.3g} Hz apart and the "
            "lowest band would hold none, so take fewer bands or a longer window."
        )
    mels = torch.linspace(0, top, n_mels + 2, device=device, dtype=torch.float64)
    edges = _hertz(mels)
    hertz = torch.arange(window // 2 + 1, device=device, dtype=torch.float64) * spacing
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hertz[:, None] - low) / (centre - low)
    falling = (high - hertz[:, None]) / (high - centre)
    return torch.minimum(rising, falling).clamp(min=0).to(dtype)


def _hertz(mels: Any) -> Any:
    """The inverse of the mel scale, for a number or a tensor."""
    return 700.0 * (10.0 ** (mels / 2595.0) - 1)


def _sound(waveform: Tensor) -> Tensor:
    """The waveform in numbers that can be transformed, or one sentence."""
    if not waveform.is_floating_point():
        raise ValueError(
            f"waveform has dtype {waveform.dtype}; it must be floating point: 16-bit samples, for "
            "one, divided by 32768."
        )
    return waveform.to(torch.promote_types(waveform.dtype, torch.float32))


def _hann(window: int, like: Tensor) -> Tensor:
    return torch.hann_window(window, device=like.device, dtype=like.dtype)


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """(batch, frames, window) to (batch, samples): each frame added at its place."""
    _, count, window = frames.shape
    samples = (count - 1) * hop + window
    laid = F.fold(frames.mT, (1, samples), kernel_size=(1, window), stride=(1, hop))
    return laid.flatten(1)


def _check_sizes(window: int, hop: int) -> None:
    at_least(1, window=window, hop=hop)


def _check_joinable(frames: Tensor, hop: int) -> None:
    if not frames.is_floating_point():
        raise ValueError(f"frames has dtype {frames.dtype}; it must be floating point.")
    if frames.ndim != 3 or 0 in frames.shape[1:]:
        raise ValueError(
            f"frames has shape {tuple(frames.shape)}; it must be (batch, frames, window)."
        )
    at_least(1, hop=hop)
    if hop > frames.shape[2]:
        raise ValueError(
            f"hop is {hop}; frames of {frames.shape[2]} samples can be joined for a hop of 1 to "
            f"{frames.shape[2]}."
        )
