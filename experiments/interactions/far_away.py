"""What can a window not do, and what repairs it?

Two tasks whose answer lies farther away than two layers of windows reach.

- copy (causal): 12 symbols, a mark, the same symbols again; the answer is always 12 positions back.
  Windows of 4 reach 8. Repairs tried: four layers, the mark as a global token, a strided pattern
  in which the answer's place is one of the keys.
- needles (both directions): 1 or 8 marked symbols hidden among 48 tokens, and asked for at the end.
  Repair tried: the first token global, so that all must pass through its one vector.

The share of answers that are right, on new sequences; chance is 1/16. Each model is also read on
the way, so that one that is stuck can be told from one that is still learning. The repairs that
must send several symbols through a few vectors get four times as many updates as the others. About
20 seconds a run on one core, and a minute and a half for these.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.models import Tagger
from frugal.attention.patterns import PatternAttention
from frugal.data import copying
from frugal.data.sequences import IGNORE, SequenceBatch
from frugal.model import Decoder, TransformerConfig
from frugal.training import train

SYMBOLS = 16
COPIED = 12
LENGTH = 48
MOST_NEEDLES = 8
MOMENTS = (150, 300, 600, 1200, 2400, 4800)
"""Updates after which a model is read, until the end of its run."""
UPDATES = 1200
LONGER = 4800
TESTED = 2048
"""Sequences of the test; half as many on the way."""
WINDOW = {"name": "window", "window": 4}


def settings() -> dict[str, dict[str, Any]]:
    """By name, the task, the pattern and its options."""
    full = {"name": "full"}
    mark = {"name": "window+global", "window": 4, "global_tokens": (COPIED,)}
    first = {"name": "window+global", "window": 4, "global_tokens": (0,)}
    found: dict[str, dict[str, Any]] = {
        "copy-full": {"task": "copy", "pattern": full},
        "copy-window": {"task": "copy", "pattern": WINDOW},
        "copy-deep": {"task": "copy", "pattern": WINDOW, "n_layers": 4, "updates": LONGER},
        "copy-global": {"task": "copy", "pattern": mark, "updates": LONGER},
        "copy-strided": {"task": "copy", "pattern": {"name": "strided", "stride": 4}},
    }
    for needles in (1, MOST_NEEDLES):
        for name, pattern in (("full", full), ("window", WINDOW), ("global", first)):
            task = {"task": "needles", "needles": needles, "pattern": pattern}
            found[f"needles-{needles}-{name}"] = task
    found[f"needles-{MOST_NEEDLES}-global"]["updates"] = LONGER
    return found


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; the share of answers that are right on new sequences, on the way and at last."""
    pattern = dict(setting["pattern"])
    attend = PatternAttention(pattern.pop("name"), **pattern)
    causal = setting["task"] == "copy"
    torch.manual_seed(seed)
    config = TransformerConfig(
        vocab_size=1 + SYMBOLS + (SYMBOLS + 1) * MOST_NEEDLES,
        d_model=64,
        n_heads=4,
        n_layers=setting.get("n_layers", 2),
        make_attend=lambda index, config: attend,
    )
    model = (Decoder if causal else Tagger)(config)

    def draw(batch_size: int, generator: torch.Generator) -> SequenceBatch:
        if causal:
            return copying.draw(batch_size, n=COPIED, n_symbols=SYMBOLS, seed=generator)
        return needles(batch_size, setting["needles"], generator)

    def loss(model: torch.nn.Module, batch: SequenceBatch) -> Tensor:
        scores = model(batch.inputs).flatten(0, 1)
        return F.cross_entropy(scores, batch.targets.flatten(), ignore_index=IGNORE)

    updates = setting.get("updates", UPDATES)
    moments = (2, 4) if smoke else tuple(moment for moment in MOMENTS if moment <= updates)
    history = train(
        model,
        lambda step, generator: draw(4 if smoke else 32, generator),
        loss,
        steps=moments[-1],
        seed=seed,
        checkpoints=moments,
        progress=False,
    )
    tested = 8 if smoke else TESTED
    on_the_way = draw(tested // 2, torch.Generator().manual_seed(20_000 + seed))
    curve = []
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        curve.append(share_right(model, on_the_way))
    test = draw(tested, torch.Generator().manual_seed(10_000 + seed))
    return {
        "right": share_right(model, test),
        "curve": curve,
        "moments": list(moments),
        "sequences": tested,
    }


def share_right(model: torch.nn.Module, batch: SequenceBatch) -> float:
    """Of the answers that are asked for."""
    right = []
    model.eval()
    with torch.no_grad():
        for inputs, targets in zip(batch.inputs.split(256), batch.targets.split(256), strict=True):
            right.append((model(inputs).argmax(-1) == targets)[targets != IGNORE])
    return torch.cat(right).float().mean().item()


def needles(batch_size: int, count: int, generator: torch.Generator) -> SequenceBatch:
    """`count` marked symbols among plain ones; question k at the end asks for the one of mark k.

    Ids: 0 opens the sequence, 1 … 16 are plain symbols, then 16 for each of 8 marks, then 8
    questions. Between needles and questions lie 16 tokens, twice what two windows of 4 reach.
    """
    ids = torch.randint(1, SYMBOLS + 1, (batch_size, LENGTH), generator=generator)
    ids[:, 0] = 0
    number = torch.arange(count)
    answers = torch.randint(1, SYMBOLS + 1, (batch_size, count), generator=generator)
    room = LENGTH - 1 - MOST_NEEDLES - 16
    places = 1 + torch.rand(batch_size, room, generator=generator).argsort(-1)[:, :count]
    ids.scatter_(1, places, answers + SYMBOLS * (1 + number))
    ids[:, LENGTH - count :] = 1 + SYMBOLS * (1 + MOST_NEEDLES) + number
    targets = torch.full_like(ids, IGNORE)
    targets[:, LENGTH - count :] = answers
    return SequenceBatch(ids, targets)
