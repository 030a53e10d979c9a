"""Do modifications transfer? The 52 rows of `frugal.transfer`, pre-trained, timed and fine-tuned.

After narang2021modifications, table 1, at the size of a book. Every row, and the repaired form of
every row that was confounded in the original, is pre-trained by span corruption (raffel2020t5) on
docstrings of the libraries that this book pins, and then fine-tuned on four tasks: the summary line
of a docstring, the library it is from, the default of a parameter, and written dates for ISO dates.
All have the settings that vanilla was given, the learning rate included, as in the paper: it is
one of four that were tried for vanilla alone, in short runs. Nothing is tuned for another row. A
seed draws the weights, and the order of the texts and what is taken out of them, which are the same
for all rows: differences between rows may be taken seed by seed.

What was given up for two minutes a run: three layers on each side, 48 wide, 2,048 tokens, texts of
64 of them, a quarter of a million labels; a third of the layers has experts, not half of them, and
the Universal Transformer takes three steps.

The record
    settings: by the name of the row, as in `frugal.transfer.names()`, and `NAME.repaired` for the
    intended form of a row that was confounded. Each says `row`, `repaired` and `family` (the
    category of the paper's table). Vanilla and the six rows that beat it in all five columns of the
    paper (`WINNERS`) have `MORE` seeds, the others what `--seeds` says.

    values of a run, numbers unless said otherwise:
    early_loss, final_loss: loss of the validation texts in nats per token after `EARLY` and after
        `UPDATES` updates; the same numbers stand in curve.
    curve, moments (lists): that loss, and the updates made when it was read.
    loss_by_seconds (list of pairs): seconds of the processor in updates so far, and that loss;
        a fast model goes on after `UPDATES` until vanilla's time is over.
    loss_equal_seconds: that loss when the model had taken as long as vanilla takes for `UPDATES`
        updates, between two moments by a straight line.
    updates_per_second: by the processor's time, evaluations left out.
    vanilla_per_second: the same of a vanilla model that ran beside it, a few updates in turn.
    speed: the first over the second. Compare rows by this: a busy machine slows both.
    parameters; flops: of a forward pass of one example and its loss, two per product, counted as
        the paper's "Ops" are (`frugal.transfer.counting`).
    summary, library, default, dates: the score of each task after fine-tuning, 0 to 1, of what is
        greedily written: ROUGE-1 against the author's line; the share of right answers, twice; and
        ROUGE-1 against the nearest of the right answers, words being day, month and year.
    summary_loss, library_loss, default_loss, dates_loss: nats per token of the test answers.
    summary_tokens, ...: the share of those tokens that get the highest score, each after the right
        ones before it.
    summary_baseline, ...: the score of the most frequent answer of the training data.
    unigram: nats per label of a model that knows only how frequent labels are.
    diverged: 1 where the loss was not finite; then the numbers that are missing are null.

    `Result.data` says what was read: package versions, sizes, and a hash of the texts.
"""

from __future__ import annotations

import copy
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from frugal import transfer
from frugal.data import dates, docstring_tasks, docstrings
from frugal.data.docstring_tasks import rouge
from frugal.tasks.text_to_text import (
    Batch,
    Vocabulary,
    corrupted,
    encoded,
    inverse_square_root,
    read,
    updates,
    windows,
    written,
)
from frugal.transfer.counting import operations, published

VANILLA = transfer.names()[0]
WINNERS = ("GeGLU", "ReGLU", "SwiGLU", "RMS Norm", "Mixture of experts", "Switch Transformer")
"""The rows that are better than vanilla in all five columns of the paper's table."""
MORE = 8

UPDATES, EARLY, EVERY = 1200, 150, 75
"""Early is an eighth, as in the paper."""
BATCH, LENGTH, RATE, WARMUP = 16, 64, 8e-3, 100
AT_MOST = 1.8
"""A fast model goes on to this multiple of `UPDATES` at most."""
PACE = 5
"""Updates of the vanilla model beside, after every `EVERY`; the first of them is not timed."""
FINE_UPDATES, FINE_RATE = 300, 5e-3
ANSWERS = {"summary": 20, "library": 8, "default": 12, "dates": 20}
"""Tokens of an answer, its end included."""
TESTS = {"summary": 96, "library": 256, "default": 192, "dates": 96}
VALID = 128
LANGUAGES, STYLES = ("en", "de", "fr"), ("long",)
SENTINELS = 8
SMOKE = (VANILLA, "Funnel Transformer", "Mixture of experts.repaired", "Adaptive softmax.repaired")
"""Settings that a smoke run is content with; every row has tests of its own."""
SIZE = replace(transfer.BOOK, max_length=LENGTH, n_layers=3, n_steps=3)
SIZES = {
    "18 layers, d_ff=2048, H=8": replace(SIZE, d_ff=216, head_dim=9),
    "6 layers, d_ff=6144, H=24": replace(SIZE, d_ff=288, n_heads=9),
    "Evolved Transformer": replace(SIZE, n_layers=4, d_ff=96),
}
"""Half of three layers is no whole number: these rows get as many parameters as vanilla in 4 layers
and in 1, and about as many in two layers of their own kind."""
CORPUS = "0b016119eb81"
"""The hash of the texts that the record was made with."""
TOLERANCE = {"updates_per_second": math.inf, "vanilla_per_second": math.inf, "speed": math.inf} | {
    "*": 0.1
}
"""Training makes the last digits of another processor larger."""


def settings() -> dict[str, dict[str, Any]]:
    """Every row, and after each that was confounded its repaired form."""
    found = {}
    for name in transfer.names():
        family = published()[name]["category"]
        found[name] = {"row": name, "repaired": False, "family": family}
        if transfer.row(name).intended is not None:
            found[f"{name}.repaired"] = found[name] | {"repaired": True}
    return found


def seeds() -> dict[str, int]:
    """Settings with more seeds than the others."""
    return dict.fromkeys((VANILLA, *WINNERS), MORE)


class Task(NamedTuple):
    """train and test, encoded; score(what was written) -> 0 to 1; how the most frequent answer of
    the training data scores."""

    train: Batch
    test: Batch
    score: Callable[[list[str]], float]
    baseline: float


class World(NamedTuple):
    """What all runs read: the same for every row and every seed."""

    vocabulary: Vocabulary
    train: Tensor
    valid: Batch
    unigram: float
    tasks: dict[str, Task]
    data: dict[str, Any]


@lru_cache(maxsize=2)
def world(smoke: bool) -> World:
    """Texts, tokens and tasks. Takes about twenty seconds, once in a process."""
    corpus = docstrings.corpus(quota=30_000) if smoke else docstrings.corpus()
    texts = [one.text for one in corpus.train]
    vocabulary = Vocabulary(texts, size=SIZE.vocab_size, n_sentinels=SENTINELS)
    train = windows(texts, vocabulary, length=LENGTH)
    train = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))]
    held_out = windows([one.text for one in corpus.valid], vocabulary, length=LENGTH)
    generator = torch.Generator().manual_seed(1)
    held_out = held_out[torch.randperm(len(held_out), generator=generator)[:VALID]]
    valid = corrupted(held_out, vocabulary, generator)
    tasks = {name: _task(name, corpus, vocabulary, smoke) for name in ANSWERS}
    data = {
        "fingerprint": corpus.fingerprint,
        "versions": dict(corpus.versions),
        "docstrings": {name: len(corpus.split(name)) for name in ("train", "valid", "test")},
        "tokens": train.numel(),
        "examples": {
            name: {"train": len(task.train), "test": len(task.test)} for name, task in tasks.items()
        },
    }
    return World(vocabulary, train, valid, _unigram(train[:2000], valid, vocabulary), tasks, data)


def data() -> dict[str, Any]:
    """What was read, for the record."""
    return world(False).data


def _task(name: str, corpus: docstrings.Corpus, vocabulary: Vocabulary, smoke: bool) -> Task:
    n = 8 if smoke else TESTS[name]
    if name == "dates":
        options = {"languages": LANGUAGES, "styles": STYLES, "direction": "to_written"}
        train = dates.pairs("train", n=200 if smoke else None, seed=0, **options)
        test = dates.pairs("test", n=n, seed=0, **options)
        right = [dates.answers(one.date, languages=LANGUAGES, styles=STYLES) for one in test]
    else:
        train = docstring_tasks.examples(corpus, name, "train")
        test = docstring_tasks.examples(corpus, name, "test")[:n]
        right = [[one.target] for one in test]

    def score(texts: list[str]) -> float:
        told = zip(texts, right, strict=True)
        if name in ("library", "default"):
            return sum(text.strip() in answers for text, answers in told) / len(right)
        return sum(max(rouge(text, one) for one in answers) for text, answers in told) / len(right)

    n_source, n_target = LENGTH, ANSWERS[name]
    common = Counter(one.target for one in train).most_common(1)[0][0]
    return Task(
        encoded(train, vocabulary, n_source=n_source, n_target=n_target),
        encoded(test, vocabulary, n_source=n_source, n_target=n_target),
        score,
        score([common] * len(test)),
    )


def _unigram(train: Tensor, valid: Batch, vocabulary: Vocabulary) -> float:
    """Nats per label of a model that knows only how frequent labels are."""
    seen = corrupted(train, vocabulary, torch.Generator().manual_seed(2)).labels.flatten()
    counts = seen.bincount(minlength=SIZE.vocab_size) + 1.0
    return -(counts / counts.sum()).log()[valid.labels].mean().item()


class Pace:
    """A vanilla model that is trained a few updates in turn, for its time alone."""

    def __init__(self, batches: Callable[[], Batch], seed: int) -> None:
        torch.manual_seed(seed)
        model = transfer.build(VANILLA, size=SIZE)
        self.updates = updates(model, batches, inverse_square_root(RATE, WARMUP))
        self.seconds = self.count = 0.0

    def run(self, n: int) -> None:
        """n updates, the first of which is not timed."""
        next(self.updates)
        began = time.process_time()
        for _ in islice(self.updates, n - 1):
            self.count += 1
        self.seconds += time.process_time() - began

    @property
    def update(self) -> float:
        """Seconds per update."""
        return self.seconds / self.count


def pretrain(model: nn.Module, seed: int, smoke: bool) -> dict[str, Any]:
    """Span corruption: the values that begin a record. `model` has the weights after `UPDATES`."""
    shared = world(smoke)
    last, every = (4, 2) if smoke else (UPDATES, EVERY)
    pace = Pace(_corrupted(shared, seed + 1000), seed)
    own = updates(model, _corrupted(shared, seed), inverse_square_root(RATE, WARMUP))
    moments, curve, seconds = [0], [read(model, shared.valid).loss], [0.0]
    shared.valid.loss(model).backward()
    pace.run(PACE)  # what is slow in a process the first time only is not timed

    def go_on() -> bool:
        began = time.process_time()
        made = sum(1 for _ in islice(own, every))
        seconds.append(seconds[-1] + time.process_time() - began)
        moments.append(moments[-1] + made)
        curve.append(read(model, shared.valid).loss)
        return made == every and math.isfinite(curve[-1])

    fine = True
    while fine and moments[-1] < last:
        fine = go_on()
        pace.run(PACE)
    kept, trained = copy.deepcopy(model.state_dict()), seconds[-1]
    while fine and seconds[-1] < last * pace.update and moments[-1] < AT_MOST * last:
        fine = go_on()
    model.load_state_dict(kept)
    upto = moments.index(last) + 1 if last in moments else len(moments)
    early = 2 if smoke else EARLY
    return {
        "early_loss": curve[moments.index(early)] if early in moments else math.nan,
        "final_loss": curve[upto - 1] if moments[upto - 1] == last else math.nan,
        "loss_equal_seconds": interpolated(last * pace.update, seconds, curve),
        "updates_per_second": moments[upto - 1] / max(trained, 1e-9),
        "vanilla_per_second": 1 / pace.update,
        "speed": pace.update * moments[upto - 1] / max(trained, 1e-9),
        "diverged": float(not fine),
        "moments": moments[:upto],
        "curve": curve[:upto],
        "loss_by_seconds": [[round(at, 3), lost] for at, lost in zip(seconds, curve, strict=True)],
    }


def interpolated(at: float, places: list[float], values: list[float]) -> float:
    """A value between two known ones by a straight line; the last one beyond them."""
    for left, right, low, high in zip(places, places[1:], values, values[1:], strict=False):
        if left <= at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return values[-1]


def _flops(model: transfer.EncoderDecoder, batch: Batch) -> float:
    """Of one example; not a number where it depends on the labels, as in an exact adaptive
    softmax."""
    source, target = batch.source.shape[1], batch.labels.shape[1]
    try:
        return 2.0 * operations(model, batch=1, source=source, target=target)
    except NotImplementedError:
        return math.nan


def _corrupted(shared: World, seed: int) -> Callable[[], Batch]:
    """Batches of corrupted windows, all windows in turn and in another order by seed."""
    generator = torch.Generator().manual_seed(seed)

    def orders() -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(shared.train), generator=generator)
            yield from order[: len(order) // BATCH * BATCH].view(-1, BATCH)

    given = orders()
    return lambda: corrupted(shared.train[next(given)], shared.vocabulary, generator)


def fine_tune(model: nn.Module, task: Task, seed: int, smoke: bool) -> None:
    """The same number of updates for every task, at a constant rate."""
    generator = torch.Generator().manual_seed(seed)

    def batch() -> Batch:
        return task.train.rows(torch.randint(len(task.train), (BATCH,), generator=generator))

    steps = updates(model, batch, lambda step: FINE_RATE * min(1.0, (step + 1) / 20))
    for _ in islice(steps, 2 if smoke else FINE_UPDATES):
        pass


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Pre-train a row, then fine-tune it on each task from there; see the record above."""
    shared = world(smoke)
    if not smoke and shared.data["fingerprint"] != CORPUS:
        raise ValueError(
            f"the docstrings here are {shared.data['fingerprint']}; they must be {CORPUS}: "
            "install the versions of constraints.txt."
        )
    size = SIZES.get(setting["row"], SIZE)
    options = {"size": size, "repaired": setting["repaired"]}
    torch.manual_seed(seed)
    model = transfer.build(setting["row"], **options)
    found = pretrain(model, seed, smoke)
    found["parameters"] = sum(weight.numel() for weight in model.parameters())
    found["flops"] = _flops(transfer.build(setting["row"], device="meta", **options), shared.valid)
    found["unigram"] = shared.unigram
    trained = copy.deepcopy(model.state_dict())
    for name, task in shared.tasks.items():
        model.load_state_dict(trained)
        fine_tune(model, task, seed, smoke)
        found[name] = task.score(written(model, task.test, shared.vocabulary))
        answers = read(model, task.test)
        found[f"{name}_loss"], found[f"{name}_tokens"] = answers.loss, answers.right
        found[f"{name}_baseline"] = task.baseline
    return found
