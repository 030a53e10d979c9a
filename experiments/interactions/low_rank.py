"""How low may the rank of attention be, if little matters, a few tokens do, or every place does?

Encoders of a layer, with softmax attention ("full") or Linformer, which shortens the length N to a
rank k, on three tasks:

- digits: tell the class of a picture of 8 x 8 pixels, a token each.
- pairs: recall among 48 tokens in random order. Eight are pairs of a key and a value; eight are a
  key that asks for its value; the others are blank.
- pointers: each of 48 tokens carries a symbol and names a place, each place once. A token's answer
  is the symbol of the place that it names, so attention has to be a permutation.

Linformer learns its mixtures E and F, or keeps them random as they start ("frozen"). For full
attention the singular values of its matrices are recorded, before and after training, as the error
of their best rank k; and how well the trained model does when each matrix is replaced by its best
of rank k ("cut"). Every model is trained with the same two learning rates; a chapter takes the rate
that is best on validation data and reads the test once. Recorded at several moments of a run, so
that a plateau can be seen. About 18 seconds a run on one core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.attention.linformer import LinformerAttention
from frugal.attention.recording import recording
from frugal.attention.softmax import Attend, attention_weights
from frugal.data import digits, recall
from frugal.data.sequences import IGNORE
from frugal.model import Encoder, TransformerConfig
from frugal.training import train

RANKS = {"digits": (2, 8, 24), "pairs": (8, 24), "pointers": (8, 24, 48)}
MOMENTS = {
    "digits": (500, 1000, 1500, 2000, 2500),
    "pairs": (200, 400, 600, 800, 1000),
    "pointers": (150, 300, 600, 900, 1200),
}
"""Updates after which a model is read; the last is the end of the run."""
CUTS = (1, 2, 4, 8, 16, 24, 32, 48)
RATES = (2e-3, 5e-3)
LENGTH = {"digits": 64, "pairs": 48, "pointers": 48}
TOKENS = 1024
"""In a batch."""
WIDTH, HEADS, LAYERS, D_FF = 64, 2, 1, 256
N_SYMBOLS = {"pairs": 32, "pointers": 48}
"""Of the larger of the two vocabularies of a token."""
PAIRS = {"n_pairs": 8, "length": 96, "n_symbols": 32, "power": 1.0, "noise": False}
"""Two symbols make a token."""

Batch = tuple[Tensor, Tensor]
"""Inputs and targets."""


def settings() -> dict[str, dict[str, Any]]:
    """By name `task-arm-rate`: the task, k (None is full attention), whether E and F stay random,
    and the learning rate."""
    arms = {}
    for task, ranks in RANKS.items():
        for rank in (None, *ranks):
            name = f"{task}-{'full' if rank is None else rank}"
            arms[name] = {"task": task, "rank": rank, "frozen": False}
    for task in ("digits", "pointers"):
        arms[f"{task}-8-frozen"] = {"task": task, "rank": 8, "frozen": True}
    return {f"{name}-{rate:g}": arm | {"lr": rate} for name, arm in arms.items() for rate in RATES}


class Reader(nn.Module):
    """An encoder with a class for the whole sequence (digits) or a symbol for every token."""

    def __init__(self, setting: dict[str, Any]) -> None:
        super().__init__()
        self.task, rank, length = setting["task"], setting["rank"], LENGTH[setting["task"]]
        config = TransformerConfig(
            1,
            d_model=WIDTH,
            n_heads=HEADS,
            n_layers=LAYERS,
            d_ff=D_FF,
            max_length=length,
            positions="learned",
            make_attend=None
            if rank is None
            else lambda index, config: LinformerAttention(HEADS, length, rank),
        )
        self.encoder = Encoder(config)
        if setting["frozen"]:
            for layer in self.encoder.stack.layers:
                layer.mix.sublayer.attend.requires_grad_(False)
        if self.task == "digits":
            self.embed, self.classify = nn.Linear(1, WIDTH), nn.Linear(WIDTH, 10)
        else:
            self.n_symbols = N_SYMBOLS[self.task]
            self.embed = nn.Embedding(2 * self.n_symbols, WIDTH)
            self.classify = nn.Linear(WIDTH, self.n_symbols)

    def forward(self, x: Tensor) -> Tensor:
        """x: pixels (batch, 64, 1), or two symbols a token (batch, length, 2)."""
        if self.task == "digits":
            return self.classify(self.encoder.encode(self.embed(x)).mean(1))
        tables = torch.tensor([0, self.n_symbols], device=x.device)
        return self.classify(self.encoder.encode(self.embed(x + tables).sum(2)))


def texts(task: str, batch: int, seed: int | torch.Generator) -> Batch:
    """Texts of two symbols a token, and what each token is to answer."""
    generator = torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
    order = torch.rand(batch, LENGTH[task], generator=generator).argsort(-1)
    if task == "pointers":
        symbols = torch.randint(N_SYMBOLS[task], order.shape, generator=generator)
        return torch.stack([order, symbols], -1), symbols.gather(1, order)
    drawn = recall.draw(batch, **PAIRS, seed=generator)
    inputs, targets = drawn.inputs.unflatten(1, (-1, 2)), drawn.targets[:, ::2]
    return inputs.gather(1, order[..., None].expand_as(inputs)), targets.gather(1, order)


def supply(
    task: str, smoke: bool
) -> tuple[Callable[[int, torch.Generator], Batch], dict[str, Batch]]:
    """Batches for training, and what is held out: "valid" and "test"."""
    size = 4 if smoke else TOKENS // LENGTH[task]
    seeds = {"valid": 2_000_000, "test": 1_000_000}
    if task != "digits":
        return (
            lambda step, generator: texts(task, size, generator),
            {part: texts(task, 8 if smoke else 256, seed) for part, seed in seeds.items()},
        )
    draw = digits.batches(digits.load("train"), size)
    held_out = {part: digits.load(part) for part in seeds}

    def pictures(step: int, generator: torch.Generator) -> Batch:
        images, labels = draw(step, generator)
        return images.flatten(1)[..., None], labels

    return pictures, {
        part: (data.images.flatten(1)[..., None], data.labels) for part, data in held_out.items()
    }


def rank_errors(model: Reader, x: Tensor) -> list[list[list[float]]]:
    """By layer and head, ‖P - P_k‖ / ‖P‖ for k = 0 ... N, where P_k is the best of rank k: the
    mean over inputs."""
    with torch.no_grad(), recording(model) as recorder:
        model(x)
    errors = []
    for weights in recorder.weights.values():
        squares = torch.linalg.svdvals(weights.double()).square()  # (batch, heads, N)
        left = squares.flip(-1).cumsum(-1).flip(-1)  # what the values from k on hold
        share = F.pad(left, (0, 1)) / left[..., :1]
        errors.append(share.sqrt().mean(0).round(decimals=4).tolist())
    return errors


def of_best_rank(rank: int) -> Attend:
    """Softmax attention whose matrix is replaced by its best approximation of rank k."""

    def attend(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        u, s, vt = torch.linalg.svd(attention_weights(q, k, **options))
        return (u[..., :rank] * s[..., None, :rank]) @ (vt[..., :rank, :] @ v)

    return attend


def share_right(model: Reader, x: Tensor, targets: Tensor) -> float:
    """Right answers of those that are asked for."""
    model.eval()
    with torch.no_grad():
        right = model(x).argmax(-1) == targets
    return right[targets != IGNORE].double().mean().item()


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: the share of right answers on validation and test data at each moment; for full
    attention also the errors of rank k, and pairs of k and the share that is right when cut."""
    torch.manual_seed(seed)
    model, task = Reader(setting), setting["task"]
    batches, held_out = supply(task, smoke)
    x, targets = held_out["test"]
    looked_at = x[: 2 if smoke else 32]
    start = rank_errors(model, looked_at) if setting["rank"] is None else None

    def loss(model: Reader, batch: Batch) -> Tensor:
        scores, wanted = model(batch[0]).flatten(0, -2), batch[1].flatten()
        return F.cross_entropy(scores, wanted, ignore_index=IGNORE)

    moments = [3] if smoke else list(MOMENTS[task])
    history = train(
        model,
        batches,
        loss,
        steps=moments[-1],
        lr=setting["lr"],
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    curves: dict[str, list[float]] = {part: [] for part in held_out}
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        for part, data in held_out.items():
            curves[part].append(share_right(model, *data))
    values: dict[str, Any] = {
        "right": curves["test"][-1],
        "valid": curves["valid"][-1],
        "curve": curves["test"],
        "valid_curve": curves["valid"],
        "moments": moments,
        "asked": (targets != IGNORE).sum().item(),
    }
    if start is None:
        return values
    values |= {"start": start, "errors": rank_errors(model, looked_at)}
    few = 2 if smoke else len(x)
    cut = []
    for rank in CUTS:
        for layer in model.encoder.stack.layers:
            layer.mix.sublayer.attend = of_best_rank(rank)
        cut.append([rank, share_right(model, x[:few], targets[:few])])
    return values | {"cut": cut}
