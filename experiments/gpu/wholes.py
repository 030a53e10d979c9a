"""Models: encoders, decoders and stacks of every kind, feed-forward networks, and decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from experiments.gpu.subjects import HEADS, WIDTH, Subject, picture, ragged, rows
from frugal import decoding
from frugal.attention.heads import layers_of, prune_heads
from frugal.attention.kernels import KernelAttention
from frugal.attention.patterns import PatternAttention
from frugal.attention.swin import SwinEncoder
from frugal.decoding import parallel as nonautoregressive
from frugal.depth.early_exit.encoder import ExitEncoder
from frugal.depth.reversible import ReversibleStack
from frugal.depth.universal import UniversalTransformer
from frugal.feedforward.chunked import ChunkedFeedForward
from frugal.feedforward.dense import DenseFeedForward
from frugal.feedforward.experts import MixtureOfExperts, SwitchFeedForward
from frugal.feedforward.gated import GatedFeedForward
from frugal.feedforward.product_keys import ProductKeyMemory
from frugal.model import Decoder, Encoder, EncoderDecoder, TransformerConfig
from frugal.tokens.byteformer import ByteFormer
from frugal.tokens.elimination import WordVectorElimination
from frugal.tokens.latents import LatentStack, PerceiverIO
from frugal.tokens.pooling import FunnelEncoder

VOCABULARY = 31
CONFIG = TransformerConfig(VOCABULARY, d_model=WIDTH, n_heads=HEADS, n_layers=2, positions="rope")
SINES = replace(CONFIG, positions="sinusoidal")


class Writes(nn.Module):
    """A model with a way of writing: what it writes is its output, whole numbers."""

    def __init__(self, model: nn.Module, write: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model, self.write = model, write

    def forward(self, *ids: Tensor, **options: Tensor) -> Tensor:
        return self.write(self.model, *ids, **options)


class Decoded(nn.Module):
    """A decoder after an encoder whose keys and values it cached: one step, with gradients off."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder(CONFIG)

    def forward(self, ids: Tensor) -> Tensor:
        caches = self.decoder.new_caches(ids.shape[1])
        with torch.no_grad():
            first = self.decoder(ids[:, :-3], caches=caches)
            return torch.cat([first, self.decoder(ids[:, -3:], caches=caches)], 1)


def ids(generator: torch.Generator, *, length: int, then: int | None = None) -> tuple[Tensor, ...]:
    """Token ids of two sequences, and of two more of `then` tokens."""
    sizes = (length,) if then is None else (length, then)
    return tuple(torch.randint(4, VOCABULARY, (2, size), generator=generator) for size in sizes)


def _elimination() -> nn.Module:
    keep = partial(WordVectorElimination, keep=(20, 9))
    return Encoder(replace(CONFIG, make_stack=keep))


def _few_heads() -> nn.Module:
    model = Encoder(SINES)
    prune_heads(model, {name: [0, 2] for name in layers_of(model)})
    return model


def _leaving() -> nn.Module:
    """An encoder that a sequence leaves after its first layer, and the other never."""
    model = ExitEncoder(CONFIG, 3)

    def rule(scores: Tensor, state: Tensor) -> Tensor:
        return torch.arange(len(scores), device=scores.device) == 1

    return Writes(model, lambda model, ids: model.leave(ids, rule=rule).scores)


def _latents() -> nn.Module:
    stack = partial(LatentStack, d_model=WIDTH, n_heads=HEADS, n_latents=8)
    return Encoder(replace(SINES, make_stack=stack))


def _write(name: str) -> nn.Module:
    """A model that writes, by the name of the function that makes it write."""
    if name == "generate":
        return Writes(Decoder(CONFIG), partial(decoding.generate, max_new_tokens=12))
    if name == "translate":
        write = partial(decoding.translate, bos=1, eos=2, max_new_tokens=9)
        return Writes(EncoderDecoder(CONFIG), write)
    model = nonautoregressive.MaskedTranslator(SINES, mask=3, max_target_length=9)
    lengths = torch.tensor([7, 5])

    def fill(model: nn.Module, source: Tensor) -> Tensor:
        where = lengths.to(source.device)
        return nonautoregressive.mask_predict(model, source, iterations=3, lengths=where).ids

    return Writes(model, fill)


def of_wholes(length: int) -> dict[str, Subject]:
    """Every model, called as a reader would."""
    text = partial(ids, length=length)
    vectors = partial(rows, length=length)
    real = {"padding": ragged(length)}
    window = replace(CONFIG, make_attend=lambda i, c: PatternAttention("window", window=9))
    linear = replace(CONFIG, make_attend=lambda i, c: KernelAttention())
    reversible = replace(CONFIG, make_stack=ReversibleStack)
    post = replace(CONFIG, norm="rms", norm_first=False, positions="alibi", activation="gelu")
    perceiver = partial(PerceiverIO, WIDTH, 64, 8, d_query=32, n_layers=2)

    def asks(generator: torch.Generator) -> tuple[Tensor, ...]:
        return (*rows(generator, length=length), *rows(generator, length=5, width=32))

    return {
        "feed-forward, relu": Subject(lambda: DenseFeedForward(WIDTH, 4 * WIDTH), vectors),
        "feed-forward, gelu": Subject(
            lambda: DenseFeedForward(WIDTH, 4 * WIDTH, activation="gelu"), vectors
        ),
        "feed-forward, gated": Subject(lambda: GatedFeedForward(WIDTH, 2 * WIDTH), vectors),
        "feed-forward in chunks": Subject(
            lambda: ChunkedFeedForward(DenseFeedForward(WIDTH, 2 * WIDTH), 16), vectors
        ),
        "experts": Subject(lambda: SwitchFeedForward(WIDTH, WIDTH, 5), vectors, real),
        "experts, room for each sequence": Subject(
            lambda: SwitchFeedForward(WIDTH, WIDTH, 5, 0.7, per="sequence"), vectors
        ),
        "experts, two for each token": Subject(
            lambda: MixtureOfExperts(WIDTH, WIDTH // 2, 6), vectors
        ),
        "memory of keys": Subject(lambda: ProductKeyMemory(WIDTH, 9, k=4), vectors, half=False),
        "encoder": Subject(lambda: Encoder(SINES), text, real),
        "encoder, norm last": Subject(lambda: Encoder(post), text, real),
        "decoder": Subject(lambda: Decoder(CONFIG), text),
        "decoder, step by step": Subject(Decoded, text),
        "decoder, window": Subject(lambda: Decoder(window), text, compiles=True),
        "decoder, linear": Subject(lambda: Decoder(linear), text, real),
        "encoder and decoder": Subject(
            lambda: EncoderDecoder(SINES), partial(ids, length=length, then=17)
        ),
        "reversible decoder": Subject(lambda: Decoder(reversible), text),
        "dropping tokens": Subject(_elimination, text, real, half=False),
        "funnel": Subject(
            lambda: FunnelEncoder(SINES, blocks=(1, 1), n_decoder_layers=1, keep_first=True),
            text,
            real,
        ),
        "funnel, relative": Subject(
            lambda: FunnelEncoder(SINES, blocks=(1, 1), relative=True), text, real
        ),
        "latents": Subject(_latents, text, real),
        "universal": Subject(
            lambda: Encoder(replace(CONFIG, make_stack=partial(UniversalTransformer, n_steps=3))),
            text,
            real,
        ),
        "half of the heads": Subject(_few_heads, text, real),
        "leaving early": Subject(_leaving, text, half=False),
        "bytes": Subject(lambda: ByteFormer(3, d_model=WIDTH, n_heads=HEADS), text, compiles=True),
        "perceiver": Subject(perceiver, asks, real),
        "swin": Subject(
            lambda: SwinEncoder(WIDTH, HEADS, 4, depths=(2, 1)), partial(picture, side=11)
        ),
        "generate": Subject(partial(_write, "generate"), text, half=False),
        "translate": Subject(partial(_write, "translate"), text, half=False),
        "mask-predict": Subject(partial(_write, "mask-predict"), text, half=False),
    }
