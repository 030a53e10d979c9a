"""Numbers in words: against lists written by hand, and rules that every language keeps."""

import pytest
import torch

from frugal.data import numbers, sources


@pytest.mark.parametrize(
    ("language", "number", "written"),
    [
        ("en", 0, "zero"),
        ("en", 13, "thirteen"),
        ("en", 40, "forty"),
        ("en", 777, "seven hundred seventy-seven"),
        ("en", 2005, "two thousand five"),
        ("en", 340_912, "three hundred forty thousand nine hundred twelve"),
        ("en-GB", 777, "seven hundred and seventy-seven"),
        ("en-GB", 2005, "two thousand and five"),
        ("en-GB", 2105, "two thousand one hundred and five"),
        ("en-GB", 300_000, "three hundred thousand"),
        ("de", 1, "eins"),
        ("de", 21, "einundzwanzig"),
        ("de", 101, "einhunderteins"),
        ("de", 1001, "eintausendeins"),
        ("de", 31_000, "einunddreißigtausend"),
        ("de", 101_731, "einhunderteintausendsiebenhunderteinunddreißig"),
        ("nl", 22, "tweeëntwintig"),
        ("nl", 100, "honderd"),
        ("nl", 1023, "duizend drieëntwintig"),
        ("nl", 45_681, "vijfenveertigduizend zeshonderdeenentachtig"),
        ("fr", 21, "vingt et un"),
        ("fr", 71, "soixante et onze"),
        ("fr", 80, "quatre-vingts"),
        ("fr", 81, "quatre-vingt-un"),
        ("fr", 97, "quatre-vingt-dix-sept"),
        ("fr", 200, "deux cents"),
        ("fr", 201, "deux cent un"),
        ("fr", 1000, "mille"),
        ("fr", 80_000, "quatre-vingt mille"),
        ("fr", 200_300, "deux cent mille trois cents"),
        ("fr-BE", 71, "septante et un"),
        ("fr-BE", 80, "quatre-vingts"),
        ("fr-BE", 99, "nonante-neuf"),
    ],
)
def test_written_forms(language, number, written):
    assert numbers.write(number, language) == written


@pytest.mark.parametrize("language", numbers.LANGUAGES)
def test_no_two_numbers_are_written_alike(language):
    some = [*range(3000), *range(3000, 1_000_000, 997)]
    texts = [numbers.write(number, language) for number in some]
    assert len(set(texts)) == len(texts)
    assert all(text == " ".join(text.split()) for text in texts)


def test_answers_are_all_the_written_forms():
    assert numbers.answers(70, languages=("fr", "fr-BE", "en", "en-GB")) == [
        "septante",
        "seventy",
        "soixante-dix",
    ]


def test_pairs_keep_their_split_and_their_seed():
    parts = {split: numbers.pairs(split, n=500, seed=1) for split in ("train", "valid", "test")}
    seen = {split: {pair.number for pair in part} for split, part in parts.items()}
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["valid"]
    assert parts["train"] == numbers.pairs(n=500, seed=torch.Generator().manual_seed(1))
    assert parts["train"] != numbers.pairs(n=500, seed=2)
    for pair in parts["train"]:
        assert pair.target == numbers.write(int(pair.source), pair.language)
    assert {pair.language for pair in parts["train"]} == set(numbers.LANGUAGES)


def test_a_tag_makes_the_answer_unique():
    for pair in numbers.pairs("test", n=50, tagged=True, largest=9999):
        language, number = pair.source.split(" ")
        assert pair.target == numbers.write(int(number), language)
        assert pair.number <= 9999


def test_the_vocabulary_knows_every_character_and_batches_are_padded():
    vocabulary = numbers.vocabulary(tagged=True)
    drawn = numbers.pairs(n=2000, tagged=True)
    known = set(vocabulary.symbols)
    assert all(set(pair.source) | set(pair.target) <= known for pair in drawn)
    batch = numbers.batches(drawn, vocabulary, 4)(0, torch.Generator().manual_seed(0))
    texts = zip(vocabulary.decode(batch.source), vocabulary.decode(batch.target_out), strict=True)
    assert set(texts) <= {(pair.source, pair.target) for pair in drawn}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"split": "dev"}, "split is 'dev'"),
        ({"languages": "en"}, "languages is 'en'"),
        ({"languages": ("it",)}, "language is 'it'"),
        ({"largest": 10}, "largest is 10"),
        ({"n": 0}, "n is 0"),
    ],
)
def test_bad_arguments_are_named(options, named):
    with pytest.raises(ValueError, match=named):
        numbers.pairs(**options)


def test_a_number_out_of_reach_is_named():
    with pytest.raises(ValueError, match="number is 1000000"):
        numbers.write(1_000_000, "en")
    assert "numbers" in sources().index
