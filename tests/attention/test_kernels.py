"""Linear attention against its definition, random features against the paper, and no leaks."""

import copy
import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from frugal.attention.kernels import (
    FavorFeatures,
    KernelAttention,
    RandomFourierFeatures,
    elu_features,
    kernel_weights,
    linear_attention,
    naive,
)
from frugal.attention.kernels import attention as kernel_attention
from frugal.attention.kernels import scan as kernel_scan
from frugal.attention.kernels.features import (
    gaussian_projection,
    positive_features,
    trigonometric_features,
)
from frugal.attention.kernels.gate import RandomFeatureAttention
from frugal.attention.recording import recording
from frugal.attention.softmax import MultiHeadAttention, attention_weights
from frugal.decoding import generate
from frugal.measure import forward_backward, peak_bytes
from frugal.model import Decoder, TransformerConfig

token_by_token = partial(naive.linear_attention, causal=True)


def normal(generator, *shape, dtype=torch.float32):
    return torch.randn(*shape, generator=generator, dtype=dtype)


@settings(deadline=None, max_examples=40)
@given(
    keys=st.integers(1, 200),
    missing=st.sampled_from([0, 0, 1, 63, 64, 150]),
    causal=st.booleans(),
    padded=st.booleans(),
    fading=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_definition(keys, missing, causal, padded, fading, seed):
    generator = torch.Generator().manual_seed(seed)
    queries = max(1, keys - missing)
    phi_q = torch.rand(2, 3, queries, 5, generator=generator, dtype=torch.float64)
    phi_k = torch.rand(2, 3, keys, 5, generator=generator, dtype=torch.float64)
    v = normal(generator, 2, 3, keys, 4, dtype=torch.float64)
    padding = torch.rand(2, keys, generator=generator) < 0.6 if padded else None
    log_decay = None
    if causal and fading:
        log_decay = -torch.rand(2, 3, keys, generator=generator, dtype=torch.float64)
    out = linear_attention(phi_q, phi_k, v, causal=causal, padding=padding, log_decay=log_decay)
    expected = naive.linear_attention(
        phi_q, phi_k, v, causal=causal, padding=padding, log_decay=log_decay
    )
    torch.testing.assert_close(out, expected, atol=1e-10, rtol=1e-10)
    weights = kernel_weights(phi_q, phi_k, causal=causal, padding=padding, log_decay=log_decay)
    torch.testing.assert_close(weights @ v, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("floor", [None, 0.4])
@pytest.mark.parametrize("fading", [False, True])
@pytest.mark.parametrize("segment", [None, 1, 5, 256])
def test_gradients_over_many_segments(generator, monkeypatch, fading, floor, segment):
    """As on the CPU and, with a segment, as on a GPU, which joins chunks in another order."""
    if segment is not None:
        monkeypatch.setattr(kernel_scan, "_on_cpu", lambda device: False)
        monkeypatch.setattr(kernel_scan, "GPU_SEGMENT", segment)
    length = 1100  # two whole segments, a part of one, and a short chunk
    shift = 0.0 if floor is None else 0.5  # with a floor features may be negative
    phi = [
        torch.rand(1, 2, length, 3, generator=generator, dtype=torch.float64) - shift for _ in "qk"
    ]
    inputs = [*phi, normal(generator, 1, 2, length, 4, dtype=torch.float64)]
    if fading:
        inputs.append(-0.3 * torch.rand(1, 2, length, generator=generator, dtype=torch.float64))
    inputs = [x.requires_grad_() for x in inputs]
    decay = inputs[3] if fading else None
    ours = linear_attention(*inputs[:3], causal=True, log_decay=decay, floor=floor)
    slow = token_by_token(*inputs[:3], log_decay=decay, floor=floor)
    torch.testing.assert_close(ours, slow, atol=1e-9, rtol=1e-9)
    weights = normal(generator, *ours.shape, dtype=torch.float64)
    for mine, expected in zip(
        torch.autograd.grad((ours * weights).sum(), inputs),
        torch.autograd.grad((slow * weights).sum(), inputs),
        strict=True,
    ):
        scale = expected.abs().max()
        assert scale > 0
        torch.testing.assert_close(mine / scale, expected / scale, atol=1e-9, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_decay_of_minus_infinity_forgets_all(generator, dtype):
    phi_q, phi_k, v = (torch.rand(1, 2, 150, 4, generator=generator, dtype=dtype) for _ in "qkv")
    log_decay = -torch.rand(1, 2, 150, generator=generator, dtype=dtype)
    log_decay[:, :, [0, 30, 31, 64, 100]] = -torch.inf
    phi = [x.requires_grad_() for x in (phi_q, phi_k, v)]
    out = linear_attention(*phi, causal=True, log_decay=log_decay)
    slow = token_by_token(*phi, log_decay=log_decay)
    torch.testing.assert_close(out, slow)
    weights = kernel_weights(phi_q, phi_k, causal=True, log_decay=log_decay)
    torch.testing.assert_close(weights @ v, slow, atol=1e-4, rtol=1e-4)
    assert (weights[:, :, 64:, :64] == 0).all()
    for mine, expected in zip(
        torch.autograd.grad(out.square().sum(), phi),
        torch.autograd.grad(slow.square().sum(), phi),
        strict=True,
    ):
        torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-4)


def test_a_large_step_costs_the_others_no_digits(generator):
    phi_q, phi_k, v = (torch.rand(1, 1, 64, 4, generator=generator) for _ in "qkv")
    log_decay = torch.full((1, 1, 64), -0.01)
    log_decay[:, :, 1] = -1e6
    exact = token_by_token(*(x.double() for x in (phi_q, phi_k, v)), log_decay=log_decay.double())
    out = linear_attention(phi_q, phi_k, v, causal=True, log_decay=log_decay)
    assert (out - exact).abs().max() < 1e-5
    weights = kernel_weights(phi_q, phi_k, causal=True, log_decay=log_decay)
    assert (weights @ v - exact).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("causal", [False, True])
def test_long_sums_stay_near_float64(generator, dtype, causal):
    length = 32_768
    phi_q, phi_k = (torch.rand(1, 1, length, 16, generator=generator).to(dtype) for _ in "qk")
    v = normal(generator, 1, 1, length, 8).add(1).to(dtype)
    out = linear_attention(phi_q, phi_k, v, causal=causal)
    assert out.dtype == dtype
    exact = linear_attention(phi_q.double(), phi_k.double(), v.double(), causal=causal)
    assert (out.double() - exact).abs().max() < 1e-2 if dtype == torch.bfloat16 else 1e-4
    every = range(0, length, 4096)
    slow = torch.stack(
        [
            naive.linear_attention(
                *(x.double() for x in (phi_q[:, :, i, None], *past(phi_k, v, i, causal)))
            )
            for i in every
        ],
        2,
    )[..., 0, :]
    torch.testing.assert_close(exact[:, :, list(every)], slow, atol=1e-9, rtol=1e-9)


def past(phi_k, v, i, causal):
    end = i + 1 if causal else None
    return phi_k[:, :, :end], v[:, :, :end]


def test_training_in_bfloat16_has_the_gradients_of_float64(generator):
    tensors = [torch.rand(1, 2, 700, 8, generator=generator).bfloat16() for _ in "qkv"]
    attend = forward_backward(partial(linear_attention, causal=True))
    half, exact = attend(*tensors), attend(*(x.double() for x in tensors))
    for mine, expected in zip(half, exact, strict=True):
        assert mine.dtype == torch.bfloat16
        assert (mine.double() - expected).abs().max() < 2e-2 * expected.abs().max()


def peak(attend, length, training):
    tensors = [torch.rand(1, 2, length, 32) for _ in range(3)]
    if training:
        return peak_bytes(forward_backward(attend), *tensors)
    with torch.no_grad():
        return peak_bytes(attend, *tensors)


@pytest.mark.parametrize("training", [False, True])
def test_memory_is_that_of_fused_attention(training):
    """All states of 4,096 tokens would be 2·4096·32·33 numbers, 35 MB; the output is 1 MB."""
    ours = partial(linear_attention, causal=True)
    fused = partial(F.scaled_dot_product_attention, is_causal=True)
    held = peak(ours, 4096, training)
    outputs = 2 * 4096 * 32 * 4 * (4 if training else 1)  # with three gradients
    assert held <= 1.5 * peak(fused, 4096, training) + outputs
    assert held < 2.2 * peak(ours, 2048, training)


@pytest.mark.parametrize("length", [12, 14])
def test_the_runs_of_a_gpu_sum_to_the_same(generator, monkeypatch, length):
    """Three runs of four keys, and two keys more."""
    phi_q, phi_k, v = (normal(generator, 2, 3, length, 5, dtype=torch.float64) for _ in range(3))
    given = phi_q.exp(), phi_k.exp(), v
    expected = linear_attention(*given)
    monkeypatch.setattr(kernel_attention, "RUN", 4)
    monkeypatch.setattr(kernel_attention, "_on_cpu", lambda x: False)
    torch.testing.assert_close(linear_attention(*given), expected)


def test_elu_features_keep_their_digits_below_zero():
    """(exp(x) - 1) + 1 is 6 % off at -16 and 0 below -17."""
    x = torch.tensor([-80.0, -50.0, -18.0, -16.0, -1e-3, 0.0, 1e-3, 3.0], requires_grad=True)
    expected = torch.where(x < 0, x.double().exp(), x.double() + 1)
    torch.testing.assert_close(elu_features(x).double(), expected, rtol=1e-6, atol=0)
    (slope,) = torch.autograd.grad(elu_features(x).sum(), x)
    torch.testing.assert_close(slope.double(), expected.clamp(max=1).detach(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("causal", [False, True])
def test_equal_keys_have_equal_weight_however_small_their_features(causal):
    q, v = torch.full((1, 1, 4, 8), -18.0), torch.arange(4.0).view(1, 1, 4, 1)
    out = KernelAttention()(q, q, v, causal=causal).flatten()
    expected = torch.tensor([0.0, 0.5, 1.0, 1.5] if causal else [1.5] * 4)
    torch.testing.assert_close(out, expected)


# Random features


def kernel(x, y):
    return (x * y).sum(-1).div(math.sqrt(x.shape[-1])).exp()


def estimates(map_, x, y, n_features, draws, *, orthogonal, seed=0):
    """`draws` independent estimates of the kernel of x and y."""
    assert not orthogonal or n_features % len(x) == 0  # each draw takes whole blocks
    generator = torch.Generator().manual_seed(seed)
    omega = gaussian_projection(
        draws * n_features, len(x), orthogonal=orthogonal, generator=generator, dtype=x.dtype
    )
    products = map_(x, omega) * map_(y, omega) * len(omega)
    return products.view(-1, draws, n_features).sum(0).mean(-1)  # sines and cosines, or one


@pytest.fixture
def pair(generator):
    """Two vectors whose kernel is small, and neither too near nor too far for Monte Carlo."""
    x = 0.6 * normal(generator, 8, dtype=torch.float64)
    y = 0.5 * normal(generator, 8, dtype=torch.float64) - 0.3 * x
    return x, y


@pytest.mark.parametrize("map_", [positive_features, trigonometric_features])
@pytest.mark.parametrize("orthogonal", [False, True])
def test_estimates_are_unbiased(pair, map_, orthogonal):
    found = estimates(map_, *pair, 16, 3000, orthogonal=orthogonal)
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - kernel(*pair)) < 4 * error
    assert error < 0.05 * kernel(*pair)  # or the line above says nothing


def mean_squared_error(map_, x, y, n_features):
    """The paper's formulas for independent ω (choromanski2021performer, lemma 2)."""
    x, y = x / len(x) ** 0.25, y / len(y) ** 0.25
    plus, minus = (x + y).square().sum(), (x - y).square().sum()
    exact = (x @ y).exp()
    if map_ is positive_features:
        return plus.exp() * exact**2 * (1 - (-plus).exp()) / n_features
    return plus.exp() * exact**-2 * (1 - (-minus).exp()) ** 2 / (2 * n_features)


@pytest.mark.parametrize("map_", [positive_features, trigonometric_features])
def test_variance_is_that_of_the_paper_and_falls_as_one_over_m(pair, map_):
    for n_features in (4, 16, 64):
        found = estimates(map_, *pair, n_features, 40_000, orthogonal=False)
        expected = mean_squared_error(map_, *pair, n_features)
        assert (found - kernel(*pair)).square().mean() == pytest.approx(expected.item(), rel=0.06)


def test_orthogonal_vectors_beat_independent_ones(pair):
    for map_ in (positive_features, trigonometric_features):
        errors = [
            (estimates(map_, *pair, 8, 40_000, orthogonal=o) - kernel(*pair)).square().mean()
            for o in (True, False)
        ]
        assert errors[0] < 0.95 * errors[1]


def test_where_the_kernel_is_small_only_positive_features_know_it(generator):
    x = 2 * normal(generator, 8, dtype=torch.float64)
    positive = estimates(positive_features, x, -x, 16, 300, orthogonal=True)
    waves = estimates(trigonometric_features, x, -x, 16, 300, orthogonal=True)
    assert kernel(x, -x) < 1e-3
    assert (positive >= 0).all()
    assert (positive - kernel(x, -x)).abs().max() < 1e-3
    assert (waves < 0).float().mean() > 0.2
    assert (waves - kernel(x, -x)).abs().median() > 1


def test_projection_rows_are_normal_and_orthogonal(generator):
    omega = gaussian_projection(20, 8, generator=generator, dtype=torch.float64)
    for block in (omega[:8], omega[8:16], omega[16:]):
        products = block @ block.T
        torch.testing.assert_close(products, products.diagonal().diag(), atol=1e-10, rtol=0)
    many = torch.stack(
        [gaussian_projection(8, 8, generator=generator) for _ in range(2000)]
    )  # (draws, rows, entries)
    assert many.mean((0,)).abs().max() < 0.12
    assert (many.square().mean((0,)) - 1).abs().max() < 0.2
    assert (many.norm(dim=-1).var(0) - 0.47).abs().max() < 0.1  # that of a chi of 8


# Performer


def performer(n_features=128, head_dim=8, seed=0):
    return KernelAttention(
        FavorFeatures(head_dim, n_features, generator=torch.Generator().manual_seed(seed))
    )


@pytest.mark.parametrize("causal", [False, True])
def test_performer_is_the_ratio_of_estimates(generator, causal):
    """What `prepare` scales must cancel: compare with the plain features, in float64."""
    q, k, v = (normal(generator, 2, 3, 150, 8, dtype=torch.float64) for _ in range(3))
    attend = performer().double()
    padding = torch.rand(2, 150, generator=generator) < 0.7
    phi_q, phi_k = attend.features(q), attend.features(k)
    expected = linear_attention(phi_q, phi_k, v, causal=causal, padding=padding)
    out = attend(q, k, v, causal=causal, padding=padding)
    torch.testing.assert_close(out, expected, atol=1e-9, rtol=1e-9)
    weights = attend.weights(q, k, causal=causal, padding=padding)
    torch.testing.assert_close(weights @ v, expected, atol=1e-9, rtol=1e-9)


def test_performer_tends_to_softmax(generator):
    q, k, v = (0.7 * normal(generator, 1, 2, 60, 8) for _ in range(3))
    exact = attention_weights(q, k, causal=True) @ v
    errors = []
    for n_features in (16, 256, 8192):
        errors.append((performer(n_features)(q, k, v, causal=True) - exact).square().mean())
    assert errors[0] > 3 * errors[1]
    assert errors[1] > 3 * errors[2]
    assert errors[2] < 1e-2


def changed_later(generator, x, start, size):
    later = x.clone()
    later[:, :, start:] = size * normal(generator, *x[:, :, start:].shape)
    return later


@pytest.mark.parametrize("attend", [performer(), RandomFeatureAttention(3, 8, 16).eval()])
@pytest.mark.parametrize("start", [70, 100, 128])
def test_the_future_changes_nothing(generator, attend, start):
    """Not even keys so large that everything before them would round to zero beside them."""
    q, k, v = (normal(generator, 2, 3, 200, 8) for _ in range(3))
    before = attend(q, k, v, causal=True)[:, :, :start]
    later = [changed_later(generator, x, start, 30.0) for x in (q, k, v)]
    after = attend(*later, causal=True)[:, :, :start]
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)
    assert after.abs().max() > 0.1


def public_form(features, q, k, v, causal):
    """The largest ω·k of the whole text is subtracted, and 1e-4 added to every feature."""
    phi = []
    for x, dims in ((q, (-1,)), (k, (-1, -2))):
        logs = x / x.shape[-1] ** 0.25 @ features.projection.T
        largest = logs.amax(dims, keepdim=True)
        half = x.square().sum(-1, keepdim=True) / 2 / x.shape[-1] ** 0.5
        phi.append((logs - half - largest).exp() + 1e-4)
    return linear_attention(*phi, v, causal=causal)


def past_and_future(generator, features):
    """Heads of 100 tokens, and the same with other keys from place 70 on."""
    q, k, v = (normal(generator, 1, 2, 100, 64) for _ in range(3))
    later = k.clone()
    later[:, :, 70:] = features.projection[:1] * 64**0.25  # a feature as large as there can be
    return q, k, later, v


def test_one_maximum_over_all_keys_leaks_the_future(generator):
    attend = performer(64, 64)
    q, k, later, v = past_and_future(generator, attend.features)
    before, after = (public_form(attend.features, q, x, v, True)[:, :, :70] for x in (k, later))
    assert (after - before).abs().max() > 0.1
    before, after = (attend(q, x, v, causal=True)[:, :, :70] for x in (k, later))
    assert (after - before).abs().max() < 1e-6


def test_the_public_performer_agrees_when_not_causal_and_leaks_when_causal(generator):
    module = pytest.importorskip("performer_pytorch.performer_pytorch")
    public = module.FastAttention(64, nb_features=64)
    attend = performer(64, 64)
    attend.features.projection.copy_(public.projection_matrix)
    q, k, later, v = past_and_future(generator, attend.features)
    expected = public_form(attend.features, q, k, v, False)
    torch.testing.assert_close(public(q, k, v), expected, atol=1e-5, rtol=1e-4)
    public.causal, public.causal_linear_fn = True, module.causal_linear_attention_noncuda
    before, after = (public(q, x, v)[:, :, :70] for x in (k, later))
    assert (after - before).abs().max() > 0.1


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [1e-3, 30.0, 1e3])
def test_any_norm_gives_finite_output_and_gradient(generator, causal, size):
    q, k, v = ((normal(generator, 1, 2, 150, 16) * size).requires_grad_() for _ in range(3))
    out = performer(32, 16)(q, k, v, causal=causal)
    assert out.isfinite().all()
    assert out.abs().max() <= 1.001 * v.abs().max()  # weights are positive and sum to at most 1
    for grad in torch.autograd.grad(out.sum(), (q, k, v)):
        assert grad.isfinite().all()


@pytest.mark.parametrize(
    "attend", [performer(), KernelAttention(), RandomFeatureAttention(2, 8, 16)]
)
@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_absence(generator, attend, causal):
    q, k, v = (normal(generator, 1, 2, 90, 8) for _ in range(3))
    attend.eval()
    padding = torch.ones(1, 90, dtype=torch.bool)
    padding[:, :5] = padding[:, 40:50] = False
    k[:, :, ~padding[0]] = v[:, :, ~padding[0]] = 1e4
    out = attend(q, k, v, causal=causal, padding=padding)[:, :, padding[0]]
    alone = attend(*(x[:, :, padding[0]] for x in (q, k, v)), causal=causal)
    torch.testing.assert_close(out, alone, atol=1e-5, rtol=1e-4)
    nothing = attend(q, k, v, causal=causal, padding=torch.zeros_like(padding))
    assert (nothing == 0).all()


def test_redraws_count_training_passes_only(generator):
    features = FavorFeatures(8, 16, redraw_every=2, generator=generator)
    attend, x = KernelAttention(features), normal(generator, 1, 1, 4, 8)
    first = features.projection
    attend(x, x, x)
    assert features.projection is first
    attend(x, x, x)
    assert not torch.equal(features.projection, first)
    second = features.projection
    attend.eval()
    for _ in range(4):
        attend(x, x, x)
    assert features.projection is second
    features.redraw(torch.Generator().manual_seed(3))
    again = FavorFeatures(8, 16, generator=torch.Generator().manual_seed(3))
    assert torch.equal(features.projection, again.projection)
    assert "projection" in features.state_dict()


@pytest.mark.parametrize("redraw_every", [1, 2])
def test_a_redraw_in_inference_mode_can_be_trained_with(generator, redraw_every):
    attend = KernelAttention(FavorFeatures(8, 16, redraw_every=redraw_every))
    q, k, v = (normal(generator, 1, 2, 9, 8).requires_grad_() for _ in range(3))
    before = attend.features.projection
    with torch.inference_mode():
        attend(q, k, v)
        attend(q, k, v)
    assert attend.features.passes == 2
    assert attend.features.projection is not before
    attend(q, k, v).sum().backward()
    assert q.grad.abs().max() > 0


class InLine(nn.Module):
    """Two attentions one after the other, with dropout between: one module, or two."""

    def __init__(self, make, shared):
        super().__init__()
        self.first = make()
        self.second = self.first if shared else make()

    def forward(self, x):
        x = F.dropout(self.first(x, x, x, causal=True), 0.3)
        return F.dropout(self.second(x, x, x), 0.3)


@pytest.mark.parametrize("redraw_every", [None, 1, 2, 3])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("rfa", [False, True])
def test_gradients_under_checkpointing_are_those_without(
    generator, redraw_every, shared, use_reentrant, rfa
):
    """Several passes wait for the backward pass, so that later ones have drawn other vectors."""

    def make():
        if rfa:
            return RandomFeatureAttention(2, 8, 16, redraw_every=redraw_every)
        return KernelAttention(FavorFeatures(8, 16, redraw_every=redraw_every))

    plain = InLine(make, shared)
    replayed = copy.deepcopy(plain)
    texts = [normal(generator, 1, 2, 9, 8).requires_grad_() for _ in range(3)]
    found = []
    for run in (plain, partial(checkpoint, replayed, use_reentrant=use_reentrant)):
        torch.manual_seed(7)
        out = [run(x) for x in texts + texts]
        for x in texts:
            x.grad = None
        sum(x.square().sum() for x in out).backward()
        found.append([*out, *(x.grad for x in texts)])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected)
    for mine, expected in zip(replayed.buffers(), plain.buffers(), strict=True):
        assert torch.equal(mine, expected)  # a replay counts and leaves nothing


@pytest.mark.parametrize("make", [FavorFeatures, RandomFourierFeatures])
def test_looking_at_weights_is_no_training_pass(generator, make):
    features = make(8, 16, redraw_every=1)
    attend, x = KernelAttention(features), normal(generator, 1, 2, 5, 8)
    first = features.projection
    attend.weights(x, x)
    assert features.passes == 0
    assert features.projection is first


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("floor", [1e-3, 5.0])
def test_fourier_features_have_the_gradient_of_their_output(generator, causal, floor):
    """Where the floor acts, the keys' scale does not cancel."""
    features = RandomFourierFeatures(4, 8, floor=floor, generator=generator)
    attend = KernelAttention(features).double()
    inputs = [normal(generator, 1, 2, 4, 4, dtype=torch.float64).requires_grad_() for _ in range(3)]
    padding = torch.tensor([[False, True, True, True]])
    for real in (None, padding):
        assert torch.autograd.gradcheck(partial(attend, causal=causal, padding=real), inputs)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: KernelAttention(FavorFeatures(8, 16, redraw_every=2)),
        lambda: KernelAttention(RandomFourierFeatures(8, 16, redraw_every=2)),
        lambda: RandomFeatureAttention(2, 8, 16, redraw_every=2),
    ],
)
def test_a_module_in_bfloat16_works_and_redraws(generator, make, causal):
    attend = make().bfloat16()
    q, k, v = (normal(generator, 1, 2, 9, 8).bfloat16().requires_grad_() for _ in range(3))
    for _ in range(3):
        out = attend(q, k, v, causal=causal)
        assert out.dtype == torch.bfloat16
        out.sum().backward()
    assert q.grad.isfinite().all()
    assert attend.features.projection.dtype == torch.bfloat16


# Random Feature Attention


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("hidden", [2, 6])
def test_rfa_gradients_are_finite_where_nothing_is_seen(generator, gate, causal, hidden):
    """Padding on the left, and a row that is all padding."""
    attend = RandomFeatureAttention(2, 8, 16, gate=gate)
    q, k, v = (normal(generator, 2, 2, 6, 8).requires_grad_() for _ in range(3))
    padding = torch.arange(6) >= torch.tensor([[hidden], [0]])
    out = attend(q, k, v, causal=causal, padding=padding)
    out.square().sum().add(out.sum()).backward()
    for one in (q, k, v, *attend.parameters()):
        assert one.grad is None or one.grad.isfinite().all()
    assert attend.features.sharpness.grad.abs().max() > 0


def test_looking_at_rfa_weights_is_no_training_pass(generator):
    attend, x = RandomFeatureAttention(2, 8, 16), normal(generator, 1, 2, 5, 8)
    attend.weights(x, x, causal=True)
    assert attend.features.passes == 0


@pytest.mark.parametrize("gate", [False, True])
def test_rfa_is_the_papers_recurrence(generator, gate):
    attend = RandomFeatureAttention(2, 8, 32, gate=gate, floor=1e-6, generator=generator).eval()
    with torch.no_grad():
        for parameter in attend.parameters():
            parameter.add_(0.3 * normal(generator, *parameter.shape))
    learned = attend.features
    q, k, v = (normal(generator, 1, 2, 80, 8) for _ in range(3))
    out = attend(q, k, v, causal=True)

    def phi(x, head):
        omega = learned.projection * learned.sharpness[head]  # rows of N(0, σ²)
        angles = omega @ (x / x.norm())
        return torch.cat([angles.sin(), angles.cos()]) / math.sqrt(32)

    for head in range(2):
        state, total = torch.zeros(64, 8), torch.zeros(64)
        for t in range(80):
            kept, added = 1.0, 1.0
            if gate:
                kept = torch.sigmoid(
                    learned.gate_weight[head] @ k[0, head, t] + learned.gate_bias[head]
                )
                added = 1 - kept
            key, query = phi(k[0, head, t], head), phi(q[0, head, t], head)
            state = kept * state + added * torch.outer(key, v[0, head, t])
            total = kept * total + added * key
            if query @ total > 1e-2 * (added if gate else 1):
                expected = query @ state / (query @ total)
                torch.testing.assert_close(out[0, head, t], expected, atol=2e-4, rtol=2e-3)


def test_rfa_learns_its_gate_and_its_sharpness(generator):
    attend = RandomFeatureAttention(2, 8, 16)
    q, k, v = (normal(generator, 1, 2, 100, 8) for _ in range(3))
    attend(q, k, v, causal=True).square().sum().backward()
    for parameter in attend.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0


def test_rfa_estimates_softmax_of_unit_vectors(generator):
    attend = RandomFeatureAttention(1, 8, 4096, gate=False, sharpness=1.5, generator=generator)
    q, k = (F.normalize(normal(generator, 1, 1, 40, 8), dim=-1) for _ in range(2))
    expected = (1.5**2 * q @ k.mT).softmax(-1)
    torch.testing.assert_close(attend.eval().weights(q, k), expected, atol=8e-3, rtol=0)


# In a model


ATTENDS = {
    "elu": lambda head_dim: KernelAttention(elu_features),
    "favor": lambda head_dim: KernelAttention(FavorFeatures(head_dim, 16)),
    "rfa": lambda head_dim: RandomFeatureAttention(2, head_dim, 16),
    "fourier": lambda head_dim: KernelAttention(RandomFourierFeatures(head_dim, 16)),
}


@pytest.mark.parametrize("name", ATTENDS)
def test_a_decoder_with_it_decodes_with_a_cache(name, generator):
    config = TransformerConfig(
        13, d_model=16, n_heads=2, make_attend=lambda index, config: ATTENDS[name](8)
    )
    torch.manual_seed(0)
    model = Decoder(config).eval()
    ids = torch.randint(13, (2, 75), generator=generator)
    with torch.no_grad():
        whole = model(ids)
        caches = model.new_caches(75)
        parts = [model(ids[:, a:b], caches=caches) for a, b in ((0, 70), (70, 73), (73, 74))]
    torch.testing.assert_close(torch.cat(parts, 1), whole[:, :74], atol=2e-4, rtol=0)
    changed = ids.clone()
    changed[:, 50:] = 1
    torch.testing.assert_close(model(changed)[:, :50], whole[:, :50], atol=1e-5, rtol=0)
    assert generate(model, ids[:, :5], max_new_tokens=3).shape[1] == 8


@pytest.mark.parametrize("name", ["elu", "favor", "rfa"])
def test_recorded_weights_are_those_used(name, generator):
    attention = MultiHeadAttention(16, 2, ATTENDS[name](8)).eval()
    x = normal(generator, 1, 30, 16)
    with recording(attention) as recorder:
        out = attention(x, causal=True)
    weights = recorder.weights[""]
    v = attention.split(attention.to_v(x))
    expected = attention.to_out((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-3)
    assert (weights.triu(1) == 0).all()


@pytest.mark.parametrize("redraw_every", [1, 2])
@pytest.mark.parametrize("rfa", [False, True])
def test_recording_in_training_leaves_the_output_and_shows_what_was_drawn(
    generator, rfa, redraw_every
):
    if rfa:
        attend = RandomFeatureAttention(2, 8, 16, redraw_every=redraw_every)
    else:
        attend = KernelAttention(FavorFeatures(8, 16, redraw_every=redraw_every))
    plain = MultiHeadAttention(16, 2, attend)
    recorded = copy.deepcopy(plain)
    x = normal(generator, 1, 30, 16)
    torch.manual_seed(3)
    expected = [plain(x, causal=True) for _ in range(3)]
    torch.manual_seed(3)
    v = recorded.split(recorded.to_v(x))
    with recording(recorded) as recorder:
        for out in expected:
            assert torch.equal(recorded(x, causal=True), out)
            seen = recorded.to_out((recorder.weights[""] @ v).transpose(1, 2).flatten(2))
            torch.testing.assert_close(seen, out, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", ATTENDS)
def test_a_batch_of_none_gives_none(name, causal):
    q = torch.zeros(0, 2, 130, 8, requires_grad=True)
    v = torch.zeros(0, 2, 130, 5)
    out = ATTENDS[name](8)(q, q, v, causal=causal, padding=torch.ones(0, 130, dtype=torch.bool))
    assert out.shape == (0, 2, 130, 5)
    out.sum().backward()
    assert q.grad.shape == q.shape


# Bad input


def positive(*shape):
    return torch.rand(*shape) + 0.1


Q, K, V = positive(1, 2, 6, 4), positive(1, 2, 6, 4), torch.randn(1, 2, 6, 3)
BAD = {
    "phi_k has a negative feature": lambda: linear_attention(Q, -K, V),
    "phi_q has a negative feature": lambda: linear_attention(-Q, K, V, causal=True),
    "k has length 5 and v has 6": lambda: linear_attention(Q, K[:, :, :5], V),
    "q has head_dim 3 and k has 4": lambda: linear_attention(Q[..., :3], K, V),
    "phi_q has length 6 and phi_k has 4": lambda: linear_attention(
        Q, K[:, :, :4], V[:, :, :4], causal=True
    ),
    "padding has shape (1, 5)": lambda: linear_attention(
        Q, K, V, padding=torch.ones(1, 5, dtype=torch.bool)
    ),
    "padding has shape (6,)": lambda: linear_attention(
        Q, K, V, padding=torch.ones(6, dtype=torch.bool)
    ),
    "log_decay is given without causal": lambda: linear_attention(Q, K, V, log_decay=-K[..., 0]),
    "log_decay has shape": lambda: linear_attention(
        Q, K, V, causal=True, log_decay=torch.zeros(1, 2, 5)
    ),
    "log_decay has a value above 0": lambda: linear_attention(
        Q, K, V, causal=True, log_decay=K[..., 0]
    ),
    "log_decay has NaN": lambda: linear_attention(
        Q, K, V, causal=True, log_decay=torch.full((1, 2, 6), math.nan)
    ),
    "floor is 0;": lambda: linear_attention(Q, K, V, floor=0),
    "floor is 0.0;": lambda: RandomFourierFeatures(8, 4, floor=0.0),
    "floor is nan;": lambda: RandomFourierFeatures(8, 4, floor=math.nan),
    "floor is -1;": lambda: RandomFeatureAttention(2, 8, floor=-1),
    "mask is given": lambda: KernelAttention()(Q, K, V, mask=torch.ones(6, 6, dtype=torch.bool)),
    "x has head_dim 4": lambda: KernelAttention(FavorFeatures(8))(Q, K, V),
    "n_features is 0": lambda: FavorFeatures(8, 0),
    "redraw_every is 0": lambda: FavorFeatures(8, 4, redraw_every=0),
    "n_heads is 0": lambda: RandomFeatureAttention(0, 8),
    "memory is 1;": lambda: RandomFeatureAttention(2, 8, memory=1),
    "memory is inf;": lambda: RandomFeatureAttention(2, 8, memory=math.inf),
    "q has length 6 and k has 4": lambda: RandomFeatureAttention(2, 4)(
        Q, K[:, :, :4], V[:, :, :4], causal=True
    ),
    "q has head_dim 4 and k has 3": lambda: RandomFeatureAttention(2, 4).weights(Q, K[..., :3]),
    "q has 2 heads": lambda: RandomFeatureAttention(3, 4)(Q, K, V),
}


@pytest.mark.parametrize("sentence", BAD)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_gets_one_sentence(sentence):
    with pytest.raises(ValueError, match=r"^[^\n]*\.$") as caught:
        BAD[sentence]()
    assert sentence in str(caught.value)
