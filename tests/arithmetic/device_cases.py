"""A call for every public callable of `frugal.arithmetic`; `tests.devices` says how."""

from frugal.arithmetic import fewer_tokens
from frugal.arithmetic import token_counts as counts

CASES = {}

# They make no tensors, or every case above goes through them.
NO_CASE = {
    fewer_tokens.check_schedule,
    fewer_tokens.elimination_flops,
    counts.picture_tokens,
    counts.voxel_tokens,
    counts.sound_frames,
    # Arithmetic on sizes.
    fewer_tokens.pooled_length,
    fewer_tokens.layer_flops,
    fewer_tokens.FunnelLayerCost,
    fewer_tokens.funnel_flops,
    fewer_tokens.PerceiverCost,
    fewer_tokens.perceiver_flops,
}
