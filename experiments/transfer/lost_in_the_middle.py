"""What makes the U? Key-value retrieval with control over where the answers sit in training.

30 pairs of 64 keys and 64 values, three questions a sequence, 2 layers of width 32 (an
encoder-decoder: one layer that reads, one that answers). "ends": 98 % of the questions ask for
pairs that fall off by a factor e a pair from the two ends, 2 % for any pair; "mixed": 90 % and
10 %; "last": all of the 98 % at the end; "anywhere": every pair alike. The same data meet four
kinds of positions and three architectures. Accuracy for each of the 30 places, 48 questions a
place, at moments so near each other that models can be compared at equal mean accuracy; training
goes on until they have learned it or their curves lie flat. "short": trained on 5 to 20 pairs asked
anywhere, tested on 20, 40 and 60. The setting was chosen on seeds 100 to 102, which are not among
the recorded ones. About 20 seconds a run on one core.
"""

from __future__ import annotations

from typing import Any

import torch

from frugal.data import retrieval
from frugal.model import TransformerConfig
from frugal.tasks.retriever import Retriever, accuracy_by_position, retrieval_loss
from frugal.training import train

N_PAIRS, N_QUERIES, BATCH, SYMBOLS = 30, 3, 32, 64
SHORT, LONG = (5, 20), (20, 40, 60)
EXAMPLES = 48
"""Questions for each place that a model is tried with."""
CHECKPOINTS = (50, 100, *range(150, 401, 25), 450, 500, 600, 700, 800, 1000, 1200)
STEPS = {"learned": 1000, "rope": 1000, "alibi": 600, "none": 600}
STEPS_OF_TWO_STACKS = 1200
SHARES = {"ends": (0.343, 0.637), "mixed": (0.315, 0.585), "last": (0.0, 0.98), "anywhere": (0, 0)}
"""For each way to ask in training: the shares of questions near the start and near the end."""


def settings() -> dict[str, dict[str, Any]]:
    """By name `asked-architecture-positions`; "first-" where questions also come first."""
    both_ways, two_stacks = "bidirectional", "encoder-decoder"
    decoders = [("decoder", positions) for positions in STEPS]
    plan = [("ends", *one) for one in decoders]
    plan += [("ends", both_ways, positions) for positions in ("learned", "rope", "alibi")]
    plan += [("ends", two_stacks, "learned")]
    plan += [("anywhere", *one) for one in decoders]
    plan += [("anywhere", architecture, "learned") for architecture in (both_ways, two_stacks)]
    plan += [(asked, "decoder", "learned") for asked in ("mixed", "last")]
    plan += [("short", *one) for one in (*decoders, (two_stacks, "learned"))]
    chosen = {
        f"{asked}-{architecture}-{positions}": {
            "asked": asked,
            "architecture": architecture,
            "positions": positions,
            "steps": STEPS_OF_TWO_STACKS if architecture == two_stacks else STEPS[positions],
        }
        for asked, architecture, positions in plan
    }
    plain = chosen["ends-decoder-learned"]
    chosen["first-ends-decoder-learned"] = plain | {"query_first": True}
    return chosen


def make_model(setting: dict[str, Any], seed: int) -> Retriever:
    """The untrained model of a setting."""
    torch.manual_seed(seed)
    one_each = setting["architecture"] == "encoder-decoder"
    config = TransformerConfig(
        vocab_size=1 + 2 * SYMBOLS,
        d_model=32,
        n_heads=2,
        n_layers=1 if one_each else 2,
        max_length=160,
        positions=setting["positions"],
    )
    return Retriever(setting["architecture"], config)


def make_batches(setting: dict[str, Any]) -> Any:
    """What `frugal.training.train` draws from."""
    options = {"n_queries": N_QUERIES, "n_keys": SYMBOLS, "n_values": SYMBOLS}
    options["query_first"] = setting.get("query_first", False)

    def batch(step: int, generator: torch.Generator) -> retrieval.RetrievalBatch:
        if setting["asked"] == "short":
            low, high = SHORT
            n_pairs = int(torch.randint(low, high + 1, (), generator=generator))
            return retrieval.draw(BATCH, n_pairs=n_pairs, seed=generator, **options)
        start, end = SHARES[setting["asked"]]
        weights = retrieval.edge_weights(N_PAIRS, start=start, end=end, decay=1.0)
        return retrieval.draw(BATCH, n_pairs=N_PAIRS, weights=weights, seed=generator, **options)

    return batch


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once; steps, and accuracy[moment][place] at each of them.

    Trained short: pairs_20, pairs_40 and pairs_60[place] after the last update instead.
    """
    steps = 4 if smoke else setting["steps"]
    moments = [4] if smoke else [moment for moment in CHECKPOINTS if moment <= steps]
    curves: list[list[float]] = []

    def accuracy(model: Retriever, n_pairs: int) -> list[float]:
        found = accuracy_by_position(
            model,
            n_pairs=n_pairs,
            n_queries=1 if n_pairs % N_QUERIES else N_QUERIES,
            examples=1 if smoke else EXAMPLES,
            query_first=setting.get("query_first", False),
            n_keys=SYMBOLS,
            n_values=SYMBOLS,
            seed=10_000 + seed,
        )
        return [round(share, 4) for share in found.tolist()]

    model = make_model(setting, seed)
    options = {"steps": steps, "lr": 5e-3, "warmup": 50, "seed": seed, "progress": False}
    short = setting["asked"] == "short"
    history = train(
        model,
        make_batches(setting),
        retrieval_loss,
        checkpoints=[] if short else moments,
        **options,
    )
    found: dict[str, Any] = {
        "training_seconds": history.seconds,
        "questions": 1 if smoke else EXAMPLES,
        "parameters": sum(weight.numel() for weight in model.parameters()),
    }
    if short:
        return found | {f"pairs_{n_pairs}": accuracy(model, n_pairs) for n_pairs in LONG}
    for moment in moments:
        model.load_state_dict(history.checkpoints[moment])
        curves.append(accuracy(model, N_PAIRS))
    return found | {"steps": moments, "accuracy": curves}
