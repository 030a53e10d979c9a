"""What one encoder-decoder is made of, and a check that every option given was read.

The options are numbers, names and factories. A factory gets the configuration of its side and a
`Place`; the two sides may differ, by `encoder={...}` and `decoder={...}`. Chapter:
the-modification-zoo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from torch import nn

from frugal.checks import at_least, close_to, one_of, within
from frugal.norms import NORMS

Factory = Callable[..., nn.Module]
TIED = ("all", "inputs", "decoder", "none")
POSITIONS = ("relative", "learned", "none")


class Place(NamedTuple):
    """Where a part stands: side "encoder" or "decoder", and the layer's index, 0 first."""

    side: str
    index: int = 0


@dataclass(frozen=True, kw_only=True)
class Config:
    """One encoder-decoder. Every part of it that a row changes has a name here.

    vocab_size ... dropout: its size; n_layers of each side, and attention is n_heads · head_dim
    wide, whatever d_model. n_experts ... kernel_size: numbers that only some rows read.
    activation, feed_forward_bias: of the feed-forward network. norm: "layer", "rms" or "none", in
    front of each sub-layer and after the last. positions: "relative", biases of `RelativeBias` that
    all layers of a side share and that have relative_heads heads (n_heads when None); "learned",
    vectors added to the embeddings; or "none". tied: which tables are one, "all" three, both
    "inputs", both of the "decoder", or "none". share_layers: one layer, n_layers times.

    The factories: table(config) makes an embedding, output(config) what makes logits where it is
    no table's; self_attention, cross_attention and feed_forward(config, place) a sub-layer, called
    as sublayer(x, context); residual(config, place, sublayer) what stands around each;
    layer(config, place) all sub-layers of a layer in their residuals; final(config, place) what
    comes after the last layer; stack(config, side, layers) what runs them.
    encoder, decoder: options for this side alone.
    """

    vocab_size: int
    d_model: int
    n_heads: int
    head_dim: int
    d_ff: int
    n_layers: int
    max_length: int
    dropout: float = 0.0

    n_experts: int = 32
    n_keys: int = 512
    n_read: int = 32
    memory_heads: int = 4
    n_softmaxes: int = 15
    n_steps: int = 24
    kernel_size: int = 9

    activation: str = "relu"
    feed_forward_bias: bool = True
    norm: str = "layer"
    positions: str = "relative"
    relative_heads: int | None = None
    tied: str = "all"
    share_layers: bool = False

    table: Factory
    output: Factory | None = None
    self_attention: Factory
    cross_attention: Factory
    feed_forward: Factory
    residual: Factory
    layer: Factory
    final: Factory
    stack: Factory

    encoder: Mapping[str, Any] = field(default_factory=dict)
    decoder: Mapping[str, Any] = field(default_factory=dict)

    _asked: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = (one.name for one in fields(self) if one.type == "int")
        at_least(1, **{name: getattr(self, name) for name in numbers})
        one_of(NORMS, norm=self.norm)
        one_of(POSITIONS, positions=self.positions)
        one_of(TIED, tied=self.tied)
        within(0, 1, dropout=self.dropout)
        self._asked.clear()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_"):
            object.__getattribute__(self, "_asked").add(name)
        return object.__getattribute__(self, name)

    def changed(self, options: Mapping[str, Any]) -> Config:
        """A copy with these options. Raises ValueError for one that is none, with near matches."""
        known = {one.name for one in fields(self) if one.init}
        for name in options:
            if name not in known:
                raise ValueError(f"{name} is no option of a model; {near(name, known)}.")
        return replace(self, **options)


def near(name: str, known: Iterable[str]) -> str:
    """A half-sentence with the names that are spelt alike, or with all of them."""
    known = list(known)
    return f"it must be one of {', '.join(map(repr, close_to(name, known) or sorted(known)))}"


class Sides(NamedTuple):
    """One configuration for what both sides share, and one for each side."""

    both: Config
    encoder: Config
    decoder: Config


def sides(config: Config) -> Sides:
    """The configuration of each part of a model, none of them read so far."""
    return Sides(replace(config), config.changed(config.encoder), config.changed(config.decoder))


def check_read(given: Mapping[str, Any], parts: Sides, *, what: str) -> None:
    """After a model has been made: every option given was read where it was given."""
    for name, value in given.items():
        if name in ("encoder", "decoder"):
            check_read(value, Sides(*[getattr(parts, name)] * 3), what=f"the {name} of {what}")
        elif not any(name in part._asked for part in parts):
            raise ValueError(f"{name} is given; it must be left out: nothing in {what} reads it.")
