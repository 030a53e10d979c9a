"""Byte-pair encoding: frequent stretches of bytes become one token each, learned from a text.

The work is done by the `tokenizers` library, which is imported when it is first needed. The
alphabet is all 256 bytes, so that no text is unknown: what was never seen falls apart into bytes.
Text is cut into words, with the space before them, before anything is merged.

Sources: sennrich2016bpe; bytes as the alphabet: radford2019gpt2, section 2.2. Chapter: bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from frugal.tokens.bytes import pad_rows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("<pad>", "</s>", "<unk>")
PAD, EOS, UNKNOWN = range(3)


class BytePairTokenizer:
    """Text to ids and back by merges that `train` has learned.

    Ids 0 to 2 pad, end and are unknown, as in `ByteTokenizer`; then come the 256 bytes and the
    merges, the most frequent first. `vocab_size` counts all of them.
    """

    pad, eos, unknown = PAD, EOS, UNKNOWN

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.vocab_size: int = tokenizer.get_vocab_size()

    @classmethod
    def train(cls, text: str, *, vocab_size: int) -> BytePairTokenizer:
        """Learn merges from `text` until there are `vocab_size` ids, or no pair occurs twice.

        Raises ValueError for empty text, for a vocabulary below the 259 ids that every text needs,
        and where `tokenizers` is not installed.
        """
        least = len(SPECIAL) + 256
        if not text:
            raise ValueError(
                "text is empty; it must have a character or more to learn merges from."
            )
        if vocab_size < least:
            raise ValueError(
                f"vocab_size is {vocab_size}; it must be {least} or more: special ids and bytes."
            )
        try:
            from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
        except ImportError as error:
            raise ValueError(
                "tokenizers is not installed; byte pairs need `pip install tokenizers`."
            ) from error

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=2,
            special_tokens=list(SPECIAL),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator([text], trainer)
        # Text that spells a special token is text: only `encode` writes an end.
        return cls(_without_added_tokens(tokenizer))

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """The pairs that are joined, first learned first, in the alphabet of `visible_bytes`."""
        pairs = json.loads(self.tokenizer.to_str())["model"]["merges"]
        return [tuple(pair) for pair in pairs]

    def encode(self, text: str, *, eos: bool = True) -> list[int]:
        """The ids of `text`, with the end id after them unless `eos` is False.

        Raises ValueError for a lone surrogate, and for empty text without the end id.
        """
        if not text and not eos:
            raise ValueError("text is empty; without the end id it must have a character or more.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"text has the lone surrogate U+{ord(text[error.start]):04X} at {error.start}; "
                "UTF-8 has no bytes for it."
            ) from None
        return self.tokenizer.encode(text).ids + [EOS] * eos

    def pieces(self, text: str) -> list[bytes]:
        """The bytes of each token of `text`; joined they are its UTF-8."""
        back = {shown: byte for byte, shown in enumerate(visible_bytes())}
        tokens = self.tokenizer.encode(text).tokens
        return [bytes(back[shown] for shown in token) for token in tokens]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` up to the first end id; bytes that are not UTF-8 become U+FFFD.

        Raises ValueError for an id outside the vocabulary.
        """
        kept = []
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"ids has {i}; each must lie in 0 ... {self.vocab_size - 1}.")
            if i == EOS:
                break
            if i >= len(SPECIAL):
                kept.append(i)
        return self.tokenizer.decode(kept)

    def batch(
        self, texts: Sequence[str], *, eos: bool = True, device: torch.device | str | None = None
    ) -> tuple[Int64[Tensor, "batch length"], Bool[Tensor, "batch length"]]:
        """Ids and padding (True = a real token) of several texts, padded on the right.

        Raises ValueError for one string instead of several, for none, and where `encode` does.
        """
        if isinstance(texts, str):
            raise ValueError("texts is one string; it must be a list of strings.")
        return pad_rows([self.encode(text, eos=eos) for text in texts], pad=PAD, device=device)


def visible_bytes() -> list[str]:
    """A printable character for each byte, in which tokens are written: a space is "Ġ".

    Bytes that print in Latin-1 stand for themselves; the others follow from U+0100 on, in order.
    """
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in prints else chr(next(others)) for byte in range(256)]


def _without_added_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """The same merges and ids, blind to the spelling of the special tokens."""
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = []
    return type(tokenizer).from_str(json.dumps(state))
