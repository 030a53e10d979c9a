"""A small figure of every chapter, for what is asked of all of them.

Each entry of `FIGURES` builds one, with options of the figure's class in place of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from frugal.attention.patterns import PatternAttention
from frugal.data import cabinets, hops, journeys
from frugal.depth.universal import UniversalTransformer
from frugal.figures.a_memory_of_keys import KeyReader
from frugal.figures.acting import VoxelCabinet
from frugal.figures.adaptive_spans import AdaptiveSpanFigure, SpanRun
from frugal.figures.adaptive_sparsity import EntmaxExplorer
from frugal.figures.bytes import BytesAndTokensFigure
from frugal.figures.decoding_in_parallel import (
    DecodingExample,
    DecodingPlayer,
    DecodingRun,
    DecodingStep,
)
from frugal.figures.dropping_layers import LayerSwitches
from frugal.figures.dropping_tokens import PruningExample, TokenPruning
from frugal.figures.experts import RouterRun, RouterView
from frugal.figures.first_page import QuestionMap
from frugal.figures.fixed_patterns import PatternPlayground
from frugal.figures.hashing import HashExplorer
from frugal.figures.kernels import KernelExplorer
from frugal.figures.latents import LatentCost
from frugal.figures.leaving_early import ExitPlayer, PromiseDial
from frugal.figures.lost_in_the_middle import LostInTheMiddle, TrainedCurves
from frugal.figures.low_rank import RankExplorer
from frugal.figures.measuring_fairly import ForkingPaths, IntervalExplorer
from frugal.figures.no_attention import KernelsInText, kernels_over_training
from frugal.figures.one_layer_many_times import PonderView
from frugal.figures.pictures_and_sound import TokenCalculator
from frugal.figures.pooling_tokens import FunnelShape
from frugal.figures.running_example import RunningExample, read_story
from frugal.figures.running_example.running_example import by_all_pairs
from frugal.figures.side_by_side import CostQuality, Dot
from frugal.figures.sixteen_heads_or_one import HeadSwitches
from frugal.figures.sorting import SinkhornBalance
from frugal.figures.the_modification_zoo import ZooRow, ZooTable
from frugal.figures.the_vanilla_transformer import AttentionExample, AttentionExplorer
from frugal.figures.where_the_cost_is import CostExplorer
from frugal.figures.windows_in_two_dimensions import SwinShift
from frugal.figures.writing_with_fewer_layers import LetterLayers, WrittenText
from frugal.model import Decoder, Encoder, TransformerConfig
from frugal.show.interactive import Interactive
from frugal.tasks.drawer import VoxelActor
from frugal.tasks.list_reader import ListReader
from frugal.tokens.byte_pairs import BytePairTokenizer
from frugal.tokens.elimination import WordVectorElimination
from frugal.transfer.agreement import Gain


def acting(**options: Any) -> VoxelCabinet:
    torch.manual_seed(0)
    model = VoxelActor(side=12, d_model=16, n_latents=3, n_layers=1, n_heads=2)
    options = {"color": "latent", **options}
    return VoxelCabinet(model, cabinets.draw(3, side=12, seed=0), **options)


def adaptive_spans(**options: Any) -> AdaptiveSpanFigure:
    scores = [((7 * d) % 11) / 3 - 0.02 * d for d in range(64)]
    spans = [[[30.0, 30.0], [30.0, 30.0]], [[3.0, 0.0], [12.0, 60.0]]]
    runs = {name: SpanRun(label=name, steps=[0, 10_000], spans=spans) for name in ("none", "some")}
    return AdaptiveSpanFigure(scores, runs=runs, **options)


def in_bytes() -> BytesAndTokensFigure:
    words = "the cafe opens at eight and the cafe closes at nine, and then it opens again. "
    tokenizer = BytePairTokenizer.train(20 * words, vocab_size=290)
    return BytesAndTokensFigure(tokenizer, {"Long": 240 * "W", "English": "The café opens."})


def decoding(**options: Any) -> DecodingPlayer:
    by_passes = [
        DecodingStep(list("abbb"), [0.9, 0.8, 0.4, 0.3], fresh=range(4), doubtful=[2, 3]),
        DecodingStep(list("abab"), [0.9, 0.8, 0.7, 0.9], fresh=[2, 3]),
    ]
    runs = [
        DecodingRun.left_to_right("left to right", "abab", [1.0, 0.9, 0.5, 1.0], right=True),
        DecodingRun("two passes", by_passes, right=False),
    ]
    return DecodingPlayer([DecodingExample("ab", runs), DecodingExample("ba", runs)], **options)


def dropping_layers(**options: Any) -> LayerSwitches:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_heads": 2, "n_layers": 6, "d_ff": 24, "positions": "none"}
    models = {
        f"p = {p}": (Encoder(TransformerConfig(100, **sizes)).eval(), nn.Linear(16, 60))
        for p in (0, 0.2, 0.4)
    }
    return LayerSwitches(models, examples=hops.draw(5, seed=0), **{"off": [1, 3]} | options)


def dropping_tokens(answer: int = 0) -> TokenPruning:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_heads": 2, "n_layers": 3, "d_ff": 24, "positions": "rope"}
    config = TransformerConfig(len(journeys.VOCABULARY), make_stack=WordVectorElimination, **sizes)
    stories = journeys.draw(2, seed=5, sentences=(3, 4))
    return TokenPruning(
        {"plain": (Encoder(config).eval(), nn.Linear(16, 8))},
        vocabulary=journeys.VOCABULARY,
        classes=journeys.PLACES,
        examples=[PruningExample(text=text, answer=answer, label=text[:9]) for text, _ in stories],
        presets={"few": (9, 5, 3), "all": (40, 40, 40)},
        question="Where is Anna?",
    )


def experts(**options: Any) -> RouterView:
    logits = torch.randn(2, 3, 12, 4, generator=torch.Generator().manual_seed(0))
    logits[0, :, :, 0] += 2.0
    runs = {
        name: RouterRun(f"{name} the loss", of)
        for name, of in zip(("without", "with"), logits, strict=True)
    }
    return RouterView(list("tokens flow!"), runs, [0, 10, 20], **options)


def exit_player(**options: Any) -> ExitPlayer:
    generator = torch.Generator().manual_seed(0)
    scores = 1.5 * torch.randn(40, 4, 8, generator=generator)
    scores += scores[:, -1:] * torch.arange(4)[:, None]  # later exits are surer, and alike
    stories = [text for text, _ in journeys.draw(5, seed=5, sentences=(1, 4))]
    given = {"texts": stories, "classes": journeys.PLACES, **options}
    labels = scores[:, 2].argmax(-1)
    temperatures = torch.tensor([0.5, 1.0, 1.5, 2.0])
    return ExitPlayer(scores=scores, labels=labels, temperatures=temperatures, **given)


def promise_dial(n: int = 600, **options: Any) -> PromiseDial:
    generator = torch.Generator().manual_seed(0)
    hard = torch.rand(n, 1, generator=generator) < 0.3
    agrees = ~hard | (torch.rand(n, 3, generator=generator) < 0.2)
    scores = (0.6 * torch.rand(n, 3, generator=generator) + 0.4 * agrees).double()
    given = {"tolerance": 0.1, "size": 100, "sizes": (50, 100), **options}
    return PromiseDial(scores, agrees, **given)


def lost_in_the_middle(**options: Any) -> LostInTheMiddle:
    accuracy = np.random.default_rng(1).uniform(0.2, 1, (5, 3, 30))
    asked = np.random.default_rng(3).dirichlet(np.ones(30))
    runs = [
        TrainedCurves.from_seeds("one", "RoPE", "ends", [2, 30, 400], accuracy, asked=asked),
        TrainedCurves.from_seeds("one", "none", "ends", [2, 30], accuracy[:, 1:], asked=asked),
        TrainedCurves.from_seeds("one", "RoPE", "all", [2, 30], accuracy[:, :2], asked=asked),
        TrainedCurves.from_seeds("two", "RoPE", "all", [2, 30], accuracy[:, :2], asked=asked),
    ]
    return LostInTheMiddle(runs, **options)


def some_noise() -> dict[str, np.ndarray]:
    draws = np.random.default_rng(0).normal(size=(60, 2))
    return {"a record": draws, "a noisier one": 2 * draws}


def forking_paths(**options: Any) -> ForkingPaths:
    return ForkingPaths(some_noise(), **options)


def interval_explorer(**options: Any) -> IntervalExplorer:
    return IntervalExplorer(some_noise(), **options)


def low_rank(**options: Any) -> RankExplorer:
    """One matrix whose rows are much alike, one that is nearly a permutation, one of chance."""
    generator = torch.Generator().manual_seed(0)
    alike = torch.randn(1, 24, generator=generator) + 0.1 * torch.randn(24, 24, generator=generator)
    places = torch.randperm(18, generator=generator)
    scores = {
        "alike": alike,
        "pointing": 6 * torch.eye(18)[places],
        "random": torch.randn(18, 18, generator=generator),
    }
    given = {
        "rank": 3,
        "question": "At which rank can you see where every row looks?",
        "tries": [("few rows are enough", "alike", 1), ("every row counts", "pointing", 9)],
    }
    matrices = {name: one.softmax(-1) for name, one in scores.items()}
    return RankExplorer(matrices, **given | options)


def no_attention() -> Interactive:
    generator = torch.Generator().manual_seed(0)
    kernels = {step: torch.randn(2, 3, 5, generator=generator).softmax(-1) for step in (0, 40)}
    return kernels_over_training(kernels)


def no_attention_in_text() -> Interactive:
    text = list("def f(x):\n    return x")
    generator = torch.Generator().manual_seed(0)
    return KernelsInText(text, torch.randn(2, len(text), 3, 5, generator=generator).softmax(-1))


def one_layer_many_times(**options: Any) -> PonderView:
    torch.manual_seed(0)
    make_stack = partial(
        UniversalTransformer, n_steps=6, start=-1.0, position_signal=False, step_signal=False
    )
    sizes = {"d_model": 16, "n_heads": 2, "n_layers": 1, "d_ff": 24, "positions": "none"}
    model = ListReader(TransformerConfig(1, make_stack=make_stack, **sizes)).eval()
    nn.init.normal_(model.encoder.stack.halting.weight)
    examples = ["[MAX 2 [MIN 8 [MAX 4 7 ] ] ]", "[MIN [MAX 1 5 ] [MAX [MIN 9 7 ] 3 ] ]"]
    return PonderView(model, examples=examples, **options)


def sixteen_heads_or_one(answer: int = 0, example: int = 0) -> HeadSwitches:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "n_heads": 4, "n_layers": 4, "d_ff": 24, "positions": "rope"}
    config = TransformerConfig(len(journeys.VOCABULARY), **sizes)
    heads = [(layer, head) for layer in range(4) for head in range(4)]
    stories = journeys.draw(20, seed=5, sentences=(3, 4))
    return HeadSwitches(
        (Encoder(config).eval(), nn.Linear(16, 8)),
        importance=[[1.0 + 4 * layer + head for head in range(4)] for layer in range(4)],
        orders={"the least important": heads, "the most important": heads[::-1]},
        vocabulary=journeys.VOCABULARY,
        classes=journeys.PLACES,
        examples=[(text, answer) for text, _ in stories],
        off=heads[2:5],
        example=example,
        question="Where is Anna?",
    )


def the_modification_zoo(**options: Any) -> ZooTable:
    chance = np.random.default_rng(0)
    rows = []
    for n in range(24):
        paper, ours = chance.normal(0, 4, (2, 2))
        known = {"loss": Gain(ours[0], ours[0] - 1, ours[0] + 1, 3)}
        if n != 5:
            known["speed"] = Gain(ours[1], None, None, 1)
        other = {"loss": Gain(ours[0] + 3, ours[0] + 1, ours[0] + 5, 2)} if n % 6 == 0 else {}
        note = "the norm was another" if other else ""
        told = dict(zip(("loss", "speed"), map(float, paper), strict=True))
        rows.append(ZooRow(f"row {n}", "norms" if n % 3 else "shapes", told, known, other, note))
    return ZooTable(rows, {"loss": "early loss", "speed": "steps per second"}, **options)


def the_vanilla_transformer(**options: Any) -> AttentionExplorer:
    source, target = list("5 June 98"), list("1998-06")
    sizes = {"encoder": (3, 4, 9, 9), "decoder": (2, 4, 7, 7), "cross": (2, 4, 7, 9)}

    def example(seed: int) -> AttentionExample:
        generator = torch.Generator().manual_seed(seed)
        scores = {kind: 2 * torch.randn(size, generator=generator) for kind, size in sizes.items()}
        scores["decoder"] += torch.full((7, 7), -torch.inf).triu(1)
        weights = {kind: one.softmax(-1) for kind, one in scores.items()}
        return AttentionExample.from_weights(
            weights, source=source, target=target, title=f"number {seed}"
        )

    return AttentionExplorer([example(1), example(2)], **options)


def letter_layers(seed: int = 0, **options: Any) -> LetterLayers:
    torch.manual_seed(seed)
    shape = {"d_model": 16, "n_heads": 2, "n_layers": 4, "positions": "rope", "tied": False}
    model = Decoder(TransformerConfig(27, **shape)).double()
    for parameter in model.parameters():  # loud layers, so that they disagree
        nn.init.normal_(parameter, std=0.5)
    nn.init.constant_(model.norm.weight, 1.5)
    prompts = torch.randint(27, (2, 6), generator=torch.Generator().manual_seed(seed))
    given = {"thresholds": (0.2, 0.4, 0.9), "max_new_tokens": 40}

    def decode(ids: torch.Tensor) -> list[str]:
        return [" abcdefghijklmnopqrstuvwxyz"[i] for i in ids.tolist()]

    texts = [WrittenText.by(model, prompt, decode=decode, **given) for prompt in prompts]
    return LetterLayers(texts, **options)


def a_window(**options: Any) -> RunningExample:
    """A window beside all pairs."""
    window = read_story(PatternAttention("window", window=2))
    return RunningExample({"all pairs": by_all_pairs(), "window": window}, **options)


def cost_quality(**options: Any) -> CostQuality:
    """Three methods of made-up seeds."""
    dots = {
        "all pairs": Dot(
            [0.99, 1.0, 0.98], {"reading": [0.8, 0.9, 0.8], "an update": [2.0, 2.1, 3.0]}, "a"
        ),
        "window": Dot(
            [0.3, 0.4, 0.35], {"reading": [0.6, 0.6, 0.7], "an update": [2.0, 1.0, 2.0]}, "b"
        ),
        "hashing": Dot(
            [0.9, 0.95, 0.7], {"reading": [3.0, 3.2, 3.1], "an update": [9.0, 8.0, 9.0]}, "c"
        ),
    }
    return CostQuality(dots, chance=0.25, **options)


FIGURES: dict[str, Callable[..., Interactive]] = {
    "a_memory_of_keys": KeyReader,
    "acting": acting,
    "adaptive_spans": adaptive_spans,
    "adaptive_sparsity": partial(EntmaxExplorer, [2.0, 1.1, 0.4, -0.3, 1.6, -1.5]),
    "bytes": in_bytes,
    "decoding_in_parallel": decoding,
    "dropping_layers": dropping_layers,
    "dropping_tokens": dropping_tokens,
    "experts": experts,
    "first_page": partial(QuestionMap, part=1),
    "fixed_patterns": partial(PatternPlayground, ["window", "dilated", "fixed"]),
    "hashing": partial(HashExplorer, rounds=8),
    "kernels": partial(KernelExplorer, kind="trigonometric"),
    "latents": LatentCost,
    "leaving_early": exit_player,
    "leaving_early: promise": promise_dial,
    "lost_in_the_middle": lost_in_the_middle,
    "measuring_fairly": forking_paths,
    "measuring_fairly: intervals": interval_explorer,
    "low_rank": low_rank,
    "no_attention": no_attention,
    "no_attention: in a text": no_attention_in_text,
    "one_layer_many_times": one_layer_many_times,
    "pictures_and_sound": TokenCalculator,
    "pictures_and_sound: sound": partial(TokenCalculator, modality="sound"),
    "pictures_and_sound: voxels": partial(TokenCalculator, modality="voxels"),
    "pooling_tokens": FunnelShape,
    "running_example": a_window,
    "side_by_side": cost_quality,
    "sixteen_heads_or_one": sixteen_heads_or_one,
    "sorting": partial(SinkhornBalance, [[2.0, 1, 0], [1.8, 0, 1.5], [1, 0.8, 0]], iterations=3),
    "the_modification_zoo": the_modification_zoo,
    "the_vanilla_transformer": the_vanilla_transformer,
    "where_the_cost_is": partial(CostExplorer, length=2**20, mode="training", machine=2),
    "windows_in_two_dimensions": partial(SwinShift, np.linspace(0, 1, 1024).reshape(32, 32)),
    "writing_with_fewer_layers": partial(letter_layers, threshold=1),
    "writing_with_fewer_layers: drafts": partial(letter_layers, view="drafts", depth=3),
}
