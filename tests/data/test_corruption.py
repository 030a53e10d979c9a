"""Span corruption: what is hidden, and that nothing is lost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frugal.data.corruption import corrupt, restore

SENTINELS = list(range(100, 164))


@given(
    ids=st.lists(st.integers(0, 99), min_size=2, max_size=80),
    seed=st.integers(0, 1000),
    share=st.floats(0.05, 0.9),
    mean_span=st.floats(1, 6),
)
def test_source_and_target_give_the_text_back(ids, seed, share, mean_span):
    generator = torch.Generator().manual_seed(seed)
    found = corrupt(ids, SENTINELS, generator, share=share, mean_span=mean_span)
    assert restore(*found, SENTINELS) == ids
    marks = [token for token in found.source if token in SENTINELS]
    assert marks == [token for token in found.target if token in SENTINELS]
    assert marks == SENTINELS[: len(marks)]
    assert len(found.source) + len(found.target) == len(ids) + 2 * len(marks)


def test_fifteen_percent_in_spans_of_three():
    generator = torch.Generator().manual_seed(0)
    source, target = corrupt(range(64), SENTINELS, generator)
    spans = sum(token in SENTINELS for token in target)
    assert (len(source), len(target), spans) == (64 - 10 + 3, 10 + 3, 3)
    hidden = torch.zeros(64)
    for _ in range(2000):
        source, _ = corrupt(range(64), SENTINELS, generator)
        hidden += torch.tensor([token not in source for token in range(64)])
    share = hidden / 2000
    assert share.mean() == pytest.approx(10 / 64)
    assert share[0] == 0  # a text begins with what is kept, and so spans never touch
    assert share[8:56].min() > 0.08


def test_two_seeds_hide_other_tokens():
    one, other = (corrupt(range(64), SENTINELS, torch.Generator().manual_seed(s)) for s in (0, 1))
    assert one != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": [1]}, "length is 1; it must be a whole number, 2 or more"),
        ({"share": 1.0}, "share is 1.0 and mean_span"),
        ({"mean_span": 0.5}, "mean_span must be 1 or more"),
        ({"sentinels": [100]}, "sentinels has 1; 3 spans need one each"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    generator = torch.Generator().manual_seed(0)
    given = {"ids": range(64), "sentinels": SENTINELS} | arguments
    with pytest.raises(ValueError, match=message):
        corrupt(given.pop("ids"), given.pop("sentinels"), generator, **given)
