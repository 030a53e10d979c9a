"""From strings to padded tensors and back, by characters or by words.

Chapters: every one that trains.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

PAD, BOS, EOS, UNKNOWN = range(4)
"""The ids every vocabulary starts with: padding, begin, end, a symbol it does not know."""


class CharacterVocabulary:
    """One id a character, after the four special ids.

    symbols: the characters to know, in any order and as often as you like: one string, or several.
    They are sorted, so that the same set gives the same ids.
    """

    pad, bos, eos, unknown = PAD, BOS, EOS, UNKNOWN
    _special = ("<pad>", "<bos>", "<eos>", "<unknown>")
    _joint = ""

    def __init__(self, symbols: Iterable[str]) -> None:
        texts = [symbols] if isinstance(symbols, str) else symbols
        known = sorted({symbol for text in texts for symbol in self.split(text)})
        if not known:
            raise ValueError("symbols is empty; a vocabulary needs at least one symbol.")
        self.symbols: tuple[str, ...] = (*self._special, *known)
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.symbols == self.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} symbols)"

    def split(self, text: str) -> Sequence[str]:
        """The symbols of `text`, in order: its characters."""
        return text

    def ids(self, text: str, *, bos: bool = False, eos: bool = False) -> list[int]:
        """The ids of one text; a symbol that is not known becomes `unknown`."""
        ids = [self._ids.get(symbol, UNKNOWN) for symbol in self.split(text)]
        return [BOS] * bos + ids + [EOS] * eos

    def encode(
        self,
        texts: Sequence[str],
        *,
        bos: bool = False,
        eos: bool = False,
        length: int | None = None,
        device: torch.device | str | None = None,
    ) -> tuple[Int64[Tensor, "batch length"], Bool[Tensor, "batch length"]]:
        """Ids and padding mask (True = a real token) of a batch, padded on the right.

        texts: the batch; one string alone is refused, since it would be read as many. bos, eos: put
        a begin or end id around each text. length: pad to this length instead of to the longest
        text.

        Raises ValueError: `texts` is a string or empty, or one of them is longer than `length`.
        """
        if isinstance(texts, str):
            raise ValueError("texts is one string; it must be a list of strings.")
        if not texts:
            raise ValueError("texts is empty; a batch needs at least one text.")
        rows = [self.ids(text, bos=bos, eos=eos) for text in texts]
        longest = max(map(len, rows))
        if length is not None and longest > length:
            raise ValueError(f"length is {length}; one text takes {longest} ids.")
        width = longest if length is None else length
        tokens = torch.tensor([row + [PAD] * (width - len(row)) for row in rows], device=device)
        tokens = tokens.to(torch.int64).reshape(len(rows), width)  # also when all are empty
        return tokens, tokens != PAD

    def decode(self, tokens: Int64[Tensor, "*batch length"]) -> str | list[str]:
        """The text of one row of ids, or a list with the text of each row of a batch.

        A text ends before the first `eos`; `pad` and `bos` leave nothing behind, and an
        unknown symbol leaves "\N{REPLACEMENT CHARACTER}".

        Raises ValueError: an id lies outside the vocabulary, or there are more than two dimensions.
        """
        if tokens.ndim == 2:
            return [self._text(row) for row in tokens.tolist()]
        if tokens.ndim != 1:
            raise ValueError(f"tokens has {tokens.ndim} dimensions; it must have one or two.")
        return self._text(tokens.tolist())

    def _text(self, ids: list[int]) -> str:
        symbols, n = [], len(self)
        for i in ids:
            if not 0 <= i < n:
                raise ValueError(f"tokens has the id {i}; the vocabulary has {n} ids.")
            if i == EOS:
                break
            if i == UNKNOWN:
                symbols.append("\N{REPLACEMENT CHARACTER}")
            elif i not in (PAD, BOS):
                symbols.append(self.symbols[i])
        return self._joint.join(symbols)


class WordVocabulary(CharacterVocabulary):
    """One id a word; words are what white space separates."""

    _joint = " "

    def split(self, text: str) -> Sequence[str]:
        """The symbols of `text`, in order: what white space separates."""
        return text.split()
