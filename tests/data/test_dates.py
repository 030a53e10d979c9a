import datetime
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.data import dates
from frugal.data.source import MissingSource

DAY = datetime.date(2019, 6, 27)


@pytest.mark.parametrize(
    ("language", "style", "written"),
    [
        ("en", "full", "Thursday, June 27, 2019"),
        ("en-GB", "long", "27 June 2019"),
        ("de", "full", "Donnerstag, 27. Juni 2019"),
        ("fr", "long", "27 juin 2019"),
        ("es", "long", "27 de junio de 2019"),
        ("en", "short", "6/27/19"),
        ("ru", "long", "27 июня 2019 г."),
    ],
)
def test_written_forms(language, style, written):
    assert dates.write(DAY, language, style) == written


def test_pairs_say_the_same_day_both_ways():
    to_iso = dates.pairs("valid", n=200)
    to_written = dates.pairs("valid", n=200, direction="to_written")
    for pair, back in zip(to_iso, to_written, strict=True):
        assert pair.target == pair.date.isoformat()
        assert pair.source == dates.write(pair.date, pair.language, pair.style)
        assert (pair.source, pair.target) == (back.target, back.source)
    assert {p.language for p in to_iso} == set(dates.LANGUAGES)
    assert {p.style for p in to_iso} == set(dates.STYLES)


def test_the_splits_share_no_day_and_cover_all():
    parts = {split: dates.days_of(split) for split in ("train", "valid", "test")}
    assert sum(map(len, parts.values())) == 36525
    assert len(set().union(*parts.values())) == 36525
    assert 0.78 < len(parts["train"]) / 36525 < 0.82
    assert 0.09 < len(parts["valid"]) / 36525 < 0.11
    # other years and languages leave a day in its split
    assert set(dates.days_of("test", years=(2000, 2009))) <= set(parts["test"])
    for split, days in parts.items():
        drawn = dates.pairs(split, languages=["it"], n=50, seed=3)
        assert {pair.date for pair in drawn} <= set(days)


def test_by_default_one_pair_for_each_day():
    drawn = dates.pairs("test", years=(2000, 2001))
    days = [pair.date for pair in drawn]
    assert sorted(days) == list(dates.days_of("test", years=(2000, 2001)))
    assert days != sorted(days)
    more = dates.pairs("test", years=(2000, 2001), n=2 * len(days))
    assert sorted(p.date for p in more) == sorted(days * 2)


def test_the_seed_decides():
    assert dates.pairs(n=50, seed=1) == dates.pairs(n=50, seed=1)
    assert dates.pairs(n=50, seed=1) == dates.pairs(n=50, seed=torch.Generator().manual_seed(1))
    assert dates.pairs(n=50, seed=1) != dates.pairs(n=50, seed=2)


def test_no_pair_has_two_meanings_unless_asked():
    options = {"languages": ("en", "es", "en-GB"), "styles": ("long", "short")}
    options["years"] = years = (2000, 2019)
    meaning = {}
    forms = [(language, style) for language in options["languages"] for style in options["styles"]]
    for split in ("train", "valid", "test"):
        for day in dates.days_of(split, years=years):
            for form in forms:
                meaning.setdefault(dates.write(day, *form), set()).add(day)
    clear = dates.pairs("valid", n=1500, **options)
    assert all(meaning[pair.source] == {pair.date} for pair in clear)
    assert any(pair.style == "short" for pair in clear)  # 6/27/19 has one meaning
    mixed = dates.pairs("valid", n=1500, ambiguous=True, **options)
    assert any(len(meaning[pair.source]) > 1 for pair in mixed)
    for pair in mixed:
        assert dates.meanings(pair.source, pair.date, forms, years) == meaning[pair.source]


def test_two_digits_of_a_year_are_ambiguous_over_two_centuries():
    forms = [("de", "short")]
    text = dates.write(DAY, "de", "short")
    assert dates.meanings(text, DAY, forms, (1950, 2049)) == {DAY}
    assert dates.meanings(text, DAY, forms, (1900, 2049)) == {DAY, DAY.replace(year=1919)}


@given(st.dates(datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)))
@settings(max_examples=50, deadline=None)
def test_answers_are_all_the_written_forms(day):
    right = dates.answers(day, languages=("en", "fr"), styles=("long", "full"))
    assert len(right) == 4
    assert dates.write(day, "fr", "full") in right
    assert right == sorted(set(right))


def test_a_tag_makes_the_answer_unique():
    drawn = dates.pairs("test", n=100, direction="to_written", tagged=True)
    for pair in drawn:
        language, style, iso = pair.source.split(" ")
        day = datetime.date.fromisoformat(iso)
        assert pair.target == dates.write(day, language, style)


def test_the_vocabulary_knows_every_character():
    options = {"languages": ("de", "fr", "cs", "ru"), "styles": ("full", "medium", "short")}
    vocabulary = dates.vocabulary(**options, tagged=True)
    drawn = dates.pairs(n=3000, tagged=True, **options)
    known = set(vocabulary.symbols)
    assert all(set(pair.source) | set(pair.target) <= known for pair in drawn)


def test_a_batch_is_shifted_by_one_and_trimmed():
    drawn = dates.pairs("valid", n=40, direction="to_written")
    vocabulary = dates.vocabulary()
    make = dates.batches(drawn, vocabulary, 8)
    batch = make(0, torch.Generator().manual_seed(0))
    again = make(0, torch.Generator().manual_seed(0))
    assert torch.equal(batch.source, again.source)
    assert (batch.target_in[:, 0] == vocabulary.bos).all()
    for row in range(8):
        n = batch.target_padding[row].sum()
        assert torch.equal(batch.target_in[row, 1:n], batch.target_out[row, : n - 1])
        assert batch.target_out[row, n - 1] == vocabulary.eos
        assert (batch.target_out[row, n:] == vocabulary.pad).all()
    texts = zip(vocabulary.decode(batch.source), vocabulary.decode(batch.target_out), strict=True)
    assert set(texts) <= {(pair.source, pair.target) for pair in drawn}
    assert batch.target_padding.any(dim=0).all()  # no column is all padding
    assert torch.equal(batch.source_padding, batch.source != vocabulary.pad)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"split": "dev"}, "split is 'dev'"),
        ({"languages": "en"}, "languages is 'en'"),
        ({"languages": ()}, r"languages is \(\)"),
        ({"languages": ("xx",)}, "language is 'xx'"),
        ({"styles": ("tiny",)}, "style is 'tiny'"),
        ({"direction": "back"}, "direction is 'back'"),
        ({"years": (2001, 2000)}, r"years is \(2001, 2000\)"),
        ({"n": 0}, "n is 0"),
    ],
)
def test_bad_arguments_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        dates.pairs(**options)


def test_a_form_that_is_never_clear_is_refused(monkeypatch):
    few = dates.days_of("train")[:20]
    monkeypatch.setattr(dates, "days_of", lambda split, years: few)
    with pytest.raises(ValueError, match="styles leaves no form with one meaning"):
        dates.pairs(languages=["de"], styles=["short"], years=(1900, 2099), n=5)


def test_without_babel_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    dates._pattern.cache_clear()
    with pytest.raises(MissingSource, match=r"'dates' needs babel.*pip install babel"):
        dates.pairs(n=1)
