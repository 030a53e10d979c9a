"""A call for every public callable of `frugal.mixing`; `tests.devices` says how."""

from frugal.mixing import convolution, fourier, mixer, synthesizer
from tests.devices import built, heads, real, rows

CASES = {
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
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    # What a mixer states of itself.
    mixer.Mixer,
    mixer.check_mixer,
}
