"""Sinkhorn normalisation and block sorting: against loops, in limits, and causal without leaks."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from frugal.attention.cache import KeyValueCache
from frugal.attention.recording import recording
from frugal.attention.sinkhorn import (
    BlockScores,
    SinkhornAttention,
    causal_sinkhorn,
    gumbel_noise,
    naive,
    sinkhorn,
)
from frugal.attention.softmax import MultiHeadAttention
from frugal.model import Decoder, Encoder, TransformerConfig
from frugal.training import train


def test_rows_and_columns_sum_to_one(generator):
    scores = 3 * torch.randn(2, 3, 6, 6, generator=generator, dtype=torch.float64)
    matrix = sinkhorn(scores, n_iterations=200)
    for axis in (-1, -2):
        torch.testing.assert_close(matrix.sum(axis), torch.ones(2, 3, 6, dtype=torch.float64))
    few = [(sinkhorn(scores, n_iterations=n).sum(-1) - 1).abs().max() for n in (1, 3, 9)]
    assert few[0] > few[1] > few[2] > 1e-6  # columns are last, so rows show what is missing


@pytest.mark.parametrize("n_iterations", [0, 1, 4])
def test_equals_dividing_by_sums(generator, n_iterations):
    scores = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    noise = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    expected = ((scores + noise) / 0.6).exp()
    if n_iterations == 0:
        expected = expected / expected.max()
    for _ in range(n_iterations):
        expected = expected / expected.sum(1, keepdim=True)
        expected = expected / expected.sum(0, keepdim=True)
    found = sinkhorn(scores, n_iterations=n_iterations, temperature=0.6, noise=noise)
    torch.testing.assert_close(found, expected)


def test_a_low_temperature_gives_the_best_permutation(generator):
    scores = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    best = max(
        itertools.permutations(range(5)), key=lambda p: sum(scores[i, p[i]] for i in range(5))
    )
    matrix = sinkhorn(scores, n_iterations=2000, temperature=0.02)
    torch.testing.assert_close(matrix, torch.eye(5).double()[list(best)], atol=1e-3, rtol=0)
    flat = sinkhorn(scores, temperature=1000.0)
    torch.testing.assert_close(flat, torch.full_like(flat, 0.2), atol=1e-2, rtol=0)


def test_does_not_overflow():
    scores = torch.tensor([[1000.0, -1000.0], [0.0, 500.0]], requires_grad=True)
    matrix = sinkhorn(scores, temperature=0.01)
    matrix.square().sum().backward()
    assert matrix.isfinite().all()
    assert scores.grad.isfinite().all()


def test_the_mask_takes_rows_and_columns_out(generator):
    scores = torch.randn(6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    some = torch.tensor([1, 1, 0, 1, 0, 1]).bool()
    matrix = sinkhorn(scores, n_iterations=30, mask=some[:, None] & some)
    kept = scores[some][:, some]
    torch.testing.assert_close(matrix[some][:, some], sinkhorn(kept, n_iterations=30))
    assert (matrix[~some] == 0).all()
    assert (matrix[:, ~some] == 0).all()
    assert torch.autograd.grad(matrix.square().sum(), scores)[0].isfinite().all()


def test_unbalanced_rows_are_a_masked_softmax(generator):
    scores = torch.randn(2, 5, 5, generator=generator)
    mask = torch.ones(5, 5, dtype=torch.bool).tril(-1)
    matrix = sinkhorn(scores, temperature=0.5, mask=mask, balanced=False)
    expected = (scores / 0.5).masked_fill(~mask, -torch.inf).softmax(-1)
    torch.testing.assert_close(matrix[:, 1:], expected[:, 1:])
    assert (matrix[:, 0] == 0).all()


def later_row_changed(scores, **options):
    """How far the last row's scores move the rows before it."""
    moved = scores.clone()
    moved[-1, :-1] += torch.arange(5.0).double()
    before, after = (causal_sinkhorn(x, **options) for x in (scores, moved))
    return (after - before)[:-1].abs().max().item()


def test_causal_balancing_of_columns_that_are_kept_leaks(generator):
    scores = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    matrix = causal_sinkhorn(scores, n_iterations=20)
    earlier = torch.ones(6, 6).tril(-1).bool()
    assert (matrix[~earlier] == 0).all()
    torch.testing.assert_close(matrix.sum(0)[:-1], torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(matrix, sinkhorn(scores, n_iterations=20, mask=earlier))
    assert later_row_changed(scores, n_iterations=1) > 1e-3


def test_the_transposed_mask_does_not_leak_and_balances_what_is_not_kept(generator):
    scores = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    matrix = causal_sinkhorn(scores, n_iterations=6, transposed=True)
    assert (matrix.triu() == 0).all()
    torch.testing.assert_close(matrix.sum(1)[1:], torch.ones(5, dtype=torch.float64))
    assert (matrix.sum(0)[:-1] - 1).abs().max() > 0.05
    assert later_row_changed(scores, n_iterations=6, transposed=True) == 0


def test_the_transposed_form_equals_dividing_by_sums(generator):
    scores = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    expected = (scores / 0.7).exp()
    for _ in range(3):
        for i in range(1, 5):
            expected[i] = expected[i] / expected[i, :i].sum()
        for j in range(1, 5):
            expected[:, j] = expected[:, j] / expected[:j, j].sum()
    found = causal_sinkhorn(scores, n_iterations=3, temperature=0.7, transposed=True)
    torch.testing.assert_close(found, expected.tril(-1))


@pytest.mark.parametrize(
    ("balance", "leaks"), [("rows", False), ("causal", True), ("causal, transposed", False)]
)
def test_which_balance_leaks_in_the_layer(generator, balance, leaks):
    attend = built(balance=balance)
    q, k, v = heads(generator)
    before = attend(q, k, v, causal=True)
    for x in (q, k, v):
        x[:, :, 16:] += 5  # the last of five blocks
    moved = (attend(q, k, v, causal=True) - before)[:, :, :16].abs().max()
    assert (moved > 1e-3) == leaks
    assert moved == 0 or leaks


def test_rows_alone_is_a_softmax_in_both_directions(generator):
    q, k, _ = heads(generator, length=32).unflatten(3, (-1, 4))
    order = built(balance="rows").sorting(q, k)
    torch.testing.assert_close(order.sum(-1), torch.ones(2, 2, 8))
    assert (order.sum(-2) - 1).abs().max() > 0.1


def test_gumbel_noise_has_its_mean_and_spread_and_generator():
    like = torch.empty(200_000)
    noise = gumbel_noise(like, generator=torch.Generator().manual_seed(0))
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.std().item() == pytest.approx(math.pi / math.sqrt(6), abs=0.01)
    again = gumbel_noise(like, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noise, again)
    assert gumbel_noise(like.bfloat16()).dtype == torch.bfloat16


def built(heads=2, head_dim=4, **options):
    options = {"block_size": 4, "max_blocks": 8, **options}
    torch.manual_seed(1)
    attend = SinkhornAttention(heads, head_dim, **options).eval()
    with torch.no_grad():
        for parameter in attend.parameters():  # clear preferences, and biases that matter
            parameter.copy_(2 * torch.randn(parameter.shape))
    return attend


def heads(generator, batch=2, n_heads=2, length=20, head_dim=4):
    shape = (3, batch, n_heads, length, head_dim)
    return torch.randn(shape, generator=generator)


@settings(deadline=None, max_examples=20)
@given(
    length=st.integers(1, 21),
    causal=st.booleans(),
    sort_cut=st.sampled_from([None, None, 1, 2]),
    padded=st.booleans(),
    seed=st.integers(0, 100),
)
def test_equals_the_definition(length, causal, sort_cut, padded, seed):
    generator = torch.Generator().manual_seed(seed)
    causal = causal and sort_cut is None
    blocks = math.ceil(length / 4)
    attend = built(sort_cut=None if sort_cut is None else min(sort_cut, blocks))
    q, k, v = heads(generator, length=length)
    real = torch.ones(2, length, dtype=torch.bool)
    padding = None
    if padded:
        padding = real = torch.rand(2, length, generator=generator) < 0.7
    cut = [
        nn.functional.pad(x, (0, 0, 0, 4 * blocks - length)).unflatten(2, (-1, 4)) for x in (q, k)
    ]
    places = nn.functional.pad(real, (0, 4 * blocks - length)).unflatten(1, (-1, 4))
    order = attend.sorting(*cut, causal=causal, real=places)
    expected = naive.sinkhorn_attention(
        *(q, k, v, order, real), block_size=4, sort_cut=attend.sort_cut, causal=causal
    )
    out = attend(q, k, v, causal=causal, padding=padding)
    torch.testing.assert_close(out, expected, atol=2e-5, rtol=1e-4)
    weights = attend.weights(q, k, causal=causal, padding=padding)
    torch.testing.assert_close(weights @ v, expected, atol=2e-5, rtol=1e-4)


def test_the_order_is_a_soft_permutation_and_depends_on_the_input(generator):
    attend = built(n_iterations=500)
    q, k, _ = heads(generator, length=32).unflatten(3, (-1, 4))
    order = attend.sorting(q, k)
    torch.testing.assert_close(order.sum(-1), torch.ones(2, 2, 8), atol=1e-2, rtol=0)
    torch.testing.assert_close(order.sum(-2), torch.ones(2, 2, 8), atol=1e-4, rtol=0)
    assert (order[0] - order[1]).abs().max() > 0.05


@pytest.mark.parametrize("changed", [3, 7, 9, 18])
def test_causal_never_looks_ahead(generator, changed):
    """Not in the keys, and not in the choice of blocks."""
    attend = built()
    q, k, v = heads(generator)
    before = attend(q, k, v, causal=True)
    for x in (q, k, v):
        x[:, :, changed:] += 5
    after = attend(q, k, v, causal=True)
    torch.testing.assert_close(after[:, :, :changed], before[:, :, :changed])
    assert not torch.allclose(after[:, :, changed:], before[:, :, changed:])


@pytest.mark.parametrize("sort_cut", [None, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_never_read(generator, sort_cut, causal):
    if causal and sort_cut:
        pytest.skip("SortCut is not causal")
    attend = built(sort_cut=sort_cut)
    q, k, v = heads(generator)
    padding = torch.arange(20) < torch.tensor([[20], [9]])
    before = attend(q, k, v, causal=causal, padding=padding)
    for x in (q, k, v):
        x[1, :, 9:] = 50.0
    after = attend(q, k, v, causal=causal, padding=padding)
    torch.testing.assert_close(after[1, :, :9], before[1, :, :9])
    assert after.isfinite().all()


@pytest.mark.parametrize("hidden", [1, 3, 4, 6])
def test_causal_padding_on_the_left_is_never_read(generator, hidden):
    """Not in the keys, and not in the choice of blocks."""
    attend = built()
    q, k, v = heads(generator)
    padding = torch.arange(20) >= torch.tensor([[0], [hidden]])
    before = attend(q, k, v, causal=True, padding=padding)
    for x in (q, k, v):
        x[1, :, :hidden] = 50.0
    after = attend(q, k, v, causal=True, padding=padding)
    assert torch.equal(after[0], before[0])
    torch.testing.assert_close(after[1, :, hidden:], before[1, :, hidden:])
    assert after.isfinite().all()


def test_causal_padding_on_the_right_changes_nothing(generator):
    attend = built()
    q, k, v = heads(generator)
    whole = attend(q, k, v, causal=True)
    padding = torch.arange(20) < torch.tensor([[20], [9]])
    padded = attend(q, k, v, causal=True, padding=padding)
    torch.testing.assert_close(padded[0], whole[0])
    torch.testing.assert_close(padded[1, :, :9], whole[1, :, :9])


def test_noise_is_for_training_only_and_follows_torchs_seed(generator):
    attend = built()
    q, k, v = heads(generator)
    assert torch.equal(attend(q, k, v), attend(q, k, v))
    attend.train()
    torch.manual_seed(3)
    first, second = attend(q, k, v), attend(q, k, v)
    torch.manual_seed(3)
    assert torch.equal(attend(q, k, v), first)
    assert not torch.equal(first, second)


def test_the_sorting_network_learns(generator):
    """Every block of four copies wants what stands in the mirrored block."""
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2, SinkhornAttention(2, 4, block_size=2, max_blocks=4))

    def loss(model, x):
        return (model(x) - x.unflatten(1, (4, 2)).flip(1).flatten(1, 2)).square().mean()

    x = torch.randn(64, 8, 8, generator=generator)
    x = x + torch.eye(8).repeat_interleave(1, 0) * 4  # places
    history = train(attention, lambda *_: x, loss, steps=150, lr=1e-2, progress=False)
    assert history.losses[-1] < 0.6 * history.losses[0]
    for parameter in attention.attend.parameters():
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("sort_cut", [None, 2])
def test_works_in_a_model_and_records_weights(generator, sort_cut):
    def make(index, config):
        return SinkhornAttention(2, 4, block_size=4, max_blocks=5, sort_cut=sort_cut)

    kind = Decoder if sort_cut is None else Encoder
    model = kind(TransformerConfig(11, d_model=8, n_heads=2, make_attend=make)).eval()
    ids = torch.randint(11, (2, 18), generator=generator)
    with recording(model) as recorder:
        model(ids)
    assert len(recorder.weights) == 2
    for weights in recorder.weights.values():
        assert weights.shape == (2, 2, 18, 18)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 18))


BAD = {
    "temperature is 0": lambda q: sinkhorn(q[0, 0, :4], temperature=0),
    "temperature is -1": lambda q: SinkhornAttention(
        2, 4, block_size=4, max_blocks=5, temperature=-1
    ),
    "temperature is nan": lambda q: sinkhorn(q[0, 0, :4], temperature=math.nan),
    "n_iterations is -1": lambda q: sinkhorn(q[0, 0, :4], n_iterations=-1),
    "noise has shape": lambda q: sinkhorn(q[0, 0, :4], noise=q[0]),
    "mask has dtype": lambda q: sinkhorn(q[0, 0, :4], mask=torch.ones(4, 4)),
    "block_size is 0": lambda q: SinkhornAttention(2, 4, block_size=0, max_blocks=5),
    "sort_cut is 0": lambda q: SinkhornAttention(2, 4, block_size=4, max_blocks=5, sort_cut=0),
    "balance is 'columns'": lambda q: SinkhornAttention(
        2, 4, block_size=4, max_blocks=5, balance="columns"
    ),
    "max_blocks is 0": lambda q: BlockScores(2, 4, 0),
    "the sequence has 5 blocks; it must have at most max_blocks, 2": lambda q: built(max_blocks=2)(
        q, q, q
    ),
    "sort_cut is 2 and causal": lambda q: built(sort_cut=2)(q, q, q, causal=True),
    "q has length 1 and k has 4": lambda q: MultiHeadAttention(8, 2, built())(
        torch.ones(1, 1, 8), cache=_filled()
    ),
    "padding has shape (2, 4)": lambda q: built()(
        q, q, q, padding=torch.ones(2, 4, dtype=torch.bool)
    ),
    "padding has shape (20,)": lambda q: built()(q, q, q, padding=torch.ones(20, dtype=torch.bool)),
    "q has 2 heads of head_dim 4; it must have 1 of 4": lambda q: built(1)(q, q, q),
    "q has 2 heads of head_dim 4; it must have 2 of 6": lambda q: built(head_dim=6)(q, q, q),
}


def _filled():
    cache = KeyValueCache(9)
    cache.append(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))
    return cache


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(generator, sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence](heads(generator)[0])
    assert sentence in str(caught.value)
