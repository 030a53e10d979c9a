"""Which file formats can a Transformer over bytes read?

Digits of 8 x 8 pixels, written as files: bare pixels, BMP, PNG whose data are stored, PNG as usual,
and JPEG. One network for all, which strides over the bytes, attends in windows and merges twice. In
one more setting every byte of the bare pixels is replaced by another, always the same one. Beside
the accuracy: what the length of a file alone tells about its digit. About 10 to 70 seconds a run on
one core, as files are short or long.
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
from frugal.training import train

STEPS = 350
BATCH = 32

Batch = tuple[Tensor, Tensor, Tensor]


def settings() -> dict[str, dict[str, Any]]:
    """By name: the format, and whether the 256 byte values trade places."""
    forms = ("raw", "png-stored", "bmp", "png", "jpeg")
    plain = {form: {"form": form, "scrambled": False} for form in forms}
    return plain | {"raw-scrambled": {"form": "raw", "scrambled": True}}


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


def files_of(data: digits.Digits, setting: dict[str, Any]) -> list[bytes]:
    """Every picture as a file."""
    files = [picture_file(image, setting["form"]) for image in data.images]
    if not setting["scrambled"]:
        return files
    generator = torch.Generator().manual_seed(0)
    table = bytes(torch.randperm(256, generator=generator).tolist())
    return [file.translate(table) for file in files]


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
def accuracy(model: nn.Module, batch: Batch) -> float:
    """Share of files whose digit is found."""
    ids, padding, labels = batch
    parts = zip(ids.split(128), padding.split(128), strict=True)
    found = torch.cat([model(*part).argmax(-1) for part in parts])
    return (found == labels).double().mean().item()


def run(setting: dict[str, Any], seed: int, smoke: bool) -> dict[str, float]:
    """Train once: accuracy on files seen and not seen, and by their length; bytes and FLOPs."""
    splits: dict[str, Batch] = {}
    for name in ("train", "test"):
        data = digits.load(name)
        if smoke:
            data = digits.Digits(data.images[:16], data.labels[:16])
        splits[name] = (*pad_rows(files_of(data, setting), pad=PAD), data.labels)
    ids, padding, labels = splits["train"]
    torch.manual_seed(seed)
    model = network()

    def batches(step: int, generator: torch.Generator) -> Batch:
        rows = torch.randint(len(ids), (4 if smoke else BATCH,), generator=generator)
        return ids[rows], padding[rows], labels[rows]

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch[0], batch[1]), batch[2])

    train(model, batches, loss, steps=3 if smoke else STEPS, lr=3e-3, seed=seed, progress=False)
    model.eval()
    with torch.no_grad():
        flops, _ = count_flops(model, ids[:1])
    lengths = padding.sum(1)
    return {
        "accuracy": accuracy(model, splits["test"]),
        "accuracy_seen": accuracy(model, splits["train"]),
        "accuracy_of_lengths": accuracy_of_lengths(splits["train"], splits["test"]),
        "bytes": lengths.double().mean().item(),
        "shortest": int(lengths.min()),
        "longest": int(lengths.max()),
        "tokens": model.token_counts(ids.shape[1])[0],
        "flops": float(flops),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
