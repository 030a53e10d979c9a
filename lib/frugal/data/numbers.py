"""Whole numbers written out in words: a translation task whose targets are much longer.

"777" becomes "seven hundred seventy-seven", so a decoder that writes one character a step takes
ten times as many steps as its source has characters. Languages differ in order (German says the
ones before the tens) and in what they count with (French has no word for seventy).

Without a tag a number has as many right answers as there are languages, as dates do.
Chapter: decoding-in-parallel.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from frugal.data.seeds import Seed, generator_of
from frugal.data.source import GENERATED, Source, check_split
from frugal.data.translation import batches, encode
from frugal.data.vocabulary import CharacterVocabulary

SOURCE = Source(
    name="numbers",
    loader="frugal.data.numbers.pairs",
    content="whole numbers below a million, in words of six languages and dialects",
    split="80 % train, 10 % valid, 10 % test by a hash of the number",
    **GENERATED,
)

LARGEST = 999_999


class NumberPair(NamedTuple):
    """One example: `source` is to be turned into `target`."""

    source: str
    target: str
    number: int
    language: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ENGLISH = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_ENGLISH_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_GERMAN = _words(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
    "fünfzehn sechzehn siebzehn achtzehn neunzehn"
)
_GERMAN_TENS = _words("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_FRENCH = _words(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze "
    "seize dix-sept dix-huit dix-neuf"
)
_FRENCH_TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante"}
_BELGIAN_TENS = {**_FRENCH_TENS, 7: "septante", 9: "nonante"}
_DUTCH = _words(
    "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien "
    "zestien zeventien achttien negentien"
)
_DUTCH_TENS = _words("twintig dertig veertig vijftig zestig zeventig tachtig negentig")


def _english(number: int, *, joint: str) -> str:
    if number >= 1000:
        thousands, rest = divmod(number, 1000)
        # British: two thousand and five, but two thousand one hundred and five
        link = "" if not rest else (joint if rest < 100 else " ") + _english(rest, joint=joint)
        return f"{_english(thousands, joint=joint)} thousand{link}"
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        return f"{_ENGLISH[hundreds]} hundred" + (joint + _english(rest, joint=joint)) * (rest > 0)
    if number < 20:
        return _ENGLISH[number]
    tens, ones = divmod(number, 10)
    return _ENGLISH_TENS[tens - 2] + f"-{_ENGLISH[ones]}" * (ones > 0)


def _american(number: int) -> str:
    return _english(number, joint=" ")


def _british(number: int) -> str:
    return _english(number, joint=" and ")


def _german(number: int) -> str:
    """One word, the ones before the tens; "eins" stands only at the end, "ein" everywhere else."""
    thousands, rest = divmod(number, 1000)
    word = ""
    if thousands:
        word = _german(thousands).removesuffix("eins") + "ein" * (thousands % 100 == 1) + "tausend"
    hundreds, rest = divmod(rest, 100)
    if hundreds:
        word += _GERMAN[hundreds].removesuffix("s" * (hundreds == 1)) + "hundert"
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        before = _GERMAN[ones].removesuffix("s" * (ones == 1)) + "und" if ones else ""
        return word + before + _GERMAN_TENS[tens - 2]
    return word + _GERMAN[rest] if rest or not number else word


def _dutch(number: int) -> str:
    """The ones before the tens, "ën" after a vowel; a space after "duizend", and no word for 1
    before "honderd" and "duizend"."""
    thousands, rest = divmod(number, 1000)
    parts = []
    if thousands:
        parts.append(("" if thousands == 1 else _dutch(thousands)) + "duizend")
    if rest or not number:
        hundreds, rest = divmod(rest, 100)
        word = ("" if hundreds == 1 else _DUTCH[hundreds]) + "honderd" if hundreds else ""
        if rest >= 20:
            tens, ones = divmod(rest, 10)
            link = "ën" if _DUTCH[ones].endswith("e") else "en"
            word += (_DUTCH[ones] + link if ones else "") + _DUTCH_TENS[tens - 2]
        elif rest or not number:
            word += _DUTCH[rest]
        parts.append(word)
    return " ".join(parts)


def _french_below_hundred(number: int, tens_words: dict[int, str]) -> str:
    if number < 20:
        return _FRENCH[number]
    tens, ones = divmod(number, 10)
    if tens in tens_words:
        word = tens_words[tens]
        return word if not ones else f"{word} et un" if ones == 1 else f"{word}-{_FRENCH[ones]}"
    if tens == 7:
        return "soixante et onze" if ones == 1 else f"soixante-{_FRENCH[10 + ones]}"
    rest = number - 80
    return f"quatre-vingt-{_FRENCH[rest]}" if rest else "quatre-vingts"


def _french(number: int, tens_words: dict[int, str] = _FRENCH_TENS) -> str:
    """ "cents" and "quatre-vingts" lose their s before another number word, mille among them."""
    thousands, rest = divmod(number, 1000)
    parts = []
    if thousands:
        count = "" if thousands == 1 else _french(thousands, tens_words)
        for plural in ("cents", "quatre-vingts"):
            if count.endswith(plural):
                count = count.removesuffix("s")
        parts += [count, "mille"] if count else ["mille"]
    if rest or not number:
        hundreds, rest = divmod(rest, 100)
        if hundreds:
            plural = "s" if hundreds > 1 and not rest else ""
            parts += [_FRENCH[hundreds]] * (hundreds > 1) + [f"cent{plural}"]
        if rest or not number:
            parts.append(_french_below_hundred(rest, tens_words))
    return " ".join(parts)


def _belgian(number: int) -> str:
    return _french(number, _BELGIAN_TENS)


_SPELLED: dict[str, Callable[[int], str]] = {
    "en": _american,
    "en-GB": _british,
    "de": _german,
    "nl": _dutch,
    "fr": _french,
    "fr-BE": _belgian,
}
LANGUAGES = tuple(_SPELLED)
"""English with and without "and", German, Dutch, French with and without "septante"."""


def write(number: int, language: str) -> str:
    """The number in words: `write(21, "de") == "einundzwanzig"`."""
    if not 0 <= number <= LARGEST:
        raise ValueError(f"number is {number}; it must lie in 0..{LARGEST}.")
    if language not in _SPELLED:
        raise ValueError(f"language is {language!r}; it must be one of {', '.join(LANGUAGES)}.")
    return _SPELLED[language](number)


def answers(number: int, *, languages: Sequence[str] = LANGUAGES) -> list[str]:
    """Every right way to write `number`, each once, sorted."""
    return sorted({write(number, language) for language in languages})


def pairs(
    split: str = "train",
    *,
    languages: Sequence[str] = LANGUAGES,
    tagged: bool = False,
    largest: int = LARGEST,
    n: int = 10_000,
    seed: Seed = 0,
) -> list[NumberPair]:
    """Pairs of digits and words; numbers of every count of digits are equally likely.

    split: "train", "valid" or "test"; a number belongs to one of them. languages: of
    `LANGUAGES`, drawn with equal chance. tagged: begin the source with the language ("de
    21"), so that one answer is right. largest: the largest number. n: number of pairs; a number may
    come more than once. seed: a seed or a torch generator.
    """
    check_split(split)
    if isinstance(languages, str) or not languages:
        raise ValueError(f"languages is {languages!r}; it must be a sequence of one or more.")
    if not 99 <= largest <= LARGEST:
        raise ValueError(f"largest is {largest}; it must lie in 99..{LARGEST}.")
    if n < 1:
        raise ValueError(f"n is {n}; it must be 1 or more.")
    made: list[NumberPair] = []
    seed_of_draws = torch.randint(2**62, (1,), generator=generator_of(seed)).item()
    draw = random.Random(seed_of_draws)
    while len(made) < n:
        digits = draw.randint(1, len(str(largest)))
        number = draw.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)
        if number > largest or _split_of(number) != split:
            continue
        language = draw.choice(languages)
        tag = f"{language} " if tagged else ""
        made.append(NumberPair(f"{tag}{number}", write(number, language), number, language))
    return made


def vocabulary(
    *, languages: Sequence[str] = LANGUAGES, tagged: bool = False
) -> CharacterVocabulary:
    """Every character that pairs in these languages can hold."""
    written = [write(number, language) for number in range(2001) for language in languages]
    return CharacterVocabulary(["0123456789", *written, *((*languages, " ") if tagged else ())])


def _split_of(number: int) -> str:
    tenth = hashlib.blake2b(str(number).encode()).digest()[0] % 10
    return {8: "valid", 9: "test"}.get(tenth, "train")


__all__ = [
    "LANGUAGES",
    "LARGEST",
    "SOURCE",
    "NumberPair",
    "answers",
    "batches",
    "encode",
    "pairs",
    "vocabulary",
    "write",
]
