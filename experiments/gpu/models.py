"""Who is timed beside a layer of attention: other layers, whole encoders, and decoders that write.

An encoder has four layers of the width of `racers`; the plain one of the same size is what its time
is divided by. A decoder continues a text of the length in question by a few tokens, so its time is
that of reading and of writing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from experiments.gpu.racer import HEADS, LAYER, TOKENS, WIDTH, Racer, sides
from frugal import decoding
from frugal.attention.heads import prune_heads
from frugal.attention.kernels import KernelAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.softmax import MultiHeadAttention
from frugal.attention.swin import ShiftedWindowAttention
from frugal.decoding.early import generate_early
from frugal.decoding.parallel import MaskedTranslator, mask_predict
from frugal.depth.early_exit.encoder import ExitEncoder
from frugal.depth.layerdrop import every_other, prune_layers
from frugal.depth.reversible import ReversibleStack
from frugal.depth.universal import UniversalTransformer
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.experts import MixtureOfExperts, SwitchFeedForward
from frugal.feedforward.product_keys import ProductKeyMemory
from frugal.mixing.convolution import DynamicConv, LightweightConv
from frugal.mixing.fourier import FourierMixing
from frugal.mixing.synthesizer import Synthesizer
from frugal.model import Decoder, Encoder, TransformerConfig
from frugal.tokens.elimination import WordVectorElimination
from frugal.tokens.elimination_schedules import geometric_schedule
from frugal.tokens.latents import LatentStack
from frugal.tokens.pooling import FunnelEncoder

KERNEL, SIDE, EXPERTS, KEYS, LATENTS, LAYERS = 31, 8, 64, 256, 256, 4
SMALL = 256
"""Up to this length, which is that of a test, models are small and have few experts and keys."""
NEW, PASSES = 16, 4
"""Tokens that a decoder writes, and in how many passes the one does that writes them together."""
VOCABULARY = 256
FEED_FORWARD, ENCODER, WRITER = "feed-forward layer", "plain encoder", "writing, softmax"
MATRICES = 4 * WIDTH**2 + 8 * WIDTH**2
"""Weights of a layer, the same in attention and in the feed-forward network of four widths."""


def config(n: int, **options: Any) -> TransformerConfig:
    """Of the models that are called with n tokens."""
    size = {"d_model": 64, "n_heads": 2} if n <= SMALL else {"d_model": WIDTH, "n_heads": HEADS}
    return TransformerConfig(VOCABULARY, n_layers=LAYERS, **size, **options)


def _many(number: int, n: int) -> int:
    return number // 16 if n <= SMALL else number


class OnSquares(nn.Module):
    """A layer for pictures, called with the tokens of each in one row."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.unflatten(1, sides(x.shape[1]))).flatten(1, 2)


class Leaves(nn.Module):
    """An encoder with exits, at each of which every other example leaves."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.model = ExitEncoder(config, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.model.leave(ids, rule=self.every_other).scores

    @staticmethod
    def every_other(scores: Tensor, state: Tensor) -> Tensor:
        return torch.arange(len(scores), device=scores.device) % 2 == 0


class Writes(nn.Module):
    """A decoder and the way in which it writes."""

    def __init__(self, model: nn.Module, write: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.write = model, write

    def forward(self, ids: Tensor) -> Any:
        return self.write(self.model, ids)


def layers() -> dict[str, Racer]:
    """On vectors: mixing layers with their projections, and feed-forward layers."""
    projections = 8 * WIDTH**2
    conv = 6 * WIDTH**2 + 2 * KERNEL * WIDTH
    mixing = {"given": "vectors", "against": LAYER}
    dense = {"given": "vectors", "against": FEED_FORWARD}
    network = 16 * WIDTH**2

    def heads(n: int) -> nn.Module:
        return MultiHeadAttention(WIDTH, HEADS)

    def half(n: int) -> nn.Module:
        layer = heads(n)
        prune_heads(layer, range(HEADS // 2))
        return layer

    def every(flops: float) -> Callable[[int], float]:
        return lambda n: flops

    return {
        LAYER: Racer(heads, None, lambda n: projections + 4 * n * WIDTH, given="vectors"),
        FEED_FORWARD: Racer(
            lambda n: DenseFeedForward(WIDTH, 4 * WIDTH), None, every(network), given="vectors"
        ),
        "Switch layer, 64 experts": Racer(
            lambda n: SwitchFeedForward(WIDTH, 4 * WIDTH, _many(EXPERTS, n)),
            flops=every(network),
            **dense,
        ),
        "layer of 7 of 64 small experts": Racer(
            lambda n: MixtureOfExperts(
                WIDTH, WIDTH // 2, _many(EXPERTS, n), k=min(7, _many(EXPERTS, n))
            ),
            flops=every(network),
            **dense,
        ),
        "product-key layer": Racer(
            lambda n: ProductKeyMemory(WIDTH, _many(KEYS, n), k=min(32, _many(KEYS, n))),
            flops=every(2 * WIDTH**2 + 2 * WIDTH * KEYS + 2 * 4 * 32 * WIDTH),
            **dense,
        ),
        "Fourier layer": Racer(lambda n: FourierMixing(), flops=every(0), **mixing),
        "LightConv layer": Racer(
            lambda n: LightweightConv(WIDTH, HEADS, KERNEL, causal=True),
            flops=every(conv),
            **mixing,
        ),
        "DynamicConv layer": Racer(
            lambda n: DynamicConv(WIDTH, HEADS, KERNEL, causal=True),
            flops=every(conv + 2 * WIDTH * HEADS * KERNEL),
            **mixing,
        ),
        "shifted-window layer": Racer(
            lambda n: OnSquares(ShiftedWindowAttention(WIDTH, HEADS, SIDE, SIDE // 2)),
            flops=every(projections + 4 * SIDE**2 * WIDTH),
            **mixing,
        ),
        "softmax layer, half of the heads": Racer(
            half, flops=lambda n: projections / 2 + 2 * n * WIDTH, **mixing
        ),
        "Synthesizer layer": Racer(
            lambda n: Synthesizer(WIDTH, HEADS, n, kind="dense", causal=True),
            flops=lambda n: 6 * WIDTH**2 + 4 * n * WIDTH,
            longest=2048,
            **mixing,
        ),
    }


def encoders() -> dict[str, Racer]:
    """On token ids: what a reader trains, in four layers, with fewer tokens or layers or none."""
    whole = {"given": "ids", "against": ENCODER, "longest": 16384}

    def layer(n: float, width: int = WIDTH) -> float:
        return 2 * MATRICES + 4 * n * width

    def stacked(make: Callable[..., nn.Module], **options: Any) -> Callable[[int], nn.Module]:
        return lambda n: Encoder(config(n, make_stack=partial(make, **options)))

    def pruned(n: int) -> nn.Module:
        model = Encoder(config(n))
        prune_layers(model, every_other(LAYERS, LAYERS // 2))
        return model

    def plain(n: int) -> float:
        return LAYERS * layer(n)

    def dropping(n: int) -> float:
        kept = (n, *geometric_schedule(n, LAYERS, n // 8))[:-1]
        return sum(m / n * layer(m) for m in kept)

    def funnel(n: int) -> float:
        return 2 * layer(n) + layer(n / 2)  # half of the tokens in two of the four

    def leaving(n: int) -> float:
        batch, flops = max(1, TOKENS // n), 0.0
        left = batch
        for _ in range(LAYERS):
            flops += left / batch * layer(n)
            left //= 2
        return flops

    def ponders(n: int) -> nn.Module:
        """One layer, at whose start every token halts after its second step."""
        steps = partial(UniversalTransformer, n_steps=LAYERS)
        return Encoder(replace(config(n), n_layers=1, make_stack=steps))

    def latents(n: int) -> nn.Module:
        given = config(n)
        size = {"d_model": given.d_model, "n_heads": given.n_heads}
        return stacked(LatentStack, n_latents=_many(LATENTS, n), **size)(n)

    latent = LATENTS * layer(LATENTS)

    return {
        ENCODER: Racer(lambda n: Encoder(config(n)), None, plain, given="ids", longest=16384),
        "latent encoder": Racer(
            latents,
            flops=lambda n: 2 * layer(LATENTS) + LAYERS * latent / n,
            **whole,
        ),
        "funnel encoder": Racer(
            lambda n: FunnelEncoder(config(n), blocks=(2, 2)), flops=funnel, **whole
        ),
        "encoder that drops tokens": Racer(
            lambda n: stacked(WordVectorElimination, keep=geometric_schedule(n, LAYERS, n // 8))(n),
            flops=dropping,
            **whole | {"longest": 2048},
        ),
        "encoder, half of the layers": Racer(pruned, flops=lambda n: plain(n) / 2, **whole),
        "reversible encoder": Racer(stacked(ReversibleStack), flops=plain, **whole),
        "universal encoder, 2 of 4 steps": Racer(ponders, flops=lambda n: 2 * layer(n), **whole),
        "encoder, half leaves at each exit": Racer(
            lambda n: Leaves(config(n)), flops=leaving, trains=False, **whole
        ),
    }


def writers() -> dict[str, Racer]:
    """On token ids, without a backward pass: they read a text and write a few tokens more."""
    write = partial(decoding.generate, max_new_tokens=NEW)
    short = {"given": "ids", "longest": 16384, "trains": False}

    def writes(**options: Any) -> Callable[[int], nn.Module]:
        return lambda n: Writes(Decoder(replace(config(n, positions="rope"), **options)), write)

    def flops(seen: Callable[[int], float]) -> Callable[[int], float]:
        return lambda n: (n + NEW) / n * LAYERS * (2 * MATRICES + 4 * seen(n) * WIDTH)

    def early(n: int) -> nn.Module:
        """With a threshold of 0 every token leaves at the first exit that is allowed."""

        def leave(model: nn.Module, ids: Tensor) -> Tensor:
            given = {"threshold": 0.0, "first": config(n).n_layers // 2, "max_new_tokens": NEW}
            return generate_early(model, ids, **given).ids

        return Writes(Decoder(config(n, positions="rope")), leave)

    def together(n: int) -> nn.Module:
        sines = replace(config(n), positions="sinusoidal")
        model = MaskedTranslator(sines, mask=3, max_target_length=NEW)
        lengths = partial(torch.full, (), NEW)

        def fill(model: nn.Module, source: Tensor) -> Any:
            given = lengths(device=source.device).expand(len(source))
            return mask_predict(model, source, iterations=PASSES, lengths=given).ids

        return Writes(model, fill)

    near, linear = PatternAttention("window", window=128), KernelAttention()
    return {
        WRITER: Racer(writes(), None, flops(lambda n: n / 2), **short),
        "writing, window": Racer(
            writes(make_attend=lambda i, c: near), WRITER, flops(lambda n: 129), **short
        ),
        "writing, linear": Racer(
            writes(make_attend=lambda i, c: linear), WRITER, flops(lambda n: 64), **short
        ),
        "writing, half of the layers": Racer(
            lambda n: writes(n_layers=config(n).n_layers // 2)(n),
            WRITER,
            lambda n: flops(lambda n: n / 2)(n) / 2,
            **short,
        ),
        "writing, half of the layers at each token": Racer(
            early,
            WRITER,
            lambda n: (2 * n + NEW) / (2 * (n + NEW)) * flops(lambda n: n / 2)(n),
            **short,
        ),
        "writing in four passes": Racer(together, WRITER, flops(lambda n: n), **short),
    }
