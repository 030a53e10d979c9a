"""A call for every public callable of the modules at the top; `tests.devices` says how."""

from torch import nn

from frugal import checks, embeddings, model, named, norms, positions
from tests.devices import CONFIG, built, heads, ids, real, rows

CASES = {
    norms.norm: lambda: built(norms.norm, "rms", 8)(rows()),
    positions.sinusoidal_positions: lambda: positions.sinusoidal_positions(
        5, 8, device=rows().device
    ),
    positions.SinusoidalPositions: lambda: built(positions.SinusoidalPositions)(rows()),
    positions.LearnedPositions: lambda: built(positions.LearnedPositions, 9, 8)(rows(), 3),
    positions.NoPositions: lambda: built(positions.NoPositions)(rows()),
    positions.RotaryPositions: lambda: built(positions.RotaryPositions, 4)(heads(), 3),
    embeddings.TokenEmbedding: lambda: built(embeddings.TokenEmbedding, 11, 8)(ids()),
    model.Residual: lambda: built(model.Residual, CONFIG, built(nn.Linear, 8, 8))(rows()),
    model.MixerResidual: lambda: built(model.MixerResidual, CONFIG, built(nn.Linear, 8, 8))(
        rows(), padding=real()
    ),
    model.NetworkResidual: lambda: built(model.NetworkResidual, CONFIG, built(nn.Linear, 8, 8))(
        rows(), padding=real()
    ),
    model.TransformerLayer: lambda: built(model.TransformerLayer, CONFIG, 0, cross=True)(
        rows(), rows()
    ),
    model.Stack: lambda: model.Stack([built(model.TransformerLayer, CONFIG, 0)])(rows()),
    model.Encoder: lambda: built(model.Encoder, CONFIG)(ids(), real()),
    model.Decoder: lambda: built(model.Decoder, CONFIG)(ids(), padding=real()),
    model.EncoderDecoder: lambda: built(model.EncoderDecoder, CONFIG)(ids(), ids(), real(), real()),
}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    checks.installed,
    checks.check_heads,
    checks.check_head_shapes,
    checks.check_dtypes,
    checks.check_bias,
    checks.check_called,
    checks.check_options,
    checks.options_of,
    checks.takes_only,
    checks.name_of,
    checks.check_mask,
    checks.check_padding,
    checks.check_input,
    checks.check_divides,
    checks.hide_padding,
    checks.at_least,
    checks.within,
    checks.whole_within,
    checks.between,
    checks.given,
    checks.instance_of,
    checks.check_generator,
    checks.check_function,
    checks.whole,
    checks.check_tensor,
    checks.autocast_kind,
    checks.check_layers,
    checks.one_of,
    checks.close_to,
    checks.did_you_mean,
    checks.check_scale,
    checks.check_same_dtype,
    checks.check_dropout,
    checks.refuse,
    model.TransformerConfig,
    named.named,
    embeddings.check_ids,
    model.LayerCache,
    positions.check_fits,
    positions.skipped_in_front,
    positions.places_of,
}
