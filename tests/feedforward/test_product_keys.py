"""The memory against all n² pairs, its gradients, and the future that it must not see."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.feedforward.product_keys import ProductKeyMemory, best_pairs
from frugal.measure import peak_bytes

WIDTH = 8


def memory(n_keys=6, *, seed=0, **options):
    torch.manual_seed(seed)
    return ProductKeyMemory(WIDTH, n_keys, **{"heads": 2, "k": 4} | options).double()


def tokens(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_all_pairs(layer, x):
    """The definition: the scores of all n² values, the k best of them, softmax, their sum."""
    q = layer.to_query(x).unflatten(-1, (layer.heads, 2, -1))
    out = torch.zeros_like(x)
    for h in range(layer.heads):
        first, second = (q[:, h, s] @ layer.keys[h, s].T for s in (0, 1))
        scores = (first[:, :, None] + second[:, None, :]).flatten(1)
        best, numbers = scores.topk(layer.k)
        out = out + (best.softmax(-1)[..., None] * layer.values[numbers]).sum(1)
    return out if layer.gate is None else layer.to_out(out * F.silu(layer.gate(x)))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(("n_keys", "k"), [(6, 4), (5, 5), (12, 1), (40, 32)])
def test_it_reads_the_best_of_all_pairs(n_keys, k, gated):
    layer, x = memory(n_keys, k=k, gated=gated), tokens(7, WIDTH)
    torch.testing.assert_close(layer(x), by_all_pairs(layer, x))
    torch.testing.assert_close(layer(x[None, :, None]), layer(x)[None, :, None])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.data())
def test_the_pairs_that_are_left_out_are_never_among_the_best(n, data):
    k = data.draw(st.integers(1, n))
    numbers = st.lists(st.integers(-5, 5), min_size=n, max_size=n)
    first, second = (torch.tensor(data.draw(numbers), dtype=torch.float64) for _ in range(2))
    sums, places = best_pairs(first, second, k)
    all_sums = (first[:, None] + second[None, :]).flatten()
    assert torch.equal(sums, all_sums.topk(k).values)
    assert torch.equal(all_sums[places], sums)
    assert len(set(places.tolist())) == k


def test_gradients():
    layer, x = memory(4, k=3, gated=True), tokens(3, WIDTH).requires_grad_()
    weight = tokens(3, WIDTH, seed=1)
    given = [x, *layer.parameters()]
    fast = torch.autograd.grad((layer(x) * weight).sum(), given)
    slow = torch.autograd.grad((by_all_pairs(layer, x) * weight).sum(), given)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other)


def test_the_future_and_the_neighbours_change_nothing():
    """A public router of this kind mixes tokens when it reshapes, and so reads the future."""
    layer, x = memory(), tokens(2, 9, WIDTH)
    later = torch.cat([x[:, :5], tokens(2, 4, WIDTH, seed=1)], dim=1)
    torch.testing.assert_close(layer(x)[:, :5], layer(later)[:, :5], rtol=0, atol=0)
    other = torch.cat([tokens(1, 9, WIDTH, seed=2), x[1:]])
    torch.testing.assert_close(layer(x)[1], layer(other)[1], rtol=0, atol=0)
    torch.testing.assert_close(layer(x)[0, 3], layer(x[0, 3]))


def test_each_update_touches_the_values_that_were_read():
    layer, x = memory(20, k=3), tokens(5, WIDTH)
    layer(x).sum().backward()
    touched = (layer.values.grad != 0).any(1).nonzero().flatten().tolist()
    assert set(touched) == set(layer.read(x).values.flatten().tolist())
    assert len(touched) <= 5 * 2 * 3 < 400


def test_all_pairs_are_never_made():
    torch.manual_seed(0)
    layer, x = ProductKeyMemory(16, 256, heads=1, k=8), torch.randn(64, 16)
    with torch.no_grad():
        assert peak_bytes(lambda: layer(x)) < 64 * 256**2 * 4 / 20


def test_an_empty_batch():
    assert memory()(tokens(0, 5, WIDTH)).shape == (0, 5, WIDTH)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ProductKeyMemory(8, 4, k=5), "k is 5; it must be at most n_keys=4"),
        (lambda: ProductKeyMemory(8, 0), "n_keys is 0"),
        (lambda: ProductKeyMemory(8, 40, d_key=3), "d_key is 3; it must be even"),
        (lambda: memory()(tokens(3, 9)), r"x has shape \(3, 9\); it must be \(\.\.\., 8\)"),
        (lambda: best_pairs(tokens(3), tokens(3), 4), "k is 4; it must be from 1 to the 3 keys"),
    ],
)
def test_bad_input_is_one_sentence(make, says):
    with pytest.raises(ValueError, match=says):
        make()
