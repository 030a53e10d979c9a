"""Who else is timed: who reads bytes, pictures, or a text with questions, and variants of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from experiments.gpu.models import ENCODER, LAYERS, MATRICES, SMALL, config
from experiments.gpu.racer import HEAD_DIM, HEADS, PATCH, WIDTH, Racer
from frugal import transfer
from frugal.model import Decoder
from frugal.tokens.byteformer import ByteFormer
from frugal.tokens.patches import image_patches
from frugal.transfer.sizes import BOOK, PAPER

QUESTIONS, ASKED, WINDOW, STRIDE = 8, 8, 128, 4
BEHIND, CONVOLUTION, VANILLA = "question behind the text", "strided convolution", "vanilla T5"


class Asks(nn.Module):
    """A decoder that answers questions to a text: behind it, or behind it and before it as well.

    Behind it alone, the keys and values of the text are computed once, and kept.
    """

    def __init__(self, model: Decoder, *, first: bool) -> None:
        super().__init__()
        self.model, self.first = model, first

    def forward(self, ids: Tensor) -> Tensor:
        question = ids[:, :ASKED]
        if self.first:
            text = torch.cat([question, ids, question], dim=1)
            answers = [self.model(text)[:, -1] for _ in range(QUESTIONS)]
        else:
            caches = self.model.new_caches(ids.shape[1] + QUESTIONS * ASKED)
            self.model(ids, caches=caches)
            answers = [self.model(question, caches=caches)[:, -1] for _ in range(QUESTIONS)]
        return torch.stack(answers)


class Cut(nn.Module):
    """Patches by cutting and one matrix, or by a convolution whose stride is its size."""

    def __init__(self, *, convolution: bool) -> None:
        super().__init__()
        width = 3 * PATCH**2
        self.convolve = nn.Conv2d(3, width, PATCH, stride=PATCH) if convolution else None
        self.embed = None if convolution else nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.embed is None:
            return self.convolve(x).flatten(2).mT
        return self.embed(image_patches(x, patch=PATCH))


class Loss(nn.Module):
    """An encoder-decoder that reads a text and is asked for the same one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model.loss(ids, ids, ids)


def readers() -> dict[str, Racer]:
    """By name; each beside the plain form of the same task."""

    def layer(seen: float) -> float:
        return 2 * MATRICES + 4 * seen * WIDTH

    def asks(n: int, *, first: bool) -> nn.Module:
        return Asks(Decoder(config(n, positions="rope")), first=first)

    def asked(n: int) -> float:  # read once, and each question after it
        return (n + QUESTIONS * ASKED) / n * LAYERS * layer(n / 2)

    def asked_first(n: int) -> float:
        return QUESTIONS * (n + 2 * ASKED) / n * LAYERS * layer(n / 2)

    def reads_bytes(**options: object) -> Callable[[int], nn.Module]:
        def make(n: int) -> nn.Module:
            given = config(n)
            size = {"d_model": given.d_model, "n_heads": given.n_heads, "n_layers": LAYERS}
            return ByteFormer(10, **size, kernel_size=2 * STRIDE, **options)

        return make

    joined = 2 * 2 * STRIDE * WIDTH**2 / STRIDE  # of the convolution, for a byte

    def strided(n: int) -> float:
        return joined + LAYERS * layer(n / STRIDE) / STRIDE

    def windows(n: int) -> float:  # half of the layers after a merging, and another behind them
        near = layer(2 * WINDOW + 1) / STRIDE
        merging = 4 * WIDTH**2 / STRIDE * (1 / 2 + 1 / 4)
        return joined + LAYERS / 2 * (near + near / 2) + merging

    def t5(name: str) -> Callable[[int], nn.Module]:
        def make(n: int) -> nn.Module:
            heads = {"d_model": WIDTH, "n_heads": HEADS, "head_dim": HEAD_DIM}
            shape = BOOK if n <= SMALL else replace(PAPER, **heads, d_ff=4 * WIDTH, vocab_size=2048)
            size = replace(shape, n_layers=2, n_steps=4, max_length=n)
            return Loss(transfer.build(name, size=size))

        return make

    def nobody_counted(n: int) -> float:
        return 0.0

    short = {"given": "ids", "longest": 16384}
    variant = {"given": "ids", "longest": 1024, "against": VANILLA, "flops": nobody_counted}
    patches = 2 * (3 * PATCH**2) ** 2
    return {
        BEHIND: Racer(lambda n: asks(n, first=False), None, asked, trains=False, **short),
        "question before and behind the text": Racer(
            lambda n: asks(n, first=True), BEHIND, asked_first, trains=False, **short
        ),
        "byte model, stride alone": Racer(
            reads_bytes(window=None, merge_after=()), ENCODER, strided, **short
        ),
        "byte model, stride, windows and merging": Racer(
            reads_bytes(window=WINDOW), ENCODER, windows, compiles=True, **short
        ),
        CONVOLUTION: Racer(
            lambda n: Cut(convolution=True), None, lambda n: patches, given="pictures"
        ),
        "cut, then a matrix": Racer(
            lambda n: Cut(convolution=False), CONVOLUTION, lambda n: patches, given="pictures"
        ),
        VANILLA: Racer(t5("Vanilla Transformer"), **variant | {"against": None}),
        "GeGLU T5": Racer(t5("GeGLU"), **variant),
        "Synthesizer (random) T5": Racer(t5("Synthesizer (random)"), **variant),
        "Universal T5": Racer(t5("Universal Transformer"), **variant),
    }
