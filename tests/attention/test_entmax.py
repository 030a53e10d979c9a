"""α-entmax against its definition, against the public package, and by finite differences."""

import math

import pytest
import torch
from entmax import entmax15, entmax_bisect, sparsemax
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from frugal.attention import entmax as module
from frugal.attention.entmax import EntmaxAttention, entmax
from frugal.attention.softmax import MultiHeadAttention, softmax_attention
from tests.launches import Launched

ALPHAS = (1.05, 1.3, 1.5, 1.8, 2.0, 2.5)


def scores(*shape, seed=0, scale=2.0, dtype=torch.float64):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_definition(z, alpha):
    """max over p of p·z + H(p) by its optimality: all weights of one τ, found by halving."""
    x = [(alpha - 1) * value for value in z]
    low, high = max(x) - 1, max(x)
    for _ in range(200):
        tau = (low + high) / 2
        total = sum(max(0.0, value - tau) ** (1 / (alpha - 1)) for value in x)
        low, high = (tau, high) if total >= 1 else (low, tau)
    return [max(0.0, value - low) ** (1 / (alpha - 1)) for value in x]


def test_many_scores_on_a_gpu_are_not_stepped_over_for_nothing(monkeypatch):
    """Few are: there a step takes less time than to wait for the answer whether it is needed."""
    monkeypatch.setattr(module, "_may_ask", lambda x: False)
    z, weights, steps = scores(3, 100), [], []
    for much in (1, 2**24):
        monkeypatch.setattr(module, "MUCH", much)
        with Launched() as mode:
            weights.append(entmax(z, 1.5))
        steps.append(mode.names.count("linalg_vector_norm"))
    assert 2 <= steps[0] < steps[1] == 2 * module.STEPS
    torch.testing.assert_close(*weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("scale", [0.01, 1.0, 50.0])
def test_it_is_the_definition(alpha, scale):
    z = scores(9, scale=scale)
    expected = torch.tensor(by_definition(z.tolist(), alpha), dtype=torch.float64)
    torch.testing.assert_close(entmax(z, alpha), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 70, 1000])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_it_is_what_the_package_gives(n, scale):
    z = scores(5, n, scale=scale)
    torch.testing.assert_close(entmax(z), entmax15(z, dim=-1), rtol=0, atol=1e-9)
    torch.testing.assert_close(entmax(z, 2), sparsemax(z, dim=-1), rtol=0, atol=1e-9)
    expected = entmax_bisect(z, 1.25, dim=-1, n_iter=100)
    torch.testing.assert_close(entmax(z, 1.25), expected, rtol=0, atol=1e-9)


def test_float32_is_as_exact_as_it_can_be():
    z = scores(64, 1024, dtype=torch.float32)
    torch.testing.assert_close(entmax(z).double(), entmax(z.double()), rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=200),
    st.sampled_from([1.1, 1.5, 1.9, 2.0, 3.0]),
)
def test_weights_are_weights(values, alpha):
    """Also for ties and for steps of many sizes, which need the most of Newton's method."""
    z = torch.tensor(values, dtype=torch.float64)
    p = entmax(z, alpha)
    assert (p >= 0).all()
    assert abs(p.sum().item() - 1) < 1e-9
    larger = z[:, None] > z[None, :]
    assert (p[:, None] >= p[None, :])[larger].all()


def test_newton_needs_few_steps_of_all_scores(monkeypatch):
    """The first guess, from the largest of each block, leaves little to do."""
    taken = []
    real = module._by_newton

    def counted(x, tau, alpha):
        if x.shape[-1] == 4096:
            monkeypatch.setattr(module, "STEPS", 3)
        found = real(x, tau, alpha)
        monkeypatch.setattr(module, "STEPS", 12)
        taken.append(x.shape[-1])
        return found

    monkeypatch.setattr(module, "_by_newton", counted)
    z = scores(8, 4096, scale=1.0)
    p = entmax(z)
    torch.testing.assert_close(p, entmax15(z, dim=-1), rtol=0, atol=1e-6)
    assert taken[:2] == [256, 4096]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_gradients_of_scores(alpha):
    z = scores(3, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: entmax(z, alpha), (z,))


@pytest.mark.parametrize("dim", [-1, 1])
def test_gradients_of_alpha(dim):
    """Of one number for all, and of one for each head."""
    z = scores(2, 3, 7).requires_grad_()
    one = torch.tensor(1.4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z, a: entmax(z, a.view(1, 1, 1), dim), (z, one))
    shape = [1, 3, 1] if dim == -1 else [1, 1, 7]
    own = (1.2 + 0.7 * torch.rand(shape, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z, a: entmax(z, a, dim), (z, own))


def test_alpha_near_1_is_near_softmax():
    z = scores(4, 30)
    near = [(entmax(z, a) - z.softmax(-1)).abs().max().item() for a in (1.5, 1.1, 1.01, 1.001)]
    assert near == sorted(near, reverse=True)
    assert near[-1] < 2e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alpha", [1.01, 1.05, 1.2, 1.46, 1.5, 1.8, 2.0, 2.5, "learned"])
def test_a_row_without_keys_is_zeros_for_every_alpha(alpha, dtype):
    """Also near 1, where the power that Newton's method divides by is too small for a float."""
    z = scores(3, 6, dtype=dtype)
    z[0] = -math.inf
    z.requires_grad_()
    if alpha == "learned":
        alpha = torch.tensor([[1.05], [1.3], [1.9]], dtype=dtype, requires_grad=True)
    p = entmax(z, alpha)
    (p * torch.arange(6)).sum().backward()
    assert (p[0] == 0).all()
    torch.testing.assert_close(p[1:].sum(-1), torch.ones(2, dtype=dtype))
    assert z.grad.isfinite().all()
    assert not isinstance(alpha, torch.Tensor) or alpha.grad.isfinite().all()


def test_a_score_of_minus_infinity_has_no_weight():
    z = scores(3, 100)
    z[0, 5], z[1], z[2, :99] = -math.inf, -math.inf, -math.inf
    z.requires_grad_()
    p = entmax(z)
    assert p[0, 5] == 0
    assert (p[1] == 0).all()
    assert p[2, 99] == 1
    p.square().sum().backward()
    assert z.grad.isfinite().all()
    assert (z.grad[1] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    z = scores(4, 200).to(dtype)
    assert entmax(z).dtype == dtype
    torch.testing.assert_close(entmax(z), entmax(z.float()).to(dtype), rtol=0, atol=0)


def test_zeros_are_exact_and_many():
    p = entmax(scores(200, 64, scale=1.0))
    kept = (p > 0).sum(-1).double().mean().item()
    assert 9 < kept < 12  # of 64 normal scores: 10.5
    assert (entmax(scores(200, 64, scale=1.0), 2) > 0).sum(-1).double().mean() < 4


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: entmax(torch.ones(3), math.inf), "alpha is inf; it must be above 1"),
        (
            lambda: entmax(torch.ones(3), dim=2),
            "dim is 2; it must be an axis of scores",
        ),
        (lambda: entmax(torch.ones(3), 1.0), "alpha is 1.0; it must be above 1"),
        (lambda: entmax(torch.ones(3), torch.tensor([0.5])), "alpha has 0.5; it must be above 1"),
        (lambda: entmax(torch.ones(3, 0)), r"scores has shape \(3, 0\)"),
        (lambda: entmax(torch.ones(2, 3), torch.ones(3) + 1), r"alpha has shape \(3,\)"),
        (lambda: entmax(torch.ones(2, 3), torch.ones(4, 1) + 1), r"alpha has shape \(4, 1\)"),
        (lambda: EntmaxAttention(2, alpha=1), "alpha is 1; it must be above 1"),
        (lambda: EntmaxAttention(2, alpha=2.0, learned=True), "alpha is 2.0; it must be between"),
        (lambda: EntmaxAttention(0), "n_heads is 0"),
        (
            lambda: EntmaxAttention(2)(*torch.ones(3, 1, 4, 5, 6)),
            "q has 4 heads; it must have 2",
        ),
    ],
)
def test_bad_input_is_one_sentence(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.usefixtures("unchecked")
def test_whole_numbers_are_no_scores():
    with pytest.raises(ValueError, match=r"scores has dtype torch\.int64; it must be floating"):
        entmax(torch.ones(3, dtype=torch.int64))


def test_attention_is_entmax_of_the_scaled_scores():
    q, k, v = scores(3, 2, 4, 10, 6).unbind()
    seen = torch.ones(10, 10, dtype=torch.bool).tril()
    z = (q @ k.mT / math.sqrt(6)).masked_fill(~seen, -1e30)
    expected = entmax15(z, dim=-1) @ v
    out = EntmaxAttention(4)(q, k, v, causal=True)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


def test_alpha_near_1_attends_as_softmax_does():
    q, k, v = scores(3, 2, 4, 10, 6).unbind()
    out = EntmaxAttention(4, alpha=1.0001)(q, k, v)
    torch.testing.assert_close(out, softmax_attention(q, k, v), rtol=0, atol=1e-3)


def test_each_head_learns_an_alpha_of_its_own():
    """One head is to look at a single key, the other at all: α of the first rises, and parts."""
    torch.manual_seed(0)
    attend = EntmaxAttention(2, alpha=1.5, learned=True)
    q = torch.ones(1, 2, 1, 1)
    k = torch.linspace(-1.5, 1.5, 8).view(1, 1, 8, 1).expand(1, 2, 8, 1)
    v = torch.eye(8).expand(1, 2, 8, 8)
    wanted = torch.stack([torch.eye(8)[7], torch.full((8,), 1 / 8)])
    step = torch.optim.Adam(attend.parameters(), lr=0.05)
    for _ in range(200):
        loss = (attend(q, k, v)[0, :, 0] - wanted).square().sum()
        step.zero_grad()
        loss.backward()
        step.step()
    one, all_of_them = attend.alphas.tolist()
    assert all_of_them < 1.2 < 1.8 < one < 2


def test_it_stands_in_a_layer_and_its_state_is_kept():
    torch.manual_seed(0)
    layer = MultiHeadAttention(16, 4, EntmaxAttention(4, learned=True))
    other = MultiHeadAttention(16, 4, EntmaxAttention(4, alpha=1.2, learned=True))
    other.load_state_dict(layer.state_dict())
    x = scores(2, 6, 16, dtype=torch.float32)
    torch.testing.assert_close(layer(x), other(x))
    assert isinstance(layer.attend.logit, nn.Parameter)
    layer(x).sum().backward()
    assert layer.attend.logit.grad.isfinite().all()


@pytest.mark.parametrize("alpha", [1.3, 1.5, 3.0, "learned"])
def test_second_gradients_are_right_beside_exact_zeros(alpha):
    generator = torch.Generator().manual_seed(1)
    scores = 3 * torch.randn(3, 7, generator=generator, dtype=torch.float64)
    assert (entmax(scores, 1.5) == 0).any()
    inputs = [scores.requires_grad_()]
    if alpha == "learned":
        inputs.append(torch.tensor([[1.2], [1.7], [1.9]], dtype=torch.float64, requires_grad=True))
        assert torch.autograd.gradgradcheck(entmax, inputs)
    else:
        assert torch.autograd.gradgradcheck(lambda s: entmax(s, alpha), inputs)
