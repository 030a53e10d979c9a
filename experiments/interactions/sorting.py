"""Does a learned sorting of blocks find what a window cannot reach?

Sequences of 8 blocks of 8 symbols; every token is to name the symbol at its own place in another
block. In the task "mirrored" block i looks at block 7 - i, always. In "named" the first token of
each block says which block it is, a new order for every sequence.

Compared, with two layers each: all pairs; a window that sees as many keys as Sinkhorn attention;
Sinkhorn attention; and, in "named", two controls: the rows of the sorting matrix normalised and not
its columns ("rows"), and neither (0 iterations, "none"). In "named" every model is trained with the
same two learning rates; a chapter takes the rate that is best on validation sequences and reads the
test once. The window cannot see most of the blocks that are named, so it gets half of the updates.
Recorded at several moments of a run, so that a plateau can be seen. The share of answers that are
right; chance is 1/16. About 90 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.models import Tagger
from frugal.attention.patterns import PatternAttention
from frugal.attention.sinkhorn import SinkhornAttention
from frugal.attention.softmax import Attend, softmax_attention
from frugal.data.sequences import IGNORE, SequenceBatch
from frugal.model import TransformerConfig
from frugal.training import train

SYMBOLS = 16
BLOCKS = 8
BLOCK_SIZE = 8
BATCH = 16
HELD_OUT = 512
"""Sequences of validation, and as many of the test."""
MOMENTS = {"mirrored": (100, 200, 300), "named": (200, 400, 800, 1600, 2400, 3200)}
"""Updates after which a model is read; the last is the end of the run."""
RATES = {"mirrored": (1e-2,), "named": (5e-3, 1e-2)}
ATTENTIONS = {
    "mirrored": ("full", "window", "sinkhorn"),
    "named": ("full", "window", "sinkhorn", "rows", "none"),
}


def settings() -> dict[str, dict[str, Any]]:
    """By name `task-attention-rate`, the task, the attention and the learning rate."""
    return {
        f"{task}-{attention}-{lr:g}": {"task": task, "attention": attention, "lr": lr}
        for task, attentions in ATTENTIONS.items()
        for attention in attentions
        for lr in RATES[task]
    }


def moments_of(task: str, attention: str) -> tuple[int, ...]:
    """Those of the task; of the named one, the first half for the window, which cannot learn it."""
    moments = MOMENTS[task]
    if task == "named" and attention == "window":
        return tuple(moment for moment in moments if moment <= moments[-1] // 2)
    return moments


def attend(name: str, config: TransformerConfig) -> Attend:
    """The attention of that name for one layer."""
    if name == "full":
        return softmax_attention
    if name == "window":
        return PatternAttention("window", window=BLOCK_SIZE)
    return SinkhornAttention(
        config.n_heads,
        config.d_model // config.n_heads,
        block_size=BLOCK_SIZE,
        max_blocks=BLOCKS,
        n_iterations=0 if name == "none" else 8,
        balance="rows" if name == "rows" else "both ways",
    )


def draw(task: str, size: int, generator: torch.Generator) -> SequenceBatch:
    """Ids: 0 … 15 are symbols, 16 … 23 name a block."""
    ids = torch.randint(SYMBOLS, (size, BLOCKS, BLOCK_SIZE), generator=generator)
    if task == "mirrored":
        return SequenceBatch(ids.flatten(1), ids.flip(1).flatten(1))
    order = torch.rand(size, BLOCKS, generator=generator).argsort(1)
    answers = ids.gather(1, order[..., None].expand_as(ids)).clone()
    ids[:, :, 0] = SYMBOLS + order
    answers[:, :, 0] = IGNORE  # the name is no answer
    return SequenceBatch(ids.flatten(1), answers.flatten(1))


def share_right(model: torch.nn.Module, held_out: SequenceBatch) -> float:
    """Right answers of those that are asked for."""
    model.eval()
    with torch.no_grad():
        right = model(held_out.inputs).argmax(-1) == held_out.targets
    return right[held_out.targets != IGNORE].double().mean().item()


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: the share of answers that are right on validation and test sequences, at each
    moment, and the number of answers in the test."""
    torch.manual_seed(seed)
    task = setting["task"]
    config = TransformerConfig(
        SYMBOLS + BLOCKS,
        make_attend=lambda index, config: attend(setting["attention"], config),
    )
    model = Tagger(config)
    held_out = {
        part: draw(task, 2 if smoke else HELD_OUT, torch.Generator().manual_seed(start + seed))
        for part, start in (("valid", 20_000), ("test", 10_000))
    }

    def loss(model: torch.nn.Module, batch: SequenceBatch) -> Tensor:
        return F.cross_entropy(
            model(batch.inputs).flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE
        )

    moments = [3] if smoke else list(moments_of(task, setting["attention"]))
    history = train(
        model,
        lambda step, generator: draw(task, 2 if smoke else BATCH, generator),
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
            curves[part].append(share_right(model, data))
    return {
        "right": curves["test"][-1],
        "valid": curves["valid"][-1],
        "curve": curves["test"],
        "valid_curve": curves["valid"],
        "moments": moments,
        "asked": (held_out["test"].targets != IGNORE).sum().item(),
    }
