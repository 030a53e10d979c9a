"""Which file formats can a Transformer over bytes read?

Digits of 8 x 8 pixels, written as files: bare pixels, BMP, PNG whose data are stored, PNG as usual,
and JPEG. One network for all, which strides over the bytes, attends in windows and merges twice. In
one more setting every byte of the bare pixels is replaced by another, always the same one. In the
settings named "varied" each picture is dimmed by a random factor and written anew whenever it is
drawn, so that no file is seen twice. The seed is the fold: five seeds test every one of the 1,797
pictures once. Two learning rates are tried for a fifth of the updates on validation files. Beside
the accuracy: what the length of a file alone tells about its digit. About 25 to 190 seconds a run
on one core, as files are short or long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugal.data import digits
from frugal.data.picture_files import picture_file
from frugal.measure import count_flops
from frugal.tokens.byteformer import PAD, ByteFormer
from frugal.tokens.bytes import pad_rows
from frugal.training import History, train

STEPS = 700
TRIAL_STEPS = 140
RATES = (1.5e-3, 3e-3)
BATCH = 32
EVERY = 100
FOLDS = 5
DIMMEST = 0.6
"""The least of the factors by which "varied" pictures are dimmed; the largest is 1."""

Batch = tuple[Tensor, Tensor, Tensor]


def settings() -> dict[str, dict[str, Any]]:
    """By name: the format, whether the 256 byte values trade places, and whether files vary."""
    forms = ("raw", "png-stored", "bmp", "png", "jpeg")
    kept = {form: {"form": form, "scrambled": False, "varied": False} for form in forms}
    varied = {
        f"{form}-varied": {"form": form, "scrambled": False, "varied": True}
        for form in ("raw", "png", "jpeg")
    }
    return kept | {"raw-scrambled": {"form": "raw", "scrambled": True, "varied": False}} | varied


def network() -> ByteFormer:
    """The one network of this experiment."""
    return ByteFormer(
        10,
        d_model=48,
        n_layers=3,
        d_ff=96,
        window=16,
        kernel_size=8,
        merge_after=(1, 2),
        positions="learned",
    )


def folded(fold: int) -> dict[str, digits.Digits]:
    """All pictures, a fifth of each class to test, a tenth to validate, the rest to train on."""
    parts = [digits.load(name) for name in ("train", "valid", "test")]
    images = torch.cat([part.images for part in parts])
    labels = torch.cat([part.labels for part in parts])
    tenth = torch.empty(len(labels), dtype=torch.int64)
    for digit in range(10):
        rows = (labels == digit).nonzero().flatten()
        tenth[rows] = torch.arange(len(rows)) % 10
    first = 2 * (fold % FOLDS)
    test, valid = (tenth == first) | (tenth == first + 1), tenth == (first + 2) % 10
    chosen = {"train": ~(test | valid), "valid": valid, "test": test}
    return {name: digits.Digits(images[rows], labels[rows]) for name, rows in chosen.items()}


def dimmed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture times a random factor of its own: (batch, height, width)."""
    share = torch.rand(len(images), 1, 1, generator=generator)
    return images * (DIMMEST + (1 - DIMMEST) * share)


def files_of(data: digits.Digits, setting: dict[str, Any]) -> list[bytes]:
    """Every picture as a file."""
    files = [picture_file(image, setting["form"]) for image in data.images]
    if not setting["scrambled"]:
        return files
    generator = torch.Generator().manual_seed(0)
    table = bytes(torch.randperm(256, generator=generator).tolist())
    return [file.translate(table) for file in files]


def written(data: digits.Digits, setting: dict[str, Any], generator: torch.Generator) -> Batch:
    """Files as ids (batch, length), where they are real, and the digits that they show."""
    if setting["varied"]:
        data = data._replace(images=dimmed(data.images, generator))
    return (*pad_rows(files_of(data, setting), pad=PAD), data.labels)


def accuracy_of_lengths(train_on: Batch, test_on: Batch) -> float:
    """Accuracy of the commonest digit among the files of the same length."""
    seen: dict[int, Counter[int]] = defaultdict(Counter)
    for length, label in zip(train_on[1].sum(1).tolist(), train_on[2].tolist(), strict=True):
        seen[length][label] += 1
    guesses = {length: counter.most_common(1)[0][0] for length, counter in seen.items()}
    lengths = test_on[1].sum(1).tolist()
    right = [
        guesses.get(length, 0) == label
        for length, label in zip(lengths, test_on[2].tolist(), strict=True)
    ]
    return sum(right) / len(right)


@torch.no_grad()
def judged(model: nn.Module, batch: Batch) -> dict[str, float]:
    """Share of files whose digit is found, and the mean loss."""
    ids, padding, labels = batch
    parts = zip(ids.split(128), padding.split(128), strict=True)
    scores = torch.cat([model(*part) for part in parts])
    right = (scores.argmax(-1) == labels).double().mean().item()
    return {"accuracy": right, "loss": F.cross_entropy(scores, labels).item()}


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, Any]:
    """Train once: accuracy on files seen and not seen, and by their length; bytes and FLOPs."""
    data = folded(seed)
    if smoke:
        data = {name: digits.Digits(*(part[:16] for part in split)) for name, split in data.items()}
    fixed = torch.Generator().manual_seed(10_000)
    splits = {name: written(split, setting, fixed) for name, split in data.items()}

    def batches(step: int, generator: torch.Generator) -> Batch:
        labels = data["train"].labels
        rows = torch.randint(len(labels), (4 if smoke else BATCH,), generator=generator)
        if setting["varied"]:
            drawn = digits.Digits(data["train"].images[rows], labels[rows])
            return written(drawn, setting, generator)
        ids, padding, labels = splits["train"]
        return ids[rows], padding[rows], labels[rows]

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch[0], batch[1]), batch[2])

    def trained(rate: float, steps: int) -> tuple[ByteFormer, History]:
        torch.manual_seed(seed)
        model = network()
        history = train(
            model,
            batches,
            loss,
            steps=steps,
            lr=rate,
            seed=seed,
            evaluate=lambda model: judged(model, splits["valid"]),
            every=2 if smoke else EVERY,
            progress=False,
        )
        return model.eval(), history

    tried = [trained(rate, 2 if smoke else TRIAL_STEPS)[1].evaluations[-1] for rate in RATES]
    losses = [evaluation["loss"] for evaluation in tried]
    rate = RATES[losses.index(min(losses))]
    model, history = trained(rate, 4 if smoke else STEPS)
    ids, padding, _ = splits["train"]
    with torch.no_grad():
        flops, _ = count_flops(model, ids[:1])
    lengths = padding.sum(1)
    return {
        "accuracy": judged(model, splits["test"])["accuracy"],
        "accuracy_seen": judged(model, splits["train"])["accuracy"],
        "accuracy_of_lengths": accuracy_of_lengths(splits["train"], splits["test"]),
        "accuracy_by_step": [e["accuracy"] for e in history.evaluations],
        "steps": [e["step"] for e in history.evaluations],
        "test_files": len(splits["test"][2]),
        "train_files": len(ids),
        "rate": rate,
        "losses_by_rate": losses,
        "bytes": lengths.double().mean().item(),
        "shortest": int(lengths.min()),
        "longest": int(lengths.max()),
        "tokens": model.token_counts(ids.shape[1])[0],
        "flops": float(flops),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
