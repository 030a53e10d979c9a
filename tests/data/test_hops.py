import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frugal.data import hops, sources


@given(st.integers(2, 12), st.integers(1, 11), st.integers(0, 99))
def test_targets_follow_the_arrows_round_one_ring(n_letters, n_hops, seed):
    n_hops = min(n_hops, n_letters - 1)
    tokens, targets = hops.draw(3, n_letters=n_letters, n_hops=n_hops, seed=seed)
    assert tokens.shape == (3, n_letters)
    assert targets.shape == (3, n_letters, n_hops)
    for row, wanted in zip(tokens.tolist(), targets.tolist(), strict=True):
        after = dict(divmod(token, n_letters) for token in row)
        assert sorted(after) == sorted(after.values()) == list(range(n_letters))
        for token, reached in zip(row, wanted, strict=True):
            letter = token // n_letters
            on_the_way = []
            for _ in range(n_letters):
                letter = after[letter]
                on_the_way.append(letter)
            assert reached == on_the_way[:n_hops]
            assert len(set(on_the_way)) == n_letters  # one ring of all


def test_the_seed_decides_and_nothing_else():
    torch.manual_seed(0)
    first = hops.draw(4, seed=1)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    again = hops.draw(4, seed=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.tokens, hops.draw(4, seed=2).tokens)
    assert hops.draw(1, device="meta").targets.device.type == "meta"


def test_rings_and_orders_are_even():
    tokens, targets = hops.draw(6000, n_letters=4, n_hops=3, seed=0)
    firsts = torch.bincount(tokens[:, 0], minlength=16).double() / 6000
    pairs = firsts.view(4, 4)
    assert pairs.diagonal().max() == 0
    assert (pairs[~torch.eye(4, dtype=torch.bool)] - 1 / 12).abs().max() < 0.015
    for hop in range(3):
        assert (torch.bincount(targets[:, 0, hop]) / 6000 - 1 / 4).abs().max() < 0.03


def test_text():
    assert hops.text_of(torch.tensor([25, 2, 51, 10])) == "c>f a>c f>b b>a"
    assert hops.text_of(torch.tensor([1, 2]), n_letters=2) == "a>b b>a"


def test_it_has_a_card():
    assert "hops" in sources().index


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_hops": 10}, "n_hops 10; .* fewer than letters"),
        ({"n_letters": 27}, "there are 26 letters"),
        ({"n_letters": 1}, "n_letters is 1"),
        ({"n_hops": 0}, "n_hops is 0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        hops.draw(1, **options)
