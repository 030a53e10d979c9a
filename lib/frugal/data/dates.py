"""Written dates and ISO dates: a small translation task in many languages.

"Donnerstag, 27. Juni 2019" and "2019-06-27" say the same thing. From written to ISO there is one
right answer; from ISO to written there are as many as there are languages and styles, which is
what makes it a test for models that predict all characters at once.

The written forms are those of the CLDR, through Babel.
Chapters: the-vanilla-transformer, decoding-in-parallel.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch

from frugal.data.seeds import Seed, generator_of
from frugal.data.source import Source, check_split
from frugal.data.translation import TranslationBatch as DateBatch
from frugal.data.translation import batches, encode
from frugal.data.vocabulary import CharacterVocabulary

SOURCE = Source(
    name="dates",
    loader="frugal.data.dates.pairs",
    content="written dates and ISO dates; any language and style of the CLDR",
    licence="Unicode-3.0 (CLDR); Babel itself BSD-3-Clause",
    origin="Babel, from PyPI",
    split="by day: 80 / 10 / 10 %, the same for every language and style",
    if_missing="pip install babel, or pip install 'frugal-attention[data]' for all of them",
    module="babel",
)

LANGUAGES = ("en", "en-GB", "de", "fr", "es", "it", "nl", "pt")
STYLES = ("full", "long", "medium")
YEARS = (1950, 2049)
"""A hundred years, so that a year of two digits names one year."""


class DatePair(NamedTuple):
    """One example: `source` is to be turned into `target`."""

    source: str
    target: str
    date: datetime.date
    language: str
    style: str


def pairs(
    split: str = "train",
    *,
    languages: Sequence[str] = LANGUAGES,
    styles: Sequence[str] = STYLES,
    direction: str = "to_iso",
    tagged: bool = False,
    ambiguous: bool = False,
    years: tuple[int, int] = YEARS,
    n: int | None = None,
    seed: Seed = 0,
) -> list[DatePair]:
    """Pairs of a written date and its ISO form, in random order.

    A day belongs to one split whatever the language and style, so nothing leaks between splits.
    Each pair draws a language and a style with equal chance.

    split: "train", "valid" or "test". languages: CLDR locales such as "en", "en-GB", "de". styles:
    of "full" (Thursday, June 27, 2019), "long", "medium" and "short" (6/27/19). direction: "to_iso"
    makes the written form the source, "to_written" the target. tagged: begin the source with
    language and style ("de full 2019-06-27"), so that there is one right answer again in the
    direction "to_written". ambiguous: also give written forms that could mean another day in the
    same languages and styles: 6/7/19 is June in one place and July in another. years: first and
    last year. n: number of pairs; by default one for each day of the split. More than there are
    days goes through the days again, with other draws. seed: a seed or a torch generator.

    Raises ValueError: an argument is out of range, or every form is ambiguous. MissingSource: Babel
    is not installed.
    """
    if direction not in ("to_iso", "to_written"):
        raise ValueError(f"direction is {direction!r}; it must be 'to_iso' or 'to_written'.")
    forms = _check_forms(languages, styles)
    days = days_of(split, years=years)
    generator = generator_of(seed)
    n = len(days) if n is None else n
    if n < 1:
        raise ValueError(f"n is {n}; it must be 1 or more.")
    made: list[DatePair] = []
    while len(made) < n:
        before = len(made)
        order = torch.randperm(len(days), generator=generator).tolist()
        for i in order:
            draw = torch.randperm(len(forms), generator=generator).tolist()
            for language, style in (forms[j] for j in draw):
                text = write(days[i], language, style)
                if not ambiguous and len(meanings(text, days[i], forms, years)) > 1:
                    continue
                tag = f"{language} {style} " if tagged else ""
                iso = days[i].isoformat()
                source, target = (text, iso) if direction == "to_iso" else (iso, text)
                made.append(DatePair(tag + source, target, days[i], language, style))
                break
            if len(made) == n:
                break
        if len(made) == before:
            raise ValueError(
                "styles leaves no form with one meaning in these languages; it must have a style "
                "with the month's name, unless ambiguous=True."
            )
    return made


def vocabulary(
    *,
    languages: Sequence[str] = LANGUAGES,
    styles: Sequence[str] = STYLES,
    tagged: bool = False,
) -> CharacterVocabulary:
    """Every character that pairs in these languages and styles can hold."""
    forms = _check_forms(languages, styles)
    # 28 days of each month meet every name of a month and of a day of the week
    days = [datetime.date(2019, month, day) for month in range(1, 13) for day in range(1, 29)]
    written = [write(day, language, style) for day in days for language, style in forms]
    tags = [f"{language} {style} " for language, style in forms] if tagged else []
    return CharacterVocabulary(["0123456789-", *written, *tags])


def write(day: datetime.date, language: str, style: str) -> str:
    """The written form of `day`: `write(day, "fr", "long") == "27 juin 2019"`."""
    pattern, locale = _pattern(language, style)
    # CLDR sets some spaces as narrow or unbreakable; here a space is a space
    return " ".join(pattern.apply(day, locale).split())


def answers(
    day: datetime.date,
    *,
    languages: Sequence[str] = LANGUAGES,
    styles: Sequence[str] = STYLES,
) -> list[str]:
    """Every right written form of `day`, each once, sorted."""
    return sorted({write(day, *form) for form in _check_forms(languages, styles)})


def meanings(
    text: str,
    day: datetime.date,
    forms: Sequence[tuple[str, str]],
    years: tuple[int, int] = YEARS,
) -> set[datetime.date]:
    """The days that `text` can stand for when `day` is one of them.

    A month's name settles what is day, month and year. Without one, every order of the three
    numbers is tried in every form (language, style).
    """
    if any(character.isalpha() for character in text):
        return {day}
    found = {day}
    for year, month, number in itertools.permutations((day.year % 100, day.month, day.day)):
        for whole in range(years[0] + (year - years[0]) % 100, years[1] + 1, 100):
            try:
                other = datetime.date(whole, month, number)
            except ValueError:
                continue  # there is no such day
            if other not in found and any(write(other, *form) == text for form in forms):
                found.add(other)
    return found


@lru_cache
def days_of(split: str, *, years: tuple[int, int] = YEARS) -> tuple[datetime.date, ...]:
    """The days of a split, in order: 80 % train, 10 % valid, 10 % test by a hash of the day."""
    check_split(split)
    first, last = years
    if not 1 <= first <= last <= 9999:
        raise ValueError(f"years is {years}; it must be a first year up to the last, in 1..9999.")
    start = datetime.date(first, 1, 1).toordinal()
    end = datetime.date(last, 12, 31).toordinal()
    days = map(datetime.date.fromordinal, range(start, end + 1))
    return tuple(day for day in days if _split_of(day) == split)


def _split_of(day: datetime.date) -> str:
    tenth = hashlib.blake2b(day.isoformat().encode()).digest()[0] % 10
    return {8: "valid", 9: "test"}.get(tenth, "train")


def _check_forms(languages: Sequence[str], styles: Sequence[str]) -> list[tuple[str, str]]:
    for name, values in (("languages", languages), ("styles", styles)):
        if isinstance(values, str) or not values:
            raise ValueError(f"{name} is {values!r}; it must be a sequence of one or more.")
    forms = list(itertools.product(languages, styles))
    for language, style in forms:
        _pattern(language, style)
    return forms


@lru_cache
def _pattern(language: str, style: str):
    babel = SOURCE.load()
    from babel.dates import get_date_format

    if style not in ("full", "long", "medium", "short"):
        raise ValueError(f"style is {style!r}; it must be full, long, medium or short.")
    try:
        locale = babel.Locale.parse(language.replace("-", "_"))
    except (babel.UnknownLocaleError, ValueError) as error:
        raise ValueError(f"language is {language!r}; it must be one of the CLDR.") from error
    return get_date_format(style, locale=locale), locale


__all__ = [
    "LANGUAGES",
    "SOURCE",
    "STYLES",
    "YEARS",
    "DateBatch",
    "DatePair",
    "answers",
    "batches",
    "days_of",
    "encode",
    "meanings",
    "pairs",
    "vocabulary",
    "write",
]
