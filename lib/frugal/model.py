"""Encoder, decoder and encoder-decoder from one configuration.

Everything the book changes plugs into `TransformerConfig`: `make_attend` changes what the heads do,
`make_mixer` replaces self-attention as a whole, `make_feed_forward` the feed-forward network, and
`make_stack` how the layers are run. A chapter passes the factory; the rest stays as it is.

Source: vaswani2017attention; layers normalise first by default (xiong2020layer).
Chapter: the-vanilla-transformer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from frugal import positions
from frugal.attention.alibi import AlibiAttention
from frugal.attention.cache import Cache, KeyValueCache, OwnCache
from frugal.attention.softmax import Attend, MultiHeadAttention, kv_heads, softmax_attention
from frugal.checks import (
    at_least,
    check_called,
    check_divides,
    check_dropout,
    check_input,
    check_layers,
    check_padding,
    check_same_dtype,
    did_you_mean,
    given,
    instance_of,
    name_of,
    one_of,
    options_of,
    refuse,
)
from frugal.embeddings import TokenEmbedding
from frugal.feedforward.dense import ACTIVATIONS, Activation, DenseFeedForward
from frugal.mixing.mixer import check_mixer
from frugal.named import PARTS, named
from frugal.norms import NORMS, Norm, norm
from frugal.positions import Positions


@dataclass(frozen=True)
class TransformerConfig:
    """The shape of a Transformer and the places where its parts can be exchanged.

    n_layers: encoder layers, and decoder layers too unless n_decoder_layers says otherwise.
    d_ff: width of the feed-forward hidden layer, 4·d_model when None.
    target_vocab_size: vocab_size when None. max_length: how far learned positions reach.
    positions: "sinusoidal", "learned", "rope", "alibi" or "none".
    norm: "layer", "rms" or "none"; norm_first: x + f(norm(x)) instead of norm(x + f(x)).
    tied: the output projection is the (target) embedding table.
    n_kv_heads: heads of keys and values, in self- and cross-attention; n_heads when None.

    The factories get the layer's index, 0 first, and this configuration: make_attend(index, config)
    -> an attention callable for the self-attention heads; make_mixer(index, config) -> a module x
    -> x on (batch, length, d_model) instead of attention, which states whether it is causal and
    takes padding as a `Mixer` does; make_feed_forward(index, config) -> a module x -> x on the same
    shape, which gets `padding=` if its forward takes it; make_stack(layers) -> a module called as
    stack(x, **options), `Stack` by default. The first three may also be names, such as "window:32",
    "fourier" or "gated:swish" (see `frugal.named`). A configuration of names can be pickled, and
    `to_dict` gives what JSON can hold.

    attention_dropout: of the weights of softmax attention, and of any other that takes it.
    Raises ValueError for what is out of range, unknown, or no factory.
    """

    vocab_size: int
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int | None = None
    n_decoder_layers: int | None = None
    target_vocab_size: int | None = None
    max_length: int = 512
    positions: Positions = "sinusoidal"
    norm: Norm = "layer"
    norm_first: bool = True
    activation: Activation = "relu"
    dropout: float | int = 0.0
    bias: bool = True
    tied: bool = True
    make_attend: Callable[[int, TransformerConfig], Attend] | str | None = None
    make_mixer: Callable[[int, TransformerConfig], nn.Module] | str | None = None
    make_feed_forward: Callable[[int, TransformerConfig], nn.Module] | str | None = None
    make_stack: Callable[[Sequence[nn.Module]], nn.Module] | None = None
    attention_dropout: float | int = 0.0
    n_kv_heads: int | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "n_heads", "n_layers", "max_length"):
            at_least(1, **{name: getattr(self, name)})
        for name in ("d_ff", "n_decoder_layers", "target_vocab_size"):
            if getattr(self, name) is not None:
                at_least(1, **{name: getattr(self, name)})
        check_divides(self.n_heads, self.d_model)
        kv_heads(self.n_heads, self.n_kv_heads)
        one_of(positions.KINDS, positions=self.positions)
        one_of(NORMS, norm=self.norm)
        one_of(ACTIVATIONS, activation=self.activation)
        check_dropout(dropout=self.dropout, attention_dropout=self.attention_dropout)
        if self.make_attend is not None and self.make_mixer is not None:
            raise ValueError("make_attend and make_mixer are both given; a layer takes one.")
        for option in PARTS:
            part = getattr(self, option)
            if isinstance(part, str):
                named(option, part)
            elif option == "make_attend" and part is not None:
                check_called("make_attend", part, ("index", "config"))

    def to_dict(self) -> dict[str, Any]:
        """The options as numbers and strings, which JSON and `torch.save` can hold.

        Raises ValueError for a part that is a function: a name can be written down.
        """
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, value in given.items():
            if callable(value):
                raise ValueError(
                    f"{name} is {name_of(value)}; it must be a name, such as 'window:32', or None "
                    "to be written down."
                )
        return given

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> TransformerConfig:
        """What `to_dict` has written. Raises ValueError for an option that there is none of."""
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                near = did_you_mean(name, known)
                raise ValueError(f"{name} is given; it must be an option of the model{near}.")
        return cls(**given)

    def made(self, option: str, index: int) -> Any:
        """What the factory of `option` makes for layer `index`, or None where there is none."""
        factory = getattr(self, option)
        if isinstance(factory, str):
            factory = named(option, factory)
        return None if factory is None else factory(index, self)

    @property
    def hidden_width(self) -> int:
        return 4 * self.d_model if self.d_ff is None else self.d_ff

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads

    def attention(self, index: int) -> MultiHeadAttention:
        """The self-attention of layer `index`, with its heads and positions."""
        attend = softmax_attention if self.make_attend is None else self.made("make_attend", index)
        rotate = None
        if self.positions == "alibi":
            attend = AlibiAttention(self.n_heads, attend)
        elif self.positions == "rope":
            rotate = positions.RotaryPositions(self.head_dim)
        return MultiHeadAttention(
            self.d_model,
            self.n_heads,
            attend,
            bias=self.bias,
            dropout=self.dropout,
            rotate=rotate,
            n_kv_heads=self.n_kv_heads,
            attention_dropout=self.attention_dropout,
        )

    def feed_forward(self, index: int) -> nn.Module:
        """The feed-forward network of layer `index`."""
        if self.make_feed_forward is not None:
            return self.made("make_feed_forward", index)
        return DenseFeedForward(
            self.d_model,
            self.hidden_width,
            activation=self.activation,
            dropout=self.dropout,
            bias=self.bias,
        )

    def add_positions(self) -> nn.Module:
        """What is added to the embeddings: nothing for rope, alibi and none."""
        if self.positions == "sinusoidal":
            return positions.SinusoidalPositions()
        if self.positions == "learned":
            return positions.LearnedPositions(self.max_length, self.d_model)
        return positions.NoPositions()

    def stack(self, n_layers: int, *, cross: bool) -> nn.Module:
        """`n_layers` layers, run by `make_stack`."""
        layers = [TransformerLayer(self, index, cross=cross) for index in range(n_layers)]
        return Stack(layers) if self.make_stack is None else self.make_stack(layers)


class Residual(nn.Module):
    """x + f(norm(x)), or norm(x + f(x)) where `norm_first` is False."""

    def __init__(self, config: TransformerConfig, sublayer: nn.Module) -> None:
        super().__init__()
        self.norm, self.sublayer = norm(config.norm, config.d_model), sublayer
        self.norm_first = config.norm_first

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        return self.after(x, self.inner(self.before(x), *args, **options))

    def before(self, x: Tensor) -> Tensor:
        """What f reads of x."""
        check_same_dtype(x, self.norm)
        return self.norm(x) if self.norm_first else x

    def after(self, x: Tensor, found: Tensor) -> Tensor:
        """What becomes of x when f has found something."""
        return x + found if self.norm_first else self.norm(x + found)

    def inner(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        """f, with the options that it is called with."""
        return self.sublayer(x, *args, **options)


class MixerResidual(Residual):
    """The residual around a mixer, which takes fewer options than attention."""

    def __init__(self, config: TransformerConfig, mixer: nn.Module) -> None:
        check_mixer(mixer)
        super().__init__(config, mixer)
        self.causal = getattr(mixer, "causal", False)
        self.takes_padding = getattr(mixer, "takes_padding", False)

    def inner(
        self,
        x: Float[Tensor, "batch length d_model"],
        *,
        padding: Bool[Tensor, "batch length"] | None = None,
        causal: bool = False,
        cache: Any = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        """A mixer that does not take the padding gets zeros there.

        Raises ValueError for a cache and other options, for padding that is not boolean of the
        shape of x without its width, and where causal=True meets a mixer that is not causal.
        """
        refuse("this layer mixes without attention, so it must not be.", cache=cache, **options)
        if causal and not self.causal:
            name = type(self.sublayer).__name__
            raise ValueError(
                f"{name} does not say causal = True, and a position must not see what it is to "
                "predict; take a causal mixer, or call the model with causal=False."
            )
        check_padding(padding, tuple(x.shape[:2]))
        if self.takes_padding:
            return self.sublayer(x, padding=padding)
        return self.sublayer(x if padding is None else x.masked_fill(~padding[..., None], 0.0))


class NetworkResidual(Residual):
    """The residual around a feed-forward network, which is told of padding where it takes it."""

    def __init__(self, config: TransformerConfig, network: nn.Module) -> None:
        super().__init__(config, network)
        self.takes_padding = "padding" in (options_of(network) or ())

    def inner(
        self,
        x: Float[Tensor, "... d_model"],
        *,
        padding: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "... d_model"]:
        """padding: True = real token; with a cache the last of all positions are those of x."""
        if padding is None or not self.takes_padding:
            return self.sublayer(x)
        return self.sublayer(x, padding=padding[:, -x.shape[1] :])


@dataclass
class LayerCache:
    """What one decoder layer remembers between steps: of its own positions, and of a memory."""

    own: Cache
    context: KeyValueCache | None = None


class TransformerLayer(nn.Module):
    """Mix the positions, attend to a memory (if `cross`), then the feed-forward network.

    Shapes: x (batch, length, d_model), memory (batch, source length, d_model).
    """

    def __init__(self, config: TransformerConfig, index: int, *, cross: bool = False) -> None:
        super().__init__()
        self.d_model = config.d_model
        own = config.attention(index) if config.make_mixer is None else None
        if own is None:
            self.mix: Residual = MixerResidual(config, config.made("make_mixer", index))
        else:
            self.mix = Residual(config, own)
        self.attends = own is not None
        self.cross = None
        if cross:
            heads = MultiHeadAttention(
                config.d_model,
                config.n_heads,
                bias=config.bias,
                dropout=config.dropout,
                n_kv_heads=config.n_kv_heads,
                attention_dropout=config.attention_dropout,
            )
            self.cross = Residual(config, heads)
        self.feed_forward = NetworkResidual(config, config.feed_forward(index))

    @property
    def shifts(self) -> bool:
        """Whether a text that begins later gets the same (`Attention.shifts`)."""
        return self.attends and self.mix.sublayer.shifts

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: Float[Tensor, "batch source d_model"] | None = None,
        *,
        padding: Bool[Tensor, "batch keys"] | None = None,
        memory_padding: Bool[Tensor, "batch source"] | None = None,
        cache: LayerCache | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        """options (causal, mask, ...) reach the self-attention heads; see `MixerResidual`."""
        check_input(x, None, d_model=self.d_model)
        own = None if cache is None else cache.own
        x = self.mix(x, cache=own, padding=padding, **options)
        if self.cross is not None:
            if memory is None:
                raise ValueError("memory is None; a layer with cross-attention needs one.")
            context = None if cache is None else cache.context
            x = self.cross(x, memory, cache=context, padding=memory_padding)
        else:
            refuse(
                "this layer was made without cross=True and attends to none.",
                memory=memory,
                memory_padding=memory_padding,
            )
        return self.feed_forward(x, padding=padding)


class Stack(nn.Module):
    """Run the layers one after the other."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        check_layers(layers)
        self.layers = nn.ModuleList(layers)

    @property
    def shifts(self) -> bool:
        """Whether its layers say so of a text that begins later, and no other stack runs them."""
        return type(self) is Stack and all(getattr(one, "shifts", False) for one in self.layers)

    def forward(
        self,
        x: Float[Tensor, "batch length d_model"],
        memory: Tensor | None = None,
        *,
        caches: Sequence[LayerCache] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch length d_model"]:
        for index, layer in enumerate(self.layers):
            x = layer(x, memory, cache=None if caches is None else caches[index], **options)
        return x


class Encoder(nn.Module):
    """Read a sequence; every position may see every other.

    forward(ids, padding=None): ids (batch, length) -> (batch, length, d_model); fewer positions
    where the stack drops or pools some.
    encode(x, padding=None): the same from vectors (batch, length, d_model), such as patches.
    padding: (batch, length) bool, True = real token. Positions count from a row's first real token.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(config.vocab_size, config.d_model)
        self.positions = config.add_positions()
        self.dropout = nn.Dropout(config.dropout)
        self.stack = config.stack(config.n_layers, cross=False)
        self.norm = norm(config.norm if config.norm_first else "none", config.d_model)

    def forward(
        self,
        ids: Int[Tensor, "batch length"],
        padding: Bool[Tensor, "batch length"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch kept d_model"]:
        return self.encode(self.embedding(ids), padding, **options)

    def encode(
        self,
        x: Float[Tensor, "batch length d_model"],
        padding: Bool[Tensor, "batch length"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch kept d_model"]:
        check_input(x, padding, d_model=self.config.d_model)
        skipped = None if padding is None else positions.skipped_in_front(padding)
        x = self.dropout(self.positions(x, skipped=skipped))
        return self.norm(self.stack(x, padding=padding, **options))


class Decoder(nn.Module):
    """Predict the next token at every position; a position sees only what came before.

    Alone it is a language model; with `cross` it also attends to an encoder's output. Called with
    causal=False every position sees every other, for models that fill in masked tokens.
    forward(ids, memory=None, ...): ids (batch, length) -> scores (batch, length, vocabulary).
    """

    def __init__(self, config: TransformerConfig, *, cross: bool = False) -> None:
        super().__init__()
        self.config = config
        vocab_size = config.target_vocab_size if cross else None
        vocab_size = config.vocab_size if vocab_size is None else vocab_size
        deep = config.n_decoder_layers if cross else None
        self.n_layers = config.n_layers if deep is None else deep
        self.embedding = TokenEmbedding(vocab_size, config.d_model)
        self.positions = config.add_positions()
        self.dropout = nn.Dropout(config.dropout)
        self.stack = config.stack(self.n_layers, cross=cross)
        self.norm = norm(config.norm if config.norm_first else "none", config.d_model)
        self.output = None if config.tied else nn.Linear(config.d_model, vocab_size, bias=False)

    def forward(
        self,
        ids: Int[Tensor, "batch length"],
        memory: Float[Tensor, "batch source d_model"] | None = None,
        *,
        padding: Bool[Tensor, "batch keys"] | None = None,
        memory_padding: Bool[Tensor, "batch source"] | None = None,
        caches: Sequence[LayerCache] | None = None,
        causal: bool = True,
        **options: Any,
    ) -> Float[Tensor, "batch length vocabulary"]:
        """With `caches` (from `new_caches`), ids are only the tokens after the cached ones.

        padding: True = real token, for the cached tokens too. Positions count from the first real
        token of each row. Raises ValueError for a memory that no layer attends to, or of another
        width.
        """
        if caches is not None and len(caches) != self.n_layers:
            raise ValueError(
                f"caches has {len(caches)}; it must have one for each of {self.n_layers} layers."
            )
        for cache in caches or ():
            instance_of(LayerCache, cache=cache)
        if memory is not None:
            check_input(memory, None, d_model=self.config.d_model, name="memory")
        offset = caches[0].own.length if caches else 0
        x, skipped = self.embedding(ids), None
        if padding is not None:
            check_padding(padding, (len(ids), offset + ids.shape[1]))
            skipped = positions.skipped_in_front(padding)
        x = self.dropout(self.positions(x, offset, skipped=skipped))
        if memory is not None or memory_padding is not None:
            options |= {"memory": memory, "memory_padding": memory_padding}
        x = self.norm(self.stack(x, padding=padding, caches=caches, causal=causal, **options))
        return self.embedding.logits(x) if self.output is None else self.output(x)

    def new_caches(self, capacity: int, source_length: int | None = None) -> list[LayerCache]:
        """Empty caches for `capacity` positions, one a layer; `source_length` for `cross`.

        Each keeps what its layer's attention needs to go on: all keys and values, those in the
        reach of a window, or the state of linear attention.
        """
        at_least(1, capacity=capacity, **given(source_length=source_length))
        return [
            LayerCache(
                OwnCache(capacity),
                None if source_length is None else KeyValueCache(source_length),
            )
            for _ in range(self.n_layers)
        ]


class EncoderDecoder(nn.Module):
    """Read a source, write a target (vaswani2017attention, figure 1).

    forward(source, target, source_padding=None, target_padding=None): ids (batch, length) each ->
    scores (batch, target length, target vocabulary); position t predicts token t + 1 of the target.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, cross=True)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
        source_padding: Bool[Tensor, "batch source"] | None = None,
        target_padding: Bool[Tensor, "batch target"] | None = None,
    ) -> Float[Tensor, "batch target vocabulary"]:
        memory = self.encoder(source, source_padding)
        return self.decoder(target, memory, padding=target_padding, memory_padding=source_padding)


torch.serialization.add_safe_globals([TransformerConfig])  # `torch.load` reads one back
