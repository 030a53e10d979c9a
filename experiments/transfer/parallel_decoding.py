"""What does it cost to write all characters at once, and what does a teacher repair?

ISO dates to written dates, with one right answer or with four. For each an autoregressive and a
one-shot model; where there are several answers also Mask-Predict with 1 to 16 passes, and the last
two trained on what the autoregressive one writes. The number reported is the share of held-out
sources whose text is *one of* the right answers. All models have 2 + 2 layers of width 64 and see
the same sources. `early_` is the same number two thirds of the way through the same training. About
35 seconds a model on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frugal.data import dates, numbers
from frugal.data.translation import TranslationBatch, TranslationPair, batches, encode
from frugal.data.vocabulary import CharacterVocabulary
from frugal.decoding import translate
from frugal.decoding.distillation import distill
from frugal.decoding.parallel import MaskedTranslator, hide, mask_predict, masked_loss
from frugal.model import EncoderDecoder, TransformerConfig
from frugal.training import train

STEPS, EARLY = 800, 533
PASSES = (1, 2, 4, 8, 16)
LONG = {"languages": ("en", "en-GB", "de", "fr"), "styles": ("long",)}


def settings() -> dict[str, dict[str, Any]]:
    """By name, the task; `distilled` where the data have several right answers."""
    return {
        "dates-four": {"data": "dates", "options": LONG, "distilled": True},
        "dates-one": {"data": "dates", "options": LONG | {"languages": ("en",)}},
        "dates-tagged": {"data": "dates", "options": LONG | {"tagged": True}},
    }


class Task:
    """Sources to learn from, sources to be tested on, and what is right for each of those."""

    def __init__(self, setting: dict[str, Any], seed: int, smoke: bool) -> None:
        options = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in setting["options"].items()
        }
        many, few = (300, 20) if smoke else (10_000, 500)
        self.train: Sequence[TranslationPair]
        self.test: Sequence[TranslationPair]
        if setting["data"] == "dates":
            make = {**options, "direction": "to_written"}
            self.train = dates.pairs("train", n=many, seed=seed, **make)
            self.test = dates.pairs("test", n=few, seed=1, **make)
            self.vocabulary = dates.vocabulary(**options)
            forms = {key: options[key] for key in ("languages", "styles")}
            every = [dates.answers(pair.date, **forms) for pair in self.test]
        else:
            self.train = numbers.pairs("train", n=many, seed=seed, **options)
            self.test = numbers.pairs("test", n=few, seed=1, **options)
            self.vocabulary = numbers.vocabulary(languages=options["languages"])
            languages = options["languages"]
            every = [numbers.answers(pair.number, languages=languages) for pair in self.test]
        if options.get("tagged"):
            every = [[pair.target] for pair in self.test]
        self.answers = [set(right) for right in every]
        self.longest = max(len(pair.target) for pair in [*self.train, *self.test])
        self.asked = encode(self.test, self.vocabulary)

    def valid(self, ids: Tensor) -> float:
        texts = self.vocabulary.decode(ids)
        right = [text in every for text, every in zip(texts, self.answers, strict=True)]
        return sum(right) / len(right)

    def config(self, **shape: int) -> TransformerConfig:
        return TransformerConfig(vocab_size=len(self.vocabulary), d_model=64, n_heads=4, **shape)


def next_character_loss(model: EncoderDecoder, batch: TranslationBatch) -> Tensor:
    """Cross-entropy of each character given those before it."""
    scores = model(batch.source, batch.target_in, batch.source_padding, batch.target_padding)
    return F.cross_entropy(scores[batch.target_padding], batch.target_out[batch.target_padding])


def masked_batches(
    pairs: Sequence[TranslationPair],
    vocabulary: CharacterVocabulary,
    batch_size: int,
    *,
    one_shot: bool,
) -> Callable[[int, torch.Generator], tuple[Tensor, ...]]:
    """What `masked_loss` takes: targets without their end, and what is hidden of them."""
    draw = batches(pairs, vocabulary, batch_size)

    def batch(step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        drawn = draw(step, generator)
        target = drawn.target_in[:, 1:]  # without the begin; the end was never in it
        padding = drawn.target_padding[:, 1:]
        hidden = padding if one_shot else hide(padding, generator=generator)
        return drawn.source, target, hidden, drawn.source_padding, padding

    return batch


def loss_of_masked(model: MaskedTranslator, batch: tuple[Tensor, ...]) -> Tensor:
    """`masked_loss` of a batch from `masked_batches`."""
    source, target, hidden, source_padding, target_padding = batch
    return masked_loss(
        model,
        source,
        target,
        hidden,
        source_padding=source_padding,
        target_padding=target_padding,
    )


def autoregressive(
    task: Task, pairs: Sequence[TranslationPair], *, seed: int, steps: int, **shape: int
) -> EncoderDecoder:
    """An autoregressive model trained on `pairs`."""
    torch.manual_seed(seed)
    model = EncoderDecoder(task.config(**shape))
    draw = batches(pairs, task.vocabulary, 32)
    train(model, draw, next_character_loss, steps=steps, seed=seed, progress=False)
    return model


def masked(
    task: Task,
    pairs: Sequence[TranslationPair],
    *,
    seed: int,
    steps: int,
    early: int,
    one_shot: bool,
) -> Iterator[tuple[str, MaskedTranslator]]:
    """A masked translator trained on `pairs`, and before it what it was after `early` updates.

    one_shot: it always sees nothing of the target. With each comes what its numbers begin with.
    """
    torch.manual_seed(seed)
    unknown = task.vocabulary.unknown  # in every vocabulary and in no target: it is the mask
    model = MaskedTranslator(
        task.config(n_layers=2), mask=unknown, max_target_length=task.longest + 2
    )
    draw = masked_batches(pairs, task.vocabulary, 32, one_shot=one_shot)
    options = {"steps": steps, "seed": seed, "checkpoints": [early, steps], "progress": False}
    history = train(model, draw, loss_of_masked, **options)
    for moment, prefix in ((early, "early_"), (steps, "")):
        model.load_state_dict(history.checkpoints[moment])
        yield prefix, model


def taught(task: Task, teacher: EncoderDecoder) -> list[TranslationPair]:
    """The training pairs with the teacher's text in place of theirs."""
    asked = encode(task.train, task.vocabulary)
    ids = distill(
        teacher,
        asked.source,
        source_padding=asked.source_padding,
        bos=task.vocabulary.bos,
        eos=task.vocabulary.eos,
        max_new_tokens=task.longest + 1,
    )
    texts = task.vocabulary.decode(ids)
    # a text the teacher left empty teaches nothing
    return [p._replace(target=t) for p, t in zip(task.train, texts, strict=True) if t]


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train the models; the share of held-out sources with a right text, for each."""
    task = Task(setting, seed, smoke)
    steps, early = (3, 2) if smoke else (STEPS, EARLY)
    source = {"source": task.asked.source, "source_padding": task.asked.source_padding}

    teacher = autoregressive(task, task.train, seed=seed, steps=steps, n_layers=2)
    ends = {"bos": task.vocabulary.bos, "eos": task.vocabulary.eos}
    ids = translate(teacher, **source, **ends, max_new_tokens=task.longest + 1)
    found = {"autoregressive": task.valid(ids)}

    targets = {"": task.train}
    if setting.get("distilled"):
        targets["_distilled"] = taught(task, teacher)
    how = {"seed": seed, "steps": steps, "early": early}
    for suffix, pairs in targets.items():
        for prefix, model in masked(task, pairs, **how, one_shot=True):
            written = mask_predict(model, **source, iterations=1)
            found[f"{prefix}one_shot{suffix}"] = task.valid(written.ids)
        if not setting.get("distilled"):
            continue
        for prefix, model in masked(task, pairs, **how, one_shot=False):
            for iterations in PASSES:
                written = mask_predict(model, **source, iterations=iterations)
                found[f"{prefix}mask_predict_{iterations}{suffix}"] = task.valid(written.ids)
        written = mask_predict(model, **source, iterations=8, n_lengths=3)
        found[f"mask_predict_8_lengths_3{suffix}"] = task.valid(written.ids)
    return found
