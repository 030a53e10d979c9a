"""Replace the targets of a training set by what a trained model writes.

Where the data have several right targets for a source, the teacher's output is one of them: the
student has fewer ways to be right to learn, and no way to mix two. Chapter: decoding-in-parallel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor

from frugal.checks import at_least
from frugal.decoding.autoregressive import translate
from frugal.model import EncoderDecoder


def distill(
    teacher: EncoderDecoder,
    source: Int[Tensor, "examples source"],
    *,
    source_padding: Bool[Tensor, "examples source"] | None = None,
    bos: int,
    eos: int,
    max_new_tokens: int,
    batch_size: int = 512,
    pad: int = 0,
) -> Int[Tensor, "examples target"]:
    """What the teacher writes for each source, greedily: one target where the data had several.

    Returns ids that end with `eos` and then `pad`, without `bos`. A student trained on them learns
    the teacher's most likely text, not its distribution. Source: kim2016sequence, section 3.2.
    """
    at_least(1, batch_size=batch_size)
    written = []
    for start in range(0, max(1, len(source)), batch_size):  # once, when there is no source
        rows = slice(start, start + batch_size)
        out = translate(
            teacher,
            source[rows],
            source_padding=None if source_padding is None else source_padding[rows],
            bos=bos,
            eos=eos,
            max_new_tokens=max_new_tokens,
            pad=pad,
        )[:, 1:]
        written.append(F.pad(out, (0, max_new_tokens - out.shape[1]), value=pad))
    ids = torch.cat(written)
    return ids[:, : int((ids != pad).any(0).sum())]
