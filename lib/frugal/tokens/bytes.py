"""Text as UTF-8 bytes: a vocabulary of 256 that needs no training and knows every script.

Ids are those of ByT5: 0 pads, 1 ends, 2 is unknown, and byte b is the id b + 3. One character
takes one to four ids.

What has no bytes. UTF-8 has no form for a lone surrogate (U+D800 to U+DFFF), so encoding one is
refused; every other Unicode string comes back from `decode` exactly. What is no text. A model may
write bytes that are not UTF-8; `decode` then does what its `invalid` says, and with "escape" each
such byte becomes one lone surrogate (U+DC80 to U+DCFF, as in Python's file names), which `encode`
turns back into that byte.

Source: xue2022byt5, section 3.1. Chapter: bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from frugal.checks import one_of

PAD, EOS, UNKNOWN = range(3)
OFFSET = 3
"""Byte b has the id b + OFFSET."""

Invalid = Literal["replace", "ignore", "escape", "refuse"]

HANDLERS = {
    "replace": "replace",
    "ignore": "ignore",
    "escape": "surrogateescape",
    "refuse": "strict",
}
"""What `decode` may do with bytes that are not UTF-8, and Python's name for it."""


class ByteTokenizer:
    """Text to ids and back; there is nothing to set and nothing to train.

    Text is never read for special symbols: the characters "</s>" are four bytes like any others.
    """

    pad, eos, unknown = PAD, EOS, UNKNOWN
    vocab_size = 256 + OFFSET

    def encode(
        self, text: str, *, eos: bool = True, invalid: Literal["refuse", "escape"] = "refuse"
    ) -> list[int]:
        """The ids of `text`, with the end id after them unless `eos` is False.

        invalid: what to do with a lone surrogate, "refuse" or "escape" (the byte that
        `decode(..., invalid="escape")` made it from). Empty text is the end id alone.
        Raises ValueError for a lone surrogate that stands for no byte, and for empty text without
        the end id, which would leave a model nothing to read.
        """
        one_of(("refuse", "escape"), invalid=invalid)
        if not text and not eos:
            raise ValueError("text is empty; without the end id it must have a character or more.")
        try:
            data = text.encode("utf-8", HANDLERS[invalid])
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text has the lone surrogate U+{ord(text[error.start]):04X} at {error.start}; "
                "UTF-8 has no bytes for it."
            ) from None
        return [byte + OFFSET for byte in data] + [EOS] * eos

    def to_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of `ids` up to the first end id; padding and unknown leave nothing behind.

        Raises ValueError for an id outside the vocabulary.
        """
        data = bytearray()
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids has {i}; each must lie in 0 ... {self.vocab_size - 1}.")
            if i == EOS:
                break
            if i >= OFFSET:
                data.append(i - OFFSET)
        return bytes(data)

    def decode(self, ids: Iterable[int], *, invalid: Invalid = "replace") -> str:
        """The text of `ids` up to the first end id.

        invalid: for bytes that are not UTF-8. "replace" writes U+FFFD for each longest stretch that
        begins a character and breaks off, "ignore" leaves them out, "escape" keeps each as a lone
        surrogate, "refuse" raises ValueError with the place of the first.
        """
        one_of(HANDLERS, invalid=invalid)
        data = self.to_bytes(ids)
        try:
            return data.decode("utf-8", HANDLERS[invalid])
        except UnicodeDecodeError as error:
            raise ValueError(
                f"ids has the byte 0x{data[error.start]:02X} at {error.start}, "
                f"where UTF-8 does not allow it ({error.reason})."
            ) from None

    def batch(
        self, texts: Sequence[str], *, eos: bool = True, device: torch.device | str | None = None
    ) -> tuple[Int64[Tensor, "batch length"], Bool[Tensor, "batch length"]]:
        """Ids and padding (True = a real token) of several texts, padded on the right.

        Raises ValueError for one string instead of several, for none, and where `encode` does.
        """
        if isinstance(texts, str):
            raise ValueError("texts is one string; it must be a list of strings.")
        return pad_rows([self.encode(text, eos=eos) for text in texts], pad=PAD, device=device)


def pad_rows(
    rows: Sequence[Sequence[int]], *, pad: int, device: torch.device | str | None = None
) -> tuple[Int64[Tensor, "batch length"], Bool[Tensor, "batch length"]]:
    """Rows of ids, or the bytes of files, as one tensor filled up with `pad`, and which are real.

    Raises ValueError when there is no row, or one of them is empty.
    """
    if not rows or not all(rows):
        raise ValueError("rows is empty or has an empty row; each row must have one id or more.")
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=device)
    place = torch.arange(longest, device=device)
    return ids, place < torch.tensor(lengths, device=device)[:, None]
