"""Nested lists: values by a second evaluator, structure, numbers, bad input."""

import pytest
import torch

from frugal.data import listops, nested_lists
from frugal.data.sequences import IGNORE


def test_values_are_those_of_listops_and_depths_are_as_likely():
    drawn = nested_lists.draw(400, depths=(1, 4), seed=3)
    assert all(one.value == listops.evaluate(one.text) for one in drawn)
    counts = torch.tensor([one.depth for one in drawn]).bincount(minlength=5)
    assert counts[0] == 0
    assert (counts[1:] > 60).all()
    assert drawn[:9] == nested_lists.draw(9, depths=(1, 4), seed=3)


def test_every_list_is_worth_what_its_text_is():
    for one in nested_lists.draw(50, depths=(1, 5)):
        words = nested_lists.read(one.text)
        assert (words[0].value, words[0].depth) == (one.value, one.depth)
        for word in words:
            inside = [other for other in words if other.inside == word.own]
            if not word.own:
                assert word == (word.text, 0, word.inside, int(word.text), 0)
                continue
            assert len(inside) == 2
            assert word.depth == 1 + max(other.depth for other in inside)
            value = listops.OPERATIONS[word.text]([other.value for other in inside])
            assert word.value == value


def test_an_example_as_ids():
    batch = nested_lists.encode(["[MAX 2 [MIN 8 7 ] ]", "[MIN 4 7 ]"])
    assert batch.words.tolist() == [[11, 2, 10, 8, 7], [10, 4, 7, 0, 0]]
    assert batch.own.tolist() == [[1, 0, 2, 0, 0], [1, 0, 0, 0, 0]]
    assert batch.inside.tolist() == [[0, 1, 1, 2, 2], [0, 1, 1, 0, 0]]
    assert batch.padding.sum(1).tolist() == [5, 3]
    assert batch.values.tolist() == [[7, IGNORE, 7, IGNORE, IGNORE], [4, *[IGNORE] * 4]]
    assert batch.depths.tolist() == [[2, 0, 1, 0, 0], [1, 0, 0, 0, 0]]


def test_new_numbers_keep_who_stands_in_what(generator):
    batch = nested_lists.encode(nested_lists.draw(30, depths=(3, 5)))
    other = nested_lists.renumbered(batch, generator)
    assert not torch.equal(batch.own, other.own)
    assert torch.equal(batch.own == 0, other.own == 0)
    for one in (batch, other):
        same = (one.own[:, :, None] == one.inside[:, None]) & (one.own[:, :, None] > 0)
        assert torch.equal(same.sum(-1), 2 * (batch.own > 0))
    assert other.own.max() == nested_lists.MOST


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[MAX 2 3 4 ]", "text has a list of 3 arguments"),
        ("[MAX 2 [MIN 1 2 ]", "text is no whole expression; it must be one"),
        ("", "text is no whole expression; it must be one"),
        ("[MED 2 3 ]", r"text has '\[MED' at a wrong place"),
        ("[MAX 2 3 ] 4", "text has '4' at a wrong place"),
        ("[MAX 2 3 ] [MAX 2 3 ]", r"text has '\[MAX' at a wrong place"),
        ("] 4", "text has ']' at a wrong place"),
        ("[MIN 1 " * 17 + "1 " + "] " * 17, "text has 17 lists"),
    ],
)
def test_what_is_no_such_expression_is_named(text, match):
    with pytest.raises(ValueError, match=rf"^{match}[^\n]*\.$"):
        nested_lists.read(text)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 1, "depths": (0, 2)}, "least_depth is 0"),
        ({"n": 1, "depths": (3, 2)}, "depths is"),
        ({"n": 1, "depths": (3, 17)}, "depths is"),
    ],
)
def test_bad_arguments_are_named(options, match):
    with pytest.raises(ValueError, match=rf"^{match}[^\n]*\.$"):
        nested_lists.draw(**options)
