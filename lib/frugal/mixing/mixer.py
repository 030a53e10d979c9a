"""What a mixer is: a layer that stands where attention stood, and what it says of itself.

Chapter: no-attention.
"""

from __future__ import annotations

from inspect import signature

from torch import nn


class Mixer(nn.Module):
    """A module x -> x on (batch, length, d_model), for `TransformerConfig(make_mixer=...)`.

    causal: no position sees a later one; a decoder refuses a mixer that does not say so.
    takes_padding: forward takes `padding=`, (batch, length) with True = real token; a mixer that
    does not gets zeros where there is no real token.

    A subclass states both, as class attributes or in its constructor. Any other module may do so
    without being a subclass; what it does not state is False.
    """

    causal: bool = False
    takes_padding: bool = False


def check_mixer(mixer: nn.Module) -> None:
    """One sentence when a mixer states something else than True or False, or takes padding and
    does not state it; nothing when all is well."""
    name = type(mixer).__name__
    for trait in ("causal", "takes_padding"):
        stated = getattr(mixer, trait, False)
        if not isinstance(stated, bool):
            raise ValueError(f"{name}.{trait} is {stated!r}; it must be True or False.")
    takes = "padding" in signature(mixer.forward).parameters
    if takes and not hasattr(mixer, "takes_padding"):
        raise ValueError(
            f"{name}.takes_padding is missing though forward takes padding; it must be True, or "
            "False for zeros in its place."
        )
