import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frugal.data.vocabulary import CharacterVocabulary, WordVocabulary

letters = CharacterVocabulary("abcdefgh ")


@given(st.lists(st.text("abcdefgh "), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_decode_undoes_encode(texts, bos, eos):
    tokens, padding = letters.encode(texts, bos=bos, eos=eos)
    assert tokens.shape == padding.shape
    assert tokens.dtype == torch.int64
    assert letters.decode(tokens) == texts
    assert padding.sum(dim=1).tolist() == [len(t) + bos + eos for t in texts]
    assert torch.equal(padding, tokens != 0)
    assert (padding.int().diff(dim=1) <= 0).all()  # padding is on the right only


def test_the_special_ids_come_first():
    assert (letters.pad, letters.bos, letters.eos, letters.unknown) == (0, 1, 2, 3)
    tokens, _ = letters.encode(["ab", "?"], bos=True, eos=True)
    a, b = (letters.symbols.index(x) for x in "ab")
    assert tokens.tolist() == [[1, a, b, 2], [1, 3, 2, 0]]
    assert min(a, b) >= 4


def test_decoding_stops_at_the_end_and_shows_the_unknown():
    a = letters.symbols.index("a")
    assert letters.decode(torch.tensor([1, a, 3, 2, a, a])) == "a\N{REPLACEMENT CHARACTER}"


def test_the_same_symbols_give_the_same_ids():
    assert CharacterVocabulary("hgfedcba ") == letters
    assert CharacterVocabulary(["ab", "cdefgh", " "]) == letters
    assert CharacterVocabulary("ab") != letters


def test_a_fixed_length_pads_further():
    tokens, padding = letters.encode(["ab"], length=5)
    assert tokens.shape == (1, 5)
    assert padding.tolist() == [[True, True, False, False, False]]


def test_words():
    words = WordVocabulary(["[MAX 1 2 ]", "3"])
    tokens, padding = words.encode(["[MAX 3  ]", "2"])
    assert tokens.shape == (2, 3)
    assert padding.sum().item() == 4
    assert words.decode(tokens) == ["[MAX 3 ]", "2"]
    assert words != CharacterVocabulary(["[MAX 1 2 ]", "3"])


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: CharacterVocabulary(""), "symbols is empty"),
        (lambda: letters.encode("abc"), "texts is one string"),
        (lambda: letters.encode([]), "texts is empty"),
        (lambda: letters.encode(["abc"], length=2), "length is 2; one text takes 3"),
        (lambda: letters.decode(torch.tensor([99])), "the id 99"),
        (lambda: letters.decode(torch.tensor([-1])), "the id -1"),
        (lambda: letters.decode(torch.zeros(1, 1, 1).long()), "tokens has 3 dimensions"),
    ],
)
def test_bad_arguments_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
