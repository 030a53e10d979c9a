"""Another function between the two matrices of the feed-forward network, or a gate.

Sources: shazeer2020glu for the gates; narang2021modifications, section 2.1.
"""

from __future__ import annotations

from functools import partial

from frugal.feedforward.gated import GatedFeedForward
from frugal.transfer.config import Config, Place
from frugal.transfer.modification import Change
from frugal.transfer.parts import PositionWise


def plain(activation: str) -> Change:
    """f(x W₁ + b₁) W₂ + b₂ with another f."""
    return lambda size: {"activation": activation}


def gated(gate: str) -> Change:
    """(gate(x W) ⊙ x V) W₂, two thirds as wide, for as many parameters."""
    return lambda size: {
        "feed_forward": partial(gated_feed_forward, gate=gate),
        "d_ff": size.d_ff * 2 // 3,
    }


def gated_feed_forward(config: Config, place: Place, *, gate: str) -> PositionWise:
    """A `GatedFeedForward` of d_ff."""
    network = GatedFeedForward(
        config.d_model, config.d_ff, gate=gate, bias=config.feed_forward_bias
    )
    return PositionWise(network)
