"""Five ways to tell a Transformer where a token stands.

Attention itself is blind to order. Sinusoidal and learned positions are added to the embeddings
(vaswani2017attention); rotary positions turn queries and keys (su2024roformer); ALiBi lowers the
scores of distant keys (press2022alibi); "none" leaves order to the causal mask.
Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal.telling import told

START = 2**-0.5
"""Standard deviation at which learned positions start."""

Positions = Literal["sinusoidal", "learned", "rope", "alibi", "none"]
"""What `TransformerConfig(positions=...)` may be."""

KINDS: tuple[Positions, ...] = get_args(Positions)


def skipped_in_front(padding: Bool[Tensor, "batch keys"]) -> Int[Tensor, " batch"]:
    """How many positions of each row come before its first real token, 0 where there is none."""
    return padding.to(torch.uint8).argmax(1)


def places_of(
    length: int, offset: int, skipped: Int[Tensor, " batch"]
) -> Int[Tensor, "batch length"]:
    """The places of positions offset .. offset+length-1 where `skipped` in front do not count.

    Those in front stand at place 0, as the first token does; nobody is to see them.
    """
    places = torch.arange(offset, offset + length, device=skipped.device)
    return (places - skipped[:, None]).clamp(min=0)


def check_fits(length: int, offset: int, max_length: int) -> None:
    """One sentence when positions offset .. offset+length-1 are more than there are."""
    if offset + length > max_length:
        raise ValueError(
            f"the sequence reaches position {offset + length - 1}; "
            f"max_length={max_length} allows positions up to {max_length - 1}."
        )


def sinusoidal_positions(
    length: int, d_model: int, *, offset: int = 0, device=None, dtype=torch.float32
) -> Float[Tensor, "length d_model"]:
    """Sine in the even columns, cosine in the odd ones, wavelengths from 2π to 10000·2π.

    Row p, columns 2i and 2i+1 hold sin and cos of p / 10000^(2i/d_model). d_model must be even.
    Source: vaswani2017attention, section 3.5.
    """
    if d_model % 2:
        raise ValueError(f"d_model is {d_model}; it must be even, for a sine with each cosine.")
    place = torch.arange(offset, offset + length, device=device, dtype=torch.float32)
    return _waves(place, d_model).to(dtype)


def _waves(place: Float[Tensor, "*places"], d_model: int) -> Float[Tensor, "*places d_model"]:
    """Sines and cosines of each place, in turns."""
    pair = torch.arange(0, d_model, 2, device=place.device, dtype=torch.float32)
    angle = place[..., None] * 10000.0 ** (-pair / d_model)  # (..., d_model / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


class SinusoidalPositions(nn.Module):
    """Add `sinusoidal_positions` to x (batch, length, d_model); no parameters, any length.

    offset: the place of x's first position. skipped: how many positions in front of a row's first
    token do not count (`skipped_in_front`). So for all kinds of positions.
    """

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        offset: int = 0,
        *,
        skipped: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch length d_model"]:
        _, length, d_model = x.shape
        if skipped is not None:
            places = places_of(length, offset, skipped)
            return x + _waves(places.to(torch.float32), d_model).to(x.dtype)
        return x + sinusoidal_positions(
            length, d_model, offset=offset, device=x.device, dtype=x.dtype
        )


class LearnedPositions(nn.Module):
    """Add a learned vector for each position to x (batch, length, d_model), up to max_length.

    They start as loud as sinusoids, whose root mean square is 1/√2, since the token embeddings
    beside them have unit variance. Fifty times quieter (0.02, right beside embeddings that are as
    small), a model has to learn first to hear where a token stands, and loses every comparison.
    """

    def __init__(self, max_length: int, d_model: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(max_length, d_model))
        nn.init.normal_(self.table, std=START)

    def extra_repr(self) -> str:
        return told(self, table=tuple(self.table.shape))

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        offset: int = 0,
        *,
        skipped: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch length d_model"]:
        length, most = x.shape[1], self.table.shape[0]
        if skipped is None:
            check_fits(length, offset, most)
            return x + self.table[offset : offset + length].to(x.dtype)
        if offset + length > most and len(x):  # it may still fit, since some do not count
            check_fits(length, offset - int(skipped.min()), most)
        return x + self.table[places_of(length, offset, skipped)].to(x.dtype)


class NoPositions(nn.Module):
    """Leave x as it is."""

    def forward(
        self, x: Tensor, offset: int = 0, *, skipped: Int[Tensor, " batch"] | None = None
    ) -> Tensor:
        return x


class RotaryPositions(nn.Module):
    """Turn each pair of channels of a query or key by an angle proportional to its position.

    Channels 2i and 2i+1 form a pair, turned by p / base^(2i/head_dim) at position p, so that a
    product of query and key depends on the distance alone. x: (batch, heads, length, head_dim).
    Source: su2024roformer, equation 34.
    """

    shifts = True  # it takes `skipped`

    def __init__(self, head_dim: int, *, base: float = 10000.0) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(f"head_dim is {head_dim}; it must be even, for they turn pairs.")
        self.base = base

    def extra_repr(self) -> str:
        return told(self, "base")

    def forward(
        self,
        x: Float[Tensor, "batch heads length head_dim"],
        offset: int = 0,
        *,
        skipped: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch heads length head_dim"]:
        if skipped is not None:
            return self.turn(x, places_of(x.shape[2], offset, skipped))
        return self.turn(x, torch.arange(offset, offset + x.shape[2], device=x.device))

    def turn(
        self, x: Float[Tensor, "batch heads length head_dim"], places: Int[Tensor, "... length"]
    ) -> Float[Tensor, "batch heads length head_dim"]:
        """The same for tokens that stand at any `places`, (length,) or (batch, length)."""
        head_dim = x.shape[-1]
        pair = torch.arange(0, head_dim, 2, device=x.device, dtype=torch.float32)
        angle = places[..., None] * self.base ** (-pair / head_dim)  # (..., length, head_dim / 2)
        angle = angle if places.ndim == 1 else angle[:, None]
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
        return turned.flatten(-2)
